"""Each check of the smoke suite fails on its own fault, and no other check does.

At each change, faults of all checks are found on two sites that have several of them, and each night one by one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.edits import known
from tests.support.faults import Change, route, settings, text, unapplied, without
from tests.support.sites import Site
from tests.support.smoke import (
    ACCOUNT,
    ADMIN,
    CACHING,
    CHECKS,
    COMPRESSION,
    COOKIES,
    CSP,
    CSRF,
    HEADERS,
    HEALTH,
    HOME,
    HSTS,
    NO_DEBUG,
    NOT_FOUND,
    PAGES,
    READY,
    REDIRECT,
    REQUEST_ID,
    STATIC,
    TASK,
    accounts,
    checked,
)


@dataclass
class Break:
    """A fault of a site.

    Attributes:
        check: the only check that fails.
        changes: the changes to the project.
        variables: the environment variables to set.
        says: texts that the check's row contains, all of them.
        leaves_account: True if the suite cannot delete its test account then.
    """

    check: str
    changes: tuple[Change, ...] = ()
    variables: dict[str, str] = field(default_factory=dict)
    says: tuple[str, ...] = ()
    leaves_account: bool = False


def breaks(
    check: str, *changes: Change, says: Sequence[str] = (), leaves_account: bool = False, **variables: str
) -> Break:
    """Return a `Break`, in a short notation."""
    return Break(check, changes, variables, tuple(says), leaves_account)


REQUESTS = "operations/requests.py"
FAILS = "lambda request: 1 / 0"
FORM_FAILS = "lambda request: 1 / 0 if request.method == 'POST' else LoginView.as_view()(request)"
FAILS_FOR_MEMBERS = "lambda request: HttpResponse(status=302, headers={'Location': '/accounts/login/' if not request.user.pk else 1 / 0})"
NO_PAGE = "lambda request: HttpResponse('no such page')"

BREAKS = {
    "no redirect": breaks(REDIRECT, SECURE_SSL_REDIRECT="false", says=["answered 200"]),
    "redirect elsewhere": breaks(REDIRECT, settings("SECURE_SSL_HOST = 'example.org'"), says=["https://example.org"]),
    "unhealthy": breaks(HEALTH, text("operations/probes.py", '{"status": "ok"}', '{"status": "bad"}')),
    "not ready": breaks(READY, unapplied, says=["503", '"migrations": false']),
    "home page fails": breaks(HOME, route("^$", FAILS), says=["GET / is answered 500"]),
    "a further page fails": breaks(
        PAGES,
        known(pages=["/no-such-page/"]),
        says=["GET /no-such-page/ is answered 404", "`pages` under [tool.smoke.site]"],
    ),
    "a page for members is open": breaks(
        PAGES,
        known(member_pages=["/"]),
        says=["GET / is answered 200, and not to the login", "`member_pages`"],
    ),
    "a page for members fails": breaks(
        ACCOUNT,
        route("^members/$", FAILS_FOR_MEMBERS),
        known(member_pages=["/members/"]),
        says=["after logging in, GET /members/ is answered 500", "`member_pages`"],
    ),
    # A file name that does not come from `{% static %}`.
    "a static file is missing": breaks(
        STATIC,
        text("templates/base.html", "</head>", '<script src="/static/lost.js"></script></head>'),
        says=["GET /static/lost.js is answered 404", "names it"],
    ),
    "short caching": breaks(CACHING, settings("WHITENOISE_IMMUTABLE_FILE_TEST = '^$'"), says=["max-age=60"]),
    "no hash": breaks(
        CACHING,
        settings("STORAGES['staticfiles']['BACKEND'] = 'whitenoise.storage.CompressedStaticFilesStorage'"),
        says=["site.css has no hash"],
    ),
    "no gzip": breaks(COMPRESSION, without("staticfiles/site.????????????.css.gz"), says=["asked for gzip"]),
    "no brotli": breaks(COMPRESSION, without("staticfiles/site.????????????.css.br"), says=["asked for br"]),
    "no HSTS": breaks(HSTS, SECURE_HSTS_SECONDS="0"),
    "no CSP": breaks(CSP, settings("MIDDLEWARE.remove('django.middleware.csp.ContentSecurityPolicyMiddleware')")),
    "CSP open from the start": breaks(CSP, settings("SECURE_CSP['default-src'] = [CSP.SELF]")),
    "CSP with inline styles": breaks(CSP, settings("SECURE_CSP['style-src'] = [CSP.UNSAFE_INLINE]")),
    "CSP that forms escape": breaks(CSP, settings("SECURE_CSP.pop('form-action')"), says=["form-action"]),
    # One row lists all faults of the headers.
    "headers": breaks(
        HEADERS,
        settings(
            "SECURE_CONTENT_TYPE_NOSNIFF = False",
            "SECURE_CROSS_ORIGIN_OPENER_POLICY = None",
            "SECURE_REFERRER_POLICY = 'unsafe-url'",
            "X_FRAME_OPTIONS = 'SAMEORIGIN'",
            "MIDDLEWARE.remove('operations.requests.SecurityHeadersMiddleware')",
        ),
        says=[
            "X-Content-Type-Options is missing",
            "X-Frame-Options is SAMEORIGIN",
            "Referrer-Policy is unsafe-url",
            "Cross-Origin-Opener-Policy is missing",
            "Cross-Origin-Resource-Policy is missing",
            "Permissions-Policy is missing",
        ],
    ),
    "request ids kept that are none": breaks(
        REQUEST_ID, text(REQUESTS, "[A-Za-z0-9._-]{1,64}", ".+"), says=["onclick"]
    ),
    "request ids kept that are long": breaks(REQUEST_ID, text(REQUESTS, "{1,64}", "+"), says=["a" * 65]),
    "request ids not kept": breaks(REQUEST_ID, text(REQUESTS, "{1,64}", "{0}")),
    "sign-up fails": breaks(ACCOUNT, route("^accounts/signup/$", FAILS), says=["answered 500"]),
    "sign-up refuses": breaks(
        ACCOUNT, settings("AUTH_PASSWORD_VALIDATORS[1]['OPTIONS'] = {'min_length': 99}"), says=["too short"]
    ),
    "sign-up has no form": breaks(ACCOUNT, text("apps/accounts/adapter.py", "bool(settings.SIGNUP_OPEN)", "False")),
    # In whatever language the page says so.
    "sign-up fails at its mail": breaks(
        ACCOUNT,
        text("apps/accounts/adapter.py", "The email could not be sent just now.", "Die E-Mail ging nicht hinaus."),
        EMAIL_URL="smtp://127.0.0.1:1",
        DEFAULT_FROM_EMAIL="site@example.com",
        says=["the mail server did not take the mail"],
    ),
    "tasks cannot be handed over": breaks(
        TASK, text("operations/tasks.py", "answer.enqueue(key)", "raise OSError"), says=["is answered 503"]
    ),
    "login fails": breaks(ACCOUNT, route("^accounts/login/$", FORM_FAILS), leaves_account=True),
    "logout fails": breaks(ACCOUNT, route("^accounts/logout/$", FAILS), says=["/accounts/logout/ is answered 500"]),
    "logout does nothing": breaks(ACCOUNT, route("^accounts/logout/$", "LogoutView.as_view(logout=lambda: None)")),
    "deleting fails": breaks(ACCOUNT, route("^accounts/delete/$", FAILS), leaves_account=True),
    "deleting does nothing": breaks(
        ACCOUNT, text("apps/accounts/views.py", "form.user.delete()", "pass"), leaves_account=True
    ),
    "cookies over http": breaks(
        COOKIES,
        SESSION_COOKIE_SECURE="false",
        CSRF_COOKIE_SECURE="false",
        says=["csrftoken is not Secure", "sessionid is not Secure", "sessionid has no __Host-"],
    ),
    "cookies for scripts and other sites": breaks(
        COOKIES,
        settings("SESSION_COOKIE_HTTPONLY = False", "CSRF_COOKIE_SAMESITE = None"),
        says=["__Host-sessionid is not HttpOnly", "__Host-csrftoken is not Secure and SameSite"],
    ),
    "forms need no token": breaks(
        CSRF, route("^accounts/login/$", "csrf_exempt(LoginView.as_view())"), says=["answered 200, not 403"]
    ),
    "admin has a login of its own": breaks(
        ADMIN, text("config/urls.py", "\nadmin.site.login = ", "\nunused = "), says=["/admin/login/"]
    ),
    "no admin": breaks(
        ADMIN, text("config/urls.py", '"admin/"', '"elsewhere/"'), says=["answered 404", "`admin` under"]
    ),
    "no 404 page": breaks(NOT_FOUND, without("templates/404.html"), says=["not the site's own"]),
    "no 404": breaks(NOT_FOUND, route("^no-", NO_PAGE), says=["answered 200, not 404"]),
    "a traceback": breaks(
        NO_DEBUG,
        text("templates/403_csrf.html", "</h1>", "</h1>Traceback (most recent call last):"),
        says=["Traceback"],
    ),
}


# Faults that do not hide one another; together they make each check fail once.
TOGETHER = {
    "files, headers and probes": (
        *("no redirect", "unhealthy", "not ready", "a further page fails", "a static file is missing"),
        *("short caching", "no gzip", "no HSTS", "no CSP", "headers", "request ids kept that are none"),
        *("cookies over http", "admin has a login of its own", "no 404 page", "a traceback"),
        *("tasks cannot be handed over", "logout fails"),
    ),
    "pages and forms": ("home page fails", "forms need no token"),
}


@pytest.mark.parametrize("faults", TOGETHER.values(), ids=TOGETHER)
def test_faults_of_several_checks_are_all_found(site_copy: Site, tmp_path: Path, faults: Sequence[str]) -> None:
    broken = [BREAKS[fault] for fault in faults]
    for change in (change for each in broken for change in each.changes):
        change(site_copy.project)
    outcome = checked(site_copy, tmp_path, **{name: value for each in broken for name, value in each.variables.items()})
    assert outcome.code == 1
    assert outcome.having("FAIL") == {each.check for each in broken}, outcome.output
    assert outcome.having("PASS") == set(CHECKS) - outcome.having("FAIL")
    for each in broken:
        assert [word for word in each.says if word not in outcome.remarks[each.check]] == [], outcome.output
    assert accounts(site_copy) == []


@pytest.mark.parametrize("broken", BREAKS.values(), ids=BREAKS)
def test_a_check_fails_where_the_site_does_and_the_others_pass(site_copy: Site, tmp_path: Path, broken: Break) -> None:
    for change in broken.changes:
        change(site_copy.project)
    outcome = checked(site_copy, tmp_path, **broken.variables)
    assert outcome.code == 1
    assert outcome.having("FAIL") == {broken.check}, outcome.output
    assert outcome.having("PASS") == set(CHECKS) - {broken.check}
    remark = outcome.remarks[broken.check]
    assert remark
    assert [word for word in broken.says if word not in remark] == [], remark
    # The suite names an account that it cannot delete, and deletes any other, even if a step fails.
    left = accounts(site_copy)
    assert bool(left) == broken.leaves_account
    assert all(f"{email} may be left" in remark for email in left)


def test_debug_shows_in_all_that_it_changes(site_copy: Site, tmp_path: Path) -> None:
    """Under DEBUG WhiteNoise serves `static/` as it is, and Django shows its own page for 404."""
    settings("DEBUG = True")(site_copy.project)
    outcome = checked(site_copy, tmp_path)
    assert outcome.having("FAIL") == {NO_DEBUG, NOT_FOUND, CACHING, COMPRESSION}, outcome.output
