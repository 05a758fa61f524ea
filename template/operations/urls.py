"""Route uploads, the smoke suite's task check, and in development the debug toolbar. A middleware answers the probes, /health/ and /ready/."""

from django.apps import apps
from django.urls import URLPattern, URLResolver, include, path

from operations.tasks import TaskAnswerView
from operations.uploads import uploaded

urlpatterns: list[URLPattern | URLResolver] = [
    path("media/<path:path>", uploaded, name="uploaded"),
    path("tasks/answer/", TaskAnswerView.as_view(), name="task_answer"),
]
if apps.is_installed("debug_toolbar"):
    urlpatterns.append(path("__debug__/", include("debug_toolbar.urls")))
