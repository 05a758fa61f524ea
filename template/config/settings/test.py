"""Settings for the tests: like production, but fast and without environment variables.

Your own go to the end of this file, where `copier update` changes nothing.
"""

from config.settings.base import *
from operations import logs
from operations.environment import Environment

env = Environment()
# Tests have a database of their own, like CI's. The one in DATABASE_URL may have data.
DATABASES = {"default": env.database("TEST_DATABASE_URL", "sqlite://:memory:")}
env.seal()

SECRET_KEY = "tests only: production refuses to start on a key such as this one"  # noqa: S105 - nothing it signs outlives a test
ALLOWED_HOSTS = ["testserver", "localhost"]
SIGNUP_OPEN = True

# Each test has a cache of its own: see the fixture in tests/conftest.py.
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
# Pages name static files as they are in `static/`, with no collectstatic.
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
    "staticfiles": {"BACKEND": "operations.static.CheckedStaticFiles"},
}
WHITENOISE_AUTOREFRESH = True
# The real hashers are slow on purpose.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

MAILERS = {"default": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}}
DEFAULT_FROM_EMAIL = "site@example.com"
ACCOUNT_EMAIL_VERIFICATION = "mandatory"

LOGGING = logs.configuration(level="INFO", request_level="INFO", formatter="json")
