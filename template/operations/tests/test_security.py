"""Production is reached by https alone, and what a browser may do is the same on every page."""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from django.conf import settings as site
from django.http import HttpRequest, HttpResponse
from django.template import RequestContext, Template
from django.test import Client, RequestFactory
from django.urls import path as route
from django.utils.csp import CSP, build_policy
from django.views.decorators.csp import csp_override
from pytest_django import Settings

from operations.development import advice
from operations.requests import NOBODY, BodyMiddleware, SecurityHeadersMiddleware, client_address, parsed_address
from operations.tests.conftest import urlpatterns as of_every_test

Production = Callable[..., SimpleNamespace]


@pytest.fixture
def as_in_production(settings: Settings, production: Production) -> None:
    """What production says of https and cookies, for a site that the tests' browser can reach."""
    for name, value in vars(production()).items():
        if name.startswith(("SECURE_", "SESSION_COOKIE_", "CSRF_COOKIE_")):
            setattr(settings, name, value)


def assert_protected(headers: Mapping[str, str]) -> None:
    # As the settings have it, which are the project's; what they should say, tests/test_pages.py holds.
    assert headers["Content-Security-Policy"] == build_policy(site.SECURE_CSP)
    assert headers["X-Frame-Options"] == site.X_FRAME_OPTIONS
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == site.SECURE_REFERRER_POLICY
    assert headers["Cross-Origin-Opener-Policy"] == site.SECURE_CROSS_ORIGIN_OPENER_POLICY
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "camera=()" in headers["Permissions-Policy"]


@pytest.mark.parametrize(("path", "status"), [("/", 200), ("/no-such-page/", 404), ("/fails/", 500)])
def test_every_answer_is_protected(client: Client, settings: Settings, path: str, status: int) -> None:
    settings.SECURE_CSP_BY_PREFIX = {}
    answer = client.get(path)
    assert answer.status_code == status
    assert_protected(answer.headers)


@pytest.mark.usefixtures("as_in_production")
def test_production_is_reached_by_https_alone(client: Client) -> None:
    answer = client.get("/?page=1")
    assert (answer.status_code, answer.headers["Location"]) == (301, "https://testserver/?page=1")
    assert client.get("/", secure=True).headers["Strict-Transport-Security"] == "max-age=3600"


@pytest.mark.django_db
@pytest.mark.usefixtures("as_in_production")
def test_productions_cookies_are_for_this_host_and_https_alone(client: Client) -> None:
    client.get("/cookies/", secure=True)
    assert set(client.cookies) == {"__Host-sessionid", "__Host-csrftoken"}
    for name in ("__Host-sessionid", "__Host-csrftoken"):
        cookie = client.cookies[name]
        assert (cookie["secure"], cookie["path"], cookie["domain"]) == (True, "/", "")
        assert cookie["samesite"] == "Lax"
    assert client.cookies["__Host-sessionid"]["httponly"]


def test_production_shows_no_debug_page_whatever_the_environment_says(production: Production) -> None:
    assert production(DEBUG="true").DEBUG is False


def test_a_site_without_https_has_cookies_that_a_browser_sends(production: Production) -> None:
    settings = production(SESSION_COOKIE_SECURE="false", CSRF_COOKIE_SECURE="false", SECURE_SSL_REDIRECT="false")
    assert (settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME) == ("sessionid", "csrftoken")
    assert settings.ACCOUNT_DEFAULT_HTTP_PROTOCOL == "http"


def test_djangos_own_checks_find_nothing_in_production(production_environment: dict[str, str]) -> None:
    variables = {
        **production_environment,
        # A folder that can be written, for models that take uploads.
        "MEDIA_ROOT": str(site.BASE_DIR / "media"),
        "SECURE_HSTS_SECONDS": "31536000",
        "SECURE_HSTS_INCLUDE_SUBDOMAINS": "true",
        "SECURE_HSTS_PRELOAD": "true",
    }
    command = [sys.executable, "-m", "django", "check", "--deploy", "--fail-level", "WARNING"]
    done = subprocess.run(command, env=variables, cwd=site.BASE_DIR, capture_output=True, text=True, check=False)  # noqa: S603 - this Python, and words of our own
    assert done.returncode == 0, done.stderr


@pytest.mark.django_db
def test_a_page_that_depends_on_its_visitor_is_kept_by_no_proxy(client: Client) -> None:
    assert client.get("/cookies/").headers["Cache-Control"] == "private, no-cache"
    for_all = SecurityHeadersMiddleware(lambda _: HttpResponse("A page"))(RequestFactory().get("/"))
    assert "Cache-Control" not in for_all.headers


def test_a_proxy_is_believed_only_where_production_is_told_of_it(production: Production) -> None:
    assert production().ALLAUTH_TRUSTED_PROXY_COUNT == 0
    assert production(TRUSTED_PROXY_COUNT="1").ALLAUTH_TRUSTED_PROXY_COUNT == 1


def with_nonce(request: HttpRequest) -> HttpResponse:
    """A page that has a script of its own in it."""
    return HttpResponse(Template("{{ csp_nonce }}").render(RequestContext(request)))


# The URLs of the tests below.
urlpatterns = [
    route("nonce/", with_nonce),
    route("cms/", with_nonce),
    route("cms/own/", csp_override({"default-src": [CSP.SELF]})(with_nonce)),
    *of_every_test,
]


@pytest.fixture
def policies(settings: Settings) -> None:
    """Pages below two paths with directives of their own."""
    settings.ROOT_URLCONF = __name__
    settings.SECURE_CSP = {"default-src": [CSP.NONE], "script-src": [CSP.SELF, CSP.NONCE], "base-uri": [CSP.NONE]}
    settings.SECURE_CSP_BY_PREFIX = {"/c": {"script-src": [CSP.NONE]}, "/cms/": {"script-src": [CSP.UNSAFE_INLINE]}}


@pytest.mark.usefixtures("policies")
# A context processor of the site may ask the database.
@pytest.mark.django_db
def test_a_page_that_has_the_nonce_allows_it_and_no_other_page_does(client: Client) -> None:
    first, second = (client.get("/nonce/") for _ in range(2))
    assert f"script-src 'self' 'nonce-{first.text}';" in first.headers["Content-Security-Policy"]
    assert len(first.text) >= 16
    assert first.text != second.text
    assert "nonce" not in client.get("/").headers["Content-Security-Policy"]


@pytest.mark.usefixtures("policies")
@pytest.mark.parametrize(
    ("path", "policy"),
    [
        ("/", "default-src 'none'; script-src 'self'; base-uri 'none'"),
        ("/cms/", "default-src 'none'; script-src 'unsafe-inline'; base-uri 'none'"),
        ("/cookies/", "default-src 'none'; script-src 'none'; base-uri 'none'"),
        ("/cms/own/", "default-src 'self'"),
    ],
)
@pytest.mark.django_db
def test_a_view_and_the_pages_below_a_path_can_have_another_policy(client: Client, path: str, policy: str) -> None:
    assert client.get(path).headers["Content-Security-Policy"] == policy


BLOCKED = {
    "document-uri": "http://127.0.0.1:8000/shop/?page=1",
    "original-policy": "report-uri /csp-report/; default-src 'none'; script-src 'self' 'nonce-x'; img-src 'self' data:;"
    " connect-src 'self'; form-action 'self'; base-uri 'none'",
}
SITE: dict[str, list[str]] = {
    "default-src": [CSP.NONE],
    "script-src": [CSP.SELF, CSP.NONCE],
    "img-src": [CSP.SELF, "data:"],
    "connect-src": [CSP.SELF],
    "form-action": [CSP.SELF],
    "base-uri": [CSP.NONE],
}
# Where paths of this site lead.
REDIRECTS = {"/pay/": "/pay/now/?id=1", "/pay/now/": "https://pay.example/checkout", "/round/": "/round/"}


@pytest.mark.parametrize(
    ("directive", "blocked", "line"),
    [
        ("script-src-elem", "https://cdn.example/a.js?b", 'SECURE_CSP["script-src"] += ["https://cdn.example"]'),
        ("img-src", "http://127.0.0.1:9000/a.png", 'SECURE_CSP["img-src"] += ["http://127.0.0.1:9000"]'),
        ("img-src", "blob", 'SECURE_CSP["img-src"] += ["blob:"]'),
        ("img-src", "blob:http://127.0.0.1:8000/1-2", 'SECURE_CSP["img-src"] += ["blob:"]'),
        ("media-src", "http://127.0.0.1:8000/media/a.mp4", 'SECURE_CSP["media-src"] = [CSP.SELF]'),
        ("media-src", "data", 'SECURE_CSP["media-src"] = ["data:"]'),
        ("frame-src", "https://video.example/1", 'SECURE_CSP["frame-src"] = ["https://video.example"]'),
        ("worker-src", "blob", 'SECURE_CSP["worker-src"] = [CSP.SELF, "blob:"]'),
        ("manifest-src", "http://127.0.0.1:8000/m.json", 'SECURE_CSP["manifest-src"] = [CSP.SELF]'),
        ("connect-src", "wss://api.example/x", 'SECURE_CSP["connect-src"] += ["wss://api.example"]'),
        ("connect-src", "ws://127.0.0.1:8000/x", 'SECURE_CSP["connect-src"] += ["ws://127.0.0.1:8000"]'),
        ("base-uri", "http://127.0.0.1:8000/", 'SECURE_CSP["base-uri"] = [CSP.SELF]'),
        ("form-action", "https://pay.example/", 'SECURE_CSP["form-action"] += ["https://pay.example"]'),
        # Browsers do not tell where a redirect led.
        ("form-action", "http://127.0.0.1:8000/pay/", 'SECURE_CSP["form-action"] += ["https://pay.example"]'),
        ("form-action", "http://127.0.0.1:8000/else/", 'origin to allow: SECURE_CSP["form-action"] += ["https://…"]'),
        ("form-action", "http://127.0.0.1:8000/round/", 'origin to allow: SECURE_CSP["form-action"] += ["https://…"]'),
        (
            "script-src",
            "eval",
            'SECURE_CSP_BY_PREFIX["/shop/"]["script-src"] = [*SECURE_CSP["script-src"], CSP.UNSAFE_EVAL]',
        ),
        ("script-src", "wasm-eval", 'SECURE_CSP["script-src"] += [CSP.WASM_UNSAFE_EVAL]'),
        ("script-src-elem", "inline", '<script nonce="{{ csp_nonce }}">'),
        ("style-src-elem", "inline", '<style nonce="{{ csp_nonce }}">'),
        ("script-src-attr", "inline", 'SECURE_CSP_BY_PREFIX["/shop/"]["script-src-attr"] = [CSP.UNSAFE_INLINE]'),
        ("style-src-attr", "inline", 'SECURE_CSP_BY_PREFIX["/shop/"]["style-src-attr"] = [CSP.UNSAFE_INLINE]'),
    ],
)
def test_a_report_becomes_the_line_that_allows_it(settings: Settings, directive: str, blocked: str, line: str) -> None:
    settings.SECURE_CSP, settings.SECURE_CSP_BY_PREFIX = SITE, {}
    said = advice({**BLOCKED, "effective-directive": directive, "blocked-uri": blocked}, REDIRECTS)
    assert said.startswith("The policy of /shop/ blocks ")
    assert said.endswith(line)
    # As older browsers say it.
    old = advice({**BLOCKED, "violated-directive": f"{directive} 'self'", "blocked-uri": blocked}, REDIRECTS)
    assert old == said


@pytest.mark.parametrize(
    ("by_prefix", "policy", "line"),
    [
        (
            {"/shop/": {"img-src": [CSP.SELF]}},
            None,
            'SECURE_CSP_BY_PREFIX["/shop/"]["img-src"] += ["https://a.example"]',
        ),
        (
            {"/shop/": {}},
            None,
            'SECURE_CSP_BY_PREFIX["/shop/"]["img-src"] = [*SECURE_CSP["img-src"], "https://a.example"]',
        ),
        ({}, "img-src 'self'", '"img-src": [CSP.SELF, "https://a.example"], in the `csp_override` of its view'),
    ],
)
def test_a_page_with_a_policy_of_its_own_is_told_where_that_is(
    settings: Settings, by_prefix: dict[str, dict[str, list[str]]], policy: str | None, line: str
) -> None:
    settings.SECURE_CSP, settings.SECURE_CSP_BY_PREFIX = SITE, by_prefix
    own = policy or build_policy(SITE | by_prefix.get("/shop/", {}))
    report = {**BLOCKED, "original-policy": own, "effective-directive": "img-src"}
    assert advice({**report, "blocked-uri": "https://a.example/a.png"}, {}).endswith(line)
    said = advice({**report, "blocked-uri": "inline", "effective-directive": "style-src-attr"}, {})
    assert '"style-src-attr"' in said
    assert (" = [CSP.UNSAFE_INLINE]" in said) == bool(by_prefix)


def test_what_a_script_makes_is_told_apart(settings: Settings) -> None:
    settings.SECURE_CSP, settings.SECURE_CSP_BY_PREFIX = SITE, {}
    report = {**BLOCKED, "effective-directive": "style-src-elem", "blocked-uri": "inline", "line-number": "7"}
    said = advice({**report, "source-file": "http://127.0.0.1:8000/static/editor.js"}, {})
    assert "an inline style (by /static/editor.js, line 7)" in said
    assert said.endswith('SECURE_CSP_BY_PREFIX["/shop/"]["style-src"] = [CSP.UNSAFE_INLINE]')
    assert "includeIndicatorStyles" in advice({**report, "source-file": "https://cdn.example/htmx.min.js"}, {})
    assert 'nonce="{{ csp_nonce }}"' in advice({**report, "source-file": "http://127.0.0.1:8000/shop/"}, {})
    assert advice({**report, "source-file": "moz-extension://1-2/a.js"}, {}) == ""
    assert advice({**report, "source-file": "chrome-extension"}, {}) == ""


@pytest.fixture
def in_development(settings: Settings, client: Client) -> Client:
    """A browser of the site as in development."""
    settings.MIDDLEWARE = ["operations.development.DevelopmentMiddleware", *settings.MIDDLEWARE]
    settings.CSRF_FAILURE_VIEW = "operations.development.csrf_failure"
    client.handler.enforce_csrf_checks = True
    return client


def report_of(**report: str) -> Any:
    """Return what a browser sends of a violation, for the tests' client."""
    sent = {"blocked-uri": "https://a.example/", "effective-directive": "img-src", **BLOCKED, **report}
    return {"data": json.dumps({"csp-report": sent}), "content_type": "application/csp-report"}


def test_development_prints_each_violation_once(
    in_development: Client, log_lines: Callable[[], list[dict[str, str]]]
) -> None:
    assert in_development.get("/").headers["Content-Security-Policy"].startswith("report-uri /csp-report/; default-src")
    for _ in range(2):
        assert in_development.post("/csp-report/", **report_of()).status_code == 204
    in_development.post(
        "/csp-report/", **report_of(**{"blocked-uri": "https://a.example/\x1b[2J", "source-file": "\n"})
    )
    for nothing in ("", "[]", "{}", '{"csp-report": 1}', '{"csp-report": {"blocked-uri": "https://["}}', "\xff"):
        answer = in_development.post("/csp-report/", nothing, content_type="application/csp-report")
        assert answer.status_code == 204
    said = [line["message"] for line in log_lines() if line["logger"] == "development"]
    assert len(said) == 2
    assert "https://a.example" in said[0]
    assert all(line.isprintable() for line in said)


def test_no_other_site_takes_reports(client: Client) -> None:
    assert client.post("/csp-report/", **report_of()).status_code == 404
    assert "report" not in client.get("/").headers["Content-Security-Policy"]


def test_development_says_which_host_to_admit(
    in_development: Client, log_lines: Callable[[], list[dict[str, str]]]
) -> None:
    assert in_development.get("/", headers={"host": "a.ngrok.example:8000"}).status_code == 400
    (said,) = (line["message"] for line in log_lines() if line["logger"] == "development")
    assert said.endswith("make dev DEVELOPMENT_HOSTS=a.ngrok.example")


def test_development_shows_why_a_form_is_refused(in_development: Client) -> None:
    assert "CSRF cookie not set." in in_development.post("/cookies/").text
    answer = in_development.post("/cookies/", headers={"origin": "https://a.ngrok.example"})
    assert answer.status_code == 403
    assert "Origin checking failed - https://a.ngrok.example does not match any trusted origins." in answer.text
    assert "make dev DEVELOPMENT_HOSTS=a.ngrok.example" in answer.text


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        (" 192.0.2.1 ", "192.0.2.1"),
        ("192.0.2.1:443", "192.0.2.1"),
        ("2001:DB8::0:1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ('"[2001:db8::1]:443"', "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("[::ffff:c000:201]:80", "192.0.2.1"),
        ("64:ff9b::192.0.2.1", "192.0.2.1"),
        ("", None),
        ("unknown", None),
        ("_hidden", None),
        ("192.0.2.256", None),
        ("::1::", None),
        ("[]:443", None),
        ("%eth0", None),
        ("192.0.2.1/24", None),
        ("é", None),
    ],
)
def test_every_spelling_of_an_address_is_one_address(written: str, address: str | None) -> None:
    assert parsed_address(written) == address


@pytest.mark.parametrize(
    ("proxies", "forwarded", "peer", "address"),
    [
        (0, "192.0.2.1", "203.0.113.9", "203.0.113.9"),
        (1, "192.0.2.1, 192.0.2.2", "203.0.113.9", "192.0.2.2"),
        (2, "192.0.2.1, 192.0.2.2", "203.0.113.9", "192.0.2.1"),
        (2, "forged, 192.0.2.1, 192.0.2.2", "203.0.113.9", "192.0.2.1"),
        # A count that is too high: the entry that is there.
        (2, "192.0.2.1", "203.0.113.9", "192.0.2.1"),
        (9, "192.0.2.1, 192.0.2.2", "203.0.113.9", "192.0.2.1"),
        # Something that is no address: the proxy that wrote it.
        (1, "192.0.2.1, unknown", "203.0.113.9", "203.0.113.9"),
        (2, "unknown, 192.0.2.2", "203.0.113.9", "192.0.2.2"),
        (1, "", "203.0.113.9", "203.0.113.9"),
        (1, None, "203.0.113.9", "203.0.113.9"),
        (1, ",,,", "::ffff:203.0.113.9", "203.0.113.9"),
        # Through a unix socket, which only a proxy can reach.
        (0, "192.0.2.1", "", "192.0.2.1"),
        (1, "192.0.2.1", "", "192.0.2.1"),
        (1, None, "", NOBODY),
    ],
)
def test_a_visitor_always_has_an_address(
    rf: RequestFactory, proxies: int, forwarded: str | None, peer: str, address: str
) -> None:
    told = {} if forwarded is None else {"X-Forwarded-For": forwarded}
    assert client_address(rf.get("/", headers=told, REMOTE_ADDR=peer), proxies) == address


def test_a_body_over_the_limit_is_refused(client: Client, settings: Settings) -> None:
    settings.MAX_BODY_MB = 1
    for size, status in ((1024 * 1024, 200), (1024 * 1024 + 1, 413)):
        assert client.post("/", b"x" * size, content_type="text/plain").status_code == status


def test_slow_bodies_leave_a_thread_for_others(settings: Settings) -> None:
    settings.BODY_READERS = 1
    answers = []

    def page(request: HttpRequest) -> HttpResponse:
        """Let others ask before, while and after the body is read."""
        if request.path == "/first/":
            answers.extend([post("/"), get("/")])
            request.read(4)
            answers.append(post("/"))
            request.readline()
            answers.append(post("/"))
        return HttpResponse("A page")

    middleware = BodyMiddleware(page)

    def get(path: str) -> int:
        return middleware(RequestFactory().get(path)).status_code

    def post(path: str) -> int:
        return middleware(RequestFactory().post(path, b"slow body", content_type="text/plain")).status_code

    assert post("/first/") == 200
    assert answers == [503, 200, 503, 200]
    # A body that nobody reads holds nobody up after its answer.
    assert [post("/"), post("/")] == [200, 200]


@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
def test_forms_are_read_as_ever(content_type: str) -> None:
    part = b'--x\r\nContent-Disposition: form-data; name="name"\r\n\r\nvalue\r\n--x--\r\n'
    body = part if "multipart" in content_type else b"name=value"
    form = RequestFactory().post("/", body, content_type=content_type)
    answer = BodyMiddleware(lambda request: HttpResponse(request.POST["name"]))(form)
    assert answer.content == b"value"


def test_productions_limits_follow_their_variables(production: Production) -> None:
    settings = production(MAX_BODY_MB="1", GUNICORN_THREADS="9")
    assert (settings.MAX_BODY_MB, settings.BODY_READERS) == (1, 8)
    # With one thread only, it may read bodies.
    assert production(GUNICORN_THREADS="1").BODY_READERS == 1
    assert (production().MAX_BODY_MB, production().BODY_READERS) == (10, 3)
