"""URLs of running the site, beside the probes, which a middleware answers."""

from django.urls import path

from operations.tasks import TaskAnswerView
from operations.uploads import uploaded

urlpatterns = [
    path("media/<path:path>", uploaded, name="uploaded"),
    path("tasks/answer/", TaskAnswerView.as_view(), name="task_answer"),
]
