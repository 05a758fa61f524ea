"""The smoke suite follows an owner's changes by its settings in pyproject.toml, and failed checks name the setting."""

from pathlib import Path

import pytest

from tests.support.edits import Edit, edit, known
from tests.support.faults import text
from tests.support.ordinary import MORE_TO_FILL_IN, URLS, middleware, pages
from tests.support.sites import Site
from tests.support.smoke import ACCOUNT, ADMIN, CHECKS, HOME, PAGES, Outcome, accounts, checked, smoke

LOGIN_REQUIRED = middleware("django.contrib.auth.middleware.LoginRequiredMiddleware")
MOVED_ACCOUNTS = text(URLS, '"accounts/"', '"konto/"')
CLOSED = text("apps/accounts/adapter.py", "return bool(settings.SIGNUP_OPEN)", "return False")


# An owner's changes, the settings for them, and the check that fails without them and names the key.
CHANGES: dict[str, tuple[Edit, dict[str, object], str, str]] = {
    "admin moved": (text(URLS, '"admin/"', '"office/"'), {"admin": "/office/"}, ADMIN, "admin"),
    "sign-up form": (
        MORE_TO_FILL_IN,
        {"sign_up_fields": {"terms": "on", "name": "Ann-{random}", "city": "graz"}},
        ACCOUNT,
        "it needs terms, name, city: `sign_up_fields",
    ),
    "home moved": (
        text(URLS, 'path("", include("apps.pages', 'path("app/", include("apps.pages'),
        {"home": "/app/", "pages": ["/accounts/login/"], "member_pages": ["/accounts/password/change/"]},
        HOME,
        "home",
    ),
    "login required": (
        LOGIN_REQUIRED,
        {"home": "/accounts/login/", "member_pages": ["/", "/accounts/password/change/"]},
        HOME,
        "home",
    ),
    "accounts moved": (MOVED_ACCOUNTS, {"accounts": "/konto/"}, ACCOUNT, "accounts"),
}


@pytest.mark.parametrize(("change", "said", "check", "key"), CHANGES.values(), ids=CHANGES)
def test_a_check_that_the_site_has_left_behind_names_the_key_that_mends_it(
    site_copy: Site, tmp_path: Path, change: Edit, said: dict[str, object], check: str, key: str
) -> None:
    edit(site_copy.project, change)
    before = checked(site_copy, tmp_path)
    assert f"{'' if '`' in key else '`'}{key}" in before.remarks[check], before.output
    assert "[tool.smoke.site] in pyproject.toml" in before.remarks[check]
    edit(site_copy.project, known(**said))
    after = checked(site_copy, tmp_path)
    assert after.having("PASS") == set(CHECKS), after.output
    assert accounts(site_copy) == []


def test_pages_without_a_style_sheet_and_with_a_form_at_their_top_pass(site_copy: Site, tmp_path: Path) -> None:
    form = '<body><form method="post" action="/search/">{% csrf_token %}<input name="email"></form>'
    edit(site_copy.project, pages("pages/home", "404", "403_csrf"), text("templates/base.html", "<body>", form))
    outcome = checked(site_copy, tmp_path)
    assert outcome.having("PASS") == set(CHECKS), outcome.output


def test_a_sign_up_that_is_closed_or_cannot_be_filled_in_is_told(site_copy: Site, tmp_path: Path) -> None:
    def account_row(sign_up: str) -> tuple[str, str]:
        edit(site_copy.project, known(sign_up=sign_up))
        outcome = checked(site_copy, tmp_path)
        assert outcome.having("PASS") == set(CHECKS) - {ACCOUNT}, outcome.output
        return outcome.rows[ACCOUNT], outcome.remarks[ACCOUNT]

    edit(site_copy.project, known(sign_up="closed"))
    open_but = checked(site_copy, tmp_path)
    assert open_but.having("FAIL") == {ACCOUNT}
    assert "has a form (if that is intended, change `sign_up` under" in open_but.remarks[ACCOUNT]
    edit(site_copy.project, CLOSED)
    assert account_row("closed") == ("SKIP", "sign-up is closed: no account was made, and logging in was not tried")
    assert account_row("unchecked")[0] == "SKIP"
    for word in ("open", "auto"):
        row, remark = account_row(word)
        assert row == "FAIL"
        assert "change `sign_up` under" in remark


def test_a_site_without_an_admin_says_so(site_copy: Site, tmp_path: Path) -> None:
    edit(site_copy.project, text(URLS, '    path("admin/", admin.site.urls),\n', ""), known(admin=""))
    outcome = checked(site_copy, tmp_path)
    assert outcome.having("SKIP") == {ADMIN}
    assert outcome.having("PASS") == set(CHECKS) - {ADMIN}, outcome.output


def test_a_misspelt_static_file_fails_the_page_that_names_it(site_copy: Site, tmp_path: Path) -> None:
    page = "templates/account/no_mail.html"
    edit(
        site_copy.project,
        text(page, "{% block content %}", "{% block content %}{% load static %}{% static 'lost.png' %}"),
        known(pages=["/accounts/password/reset/"]),
    )
    outcome = checked(site_copy, tmp_path)
    assert outcome.having("FAIL") == {PAGES}, outcome.output
    assert "GET /accounts/password/reset/ is answered 500" in outcome.remarks[PAGES]


def refused(site: Site) -> Outcome:
    """Return the suite's error before its first check."""
    outcome = smoke(site.project, site.environment(), "--base-url=https://localhost:1")
    assert outcome.code == pytest.ExitCode.USAGE_ERROR, outcome.output
    assert outcome.rows == {}
    assert "Traceback" not in outcome.output
    return outcome


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"admin": 7}, '`admin` must be a path, like "/admin/", not 7'),
        ({"admin": "admin/"}, "`admin` must be a path, like \"/admin/\", not 'admin/'"),
        ({"home": "https://example.com/"}, '`home` must be a path, like "/"'),
        ({"home": ""}, '`home` must be a path, like "/"'),
        ({"accounts": "/konto"}, '`accounts` must be a path that ends with a slash, like "/accounts/"'),
        ({"pages": "/about/"}, '`pages` must be a list of paths, like ["/about/"]'),
        ({"member_pages": ["about"]}, '`member_pages` must be a list of paths, like ["/about/"]'),
        ({"sign_up": True}, "`sign_up` must be one of auto, open, closed, unchecked, not True"),
        ({"sign_up_fields": {"terms": True}}, '`sign_up_fields` must be a table of texts, like { terms = "on" }'),
    ],
)
def test_a_value_that_cannot_be_meant_is_refused_in_one_line(
    site_copy: Site, values: dict[str, object], says: str
) -> None:
    edit(site_copy.project, known(**values))
    assert f"ERROR: [tool.smoke.site] in pyproject.toml: {says}" in refused(site_copy).output


def test_a_key_that_is_none_is_refused_with_those_that_there_are(site_copy: Site) -> None:
    edit(site_copy.project, text("pyproject.toml", '\nadmin = "/admin/"', '\nadmn = "/office/"'))
    says = "`admn` is not a key. The keys are home, accounts, admin, pages, member_pages, sign_up, sign_up_fields"
    assert f"ERROR: [tool.smoke.site] in pyproject.toml: {says}" in refused(site_copy).output


def test_a_project_without_the_table_is_checked_as_it_was(site_copy: Site, tmp_path: Path) -> None:
    def forget(project: Path) -> None:
        before, _, table = (project / "pyproject.toml").read_text().partition("\n[tool.smoke.site]\n")
        (project / "pyproject.toml").write_text(f"{before}\n[{table.partition('\n[')[2]}")

    edit(site_copy.project, forget)
    outcome = checked(site_copy, tmp_path)
    assert outcome.having("PASS") == set(CHECKS), outcome.output
