"""URLs of running the site, beside the probes, which a middleware answers."""

from django.urls import path

from operations.data.uploads import uploaded
from operations.tasks import TaskAnswerView

urlpatterns = [
    path("media/<path:path>", uploaded, name="uploaded"),
    path("tasks/answer/", TaskAnswerView.as_view(), name="task_answer"),
]
