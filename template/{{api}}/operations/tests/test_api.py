"""Check the API's tokens, its limits and its errors, by an API of these tests."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.core.exceptions import SuspiciousOperation
from django.core.management import call_command
from django.core.management.base import CommandError
from django.http import HttpRequest, HttpResponse, HttpResponseForbidden
from django.test import Client, RequestFactory
from django.urls import path
from django.utils import timezone
from ninja import NinjaAPI
from ninja.pagination import paginate
from pytest_django import Settings

from operations.api import access, models
from operations.api.models import Token, expiry
from operations.cleanup import clean_up

pytestmark = pytest.mark.django_db

LogLines = Callable[[], list[dict[str, Any]]]

api = NinjaAPI(
    urls_namespace="api-of-tests",
    auth=[access.TokenAuth(), access.SessionAuth()],
    throttle=[access.RateLimit("3/m")],
    docs_decorator=access.staff_only,
)


def forbidden(*_: Any, **__: Any) -> HttpResponse:
    """Answer as the site's page about CSRF does."""
    return HttpResponseForbidden("<h1>Not allowed</h1>")


@api.get("who")
def who(request: HttpRequest) -> dict[str, Any]:
    """Answer with the account, and how often it was asked for."""
    return {"id": request.user.pk}


@api.post("who")
def change(request: HttpRequest) -> dict[str, Any]:
    """Answer as if something had been changed."""
    return {"id": request.user.pk}


@api.get("numbers", response=list[int], auth=None, throttle=[])
@paginate(access.Pagination)
def numbers(request: HttpRequest) -> list[int]:  # noqa: ARG001 - which every view takes
    """Answer with a long list."""
    return list(range(300))


@api.get("open", auth=None, throttle=[access.RateLimit("2/m")])
def visitors(request: HttpRequest) -> str:  # noqa: ARG001 - which every view takes
    """Answer whoever asks."""
    return "answered"


@api.get("fails", auth=None, throttle=[])
def fails(request: HttpRequest) -> str:  # noqa: ARG001 - which every view takes
    """Raise."""
    raise RuntimeError("a detail that is nobody's business")


@api.get("suspicious", auth=None, throttle=[])
def suspicious(request: HttpRequest) -> str:  # noqa: ARG001 - which every view takes
    """Raise what Django answers with 400."""
    raise SuspiciousOperation("a detail that is nobody's business")


urlpatterns = [path("api/", api.urls)]


@pytest.fixture(autouse=True)
def api_of_tests(pages: None, settings: Settings) -> None:  # noqa: ARG001 - after the fixture of all tests
    """Serve this module's API, and the pages of the other tests."""
    from operations.tests import conftest

    settings.API_PATH = "/api/"
    settings.LOGIN_URL = "/login/"
    # The site's own page has links to other pages of it.
    settings.CSRF_FAILURE_VIEW = f"{__name__}.forbidden"
    own = {"urlpatterns": [*urlpatterns, *conftest.urlpatterns], "handler403": conftest.error(403)}
    settings.ROOT_URLCONF = type("Urls", (), {**vars(conftest), **own})


@pytest.fixture
def token(member: Any) -> str:
    """Return a token of the member."""
    return Token.objects.issue(member, "Nightly import")[1]


def bearer(token: str) -> dict[str, Any]:
    """Return the header with a token, for the test client."""
    return {"headers": {"Authorization": f"Bearer {token}"}}


def test_a_token_is_its_account_and_only_its_hash_is_stored(
    client: Client, member: Any, token: str, log_lines: LogLines
) -> None:
    assert client.get("/api/who", **bearer(token)).json() == {"id": member.pk}
    assert log_lines()[-1]["user_id"] == member.pk
    stored = Token.objects.values().get()
    assert token.startswith(models.PREFIX)
    assert token not in str(stored)
    assert token not in json.dumps(log_lines())
    # A token is no session.
    assert not client.cookies


@pytest.mark.parametrize("text", ["api_wrong", "", "é\x00", "x" * 5000])
def test_a_wrong_token_is_refused_even_with_a_session(client: Client, member: Any, text: str) -> None:
    client.force_login(member)
    answer = client.get("/api/who", **bearer(text))
    assert (answer.status_code, answer.json()) == (401, {"detail": "Unauthorized"})
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_token_ends_with_its_row_or_its_account(client: Client, member: Any, token: str) -> None:
    member.is_active = False
    member.save()
    assert client.get("/api/who", **bearer(token)).status_code == 401
    member.is_active = True
    member.save()
    assert client.get("/api/who", **bearer(token)).status_code == 200
    Token.objects.get().delete()
    assert client.get("/api/who", **bearer(token)).status_code == 401
    Token.objects.issue(member, "Another")
    member.delete()
    assert not Token.objects.exists()


def test_a_token_expires_after_a_year_and_its_program_is_told_since_when(
    client: Client, member: Any, token: str
) -> None:
    made = Token.objects.get()
    assert made.expires_at is not None
    assert made.expires_at - made.created_at > timedelta(days=364)
    assert client.get("/api/who", **bearer(token)).status_code == 200
    Token.objects.update(expires_at=datetime(2026, 11, 29, tzinfo=UTC))
    # Not even by a session, as with any refused token.
    client.force_login(member)
    refused = client.get("/api/who", **bearer(token))
    assert (refused.status_code, refused.json()) == (401, {"detail": "This token expired on 2026-11-29."})
    assert refused.headers["WWW-Authenticate"] == "Bearer"
    # It is never told to whom the account was taken from.
    member.is_active = False
    member.save()
    assert client.get("/api/who", **bearer(token)).json() == {"detail": "Unauthorized"}


def test_a_token_without_an_end_is_valid_as_long_as_its_row(client: Client, member: Any, settings: Settings) -> None:
    settings.API_TOKEN_DAYS = 0
    for token in (Token.objects.issue(member, "By the setting")[1], Token.objects.issue(member, "One", None)[1]):
        assert client.get("/api/who", **bearer(token)).status_code == 200
    assert not Token.objects.exclude(expires_at=None).exists()


def test_the_clean_up_deletes_tokens_that_expired_long_ago(member: Any) -> None:
    now = timezone.now()
    for name, age in (("old", models.EXPIRED_KEPT + timedelta(hours=1)), ("recent", timedelta(days=1))):
        Token.objects.issue(member, name, now - age)
    Token.objects.issue(member, "valid")
    Token.objects.issue(member, "without an end", None)
    clean_up()
    assert {token.name for token in Token.objects.all()} == {"recent", "valid", "without an end"}


def test_the_last_use_is_stored_now_and_then(client: Client, token: str, django_assert_num_queries: Any) -> None:
    client.get("/api/who", **bearer(token))
    first = Token.objects.get().last_used_at
    assert first is not None
    with django_assert_num_queries(1):
        client.get("/api/who", **bearer(token))
    Token.objects.update(last_used_at=timezone.now() - timedelta(days=1))
    client.get("/api/who", **bearer(token))
    again = Token.objects.get().last_used_at
    assert again is not None
    assert again >= first


def test_a_session_is_enough_to_read_and_needs_the_csrf_token_to_change(member: Any, settings: Settings) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(member)
    assert client.get("/api/who").json() == {"id": member.pk}
    refused = client.post("/api/who")
    assert (refused.status_code, refused.json()) == (403, {"detail": "CSRF check Failed"})
    client.get("/cookies/")
    csrf = {"X-CSRFToken": client.cookies[settings.CSRF_COOKIE_NAME].value}
    assert client.post("/api/who", headers=csrf).json() == {"id": member.pk}


def test_a_stranger_is_refused_for_having_no_token_and_not_for_csrf(token: str) -> None:
    client = Client(enforce_csrf_checks=True)
    assert client.post("/api/who").status_code == 401
    assert client.post("/api/who", **bearer(token)).status_code == 200


def test_an_account_that_asks_too_often_waits_with_all_its_tokens(client: Client, member: Any, token: str) -> None:
    other = Token.objects.issue(member, "Another")[1]
    assert [client.get("/api/who", **bearer(each)).status_code for each in (token, other, token)] == [200, 200, 200]
    limited = client.get("/api/who", **bearer(other))
    assert (limited.status_code, limited.json()) == (429, {"detail": "Too many requests."})
    assert 0 < int(limited.headers["Retry-After"]) <= 60


def test_visitors_are_counted_by_the_address_that_proxies_name(client: Client, settings: Settings) -> None:
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = 1

    def status(entries: str) -> int:
        return client.get("/api/open", headers={"X-Forwarded-For": entries}).status_code

    # What the visitor wrote before the proxy's entry changes nothing, and neither does another address of a network.
    assert [status(f"192.0.2.{n}, 2001:db8::{n}") for n in range(3)] == [200, 200, 429]
    assert status("2001:db8:0:1::1") == 200


def test_a_list_comes_in_parts_and_no_request_gets_all(client: Client) -> None:
    page = client.get("/api/numbers?offset=100").json()
    assert (page["count"], page["items"]) == (300, list(range(100, 150)))
    for part in ("limit=201", "offset=100001", f"offset={10**30}", "limit=0", "limit=x"):
        assert client.get(f"/api/numbers?{part}").status_code == 422, part


@pytest.mark.parametrize(
    ("request_path", "method", "status", "detail"),
    [
        ("/api/unknown", "GET", 404, "Not Found"),
        ("/api/", "GET", 404, "Not Found"),
        ("/api/open", "DELETE", 405, "Method Not Allowed"),
        ("/api/fails", "GET", 500, "Internal Server Error"),
        ("/api/suspicious", "GET", 400, "Bad Request"),
    ],
)
def test_errors_are_json_with_the_requests_id_and_no_detail(
    client: Client, request_path: str, method: str, status: int, detail: str
) -> None:
    answer = client.generic(method, request_path, headers={"X-Request-ID": "abc"})
    assert (answer.status_code, answer.json()) == (status, {"detail": detail, "request_id": "abc"})
    assert answer.headers["X-Request-ID"] == "abc"
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert ("Allow" in answer.headers) == (status == 405)


def test_a_body_that_is_too_large_is_refused_in_json(client: Client, settings: Settings) -> None:
    settings.MAX_BODY_MB = 0
    answer = client.post("/api/who", {"some": "thing"}, content_type="application/json")
    assert (answer.status_code, answer.json()["detail"]) == (413, "A request may have 0 MB at most.")


def test_a_wrong_host_is_refused_in_json(client: Client) -> None:
    answer = client.get("/api/open", headers={"Host": "evil.example"})
    assert (answer.status_code, answer.json()["detail"]) == (400, "Bad Request")


def test_no_cache_keeps_an_answer_and_pages_stay_as_they_are(client: Client, token: str) -> None:
    assert client.get("/api/who", **bearer(token)).headers["Cache-Control"] == "private, no-store"
    page = client.get("/fails/")
    assert (page.status_code, page.headers["Content-Type"]) == (500, "text/html; charset=utf-8")


def test_the_api_asks_for_no_login_page_where_all_pages_do(client: Client, settings: Settings, token: str) -> None:
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.contrib.auth.middleware.LoginRequiredMiddleware"]
    assert client.get("/api/who", **bearer(token)).status_code == 200
    assert client.get("/api/who").status_code == 401


def test_the_documentation_is_for_staff(client: Client, member: Any) -> None:
    for page in ("/api/docs", "/api/openapi.json"):
        assert client.get(page).headers["Location"].endswith(f"?next={page}")
    client.force_login(member)
    assert client.get("/api/docs").json()["detail"] == "Forbidden"
    member.is_staff = True
    member.save()
    assert "/api/who" in client.get("/api/openapi.json").json()["paths"]
    page = client.get("/api/docs").text
    # Its files are the site's own, and nothing in it is inline but data.
    assert 'src="/static/ninja/swagger-ui-init.js"' in page
    assert "https://" not in page
    assert page.count("<script") == page.count("<script src=") + page.count('<script type="application/json"')


def command(*arguments: str) -> str:
    """Return what `apitoken` prints."""
    out = StringIO()
    call_command("apitoken", *arguments, stdout=out, stderr=StringIO())
    return out.getvalue().strip()


def test_a_token_is_made_listed_and_revoked_by_a_command(client: Client, member: Any) -> None:
    token = command("add", member.email.upper(), "Nightly import")
    assert client.get("/api/who", **bearer(token)).status_code == 200
    listed = command("list", member.email)
    assert "Nightly import" in listed
    assert token not in listed
    assert command("list", "other@example.com") == ""
    assert "  expires 2" in listed
    command("revoke", listed.split()[0])
    assert client.get("/api/who", **bearer(token)).status_code == 401
    for wrong in (("add", "nobody@example.com", "x"), ("add", member.email, " "), ("revoke", "7")):
        with pytest.raises(CommandError):
            command(*wrong)
    assert not Token.objects.exists()


def test_a_command_says_how_long_a_token_is_valid(member: Any) -> None:
    command("add", member.email, "A month", "--days=30")
    command("add", member.email, "Ever", "--days=0")
    Token.objects.issue(member, "Over", datetime(2026, 11, 29, tzinfo=UTC))
    over, ever, month = command("list").splitlines()
    assert "expired 2026-11-29" in over
    assert "never expires" in ever
    assert f"expires {Token.objects.get(name='A month').expires_at:%Y-%m-%d}" in month
    assert Token.objects.filter(expires_at__range=(expiry(29), expiry(31))).exists()
    for wrong in ("--days=-1", "--days=9999999", "--days=soon"):
        with pytest.raises(CommandError):
            command("add", member.email, "Wrong", wrong)


def admin_request(user: Any) -> Any:
    """Return a request of an account to the admin."""
    request: Any = RequestFactory().post("/admin/")
    request.user = user
    return request


needs_admin = pytest.mark.skipif(not apps.is_installed("django.contrib.admin"), reason="the project has no admin")


def token_admin() -> Any:
    """Return the admin of tokens."""
    from operations.api.admin import TokenAdmin

    return TokenAdmin(Token, admin.site)


@needs_admin
def test_the_admin_makes_a_token_and_shows_it_once(member: Any) -> None:
    member.is_superuser = True
    model_admin, request = token_admin(), admin_request(member)
    proposed = model_admin.get_changeform_initial_data(request)["expires_at"]
    chosen = {"expires_at_0": f"{proposed:%Y-%m-%d}", "expires_at_1": "12:00"}
    form = model_admin.get_form(request)({"user": member.pk, "name": "Nightly import", **chosen})
    assert form.is_valid(), form.errors
    made = form.save(commit=False)
    model_admin.save_model(request, made, form, change=False)
    shown = request.new_token
    assert Token.objects.get() == made == Token.objects.used(shown)
    assert Token.objects.get().expires_at == form.cleaned_data["expires_at"]
    assert model_admin.response_add(request, made).context_data["token"] == shown
    assert not model_admin.has_change_permission(request, made)


@needs_admin
def test_staff_make_tokens_for_themselves_and_superusers_for_all(member: Any, django_user_model: Any) -> None:
    other = django_user_model._default_manager.create(email="other@example.com")
    for is_superuser in (False, True):
        member.is_superuser = is_superuser
        form = token_admin().get_form(admin_request(member))({"user": other.pk, "name": "x"})
        assert form.is_valid() == is_superuser
