"""Tasks: what is asked for is done, and whoever asked is told when it cannot be."""

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from operations import tasks


@pytest.fixture
def broker_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """What hands tasks over fails."""

    def fail(*_: object, **__: object) -> None:
        raise ConnectionError("no broker")

    monkeypatch.setattr("django.tasks.backends.immediate.ImmediateBackend.enqueue", fail)


@pytest.mark.usefixtures("db")
def test_a_task_that_was_asked_for_is_done(client: Client) -> None:
    asked = client.post(reverse("task_answer"))
    assert asked.status_code == 202
    assert client.get(reverse("task_answer"), {"key": asked.json()["key"]}).json() == {"done": True}
    assert client.get(reverse("task_answer"), {"key": "another"}).json() == {"done": False}


@pytest.mark.usefixtures("db", "broker_down")
def test_a_task_that_cannot_be_handed_over_is_an_answer(client: Client) -> None:
    assert client.post(reverse("task_answer")).status_code == 503


@pytest.mark.usefixtures("db")
def test_one_visitor_cannot_ask_for_many_tasks(client: Client) -> None:
    codes = [client.post(reverse("task_answer")).status_code for _ in range(11)]
    assert codes == [202] * 10 + [429]


def test_the_clean_up_can_be_a_task(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "clean_up", lambda: cache.set("cleaned", "up"))
    tasks.clean_up_site.enqueue()
    assert cache.get("cleaned") == "up"
