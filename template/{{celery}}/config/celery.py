"""What Celery runs: `manage.py worker`, and the schedule, `celery --app config.celery beat`.

Its settings are in config/settings/, in base.py and production.py, as CELERY_….
"""

import os

from operations.environment import load_dotenv
from operations.workers.celery_app import make_app

load_dotenv()
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.production")

app = make_app("site")
