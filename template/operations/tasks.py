"""Tasks of running the site, and the URL at which the smoke suite asks for one."""

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

# Seconds for which an answer can be seen.
KEPT = 300
KEY = re.compile("[0-9a-f]{32}")


def cache_key(key: str) -> str:
    """Where the answer that is known by a key is put."""
    return f"task-answer-{key}"


@task
def answer(key: str) -> None:
    """Say under a key that tasks are done."""
    cache.set(cache_key(key), "done", timeout=KEPT)


@task
def clean_up_site() -> None:
    """Delete expired sessions and results of old tasks."""
    clean_up()


@method_decorator(login_not_required, name="dispatch")
class TaskAnswerView(View):
    """Lets the smoke suite see that tasks are done: a POST asks for one, and a GET whether it is done."""

    def post(self, request: HttpRequest) -> HttpResponse:
        """Ask for a task, and tell the key by which its answer is known."""
        if limited := ratelimit.consume_or_429(request, action="task_answer", key="everyone"):
            return limited
        key = secrets.token_hex(16)
        try:
            answer.enqueue(key)
        except Exception:
            # Whatever stands between the site and its workers, that it does not answer is an answer.
            log.exception("a task could not be handed over")
            return JsonResponse({"status": "tasks cannot be handed over"}, status=503)
        return JsonResponse({"key": key}, status=202)

    def get(self, request: HttpRequest) -> HttpResponse:
        """Whether the task of a key is done."""
        key = request.GET.get("key", "")
        # What is no key of ours may not even be a key: the cache in PostgreSQL takes no NUL.
        done = KEY.fullmatch(key) is not None and cache.get(cache_key(key)) is not None
        return JsonResponse({"done": done}, headers={"Cache-Control": "no-store"})
