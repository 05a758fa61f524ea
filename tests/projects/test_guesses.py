"""Whatever `.env`, the environment and a visitor say, nothing ends in a traceback: the same guesses at each run."""

from collections.abc import Callable
from pathlib import Path

from tests.support.databases import PostgreSQL
from tests.support.environments import Environments, project_environment, run

# A module of a project's tests. PostgreSQL takes less than SQLite does.
GUESSES = r"""
import os
import random
import re
import traceback
from unittest import mock
from urllib.parse import quote

import pytest
from django.conf import settings
from django.contrib.admindocs.views import extract_views_from_urlpatterns
from django.core.cache import cache
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import get_resolver

from apps.accounts.models import User
from operations import environment

# What trips a reader that takes a text for granted.
TEXTS = [
    "", " ", "\0", "s3cret\0", "-1", "0", "9" * 12, "9" * 30, "1e309", "NaN", "\u0663", "None", "a" * 300, "[]", '{"a": 1',
    "a" * 250 + "@example.com", "a" * 60 + ".example.com", "s3cret@host", "'\"><script>", "../../etc/passwd", "//elsewhere.example",
    "javascript:alert(1)", "http://[::1", "http://user:s3cret@host:99999/x?y=z#s3cret", "redis://:s3cret#@h:x", "/", "/tmp", "~",
    "postgresql://user:s3cret@host:port/x?a=b", "sqlite:////none/x?timeout=s3cret", "smtp://s3cret@", "https://x\u202e/s3cret", "a,b,,\u3164",
    "\u0130\u0131\u00df", "%00", "%s%n{0}{{7*7}}", "\r\nX: s3cret", "2026-02-30", "2026-02-29T25:61", "\U0001f600" * 50,
]
IN_URLS = [*(quote(text) for text in TEXTS), "%ff%fe", "%ed%a0%80", "1"]
LINES = [b"A=", b"B", b"export ", b"'", b'"', b"\\", b"#", b"=", b"\n", b"\r", b"\0", b"\xff", b"\xef\xbb\xbf", b"\xfe\xff", b"$", b"${A}"]
LINES += [b" ", b"()", b"\x1b", b"\x0c", "\u00fc\u2028\x85".encode(), b"DJANGO_SETTINGS_MODULE=", b"SECRET_KEY", b"s3cret"]
PARAMETERS = "key next q p o id all e _popup _to_field app_label model_name field_name term".split()
HEADERS = "X-Request-ID X-Forwarded-For Cookie Accept-Language Range If-None-Match If-Modified-Since Referer Accept".split()


@pytest.fixture
def guess():
    return random.Random(20261129)


def test_dotenv(guess, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(environment, "BASE_DIR", tmp_path)
    refused = 0
    for _ in range(500):
        content = b"".join(guess.choices(LINES, k=guess.randint(0, 12)))
        (tmp_path / ".env").write_bytes(content)
        with mock.patch.dict(os.environ, {}, clear=True):
            try:
                environment.load_dotenv(["manage.py", "check"])
            except SystemExit as ended:
                said = capsys.readouterr().err
                assert ended.code == 3
                assert said.startswith("Not starting: "), content
                assert said.replace("\n", "").isprintable(), content
                assert "s3cret" not in said, content
                refused += 1
    assert 50 < refused < 450


def test_the_environment(guess, production, capsys):
    listed = re.findall(r"(?m)^#? ?([A-Z0-9_]+)=", (settings.BASE_DIR / ".env.example").read_text())
    names = [*listed, *(f"{name}_FILE" for name in listed)]
    # It holds no NUL, and what is not UTF-8 comes as surrogates.
    values = [*(text for text in TEXTS if "\0" not in text), "s3cret\udcff", "\udc80"]
    refused = 0
    for number in range(120):
        chosen = {name: guess.choice(values) for name in guess.sample(names, k=1 + number % 4)}
        try:
            production(**chosen)
        except SystemExit as ended:
            said = capsys.readouterr().err
            assert ended.code == 3
            assert said.startswith("Not starting: "), chosen
            assert "s3cret" not in said, chosen
            refused += 1
    assert 20 < refused < 120


@pytest.mark.django_db
def test_every_view(guess, admin_user):
    routes = sorted({route for _, route, *_ in extract_views_from_urlpatterns(get_resolver().url_patterns)})
    assert len(routes) > 50
    people = [None, User.objects.create_user("member@example.com"), admin_user]
    for route in ["health/", "ready/", *routes]:
        for person in people:
            cache.clear()
            client = Client(raise_request_exception=False)
            headers = {name: guess.choice(TEXTS).encode("latin-1", "replace").decode("latin-1") for name in HEADERS}
            if person:
                client.force_login(person)
                del headers["Cookie"]
            path = re.sub(r"\(\?P<\w+>[^)]*\)|<[^>]+>", lambda _: guess.choice(IN_URLS), route).replace("^", "").replace("$", "")
            url = f"/{path}?" + "&".join(f"{name}={guess.choice(IN_URLS)}" for name in guess.sample(PARAMETERS, k=5))
            answer = client.get(url, headers=headers)
            # The check of its time is in vain where a test holds the database.
            assert answer.status_code < 500 or route == "ready/", failure(person, url, headers, answer)
            fields = re.findall(r'name="([^"]+)"', "" if answer.streaming else answer.content.decode())
            form = {field: guess.choice(TEXTS) for field in [*fields, "action", "_selected_action", "email", "login", "password"]}
            form.pop("csrfmiddlewaretoken", None)
            form[guess.choice(sorted(form))] = SimpleUploadedFile("a\u0130.png", b"\0\xff")
            answer = client.post(url, form, headers=headers)
            assert answer.status_code < 500, failure(person, url, {**headers, **form}, answer)


def failure(person, url, sent, answer):
    error = getattr(answer, "exc_info", None)
    return f"{person} {url} {sent}" + "".join(traceback.format_exception(error[1]) if error else [])


@pytest.mark.django_db
@pytest.mark.parametrize("known", ["http://[::1", "//[", "https://a]b/"])
def test_what_guesses_have_found(known):
    answer = Client().get("/accounts/login/", {"next": known})
    assert answer.status_code == 200
"""


def test_guesses_end_in_no_traceback(
    render: Callable[..., Path], environments: Environments, database: PostgreSQL
) -> None:
    project = render(database="postgresql", tasks="database", extras=["sentry", "s3", "ai"], ci="none")
    (project / "tests/test_guesses.py").write_text(GUESSES)
    env = project_environment(environments.install(project), TEST_DATABASE_URL=database.create("guesses"))
    run(["pytest", "--quiet", "tests/test_guesses.py"], project, env=env)
