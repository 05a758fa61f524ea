"""Tasks by Celery, asked for by Django's own interface: `@task` and `enqueue`."""

import logging
import uuid
from typing import Any

from celery import Task as CeleryTask
from django.tasks import Task, TaskResult, TaskResultStatus
from django.tasks.backends.base import BaseTaskBackend
from django.tasks.signals import task_enqueued
from django.utils import timezone
from django.utils.json import normalize_json
from django.utils.module_loading import import_string

from apps.operations import request_ids
from config.celery import app

log = logging.getLogger("tasks")

REQUEST_ID = "request_id"


class CeleryBackend(BaseTaskBackend):
    """Sends tasks to Celery's broker, with the id of the request that asked for them."""

    supports_defer = True
    supports_async_task = True

    def enqueue(self, task: Task, args: Any, kwargs: Any) -> TaskResult:
        """Send a task to its queue.

        Raises:
            kombu.exceptions.OperationalError: the broker does not answer.
        """
        self.validate_task(task)
        result: TaskResult = TaskResult(
            task=task,
            id=str(uuid.uuid4()),
            status=TaskResultStatus.READY,
            enqueued_at=timezone.now(),
            started_at=None,
            last_attempted_at=None,
            finished_at=None,
            args=list(args),
            kwargs=kwargs,
            backend=self.alias,
            errors=[],
            worker_ids=[],
        )
        options: dict[str, Any] = {
            "task_id": result.id,
            "queue": task.queue_name,
            "eta": task.run_after,
            "headers": {REQUEST_ID: request_ids.current.get()},
            # What is shown of it, and what is not: a mail has links that let one into an account.
            "shadow": task.module_path,
            "argsrepr": "…",
            "kwargsrepr": "…",
        }
        run.apply_async((task.module_path, normalize_json(list(args)), normalize_json(kwargs)), **options)
        task_enqueued.send(type(self), task_result=result)
        return result


@app.task(name="apps.operations.run", bind=True, ignore_result=True)
def run(self: CeleryTask, path: str, args: list[Any], kwargs: dict[str, Any]) -> None:
    """Run the task whose function is at `path`, under the id of its request."""
    token = request_ids.current.set(self.request.get(REQUEST_ID))
    try:
        task = import_string(path)
        task.call(*args, **kwargs)
    finally:
        request_ids.current.reset(token)
