"""The template's tests pass after an owner's changes, except for tests that say that they are the owner's to change."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.edits import Edit, added, behind, edit, known
from tests.support.environments import Environments, project_environment, run
from tests.support.faults import text
from tests.support.ordinary import (
    BASE,
    CITY,
    CITY_NOT_NULL,
    HOME_READS,
    LOCALE,
    MORE_TO_FILL_IN,
    URLS,
    imported,
    middleware,
    own,
    pages,
    setting,
)

Render = Callable[..., Path]
Project = tuple[Path, dict[str, str]]

ACCOUNTS, PAGES = "tests/test_accounts.py", "tests/test_pages.py"
# The tests that request pages. These edits do not affect the others.
ASKING = ["tests", *(f"operations/tests/test_{name}.py" for name in ("logs", "probes", "security", "static"))]
ASKING += ["operations/tests/test_tasks_and_mail.py", "operations/tests/test_uploads.py"]

# The lines of config/urls.py that make the admin use the site's own pages.
OF_THE_ADMIN = (
    "admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]\n",
    'admin.site.password_change = RedirectView.as_view(pattern_name="account_change_password")  # type: ignore[assignment]\n',
)

# After each of these edits, all tests pass.
BORNE: dict[str, tuple[Edit, ...]] = {
    "another language": (setting('LANGUAGE_CODE = "de"'),),
    "languages of each visitor": LOCALE,
    "every page needs a login": (middleware("django.contrib.auth.middleware.LoginRequiredMiddleware"),),
    "middleware that redirects, refuses and asks the database": (
        own,
        middleware("apps.own.things.moved", "allauth.account.middleware.AccountMiddleware"),
        middleware("apps.own.things.no_robots", "operations.requests.SecurityHeadersMiddleware"),
        middleware("apps.own.things.counted"),
    ),
    "every template reads the database": (
        own,
        behind(BASE, '                "apps.pages.context_processors.site",', '"apps.own.things.everybody",'),
    ),
    "the home page reads the database": (
        text("apps/pages/views.py", '    template_name = "pages/home.html"\n', HOME_READS),
    ),
    "another address for the admin": (text(URLS, '"admin/"', '"hidden/office/"'), known(admin="/hidden/office/")),
    "a box for terms and a required field at sign-up": (
        MORE_TO_FILL_IN,
        known(sign_up_fields={"terms": "on", "city": "graz", "name": "Ann-{random}"}),
    ),
    "the address twice and the password once at sign-up": (
        setting('ACCOUNT_SIGNUP_FIELDS = ["email*", "email2*", "password1*"]'),
        known(sign_up_fields={"email2": "{email}"}),
    ),
    "settings of the owner's": (
        setting(
            'TIME_ZONE = "Asia/Kathmandu"',
            "USE_THOUSAND_SEPARATOR = True",
            "APPEND_SLASH = False",
            'STATIC_URL = "/assets/"',
            'SESSION_ENGINE = "django.contrib.sessions.backends.cached_db"',
            "SESSION_SAVE_EVERY_REQUEST = True",
            'ACCOUNT_EMAIL_SUBJECT_PREFIX = "Ours: "',
            'INSTALLED_APPS += ["django.contrib.sites", "django.contrib.humanize"]',
            "SITE_ID = 1",
            'LOGIN_REDIRECT_URL = "account_email"',
            'LOGOUT_REDIRECT_URL = "account_login"',
        ),
        text(BASE, '"min_length": 10', '"min_length": 16'),
        text(BASE, '"script-src": [CSP.SELF]', '"script-src": [CSP.SELF, "https://cdn.jsdelivr.net"]'),
    ),
    "a social provider on the login page": (
        setting(
            'INSTALLED_APPS += ["allauth.socialaccount", "allauth.socialaccount.providers.github"]',
            'SOCIALACCOUNT_PROVIDERS = {"github": {"APPS": [{"client_id": "a", "secret": "b"}]}}',
        ),
        text(URLS, 'include("allauth.account.urls")', 'include("allauth.urls")'),
    ),
}

# Browsers, phones and password managers ask for it at one address.
UNBIDDEN = {
    f"{PAGES}::test_a_browser_that_asks_for_an_icon_unbidden_gets_it",
    f"{PAGES}::test_what_programs_ask_for_unbidden_is_there",
}
HOME_TESTS = {
    f"{PAGES}::test_the_home_page_{name}"
    for name in ("leads_a_visitor_to_an_account", "knows_a_member", "leads_staff_to_the_admin")
}
# After each of these edits, the tests of the replaced page fail, and say that they are the owner's to change.
REPLACED: dict[str, tuple[tuple[Edit, ...], set[str]]] = {
    "addresses that begin with the language": (
        (
            setting('LANGUAGE_CODE = "de"'),
            LOCALE[1],
            text(URLS, "urlpatterns = [", "urlpatterns = i18n_patterns("),
            text(URLS, "\n]\n", "\n)\n"),
            imported("from django.conf.urls.i18n import i18n_patterns"),
        ),
        UNBIDDEN,
    ),
    "everything below a prefix": (
        (
            text(URLS, 'path("", include("apps', 'path("app/", include("apps'),
            text(URLS, 'path("accounts/", include', 'path("app/konto/", include'),
            known(home="/app/", accounts="/app/konto/"),
        ),
        UNBIDDEN,
    ),
    "the view at the root": (
        (own, imported("from apps.own.things import index"), text(URLS, "= [\n", '= [\n    path("", index),\n')),
        HOME_TESTS,
    ),
    "the home page, the pages for errors and the policy": (
        (
            pages("pages/home", "404", "500", "403", "429"),
            text(BASE, '"style-src": [CSP.SELF]', '"style-src": [CSP.SELF, CSP.UNSAFE_INLINE]'),
        ),
        {
            *HOME_TESTS,
            f"{PAGES}::test_the_pages_for_errors_are_in_the_sites_language",
            f"{ACCOUNTS}::test_passwords_tried_on_the_way_to_deleting_are_limited",
            *(
                f"{PAGES}::test_{name}"
                for name in (
                    "a_page_that_does_not_exist_says_so",
                    "a_page_that_one_may_not_see_says_so",
                    "an_error_shows_its_number_and_no_detail",
                    "the_sites_name_is_escaped",
                    "the_policy_of_every_page_is_strict",
                )
            ),
        },
    ),
    "no admin": (
        (
            text(BASE, '    "django.contrib.admin",\n', ""),
            text(URLS, '    path("admin/", admin.site.urls),\n', ""),
            text(URLS, "from django.contrib import admin\n", ""),
            text(URLS, "admin.autodiscover()\n", ""),
            *(text(URLS, line, "") for line in OF_THE_ADMIN),
            known(admin=""),
        ),
        {
            f"{ACCOUNTS}::test_a_superuser_logs_in_to_the_admin_through_the_sites_login",
            f"{ACCOUNTS}::test_an_account_that_the_admin_makes_can_log_in",
            f"{ACCOUNTS}::test_an_address_changed_in_the_admin_is_the_only_one_that_resets_the_password",
            f"{ACCOUNTS}::test_the_admin_has_no_login_of_its_own_that_is_not_limited",
            f"{ACCOUNTS}::test_the_admins_own_page_for_passwords_is_the_sites",
            f"{ACCOUNTS}::test_an_open_session_of_staff_changes_no_account_without_the_password",
            f"{ACCOUNTS}::test_what_staff_changes_is_told_to_the_address_that_was",
            f"{ACCOUNTS}::test_the_admin_gives_no_account_an_address_that_another_has_confirmed",
            f"{ACCOUNTS}::test_what_has_to_stay_keeps_its_account[PROTECT]",
            f"{ACCOUNTS}::test_what_has_to_stay_keeps_its_account[RESTRICT]",
            f"{PAGES}::test_the_admin_has_the_sites_name_and_no_two_sections_of_the_same",
            # The parametrized name is cut off: `red` reads pytest's summary up to the first space.
            f"{ACCOUNTS}::test_a_reset_password_ends_all_sessions[by",
            f"{PAGES}::test_a_page_that_one_may_not_see_says_so",
            f"{PAGES}::test_the_home_page_leads_staff_to_the_admin",
            f"{PAGES}::test_the_admin_has_the_sites_name_and_no_two_sections_of_the_same",
        },
    ),
}


@pytest.fixture
def project(render: Render, environments: Environments) -> Project:
    """An installed project, and environment variables with its programs on the path."""
    folder = render(platform="gunicorn", database="sqlite", ci="none")
    return folder, project_environment(environments.install(folder))


def red(project: Project, *tests: str) -> tuple[set[str], str]:
    """Run some of a project's tests; return the failed ones, and the output."""
    folder, env = project
    done = subprocess.run(
        ["pytest", "--quiet", "--tb=short", "-p", "no:cacheprovider", *tests],
        cwd=folder,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert " passed" in done.stdout, done.stdout
    return set(re.findall(r"(?m)^(?:FAILED|ERROR) (\S+)", done.stdout)), done.stdout


# Independent edits are made together in one project.
TOGETHER = [
    ("another language", "every template reads the database", "another address for the admin"),
    ("languages of each visitor", "settings of the owner's"),
    ("every page needs a login", "the home page reads the database"),
    ("middleware that redirects, refuses and asks the database", "a box for terms and a required field at sign-up"),
    ("the address twice and the password once at sign-up", "a social provider on the login page"),
]


@pytest.mark.parametrize("names", TOGETHER, ids=" and ".join)
def test_the_shipped_tests_bear_it(project: Project, names: tuple[str, ...]) -> None:
    edit(project[0], *(change for name in names for change in BORNE[name]))
    failed, said = red(project, *ASKING)
    assert not failed, said


def test_each_thing_that_the_shipped_tests_bear_is_done_once() -> None:
    assert sorted(name for names in TOGETHER for name in names) == sorted(BORNE)


@pytest.mark.parametrize(("edits", "owners"), REPLACED.values(), ids=REPLACED)
def test_what_guards_a_page_that_was_replaced_says_whose_it_is(
    project: Project, edits: tuple[Edit, ...], owners: set[str]
) -> None:
    edit(project[0], *edits)
    failed, said = red(project, *ASKING)
    assert failed == owners, said
    for name in (ACCOUNTS, PAGES):
        assert "These tests are yours:" in (project[0] / name).read_text()
    assert "tests/test_pages.py" in (project[0] / "apps/pages/views.py").read_text()


def test_the_tests_in_operations_are_left_out_of_coverage(project: Project) -> None:
    """It would double their time, and counts the owner's code alone."""
    folder, env = project
    command = ["pytest", "--quiet", "--cov=operations", "--cov-config=/dev/null", "operations/tests/test_caches.py"]
    said = run(command, folder, env=env)
    # What an import runs is counted, and no more. Otherwise it would be all.
    counted = re.search(r"(?m)^operations/caches\.py .* (\d+)%", said)
    assert counted, said
    assert int(counted[1]) < 80


def test_a_sign_up_form_that_asks_for_more_names_what_has_to_follow(project: Project) -> None:
    edit(project[0], MORE_TO_FILL_IN)
    failed, said = red(project, ACCOUNTS)
    assert f"{ACCOUNTS}::test_a_new_account_works_once_its_address_is_confirmed" in failed
    assert "Sign-up asks for city, name, terms too: `sign_up_fields` under [tool.smoke.site] in pyproject.toml" in said


def test_a_migration_that_writes_rows_and_one_that_wants_them_written(project: Project) -> None:
    """Their code writes to `default`, as in Django's documentation, whichever database is migrated."""
    edit(
        project[0],
        added({"apps/accounts/migrations/0002_city.py": CITY}),
        added({"apps/accounts/migrations/0003_city_not_null.py": CITY_NOT_NULL}),
        behind(
            "apps/accounts/models.py",
            '    email = models.EmailField(_("email address"), unique=True)',
            '    city = models.CharField(max_length=50, default="")',
        ),
    )
    failed, said = red(project, "tests", "operations/tests/test_migrate.py", "operations/tests/test_probes.py")
    assert not failed, said


@pytest.mark.parametrize(
    ("page", "line"),
    [
        # A template that a test renders, and one that no test renders.
        ("templates/base.html", '<link rel="icon" href="{% static \'icn.svg\' %}">'),
        ("templates/account/verification_sent.html", '<img alt="" src="{% static \'icn.svg\' %}">'),
    ],
)
def test_a_misspelt_static_file_is_found(project: Project, page: str, line: str) -> None:
    folder = project[0]
    (folder / page).write_text(
        (folder / page).read_text().replace("{% block", f"{{% load static %}}{line}{{% block", 1)
    )
    failed, said = red(project, *ASKING)
    assert "operations/tests/test_static.py::test_there_is_every_static_file_that_a_template_names" in failed
    assert f"There is no such static file: {page} names icn.svg. Correct the name" in said
    assert (f"{PAGES}::test_a_page_that_does_not_exist_says_so" in failed) == (page == "templates/base.html"), said


def test_the_tests_touch_nothing_that_the_environment_names(project: Project) -> None:
    folder, env = project
    # A test that used these services would fail, since none listens. A test that used the database would create its file.
    variables = {
        "DJANGO_SETTINGS_MODULE": "config.settings.production",
        "DATABASE_URL": f"sqlite:///{folder}/production.sqlite3",
        "CACHE_URL": "redis://127.0.0.1:1/0",
        "EMAIL_URL": "smtp://127.0.0.1:1",
        "DEFAULT_FROM_EMAIL": "site@example.com",
        "MEDIA_ROOT": str(folder),
        "BACKUP_DIR": str(folder),
    }
    assert " failed" not in run(["pytest", "--quiet"], folder, env={**env, **variables})
    assert not (folder / "production.sqlite3").exists()
    read = "from config.settings.test import DATABASES; print(DATABASES['default']['NAME'])"
    assert run(["python", "-c", read], folder, env={**env, **variables}).strip() == ":memory:"
