"""Workers lose no task, however they end, and projects use tasks alike for each answer to `tasks`."""

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.databases import PostgreSQL
from tests.support.environments import Environments
from tests.support.redis import Redis
from tests.support.servers import PATIENCE, eventually
from tests.support.workers import WorkingSite

Render = Callable[..., Path]


@pytest.fixture(params=["database", "celery"])
def site(
    request: pytest.FixtureRequest,
    render: Render,
    environments: Environments,
    database: PostgreSQL,
    redis_server: Redis,
    tmp_path: Path,
) -> WorkingSite:
    """A migrated site, for each way to run tasks in a worker."""
    project = render(platform="gunicorn", tasks=request.param)
    site = WorkingSite(project, environments, database.create(tmp_path.name), request.param, redis_server, tmp_path)
    site.manage("migrate", "--noinput")
    return site


def test_no_task_of_1000_is_lost_when_its_worker_is_killed_twice(site: WorkingSite) -> None:
    site.ask_for("for number in range(1000): tasks.write_down.enqueue(number)")
    for number in (250, 600):
        with site.worker(f"killed at {number}") as worker:
            assert len(site.wait_for(number)) >= number, worker.output()
            worker.stop(signal.SIGKILL)
        assert len(site.done()) < 1000
    with site.worker("last") as worker:
        done = site.wait_for(1000, 150)
        assert set(done) == set(range(1000)), worker.output()


def test_a_deploy_ends_a_worker_and_loses_no_task(site: WorkingSite) -> None:
    # Longer than the test: the next worker must run the tasks that were returned to the queue, not tasks whose limit is over.
    site.variables["TASK_TIME_LIMIT_SECONDS"] = "600"
    site.ask_for("for number in range(60): tasks.write_down.enqueue(number, 0.1)")
    with site.worker("before") as worker:
        site.wait_for(10)
        # systemd and Docker send the signal to the main process only.
        worker.process.send_signal(signal.SIGTERM)
        worker.process.wait(PATIENCE)
        assert "Traceback" not in worker.output()
    assert 10 <= len(site.done()) < 60
    with site.worker("after"):
        done = site.wait_for(60)
    assert set(done) == set(range(60))
    # The running tasks were finished, and no task ran twice.
    assert set(done.values()) == {1}


def test_a_worker_that_is_told_to_end_waits_for_its_tasks_and_no_longer(site: WorkingSite) -> None:
    # The time that tasks have to finish in production; these need far less.
    site.variables |= {"TASK_TIME_LIMIT_SECONDS": "600", "CELERY_SHUTDOWN_SECONDS": "60"}
    site.ask_for("tasks.write_down.enqueue(0)\ntasks.write_down.enqueue(1, 3)")
    with site.worker() as worker:
        site.wait_for(1)
        # Give the second task time to start.
        time.sleep(0.5)
        worker.process.send_signal(signal.SIGTERM)
        assert float(site.variables["CELERY_SHUTDOWN_SECONDS"]) > PATIENCE
        worker.process.wait(PATIENCE)
        assert worker.process.returncode == 0, worker.output()
    assert site.done() == {0: 1, 1: 1}


def test_urgent_tasks_are_done_first(site: WorkingSite) -> None:
    site.ask_for(
        "for number in range(30): tasks.write_down.enqueue(number)\ntasks.write_down.using(queue_name='high').enqueue(99)"
    )
    with site.worker(CELERY_CONCURRENCY="1"):
        site.wait_for(31)
    assert "99" in site.trace.read_text().splitlines()[:3]


def test_a_task_that_takes_too_long_is_ended_and_the_others_go_on(site: WorkingSite) -> None:
    site.ask_for("tasks.fall_asleep.enqueue()\ntasks.write_down.enqueue(1)")
    with site.worker(CELERY_CONCURRENCY="1") as worker:
        # The first task sleeps for ten minutes.
        assert site.wait_for(1), worker.output()
        assert eventually(lambda: "TimeoutError" in worker.output() or "TimeLimitExceeded" in worker.output())


def test_a_workers_lines_have_the_id_of_the_request_that_asked(site: WorkingSite, tmp_path: Path) -> None:
    site.manage("collectstatic", "--noinput")
    with site.started(tmp_path / "web.log"), site.worker() as worker:
        page = site.get("/accounts/login/")
        token = page.text.partition('name="csrfmiddlewaretoken" value="')[2].partition('"')[0]
        asked = site.post("/tasks/answer/", page, {"csrfmiddlewaretoken": token}, **{"X-Request-ID": "the-one"})
        assert asked.status_code == 202, asked.text
        key = asked.json()["key"]
        assert eventually(lambda: site.get(f"/tasks/answer/?key={key}").json()["done"]), worker.output()
        assert site.get("/tasks/answer/?key=another").json() == {"done": False}
    lines = [json.loads(line) for line in worker.output().splitlines() if line.startswith("{")]
    assert any(line["request_id"] == "the-one" for line in lines), worker.output()
    if site.kind == "database":
        # All lines of this worker are JSON; Celery writes a few other lines when it starts and ends.
        assert [line for line in worker.output().splitlines() if line.strip() and not line.startswith("{")] == []
