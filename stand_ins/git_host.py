"""Serve a private Git repository over HTTP, only to clients with its token."""

import base64
import binascii
import contextlib
import os
import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import urlsplit

from stand_ins.services import stand_in


def has_password(request: BaseHTTPRequestHandler, password: str) -> bool:
    """Return True if a request has this password, under any user name: RFC 7617."""
    kind, _, given = request.headers.get("Authorization", "").partition(" ")
    with contextlib.suppress(binascii.Error):
        return kind == "Basic" and base64.b64decode(given).partition(b":")[2].decode() == password
    return False


def backend_environment(request: BaseHTTPRequestHandler, folder: Path, prefix: str = "") -> dict[str, str]:
    """Return the environment variables for `git http-backend`: https://git-scm.com/docs/git-http-backend.

    Args:
        request: the request of a client that may write.
        folder: the folder that the path is relative to.
        prefix: the start of the path to leave out.
    """
    parts = urlsplit(request.path)
    return {
        "PATH": os.environ["PATH"],
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_HTTP_EXPORT_ALL": "1",
        "GIT_PROJECT_ROOT": str(folder),
        "GIT_PROTOCOL": request.headers.get("Git-Protocol", ""),
        "PATH_INFO": parts.path.removeprefix(prefix),
        "QUERY_STRING": parts.query,
        "REQUEST_METHOD": str(request.command),
        "REMOTE_USER": "developer",
        "CONTENT_TYPE": request.headers.get("Content-Type", ""),
        "HTTP_CONTENT_ENCODING": request.headers.get("Content-Encoding", ""),
    }


@contextlib.contextmanager
def hosted(repository: Path, token: str, **variables: str) -> Iterator[str]:
    """Serve a bare repository on loopback until the end of the block; yield its URL.

    Args:
        repository: the repository.
        token: the password to read and write it, under any user name.
        variables: environment variables for its hooks.
    """
    with stand_in() as host:

        def answer(request: BaseHTTPRequestHandler) -> None:
            if not has_password(request, token):
                request.send_response(401)
                request.send_header("WWW-Authenticate", "Basic")
                request.end_headers()
                return
            env = {**backend_environment(request, repository.parent), **variables}
            # git sends several requests on one connection.
            body = host.requests[-1].body
            said = subprocess.run(
                ["git", "http-backend"], env=env, input=body, stdout=subprocess.PIPE, check=True
            ).stdout
            # Its output is an HTTP answer, except for the status, which is a header.
            head = said.partition(b"\r\n\r\n")[0].decode()
            request.send_response(int(head.partition("Status: ")[2][:3] or 200))
            request.flush_headers()
            request.wfile.write(said)

        host.answer = answer
        yield f"{host.url}/{repository.name}"
