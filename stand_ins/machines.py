"""Run Linux machines: containers with systemd, each with its own certificate authority."""

import contextlib
import hashlib
import os
import re
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import trustme
from filelock import FileLock

from tests.support.containers import Engine
from tests.support.rendering import ROOT

RECIPE = ROOT / "stand_ins/machine"
# Seconds for a machine to boot or stop, and for one command.
BOOT = 60
PATIENCE = 300
# Variables that tell programs how to reach package registries. Those on a machine need them too.
FOR_REGISTRIES = re.compile(r"(PIP|UV)_(\w*INDEX\w*|CERT|NATIVE_TLS|HTTP_TIMEOUT)|\w+_(PROXY|proxy)")
# The file of authorities that a machine trusts, and its own authority's certificate.
BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
ACME_SERVER = "https://localhost:14000/dir"


class Machine:
    """A running machine.

    Attributes:
        id: its container's ID.
        address: its IP address for the host.
        environment: the variables that each session on it starts with.
    """

    def __init__(self, engine: Engine, container: str) -> None:
        """Wait until a started container has booted."""
        self.engine = engine
        self.id = container
        own = {name: value for name, value in os.environ.items() if FOR_REGISTRIES.fullmatch(name)}
        trusting = dict.fromkeys(("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT"), BUNDLE)
        self.environment = {**own, **trusting, "ACME_SERVER": ACME_SERVER, "LANG": "C.UTF-8"}
        self.wait_until_it_runs()

    def wait_until_it_runs(self) -> None:
        """Wait until systemd has started all units.

        Raises:
            AssertionError: it has not within BOOT seconds, or a unit failed.
        """
        deadline, state = time.monotonic() + BOOT, ""
        # systemd itself waits until all units are started, once it answers at all.
        ask = ["exec", self.id, "timeout", str(BOOT), "systemctl", "is-system-running", "--wait"]
        while state not in ("running", "degraded"):
            assert time.monotonic() < deadline, f"the machine is {state!r} after {BOOT} s"
            time.sleep(0.2)
            state = self.engine.docker(*ask, code=None).strip()
        assert state == "running", self.run("systemctl list-units --failed --plain --no-legend")
        (network,) = self.engine.inspect(self.id)[0]["NetworkSettings"]["Networks"].values()
        self.address: str = network["IPAddress"]

    def command(self, command: Sequence[str], user: str = "root") -> list[str]:
        """Return the command that runs `command` in a user's session; input, output and exit code are its own."""
        home = "/root" if user == "root" else f"/home/{user}"
        of_the_user = {"HOME": home, "USER": user, "LOGNAME": user, "SHELL": "/bin/bash"}
        path = f"{home}/.local/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        words = [f"{name}={value}" for name, value in {**self.environment, **of_the_user, "PATH": path}.items()]
        session = ["docker", "exec", "--interactive", "--user", user, "--workdir", home, self.id]
        return [*session, "env", "--ignore-environment", *words, *command]

    def run(self, script: str, user: str = "root", *, code: int | None = 0, given: str = "") -> str:
        """Run lines of bash; return their output.

        Args:
            script: the lines.
            user: the user who runs them.
            code: the expected exit code, or None for any.
            given: their standard input.
        """
        done = subprocess.run(
            self.command(["bash", "-euo", "pipefail", "-c", script], user),
            env=self.engine.environment,
            input=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert code in (None, done.returncode), f"code {done.returncode} from\n{script}\n\n{done.stdout}"
        return done.stdout

    def write(self, path: str, text: str, user: str = "root") -> None:
        """Write a file into an existing folder."""
        self.run(f"cat >{path}", user, given=text)

    def take_in(self, source: Path, path: str, owner: str) -> None:
        """Copy a folder of the host to a new path, and make a user its owner."""
        self.engine.docker("cp", str(source), f"{self.id}:{path}")
        self.run(f"chown --recursive {owner}: {path}")

    def reboot(self) -> None:
        """Shut the machine down, as by its power button, and boot it again."""
        self.engine.docker("restart", f"--time={BOOT}", self.id)
        self.wait_until_it_runs()

    def trust_its_authority(self) -> None:
        """Make the machine trust the certificates that its ACME server signs, and the server's own."""
        server = trustme.CA()
        certificate = server.issue_cert("localhost", "127.0.0.1")
        self.write("/etc/pebble/certificate.pem", certificate.cert_chain_pems[0].bytes().decode())
        self.write("/etc/pebble/key.pem", certificate.private_key_pem.bytes().decode())
        self.write("/etc/pebble/server.pem", server.cert_pem.bytes().decode())
        self.run(
            f"systemctl enable --quiet --now pebble && cat /etc/pebble/server.pem >>{BUNDLE}\n"
            "curl --silent --fail --retry 20 --retry-connrefused --output /etc/pebble/authority.pem"
            f" https://localhost:15000/roots/0 && cat /etc/pebble/authority.pem >>{BUNDLE}\n"
            # For sessions over SSH.
            f"printf '%s\\n' {' '.join(f"'{name}={value}'" for name, value in self.environment.items())} >>/etc/environment"
        )

    def authority(self, folder: Path) -> Path:
        """Return a file with the certificate of the machine's authority, for clients on the host."""
        file = folder / "authority.pem"
        file.write_text(self.run("cat /etc/pebble/authority.pem"))
        return file


class Machines:
    """The machines of one test run, which are removed at its end, and the images that they start from."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        """Use an engine; all processes of the run share `folder`."""
        self.engine = engine
        self.folder = folder
        self.token = hashlib.sha256(str(folder).encode()).hexdigest()[:8]
        recipe = b"".join(path.read_bytes() for path in sorted(RECIPE.iterdir()))
        self.image = f"copier-django-machine:{hashlib.sha256(recipe).hexdigest()[:12]}"

    def bare(self) -> str:
        """Return the image of a fresh machine; build it if the engine has none."""
        with FileLock(self.folder / "machine.lock"):
            if self.image not in self.engine.docker("image", "ls", "--format={{.Repository}}:{{.Tag}}"):
                self.engine.run(
                    *["docker", "buildx", "build", "--quiet", "--load", "--tag"], self.image, str(RECIPE), timeout=600
                )
        return self.image

    @contextlib.contextmanager
    def kept(self, name: str, make: Callable[[], contextlib.AbstractContextManager[Machine]]) -> Iterator[str]:
        """Yield the image of a machine that `make` has prepared, made once for all processes of the run that use it.

        The last process that stops using it removes it.
        """
        image, users = f"{self.image}-{name}-{self.token}", self.folder / f"machine-{name}"
        mine, lock = users / str(os.getpid()), FileLock(self.folder / f"machine-{name}.lock")
        with lock:
            users.mkdir(exist_ok=True)
            if not any(users.iterdir()):
                self.engine.write_down(images=image)
                with make() as machine:
                    self.engine.docker("stop", f"--time={BOOT}", machine.id)
                    self.engine.docker("commit", machine.id, image, timeout=PATIENCE)
            mine.touch()
        try:
            yield image
        finally:
            with lock:
                mine.unlink()
                if not any(users.iterdir()):
                    self.engine.docker("image", "rm", image, code=None)

    @contextlib.contextmanager
    def started(self, image: str, *names: str) -> Iterator[Machine]:
        """Run a machine until the end of the block; on it, these host names resolve to itself."""
        options = ["--privileged", "--cgroupns=private", "--stop-signal=SIGRTMIN+3", "--memory=3g", "--pids-limit=2000"]
        options += ["--tmpfs=/run", "--tmpfs=/run/lock", "--tmpfs=/tmp:exec,size=1g"]
        options += [f"--add-host={name}:127.0.0.1" for name in names]
        name, label = f"machine-{secrets.token_hex(4)}", self.engine.label()
        try:
            self.engine.docker(
                "run", "--detach", f"--name={name}", f"--label={label}", "--hostname=machine", *options, image
            )
            yield Machine(self.engine, name)
        finally:
            self.engine.docker("rm", "--force", "--volumes", name, code=None)
