"""Emulate Git over HTTPS, and the builds that a push starts: devcenter, "Deploying with Git"."""

import http.client
import secrets
import stat
import subprocess
import sys
import uuid
from collections.abc import Iterator
from queue import Queue
from threading import Thread

from stand_ins.git_host import backend_environment
from stand_ins.heroku.apps import App
from stand_ins.heroku.builds import BuildFailed, build, check_out
from stand_ins.heroku.records import Release
from stand_ins.heroku.servers import BLOCK, Exchange

HOST = "git.heroku.com"
DEPLOYED = {"refs/heads/main", "refs/heads/master"}
NOTHING = "0" * 40

# The hook reports the push to the emulated Heroku, prints its answer, and ends with its exit code.
HOOK = """#!{python} -IS
import http.client, json, os, sys

environment = {{name: value for name, value in os.environ.items() if name.startswith("GIT_")}}
updates = [line.split() for line in sys.stdin]
connection = http.client.HTTPConnection("{address}")
body = json.dumps({{"updates": updates, "environment": environment}})
connection.request("POST", "/pushed/{app}", body, {{"Host": "{host}", "Authorization": "{key}"}})
code = 1
for line in connection.getresponse():
    if line.startswith(b"exit "):
        code = int(line.split()[1])
    else:
        sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()
sys.exit(code)
"""


class Git:
    """A server of all apps' repositories.

    Args:
        address: the address that the emulated Heroku listens on.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        # A secret that only the hooks know.
        self.key = secrets.token_urlsafe()

    def create(self, app: App) -> None:
        """Create an app's empty repository."""
        command = ["git", "init", "--quiet", "--bare", "--initial-branch=main", "--template=", str(app.repository)]
        subprocess.run(command, check=True)
        hook = app.repository / "hooks" / "pre-receive"
        hook.parent.mkdir()
        hook.write_text(HOOK.format(python=sys.executable, address=self.address, app=app.name, host=HOST, key=self.key))
        hook.chmod(hook.stat().st_mode | stat.S_IXUSR)

    def serve(self, exchange: Exchange, app: App) -> None:
        """Answer a git client's request by `git http-backend`."""
        env = backend_environment(exchange, app.repository, f"/{app.name}.git")
        # Without a length, it reads to the end of its input.
        command = ["git", "http-backend"]
        process = subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        with process:
            assert process.stdin is not None
            assert process.stdout is not None
            for piece in exchange.body():
                process.stdin.write(piece)
            process.stdin.close()
            headers = http.client.parse_headers(process.stdout)
            status = int(headers.get("Status", "200").split()[0])
            kept = [(name, value) for name, value in headers.items() if name not in {"Status", "Content-Length"}]
            printed = process.stdout
            # The pipe is a buffered reader. Its read1 returns the bytes that are there.
            exchange.stream(status, kept, iter(lambda: printed.read1(BLOCK), b""))  # type: ignore[attr-defined]

    def pushed(self, exchange: Exchange, app: App) -> None:
        """Answer the hook of a push: build, release, and report each step."""
        if exchange.headers.get("Authorization") != self.key:
            exchange.reply(401, b"", "text/plain")
            return
        told = exchange.json()
        lines: Queue[str | None] = Queue()
        deploy = Thread(target=self._deploy, args=(app, told["updates"], told["environment"], lines))
        deploy.start()
        exchange.stream(200, [("Content-Type", "text/plain")], said(lines))
        deploy.join()

    def _deploy(
        self, app: App, updates: list[list[str]], environment: dict[str, str], lines: Queue[str | None]
    ) -> None:
        try:
            commits = [new for _, new, name in updates if name in DEPLOYED and new != NOTHING]
            if not commits:
                lines.put("Pushed to non-main branch, skipping build.")
            for commit in commits:
                lines.put("Compressing source files... done.")
                lines.put("Building source:")
                lines.put("")
                release = self._build(app, commit, environment, lines)
                show_release(app, release, lines)
            lines.put("exit 0")
        except BuildFailed as error:
            for line in ["", *str(error).split("\n"), "", "Push rejected, failed to compile Python app.", ""]:
                lines.put(f" !     {line}")
            lines.put(" !     Push failed")
            lines.put("exit 1")
        except BaseException as error:
            lines.put(f"the stand-in failed: {error}")
            app.faults.append(f"{type(error).__name__}: {error}")
            raise
        finally:
            lines.put(None)

    def _build(self, app: App, commit: str, environment: dict[str, str], lines: Queue[str | None]) -> Release:
        tree = app.folder / "slugs" / str(uuid.uuid4()) / "app"
        check_out(app.repository, commit, environment, tree)
        app.log.write("app", "api", "Build started by user developer@example.com")
        try:
            slug = build(tree, commit, app.config, lines.put)
        except BuildFailed:
            app.log.write("app", "api", "Build failed -- check your build output")
            raise
        app.log.write("app", "api", "Build succeeded")
        return app.release(f"Deploy {commit[:8]}", slug=slug)


def said(lines: "Queue[str | None]") -> Iterator[bytes]:
    """Yield each line as soon as it is there, until the end."""
    while (line := lines.get()) is not None:
        yield f"{line}\n".encode()


def show_release(app: App, release: Release, lines: "Queue[str | None]") -> None:
    """Report a release's steps; a failed release does not fail the push: devcenter, "Release Phase"."""
    lines.put("-----> Launching...")
    if release.output is not None:
        text = "Release command declared: this new release will not be available until the command succeeds."
        lines.put(f" !     {text}")
    lines.put(f"       Released v{release.version}")
    lines.put(f"       https://{app.host}/ deployed to Heroku")
    lines.put("")
    lines.put("Verifying deploy... done.")
    if release.output is not None:
        lines.put("Running release command...")
        lines.put("")
        release.done.wait()
        for line in release.output.decode(errors="replace").splitlines():
            lines.put(line)
        lines.put(f"Waiting for release.... {'done' if release.status == 'succeeded' else 'failed'}.")
