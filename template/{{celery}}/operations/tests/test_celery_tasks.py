"""Check tasks with Celery: how they are enqueued, which brokers are accepted, and how a worker ends."""

import os
import signal
import ssl
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import kombu.transport.redis
import pytest
from celery.app.task import Context
from celery.exceptions import Retry
from celery.worker import state
from django.core.management import call_command
from django.tasks import TaskResultStatus, task
from django.utils import timezone
from kombu import Connection
from pytest_django import Settings

from operations.environment.variables import EnvError
from operations.logs import current_id
from operations.workers import celery_backend
from operations.workers.broker import broker, encryption, transport_options
from operations.workers.celery_app import forget_request, make_app, take_request, tell_request
from operations.workers.celery_backend import run
from operations.workers.redis_transport import Transport
from operations.workers.shutdown import EndWithTasks

done: list[str] = []
app = make_app("tests")


@task
def note_down(word: str) -> None:
    """Record the argument."""
    done.append(word)


@pytest.fixture
def by_celery(settings: Settings) -> Iterator[None]:
    """Run tasks with Celery, at once and in this process."""
    settings.TASKS = {
        "default": {
            "BACKEND": "operations.workers.celery_backend.CeleryBackend",
            "QUEUES": ["high", "default"],
            "OPTIONS": {"app": __name__},
        }
    }
    app.conf.task_always_eager = True
    app.conf.task_eager_propagates = True
    done.clear()
    yield
    app.conf.task_always_eager = False


@pytest.mark.usefixtures("by_celery")
def test_a_task_is_asked_for_as_any_other() -> None:
    assert note_down.using(queue_name="high").enqueue("a word").status == TaskResultStatus.READY
    assert done == ["a word"]


@pytest.mark.usefixtures("by_celery")
def test_what_a_task_was_given_is_not_shown_whoever_sends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: dict[str, Any] = {}
    app.conf.task_always_eager = False
    monkeypatch.setattr(app, "send_task", lambda _, args, __, **options: sent.update(options, args=args))
    note_down.enqueue("secret")
    assert sent["args"][1] == ["secret"]
    assert (sent["argsrepr"], sent["kwargsrepr"]) == ("…", "…")
    assert sent["shadow"].endswith("note_down")
    # Celery sends a task again like this when its process died.
    received = Context(id=sent["task_id"], args=sent["args"], kwargs={}, shadow=sent["shadow"], request_id="the-one")
    sent.clear()
    run.signature_from_request(received, retries=1).apply_async()
    assert sent["args"][1] == ["secret"]
    assert (sent["argsrepr"], sent["kwargsrepr"]) == ("…", "…")
    tell_request(sent["headers"])
    assert sent["headers"]["request_id"] == "the-one"


def test_a_task_that_is_not_known_yet_waits_for_the_next_worker_some_minutes_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent: dict[str, Any] = {}
    monkeypatch.setattr(app, "send_task", lambda *_, **options: sent.update(options))
    received = {"id": "the-id", "called_directly": False, "delivery_info": {"exchange": "", "routing_key": "high"}}
    for retries, fails_by in ((0, Retry), (celery_backend.UNKNOWN_TRIES, ImportError)):
        run.push_request(args=["tests.no_such_task", [], {}], kwargs={}, retries=retries, **received)
        with pytest.raises(fails_by):
            run.run("tests.no_such_task", [], {})
        run.pop_request()
    assert (sent["task_id"], sent["queue"], sent["countdown"]) == ("the-id", "high", celery_backend.UNKNOWN_WAIT)
    assert sent["retries"] == 1


@pytest.mark.usefixtures("by_celery")
def test_a_task_that_redis_would_give_away_before_its_time_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    conf = SimpleNamespace(broker_transport_options={"visibility_timeout": 900}, task_time_limit=600)
    monkeypatch.setattr(celery_backend.CeleryBackend, "app", SimpleNamespace(conf=conf, tasks=app.tasks))
    now = timezone.now()
    # The lease must also cover the time that the task runs.
    note_down.using(run_after=now + timedelta(seconds=290)).enqueue("soon")
    with pytest.raises(ValueError, match="300 s at most"):
        note_down.using(run_after=now + timedelta(seconds=310)).enqueue("late")
    assert "late" not in done


def test_tasks_are_taken_in_one_step() -> None:
    """Check that kombu still has what operations/workers/redis_transport.py overrides, and that this is in use."""
    for scheme in ("redis", "rediss"):
        assert Connection(f"{scheme}://localhost").get_transport_cls() is Transport
    channel = {"_brpop_start", "_brpop_read", "basic_consume", "_q_for_pri", "_in_poll", "conn_or_acquire"}
    assert channel <= {*dir(kombu.transport.redis.Channel)}
    assert {"append", "ack"} <= {*dir(kombu.transport.redis.QoS)}
    assert hasattr(kombu.transport.redis.MultiChannelPoller, "_in_protected_read")


def test_a_task_knows_the_request_that_asked() -> None:
    headers: dict[str, Any] = {}
    token = current_id.set("the-request")
    tell_request(headers)
    current_id.reset(token)
    asked: Any = SimpleNamespace(request=headers)
    take_request(asked)
    assert current_id.get() == "the-request"
    forget_request()
    assert current_id.get() is None


def test_the_command_becomes_a_worker_that_lets_tasks_end(
    by_celery: None,  # noqa: ARG001 - tasks for a worker
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    became: list[Any] = []
    monkeypatch.delenv("REMAP_SIGTERM", raising=False)
    monkeypatch.setattr(os, "execv", lambda *arguments: became.append(arguments))
    call_command("worker")
    ((program, arguments),) = became
    assert program == sys.executable
    assert arguments[-3:] == ["worker", "--without-gossip", "--without-mingle"]
    assert os.environ["REMAP_SIGTERM"] == "SIGQUIT"


@pytest.fixture
def worker() -> Iterator[Any]:
    """Return the parts of a Celery worker that ending it needs."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGALRM)}
    ended: list[str] = []
    signal.signal(signal.SIGTERM, lambda *_: ended.append("by Celery"))
    yield SimpleNamespace(
        use_eventloop=True,
        app=SimpleNamespace(conf=SimpleNamespace(worker_soft_shutdown_timeout=60)),
        consumer=SimpleNamespace(task_consumer=SimpleNamespace(cancel=lambda: ended.append("takes no more"))),
        ended=ended,
    )
    signal.setitimer(signal.ITIMER_REAL, 0)
    for number, handler in before.items():
        signal.signal(number, handler)
    state.reserved_requests.clear()
    state.should_stop = None


class Doing:
    """Act as a task that a worker is running."""


def test_a_worker_that_is_told_to_end_does_so_with_its_tasks(worker: Any) -> None:
    doing: Any = Doing()
    looks: list[Callable[[Any], None]] = []
    step = EndWithTasks(worker)
    step.start(worker)
    step.register_with_event_loop(worker, SimpleNamespace(call_repeatedly=lambda _, look, __: looks.append(look)))
    (look,) = looks
    state.reserved_requests.add(doing)
    look(worker)
    for _ in range(2):
        signal.raise_signal(signal.SIGTERM)
    look(worker)
    assert (worker.ended, state.should_stop) == (["takes no more"], None)
    state.reserved_requests.discard(doing)
    look(worker)
    assert state.should_stop == 0


def test_a_worker_with_nothing_to_do_ends_at_once(worker: Any) -> None:
    EndWithTasks(worker).start(worker)
    signal.raise_signal(signal.SIGTERM)
    assert state.should_stop == 0


def test_a_worker_whose_time_is_over_is_ended_by_celery(worker: Any) -> None:
    EndWithTasks(worker).start(worker)
    signal.raise_signal(signal.SIGALRM)
    assert worker.ended == ["by Celery"]
    assert worker.app.conf.worker_soft_shutdown_timeout == 0


def test_where_nobody_looks_celery_ends_a_worker(worker: Any) -> None:
    worker.use_eventloop = False
    EndWithTasks(worker).start(worker)
    signal.raise_signal(signal.SIGTERM)
    assert worker.ended == ["by Celery"]


@pytest.mark.parametrize(
    "url", ["redis://localhost:6379/0", "rediss://:password@host:6380", "amqp://user:password@host:5672/site"]
)
def test_a_broker_is_redis_or_rabbitmq(url: str) -> None:
    assert broker(url) == url


@pytest.mark.parametrize(
    "url", ["redis://", "https://example.com", "redis://host:port/0", "sqla+postgresql://host/site"]
)
def test_anything_else_is_refused(url: str) -> None:
    with pytest.raises(EnvError):
        broker(url)


@pytest.mark.parametrize("limit", ["1", "2", "3", "600"])
def test_a_lease_is_longer_than_a_task_and_leaves_time_to_put_a_mail_off(
    production: Callable[..., SimpleNamespace], limit: str
) -> None:
    settings = production(CELERY_BROKER_URL="redis://localhost:6379/0", TASK_TIME_LIMIT_SECONDS=limit)
    lease = settings.CELERY_BROKER_TRANSPORT_OPTIONS["visibility_timeout"]
    assert lease // 3 <= lease - settings.CELERY_TASK_TIME_LIMIT > 0


def test_redis_lends_a_task_for_longer_than_it_may_take(production: Callable[..., SimpleNamespace]) -> None:
    settings = production(CELERY_BROKER_URL="redis://localhost:6379/0", TASK_TIME_LIMIT_SECONDS="100")
    assert settings.CELERY_TASK_SOFT_TIME_LIMIT < settings.CELERY_TASK_TIME_LIMIT == 100
    assert settings.CELERY_BROKER_TRANSPORT_OPTIONS["visibility_timeout"] > 100


def test_an_encrypted_broker_is_verified_unless_one_says_no() -> None:
    assert encryption("redis://localhost", verify=True) is None
    assert encryption("rediss://localhost", verify=True) == {"ssl_cert_reqs": ssl.CERT_REQUIRED}
    assert encryption("rediss://localhost", verify=False) == {"ssl_cert_reqs": ssl.CERT_NONE}
    assert encryption("amqps://user@example.com/site", verify=True) == {"server_hostname": "example.com"}
    assert encryption("amqps://user@example.com/site", verify=False) == {"cert_reqs": ssl.CERT_NONE}


def test_rabbitmq_says_that_it_has_a_task_and_is_not_waited_for_for_ever() -> None:
    for scheme in ("amqp", "amqps"):
        options = transport_options(f"{scheme}://localhost/site", 150)
        assert options == {"confirm_publish": True, "read_timeout": 2, "write_timeout": 2}


def test_postgresql_has_no_options() -> None:
    assert transport_options("sqla+postgresql://localhost/site", 150) == {}
