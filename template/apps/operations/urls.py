"""Addresses about running the site, beside the probes, which a middleware answers."""

from django.urls import path

from apps.operations.uploads import uploaded
from apps.operations.views import TaskAnswerView

urlpatterns = [
    path("media/<path:path>", uploaded, name="uploaded"),
    path("tasks/answer/", TaskAnswerView.as_view(), name="task_answer"),
]
