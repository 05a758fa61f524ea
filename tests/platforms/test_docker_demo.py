"""`make demo RUN=real` starts a deployed site, and leaves nothing on the engine."""

import re
import signal
from pathlib import Path

import pytest
import requests

from tests.support.containers import Engine
from tests.support.environments import uv
from tests.support.rendering import ROOT
from tests.support.servers import HANGS, eventually, running


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_what_is_deployed_serves_and_goes(engine: Engine, tmp_path: Path) -> None:
    folder = tmp_path / "todo"
    env = {**engine.environment, "UV": uv(), "DEST": str(folder), "RUN": "real", "DEMO_OPEN": "0"}
    engine.write_down()
    with running(["make", "demo"], ROOT, env, tmp_path / "log") as server:
        said = re.compile(r"Serving at (https://localhost:\d+)/")

        def is_over() -> bool:
            return said.search(server.output()) is not None or server.process.poll() is not None

        # Building the image may take ten times as long as any other wait.
        any(eventually(is_over) for _ in range(10))
        found = said.search(server.output())
        assert found, server.output()
        answer = requests.get(found[1], verify=False, timeout=HANGS)  # noqa: S501 - Caddy signs the certificate itself
        assert (answer.status_code, "Todo List" in answer.text) == (200, True)
        assert server.stop(signal.SIGINT) == -signal.SIGINT
    (slug,) = re.findall(r"^project_slug: (.+)$", (folder / ".copier-answers.yml").read_text(), re.MULTILINE)
    left = f"--filter=label=com.docker.compose.project={slug}"
    for kind in ("container", "volume", "network"):
        assert engine.docker(kind, "ls", "--quiet", *(["--all"] if kind == "container" else []), left) == ""
    assert engine.docker("image", "ls", "--quiet", f"--filter=reference={slug}") == ""
