"""A private repository, as a host on the network keeps it: over HTTP, and for those with its token alone."""

import base64
import contextlib
import os
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit


@contextlib.contextmanager
def hosted(repository: Path, token: str, **variables: str) -> Iterator[str]:
    """Serve a bare repository on loopback until the end of the block; gives its address.

    Args:
        repository: the repository.
        token: the password of whoever may read and write it, under any name.
        variables: what its hooks find in their environment.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            kind, _, given = self.headers.get("Authorization", "").partition(" ")
            password = base64.b64decode(given).decode().partition(":")[2] if kind == "Basic" else ""
            if password != token:
                self.send_response(401)
                self.send_header("WWW-Authenticate", "Basic")
                self.end_headers()
                return
            # https://git-scm.com/docs/git-http-backend
            parts = urlsplit(self.path)
            done = subprocess.run(
                ["git", "http-backend"],
                env={
                    "PATH": os.environ["PATH"],
                    "GIT_HTTP_EXPORT_ALL": "1",
                    "GIT_PROJECT_ROOT": str(repository.parent),
                    "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
                    "PATH_INFO": parts.path,
                    "QUERY_STRING": parts.query,
                    "REQUEST_METHOD": self.command,
                    "REMOTE_USER": "owner",
                    "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                    "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                    **variables,
                },
                input=self.rfile.read(int(self.headers.get("Content-Length", 0))),
                stdout=subprocess.PIPE,
                check=True,
            )
            head, _, body = done.stdout.partition(b"\r\n\r\n")
            lines = [line.split(": ", 1) for line in head.decode().split("\r\n")]
            status = dict(lines).get("Status", "200").split()[0]
            self.send_response(int(status))
            for name, value in lines:
                if name != "Status":
                    self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 - the name that the library asks for

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/{repository.name}"
        finally:
            server.shutdown()
            thread.join()
