"""Route uploads and the smoke suite's task check. A middleware answers the probes, /health/ and /ready/."""

from django.urls import path

from operations.tasks import TaskAnswerView
from operations.uploads import uploaded

urlpatterns = [
    path("media/<path:path>", uploaded, name="uploaded"),
    path("tasks/answer/", TaskAnswerView.as_view(), name="task_answer"),
]
