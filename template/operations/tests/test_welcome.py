"""Development says how the project stands and prints emails as they are; the live site shows nothing of it."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.core import mail
from django.core.mail import EmailMessage
from django.template.loader import render_to_string
from django.test import Client, RequestFactory
from pytest_django import Settings

from operations.mail import KEPT, kept_mails
from operations.welcome import development, facts, template_release

LINK = f"http://127.0.0.1:8000/accounts/confirm-email/{'x' * 80}/"


@pytest.fixture
def printed(settings: Settings, tmp_path: Path) -> None:
    """Send emails as development does, and keep them in a folder of the test's own."""
    settings.MAILERS = {"default": {"BACKEND": "operations.mail.PrintedMail"}}
    settings.BASE_DIR = tmp_path


@pytest.mark.usefixtures("printed")
def test_an_email_is_printed_as_it_is_read(capsys: pytest.CaptureFixture[str]) -> None:
    EmailMessage("Über \x1b[2J", f"Here:\n\n{LINK}\n", "site@localhost", ["a@example.com"]).send()
    said = capsys.readouterr().out.splitlines()
    assert LINK in said
    assert "To: a@example.com" in said
    assert "Subject: Über  [2J" in said


@pytest.mark.usefixtures("printed")
def test_only_the_last_emails_are_kept() -> None:
    for number in range(KEPT + 2):
        mail.send_mail("Hello", f"Number {number}", None, ["a@example.com"])
    assert [file.read_text().splitlines()[-1] for file in kept_mails()] == [f"Number {n}" for n in range(2, KEPT + 2)]


@pytest.mark.usefixtures("printed")
def test_an_email_is_printed_where_none_can_be_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / ".cache").touch()
    mail.send_mail("Hello", "Read me", None, ["a@example.com"])
    assert "Read me" in capsys.readouterr().out


@pytest.mark.usefixtures("printed")
@pytest.mark.django_db
def test_the_page_shows_the_last_emails_with_links_and_how_the_project_stands() -> None:
    mail.send_mail("Confirm", f"Here: {LINK}", None, ["<b>@example.com"])
    page = render_to_string("operations/welcome.html", {"development": facts(), "site_name": "Todo List"})
    assert f'href="{LINK}"' in page
    assert "&lt;b&gt;@example.com" in page
    assert "all applied" in page
    assert "createsuperuser" in page


@pytest.mark.django_db
def test_who_asks_to_see_the_page_as_visitors_do_is_shown_it_so() -> None:
    assert development(RequestFactory().get("/"))["development"]
    assert development(RequestFactory().get("/?preview"))["development"] is None


def test_a_project_without_answers_has_no_release(settings: Settings, tmp_path: object) -> None:
    settings.BASE_DIR = tmp_path
    assert template_release() == ""


@pytest.mark.django_db
def test_the_live_site_has_nothing_of_it(production: Callable[..., SimpleNamespace], client: Client) -> None:
    live = production()
    named = [*live.TEMPLATES[0]["OPTIONS"]["context_processors"], *live.MIDDLEWARE, live.MAILERS["default"]["BACKEND"]]
    assert not [name for name in named if "welcome" in name or "development" in name or "Printed" in name]
    assert client.get("/development/errors/404/").status_code == 404


@pytest.mark.django_db
@pytest.mark.parametrize(("error", "status"), [("400", 400), ("404", 404), ("500", 500), ("none", 404), ("", 404)])
def test_development_shows_the_page_for_an_error(settings: Settings, client: Client, error: str, status: int) -> None:
    settings.MIDDLEWARE = ["operations.development.DevelopmentMiddleware", *settings.MIDDLEWARE]
    assert client.get(f"/development/errors/{error}/").status_code == status
