"""Settings for the live site. All that differs between sites comes from the environment.

docs/environment.md says what each variable means. DEBUG is off, whatever the environment says.
"""

from apps.operations import logs
from config.environment import Environment
from config.settings.base import *  # noqa: F403 - settings build on each other

# --- 1. The environment: read in full first, so that one message names all its problems

env = Environment()
SECRET_KEY = env.secret_key("SECRET_KEY")
SECRET_KEY_FALLBACKS = env.secret_keys("SECRET_KEY_FALLBACKS", [])
ALLOWED_HOSTS = env.hosts("ALLOWED_HOSTS")
CSRF_TRUSTED_ORIGINS = env.origins("CSRF_TRUSTED_ORIGINS", [])
DATABASE = env.database("DATABASE_URL")
CONN_MAX_AGE = env.number("CONN_MAX_AGE", 600)
BACKUP_DIR = env.folder("BACKUP_DIR", None)
BACKUP_KEEP = env.count("BACKUP_KEEP", 7)
SECURE_SSL_REDIRECT = env.flag("SECURE_SSL_REDIRECT", default=True)
SECURE_HSTS_SECONDS = env.number("SECURE_HSTS_SECONDS", 3600)
SECURE_HSTS_INCLUDE_SUBDOMAINS = env.flag("SECURE_HSTS_INCLUDE_SUBDOMAINS", default=False)
SECURE_HSTS_PRELOAD = env.flag("SECURE_HSTS_PRELOAD", default=False)
SESSION_COOKIE_SECURE = env.flag("SESSION_COOKIE_SECURE", default=True)
CSRF_COOKIE_SECURE = env.flag("CSRF_COOKIE_SECURE", default=True)
ALLAUTH_TRUSTED_PROXY_COUNT = env.number("TRUSTED_PROXY_COUNT", 0)
SIGNUP_OPEN = env.flag("SIGNUP_OPEN", default=True)
MAILER = env.mailer("EMAIL_URL", None)
# Required as soon as there is a mail server.
DEFAULT_FROM_EMAIL = env.address("DEFAULT_FROM_EMAIL", ... if MAILER else "site@localhost")
LOG_LEVEL = env.level("LOG_LEVEL", "INFO")
REQUEST_LOG_LEVEL = env.level("REQUEST_LOG_LEVEL", "INFO")
LOG_FILE = env.log_file("LOG_FILE", None)
# What gunicorn.conf.py reads is checked here, so that one message names all that is wrong.
for name in ("PORT", "WEB_CONCURRENCY", "GUNICORN_THREADS", "GUNICORN_TIMEOUT"):
    env.count(name, 1)
env.proxies("FORWARDED_ALLOW_IPS", "127.0.0.1,::1")
env.seal()

DEBUG = False

# --- 2. Data

# A kept connection spares each request a new one; it is checked before it is used again. A pool
# (`?pool=true`) keeps its own, and Django refuses the two together.
DATABASES = {"default": {**DATABASE, "CONN_MAX_AGE": 0 if DATABASE["OPTIONS"].get("pool") else CONN_MAX_AGE}}
# Limits on logins have to hold across processes and machines; `migrate` makes the table.
# The default of 300 entries would drop counts of failed logins for others that came later.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "cache",
        "OPTIONS": {"MAX_ENTRIES": 100_000},
    }
}

# --- 3. Static files: hashed names, compressed, kept by browsers for a year

STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

# --- 4. Cookies: with the __Host- prefix a browser lets no other host set or read them

SESSION_COOKIE_NAME = "__Host-sessionid" if SESSION_COOKIE_SECURE else "sessionid"
CSRF_COOKIE_NAME = "__Host-csrftoken" if CSRF_COOKIE_SECURE else "csrftoken"

# --- 5. Mail: without a server the site works, and says so where it would need one

MAILERS = {"default": MAILER or {"BACKEND": "apps.accounts.mail.NoMailServer"}}
# An address is confirmed by mail where there is mail.
ACCOUNT_EMAIL_VERIFICATION = "mandatory" if MAILER else "none"
# Whether an address has an account: told by mail where there is mail, else on the page.
ACCOUNT_PREVENT_ENUMERATION = bool(MAILER)
ACCOUNT_DEFAULT_HTTP_PROTOCOL = "https" if SECURE_SSL_REDIRECT else "http"

# --- 6. Logs: a JSON object a line, on standard output

LOGGING = logs.configuration(level=LOG_LEVEL, request_level=REQUEST_LOG_LEVEL, formatter="json", file=LOG_FILE)
