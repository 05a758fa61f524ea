"""Workers on PythonAnywhere are always-on tasks, which the deploy script creates and restarts."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from stand_ins.pythonanywhere.live import Laptop, Live, on_pythonanywhere, release, variables
from tests.support.faults import QUICK
from tests.support.redis import Redis

ALWAYS_ON = {"database": 1, "celery": 2}


@pytest.fixture(params=ALWAYS_ON)
def live(request: pytest.FixtureRequest, template: Path, redis_server: Redis, tmp_path: Path) -> Iterator[Live]:
    """A site with workers before its first deploy."""
    (tmp_path / "work").mkdir()
    laptop = Laptop.fresh(template, tmp_path / "work", database="sqlite", tasks=request.param)
    laptop.lock()
    laptop.change(QUICK)
    with on_pythonanywhere(tmp_path / "platform") as platform:
        live = Live(platform, laptop)
        live.set_up({**variables(), **({"CELERY_BROKER_URL": redis_server.url} if request.param == "celery" else {})})
        yield live


def test_a_deploy_makes_the_workers_and_starts_them_anew(live: Live, request: pytest.FixtureRequest) -> None:
    assert "PASS  a task is done" in live.deploy()
    running = live.platform.always_on
    assert len(running) == ALWAYS_ON[request.node.callspec.params["live"]]
    before = {number: task.process for number, task in running.items()}
    live.laptop.change(release("release two"))
    assert "PASS  a task is done" in live.deploy()
    assert running.keys() == before.keys()
    assert all(task.process is not before[number] for number, task in running.items())


def test_a_plan_without_always_on_tasks_is_told_so(live: Live) -> None:
    live.platform.paid = False
    said = live.deploy(code=1)
    # It fails before the migrations and before anything serves.
    assert "4/10 ask the platform: failed" in said
    assert "wants a paid account" in said
    assert "Nothing serves yet; nothing has changed for it" in said
    assert "Traceback" not in said
