"""Pages of the admin about running the site."""

from typing import Any, override

from django.contrib import admin
from django.http import HttpRequest
from django_tasks_db.admin import DBTaskResultAdmin
from django_tasks_db.models import DBTaskResult

admin.site.unregister(DBTaskResult)


@admin.register(DBTaskResult)
class TaskResultAdmin(DBTaskResultAdmin):
    """What became of tasks, without what they were given: a mail has links that let one into an account."""

    @override
    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return [field for field in super().get_readonly_fields(request, obj) if field != "args_kwargs"]
