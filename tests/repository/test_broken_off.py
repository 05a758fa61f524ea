"""A test run leaves nothing behind, whether it ends or is interrupted."""

import json
import os
import secrets
import signal
import sys
from pathlib import Path

import pytest

from tests.support.containers import Engine
from tests.support.environments import clean_environment
from tests.support.rendering import ROOT
from tests.support.servers import HANGS, eventually, running

# What a test may leave when it is interrupted: a detached process in its own namespaces that ignores SIGTERM, a database
# server, a file, and objects of a Docker engine.
AT_WORK = """
import json, os, subprocess, sys, time
from pathlib import Path
from tests.support.databases import postgresql

DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"

def test_at_work(tmp_path, ENGINE):
    with postgresql() as database:
        away = f"import os, subprocess, sys; print(subprocess.Popen([sys.executable, '-c', {DEAF!r}], start_new_session=True, stdout=subprocess.DEVNULL).pid)"
        namespaces = ["unshare", "--mount", "--net"] if os.geteuid() == 0 else []
        deaf = int(subprocess.run([*namespaces, sys.executable, "-c", away], stdout=subprocess.PIPE, text=True, check=True).stdout)
        # An orphan that ends must not remain as a zombie.
        orphan = "import subprocess; print(subprocess.Popen(['true'], stdout=subprocess.DEVNULL).pid)"
        ended = int(subprocess.run([sys.executable, "-c", orphan], stdout=subprocess.PIPE, text=True, check=True).stdout)
        while Path(f"/proc/{ended}").exists():
            time.sleep(0.05)
        label = ""
        if "engine" == "ENGINE":
            label = ENGINE.label()
            ENGINE.docker("network", "create", f"--label={label}", label.replace("=", "-"))
            ENGINE.docker("volume", "create", f"--label={label}")
            ENGINE.docker("run", "--detach", f"--label={label}", "debian:trixie-slim", "sleep", "600")
        told = {"deaf": deaf, "database": database.process.pid, "folders": [os.environ["TMPDIR"], os.environ["TEST_RUN_FOLDER"]], "label": label}
        Path(os.environ["TOLD"]).write_text(json.dumps(told))
        if "FAILS" in os.environ:
            os._exit(1)
        time.sleep(600)
"""


def run_of(folder: Path, *, with_engine: bool) -> list[str]:
    """Return the command of a run with one long test."""
    (folder / "test_it.py").write_text(AT_WORK.replace("ENGINE", "engine" if with_engine else "monkeypatch"))
    options = ["-p", "tests.conftest", "-c", os.devnull, "--rootdir", str(folder)]
    return [sys.executable, "-m", "scripts.run_tests", *options, str(folder)]


def is_there(process: int) -> bool:
    """Return True if a process exists."""
    return Path(f"/proc/{process}").exists()


@pytest.mark.parametrize(
    ("name", "code", "with_engine"),
    [
        ("SIGINT", 128 + signal.SIGINT, True),
        ("SIGTERM", 128 + signal.SIGTERM, False),
        # One of its worker processes ends abruptly, and pytest goes on to the end.
        ("FAILS", 1, False),
    ],
)
def test_nothing_is_left(
    request: pytest.FixtureRequest, tmp_path: Path, name: str, code: int, with_engine: bool
) -> None:
    engine: Engine | None = request.getfixturevalue("engine") if with_engine else None
    told = tmp_path / "told"
    own = clean_environment(TOLD=str(told), CI="", **({"FAILS": "1"} if name == "FAILS" else {}))
    with running(run_of(tmp_path, with_engine=with_engine), ROOT, own, tmp_path / "log") as run:
        assert eventually(lambda: bool(told.exists() and told.read_text())), run.output()
        made = json.loads(told.read_text())
        assert is_there(made["deaf"])
        assert all(Path(folder).exists() for folder in made["folders"])
        if name != "FAILS":
            run.process.send_signal(signal.Signals[name])
        assert run.process.wait(HANGS) == code, run.output()
        assert not is_there(made["deaf"]), run.output()
        assert not is_there(made["database"])
        assert not any(Path(folder).exists() for folder in made["folders"])
        if engine:
            for kind in ("container", "network", "volume"):
                everything = ["--all"] if kind == "container" else []
                assert not engine.docker(kind, "ls", "--quiet", *everything, f"--filter=label={made['label']}")
    assert "Traceback" not in run.output()


def test_removing_images_leaves_other_names_of_the_same_image(engine: Engine) -> None:
    """Two test processes may build the same image."""
    ours, theirs = (f"dk-{secrets.token_hex(4)}:{name}" for name in ("ours", "theirs"))
    engine.write_down(images=ours)
    engine.write_down(images=theirs)
    engine.run("sh", "-ec", f"tar c --files-from /dev/null | docker import - {ours} && docker tag {ours} {theirs}")
    try:
        engine.remove(images=ours)
        assert engine.docker("image", "ls", "--quiet", ours) == ""
        assert engine.docker("image", "ls", "--quiet", theirs) != ""
    finally:
        engine.remove(images=theirs)
