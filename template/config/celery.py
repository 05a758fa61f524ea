"""What a worker and the schedule of Celery run: `celery --app config.celery worker`.

Its settings stand in config/settings, as CELERY_….
"""

import os
from typing import Any

from celery import Celery
from celery.signals import setup_logging

from config.environment import load_dotenv

load_dotenv()
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.production")

app = Celery("site")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@setup_logging.connect
def leave_logs_to_django(**_: Any) -> None:
    """Keep Celery's own format off: lines are the site's, as LOGGING says."""
