"""Settings for one's own machine: SQLite, mail on the console, and no variable to set."""

from importlib.util import find_spec
from urllib.parse import quote

from apps.operations import logs
from config.environment import Environment, refuse
from config.settings.base import *  # noqa: F403 - settings build on each other
from config.settings.base import BASE_DIR, INSTALLED_APPS

# A production machine that forgot the variable would otherwise migrate a stray SQLite file.
if find_spec("pytest_django") is None:
    refuse(
        "Not starting: these are the settings for development, and the development tools are not installed.",
        ["DJANGO_SETTINGS_MODULE: in production, set it to config.settings.production; to develop, run: uv sync"],
    )

env = Environment()
DATABASES = {"default": env.database("DATABASE_URL", f"sqlite:///{quote(str(BASE_DIR / 'db.sqlite3'))}")}
SIGNUP_OPEN = env.flag("SIGNUP_OPEN", default=True)
LOG_LEVEL = env.level("LOG_LEVEL", "INFO")
REQUEST_LOG_LEVEL = env.level("REQUEST_LOG_LEVEL", "WARNING")
env.seal()

DEBUG = True
SECRET_KEY = "development only: production refuses to start on a key such as this one"  # noqa: S105 - nothing it signs leaves this machine
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]", ".localhost"]

# Static files as in production, through WhiteNoise, but with no collectstatic.
INSTALLED_APPS = ["whitenoise.runserver_nostatic", *INSTALLED_APPS]

MAILERS = {"default": {"BACKEND": "django.core.mail.backends.console.EmailBackend"}}
DEFAULT_FROM_EMAIL = "site@localhost"
ACCOUNT_EMAIL_VERIFICATION = "optional"

# `runserver` writes its own line a request, so ours waits for what goes wrong.
LOGGING = logs.configuration(level=LOG_LEVEL, request_level=REQUEST_LOG_LEVEL, formatter="text")
