"""Tests in a browser run beside tests whose containers bring networks and take them away."""

import subprocess
import sys
from pathlib import Path

from tests.support.browser import chromium, undisturbed

OPEN = """
import socket
socket.socket(socket.AF_INET).close()
socket.socket(socket.AF_UNIX).close()
try:
    socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)
except OSError as error:
    print(error.strerror)
"""


def test_a_browser_does_not_see_networks_come_and_go() -> None:
    with undisturbed(sys.executable) as command:
        done = subprocess.run([command, "-c", OPEN], capture_output=True, text=True, check=True)
    assert done.stdout == "Address family not supported by protocol\n"
    assert not Path(command).exists()


def test_a_browser_works_without_seeing_networks() -> None:
    with chromium() as browser:
        page = browser.new_page()
        page.set_content("<p>Hello</p>")
        assert page.inner_text("p") == "Hello"
