"""The sites that a project is compared with: made in the project's folder, with its packages."""

from dataclasses import dataclass
from pathlib import Path

from tests.support.databases import PostgreSQL
from tests.support.environments import run
from tests.support.sites import Site

BARE = '''"""The least that a WSGI server can serve."""


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "2")])
    return [b"ok"]
'''

# gunicorn reads the proxy's headers by itself, and granian by a function of its own.
BEHIND_PROXY = """from granian.utils.proxies import wrap_wsgi_with_proxy_headers
from config.wsgi import application

application = wrap_wsgi_with_proxy_headers(application, trusted_hosts="*")
"""

# A frame with the links of the project's own, in one language and as one writes it by hand.
BASE = """{% load static %}<!DOCTYPE html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>{% block title %}Todo List{% endblock %}</title>
    <link rel="icon" href="{% static 'icon.svg' %}" type="image/svg+xml">
    <link rel="stylesheet" href="{% static 'site.css' %}">
  </head>
  <body>
    <header>
      <a href="{% url 'home' %}"><img src="{% static 'icon.svg' %}" alt="" width="28" height="28">Todo List</a>
      <nav>
        {% if user.is_authenticated %}
          {% if user.is_staff %}<a href="{% url 'admin:index' %}">Admin</a>{% endif %}
          <form method="post" action="{% url 'logout' %}">{% csrf_token %}<button>Log out</button></form>
        {% else %}
          <a href="{% url 'login' %}">Log in</a>
        {% endif %}
      </nav>
    </header>
    {% if messages %}<ul>{% for message in messages %}<li>{{ message }}</li>{% endfor %}</ul>{% endif %}
    <main id="content">{% block content %}{% endblock %}</main>
  </body>
</html>
"""

HOME = """{% extends "base.html" %}{% block title %}Home{% endblock %}
{% block content %}<h1>Todo List</h1><a href="{% url 'login' %}">Log in</a>{% endblock %}
"""

LOGIN = """{% extends "base.html" %}{% block title %}Log in{% endblock %}
{% block content %}<form method="post">{% csrf_token %}{{ form.as_p }}<button>Log in</button></form>{% endblock %}
"""

URLS = """
from django.contrib.auth import get_user_model
from django.contrib.auth.views import LoginView, LogoutView
from django.http import HttpResponse
from django.urls import include
from django.views.generic import TemplateView

urlpatterns += [
    path("", TemplateView.as_view(template_name="home.html"), name="home"),
    path("health/", lambda request: HttpResponse("ok")),
    path("query/", lambda request: HttpResponse(str(get_user_model().objects.count()))),
    path("login/", LoginView.as_view(template_name="registration/login.html"), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
]
"""

# Django's checklist for a deployment, with WhiteNoise as its documentation says.
PRODUCTION = """
import os

DEBUG = False
ALLOWED_HOSTS = ["localhost"]
SECRET_KEY = os.environ["SECRET_KEY"]
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_SSL_REDIRECT = SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True
SECURE_HSTS_SECONDS = 31536000
SECURE_CSP = {"default-src": ["'self'"]}
MIDDLEWARE[1:1] = ["whitenoise.middleware.WhiteNoiseMiddleware", "django.middleware.csp.ContentSecurityPolicyMiddleware"]
STATIC_ROOT = BASE_DIR / "SITE_static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
TEMPLATES[0]["DIRS"] = [BASE_DIR / "SITE/templates"]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql", "HOST": "127.0.0.1", "PORT": "DATABASE_PORT", "NAME": "SITE", "USER": "site",
        "CONN_MAX_AGE": 60,
    }
}
"""

# What cookiecutter-django's documentation names beside it, for production.
USUAL = """
INSTALLED_APPS += ["django.contrib.sites", "allauth", "allauth.account"]
SITE_ID = 1
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend", "allauth.account.auth_backends.AuthenticationBackend"
]
MIDDLEWARE.insert(4, "django.middleware.locale.LocaleMiddleware")
MIDDLEWARE.append("allauth.account.middleware.AccountMiddleware")
DATABASES["default"]["ATOMIC_REQUESTS"] = True
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = "__Secure-sessionid", "__Secure-csrftoken"
"""


@dataclass(frozen=True)
class Others:
    """What the other sites have.

    Attributes:
        style_sheet: the name of their style sheet, with its hash.
    """

    style_sheet: str


def add_other_sites(site: Site, database: PostgreSQL) -> Others:
    """Make `bare`, `plain` and `usual` in the folder of a site, with databases and static files of their own."""
    folder = site.project
    (folder / "bare.py").write_text(BARE)
    (folder / "behind_proxy.py").write_text(BEHIND_PROXY)
    for name in ("plain", "usual"):
        made = folder / f"make-{name}"
        made.mkdir()
        run([str(site.bin / "django-admin"), "startproject", name, str(made)], folder)
        (made / name).rename(folder / name)
        settings, urls, templates = (folder / name / each for each in ("settings.py", "urls.py", "templates"))
        with settings.open("a") as file:
            file.write(PRODUCTION.replace("SITE", name).replace("DATABASE_PORT", str(database.port)))
            file.write(USUAL if name == "usual" else "")
        with urls.open("a") as file:
            file.write(URLS)
            file.write('urlpatterns += [path("accounts/", include("allauth.urls"))]\n' if name == "usual" else "")
        (templates / "registration").mkdir(parents=True)
        for file_name, text in (("base.html", BASE), ("home.html", HOME), ("registration/login.html", LOGIN)):
            (templates / file_name).write_text(text)
        database.create(name)
        for command in ("migrate", "collectstatic"):
            site.manage(command, "--noinput", DJANGO_SETTINGS_MODULE=f"{name}.settings")
    (style_sheet,) = (folder / "plain_static").glob("site.????????????.css")
    return Others(Path(style_sheet).name)
