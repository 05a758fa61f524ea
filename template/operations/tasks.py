"""Define the tasks that run the site, and the URL at which the smoke suite checks that tasks are done."""

import logging
import re
import secrets

from allauth.core import ratelimit
from django.contrib.auth.decorators import login_not_required
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.tasks import task
from django.utils.decorators import method_decorator
from django.views import View

from operations.cleanup import clean_up

log = logging.getLogger("tasks")

# Seconds for which a task's answer is kept.
KEPT = 300
KEY = re.compile("[0-9a-f]{32}")


def cache_key(key: str) -> str:
    """Return the name in the cache of a task's answer."""
    return f"task-answer-{key}"


@task
def answer(key: str) -> None:
    """Record under a key that the task is done."""
    cache.set(cache_key(key), "done", timeout=KEPT)


@task
def clean_up_site() -> None:
    """Delete expired sessions and results of old tasks."""
    clean_up()


@method_decorator(login_not_required, name="dispatch")
class TaskAnswerView(View):
    """Let the smoke suite check that tasks are done: POST enqueues a task, GET returns whether it is done."""

    def post(self, request: HttpRequest) -> HttpResponse:
        """Enqueue a task, and return the key under which it records its answer."""
        if limited := ratelimit.consume_or_429(request, action="task_answer", key="everyone"):
            return limited
        key = secrets.token_hex(16)
        try:
            answer.enqueue(key)
        except Exception:
            # Each backend has its own exceptions. Whichever it is, tasks do not work, and the check must say so.
            log.exception("a task could not be handed over")
            return JsonResponse({"status": "tasks cannot be handed over"}, status=503)
        return JsonResponse({"key": key}, status=202)

    def get(self, request: HttpRequest) -> HttpResponse:
        """Return whether the task with a key is done."""
        key = request.GET.get("key", "")
        # Check the form first: the cache in PostgreSQL fails on a key with a NUL.
        done = KEY.fullmatch(key) is not None and cache.get(cache_key(key)) is not None
        return JsonResponse({"done": done}, headers={"Cache-Control": "no-store"})
