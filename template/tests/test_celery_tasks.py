"""Tasks by Celery: asked for as any other, and through a broker that has to be named."""

import os
import ssl
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import kombu.transport.redis
import pytest
from django.core.management import call_command
from django.tasks import TaskResultStatus, task
from django.utils import timezone
from environs import EnvError
from kombu import Connection
from pytest_django import Settings

from apps.operations import request_ids
from apps.operations.celery_backend import run
from config.broker import broker, encryption, transport_options
from config.celery import app, forget_request, take_request, tell_request
from config.redis_transport import Transport

done: list[str] = []


@task
def note_down(word: str) -> None:
    """Keep what it was given."""
    done.append(word)


@pytest.fixture
def by_celery(settings: Settings) -> Iterator[None]:
    """Tasks that Celery does, here and now."""
    settings.TASKS = {
        "default": {"BACKEND": "apps.operations.celery_backend.CeleryBackend", "QUEUES": ["high", "default"]}
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
def test_what_a_task_was_given_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: dict[str, Any] = {}
    monkeypatch.setattr(run, "apply_async", lambda arguments, **options: sent.update(options, arguments=arguments))
    note_down.enqueue("secret")
    assert sent["arguments"][1] == ["secret"]
    assert (sent["argsrepr"], sent["kwargsrepr"]) == ("…", "…")
    assert sent["shadow"].endswith("note_down")


@pytest.mark.usefixtures("by_celery")
def test_a_task_that_redis_would_give_away_before_its_time_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(app.conf.broker_transport_options, "visibility_timeout", 900)
    now = timezone.now()
    note_down.using(run_after=now + timedelta(seconds=800)).enqueue("soon")
    with pytest.raises(ValueError, match="Raise that, or let RabbitMQ be the broker"):
        note_down.using(run_after=now + timedelta(seconds=1000)).enqueue("late")
    assert "late" not in done


def test_tasks_are_taken_in_one_step() -> None:
    """What config/redis_transport.py changes is there to be changed, and the change is in use."""
    for scheme in ("redis", "rediss"):
        assert Connection(f"{scheme}://localhost").get_transport_cls() is Transport
    assert {"_brpop_start", "_brpop_read", "basic_consume"} <= {*dir(kombu.transport.redis.Channel)}
    assert hasattr(kombu.transport.redis.MultiChannelPoller, "_in_protected_read")


def test_a_task_knows_the_request_that_asked() -> None:
    headers: dict[str, Any] = {}
    token = request_ids.current.set("the-request")
    tell_request(headers)
    request_ids.current.reset(token)
    asked: Any = SimpleNamespace(request=headers)
    take_request(asked)
    assert request_ids.current.get() == "the-request"
    forget_request()
    assert request_ids.current.get() is None


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
    assert arguments[-1] == "worker"
    assert os.environ["REMAP_SIGTERM"] == "SIGQUIT"


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


def test_redis_lends_a_task_for_longer_than_it_may_take(production: Callable[..., SimpleNamespace]) -> None:
    settings = production(CELERY_BROKER_URL="redis://localhost:6379/0", TASK_TIME_LIMIT_SECONDS="100")
    assert settings.CELERY_TASK_SOFT_TIME_LIMIT < settings.CELERY_TASK_TIME_LIMIT == 100
    assert settings.CELERY_BROKER_TRANSPORT_OPTIONS["visibility_timeout"] > 100
    assert transport_options("amqp://localhost", 150) == {}


def test_an_encrypted_broker_is_verified_unless_one_says_no() -> None:
    assert encryption("redis://localhost", verify=True) is None
    assert encryption("rediss://localhost", verify=True) == {"ssl_cert_reqs": ssl.CERT_REQUIRED}
    assert encryption("rediss://localhost", verify=False) == {"ssl_cert_reqs": ssl.CERT_NONE}
