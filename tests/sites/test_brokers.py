"""The site accepts valid URLs of Celery's broker, and its pages work while the broker is down."""

import signal
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Timer

import pytest
import requests

from tests.support.environments import Environments
from tests.support.redis import Redis
from tests.support.servers import PATIENCE, eventually, running
from tests.support.workers import WorkingSite

# Seconds for which the broker is down.
DOWN = 10


@pytest.fixture
def site(render: Callable[..., Path], environments: Environments, redis_server: Redis, tmp_path: Path) -> WorkingSite:
    """A site with Celery."""
    project = render(platform="gunicorn", tasks="celery", database="sqlite")
    site = WorkingSite(project, environments, f"sqlite:///{tmp_path / 'db.sqlite3'}", "celery", redis_server, tmp_path)
    site.variables |= {"TRUSTED_PROXY_COUNT": "1"}
    return site


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("", "CELERY_BROKER_URL: not set. Examples: redis://"),
        ("redis://", "not a broker's URL"),
        ("https://:s3cret@example.com", "not a broker's URL"),
        ("redis://:s3cret@localhost:port/0", "not a broker's URL"),
        ("sqla+postgresql://site:s3cret@localhost/site", "uv add sqlalchemy"),
    ],
)
def test_production_refuses_to_start_without_a_broker_and_says_what_to_write(
    site: WorkingSite, url: str, problem: str
) -> None:
    done = subprocess.run(
        ["python", "manage.py", "check"],
        cwd=site.project,
        env=site.environment(CELERY_BROKER_URL=url),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert problem in done.stderr
    assert "s3cret" not in done.stderr
    assert "Traceback" not in done.stderr


def ask_for_a_task(site: WorkingSite, number: int) -> requests.Response:
    """Return the answer to visitor `number`, who starts a task."""
    address = {"X-Forwarded-For": f"192.0.2.{number}"}
    page = site.get("/accounts/login/", **address)
    token = page.text.partition('name="csrfmiddlewaretoken" value="')[2].partition('"')[0]
    return site.post("/tasks/answer/", page, {"csrfmiddlewaretoken": token}, **address)


def test_pages_go_on_while_the_broker_is_down_and_no_task_that_was_taken_is_lost(site: WorkingSite) -> None:
    answers: list[requests.Response] = []
    pages: list[int] = []
    site.prepare()
    with site.started(site.folder / "web.log"), site.worker() as worker:
        assert eventually(lambda: "ready" in worker.output())
        site.redis.stop()
        back = Timer(DOWN, site.redis.start)
        back.start()
        try:
            # While the broker is down, and then until it accepts tasks again.
            while back.is_alive() or answers[-1].status_code != 202:
                pages.append(site.get("/").status_code)
                answers.append(ask_for_a_task(site, len(answers)))
                assert len(answers) < 200
                time.sleep(0.3)
        finally:
            back.join()
        assert set(pages) == {200}
        # If a page waited for the broker, there would have been only one meanwhile.
        assert [answer.status_code for answer in answers].count(503) > 1
        # Each visitor got an error, or their task runs.
        assert {answer.status_code for answer in answers} == {202, 503}
        keys = [answer.json()["key"] for answer in answers if answer.status_code == 202]
        assert eventually(lambda: all(site.get(f"/tasks/answer/?key={key}").json()["done"] for key in keys))


def test_a_broker_that_is_full_takes_no_more_and_is_emptied(site: WorkingSite) -> None:
    """And one of a small plan has connections enough: deploy/heroku_scale.py counts them."""
    site.prepare()
    with site.started(site.folder / "web.log", WEB_CONCURRENCY="2"):
        with ThreadPoolExecutor(3) as visitors:
            assert {page.status_code for page in visitors.map(partial(ask_for_a_task, site), range(100, 148))} == {202}
        # Two for each process, whatever the threads.
        assert 2 <= site.redis.connections() <= 4
        asked = site.redis.connections()
        site.ask_for("for number in range(30): tasks.write_down.enqueue(number, 0.1)")
        with site.worker() as worker:
            site.wait_for(5)
            assert site.redis.connections() - asked <= 6
            assert site.redis.ask("CONFIG SET maxmemory 1") == "+OK"
            # The visitor gets the same error as without a broker.
            assert ask_for_a_task(site, 1).status_code == 503
            assert set(site.wait_for(30)) == set(range(30)), worker.output()
            assert site.redis.ask("CONFIG SET maxmemory 0") == "+OK"
            assert ask_for_a_task(site, 2).status_code == 202


def test_beat_keeps_two_connections_to_the_broker(site: WorkingSite) -> None:
    """Alone, as a dyno of its own: deploy/heroku_scale.py counts it so."""
    with (site.project / "config/settings/production.py").open("a") as file:
        file.write("\nCELERY_BEAT_SCHEDULE['Clean up']['schedule'] = 1\n")
    site.manage("migrate", "--noinput")
    command = ["celery", "--quiet", "--app", "config.celery", "beat"]
    with running(command, site.project, site.environment(), site.folder / "beat.log") as beat:
        counted = set()

        def has_started_three_jobs() -> bool:
            assert beat.process.poll() is None, beat.output()
            counted.add(site.redis.connections())
            return beat.output().count("Sending due task Clean up") > 3

        assert eventually(has_started_three_jobs), beat.output()
        # A SIGTERM can be lost while beat sends a task (seen once in some 500 times); services that run it end it then by SIGKILL.
        beat.stop(signal.SIGKILL)
        assert 1 <= max(counted) <= 2


def test_a_broker_that_hangs_costs_who_asks_some_seconds_and_nobody_else_any(site: WorkingSite) -> None:
    site.prepare()
    with site.started(site.folder / "web.log"):
        assert ask_for_a_task(site, 1).status_code == 202
        site.redis.send(signal.SIGSTOP)
        try:
            # The broker hangs until after both answers.
            assert ask_for_a_task(site, 2).status_code == 503
            assert site.get("/").status_code == 200
        finally:
            site.redis.send(signal.SIGCONT)


def test_a_task_that_is_not_done_when_the_time_to_end_is_over_is_given_back(site: WorkingSite) -> None:
    # Longer than the test: the next worker must run the tasks that were returned to the queue, not tasks whose limit is over.
    site.variables |= {"TASK_TIME_LIMIT_SECONDS": "600", "CELERY_SHUTDOWN_SECONDS": "2"}
    site.prepare()
    site.ask_for("tasks.write_down.enqueue(0)\ntasks.write_down.enqueue(1, 12)")
    with site.worker("before") as worker:
        site.wait_for(1)
        time.sleep(0.5)
        # Heroku sends SIGTERM to all processes of a dyno, so the main one gets it twice.
        for _ in range(2):
            worker.process.send_signal(signal.SIGTERM)
        worker.process.wait(PATIENCE)
    # The worker ended before its task did.
    assert site.done() == {0: 1}
    with site.worker("after") as worker:
        assert site.wait_for(2) == {0: 1, 1: 1}, worker.output()


def test_a_task_that_ends_its_process_each_time_is_given_up_and_shows_nothing(site: WorkingSite) -> None:
    site.variables["TASK_TIME_LIMIT_SECONDS"] = "600"
    site.prepare()
    site.ask_for("tasks.take_down.enqueue(0, 's3cret')\ntasks.write_down.enqueue(1)")
    with site.worker(CELERY_CONCURRENCY="1") as worker:

        def given_up() -> bool:
            return "Task handler raised error: WorkerLostError" in worker.output()

        # Celery notices a lost process within five seconds.
        assert eventually(given_up) or eventually(given_up), worker.output()
        # The task does not run again.
        site.ask_for("tasks.write_down.enqueue(2)")
        assert site.wait_for(3) == {0: 5, 1: 1, 2: 1}, worker.output()
        assert "s3cret" not in worker.output()


def test_a_task_of_the_next_release_waits_for_its_worker(site: WorkingSite) -> None:
    # The longest wait is half of this limit.
    site.variables["TASK_TIME_LIMIT_SECONDS"] = "10"
    site.prepare()
    site.ask_for("tasks.write_down.enqueue(0)")
    with site.worker("before", CELERY_CONCURRENCY="1") as worker:
        site.wait_for(1)
        with (site.project / "apps/pages/tasks.py").open("a") as tasks:
            tasks.write("\n\n@task\ndef newcomer(number: int) -> None:\n    write_down.call(number)\n")
        site.ask_for("tasks.newcomer.enqueue(1)")
        assert eventually(lambda: "retry: Retry in 5s: ImportError" in worker.output()), worker.output()
        worker.process.send_signal(signal.SIGTERM)
        worker.process.wait(PATIENCE)
    with site.worker("after") as worker:
        assert site.wait_for(2) == {0: 1, 1: 1}, worker.output()
