"""Run a program that cannot open netlink sockets, by which Linux tells of networks that come and go.

    python without_netlink.py PROGRAM [ARGUMENT ...]

Chromium drops the connections that it is opening when a network comes or goes, as with each container of a test beside it.
Without netlink it takes the network as steady: net/base/address_tracker_linux.cc.
"""

import ctypes
import os
import platform
import socket
import struct
import sys

# From <linux/prctl.h> and <linux/seccomp.h>.
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
ALLOW, REFUSE = 0x7FFF0000, 0x00050000
# The number of socket(2), from <asm/unistd.h>.
SOCKET = {"x86_64": 41, "aarch64": 198}
# From <linux/bpf_common.h>: load a word of the call, compare it, return.
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06
# Offsets in struct seccomp_data: the call's number, and the lower half of its first argument.
NUMBER, FIRST = 0, 16
EAFNOSUPPORT = 97


class Filter(ctypes.Structure):
    """A struct sock_fprog."""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def refuse_netlink() -> None:
    """Refuse netlink sockets to this process and all that it starts: seccomp(2). Change nothing on an unknown processor.

    Raises:
        OSError: the kernel does not allow it.
    """
    if platform.machine() not in SOCKET:
        return
    instructions = [
        (LOAD, 0, 0, NUMBER),
        (EQUAL, 0, 3, SOCKET[platform.machine()]),
        (LOAD, 0, 0, FIRST),
        (EQUAL, 0, 1, socket.AF_NETLINK),
        (RETURN, 0, 0, REFUSE | EAFNOSUPPORT),
        (RETURN, 0, 0, ALLOW),
    ]
    program = b"".join(struct.pack("HBBI", *each) for each in instructions)
    libc = ctypes.CDLL(None, use_errno=True)
    given = Filter(len(instructions), program)
    for arguments in ((PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(given))):
        if libc.prctl(*arguments) != 0:
            raise OSError(ctypes.get_errno(), "prctl")


if __name__ == "__main__":
    refuse_netlink()
    os.execv(sys.argv[1], sys.argv[1:])  # noqa: S606 - this process becomes PROGRAM, so there is nothing for a shell to do
