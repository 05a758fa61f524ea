"""With a mail server, email addresses are confirmed; without one, the site works and says what does not."""

import re
import secrets
import subprocess
from pathlib import Path

from stand_ins.mail_server import mail_server
from tests.support.servers import free_port
from tests.support.sites import Site
from tests.support.visitors import Visitor

PASSWORD = "correct horse battery staple"


def sign_up(visitor: Visitor, address: str) -> str:
    """Send the sign-up form; return the URL that the answer redirects to."""
    answer = visitor.post("/accounts/signup/", email=address, password1=PASSWORD, password2=PASSWORD)
    assert answer.status == 302, answer.text
    return answer.headers["Location"]


def test_with_a_mail_server_an_address_is_confirmed_and_a_password_reset_by_mail(site: Site, tmp_path: Path) -> None:
    sender = "Todo List <site@example.com>"
    address = f"{secrets.token_hex(6)}@example.com"
    with mail_server() as postbox, site.started(tmp_path / "log", EMAIL_URL=postbox.url, DEFAULT_FROM_EMAIL=sender):
        visitor = Visitor(site.port)
        assert sign_up(visitor, address) == "/accounts/confirm-email/"
        assert (postbox.mails[-1]["To"], postbox.mails[-1]["From"]) == (address, sender)
        assert postbox.mails[-1]["Subject"].startswith("[Todo List] ")
        assert postbox.text().splitlines()[-2:] == ["Todo List", "localhost"]
        assert postbox.mails[-1]["Auto-Submitted"] == "auto-generated"
        (link,) = re.findall(r"https://localhost(/accounts/confirm-email/\S+)", postbox.text())
        # The account cannot log in until its address is confirmed.
        assert Visitor(site.port).log_in(address, PASSWORD).headers["Location"] == "/accounts/confirm-email/"
        assert visitor.post(link).status == 302
        assert Visitor(site.port).log_in(address, PASSWORD).headers["Location"] == "/"

        stranger = Visitor(site.port)
        assert stranger.post("/accounts/password/reset/", email=address).status == 302
        (link,) = re.findall(r"https://localhost(/accounts/password/reset/key/\S+)", postbox.text())
        form = stranger.ask("GET", link).headers["Location"]
        assert stranger.post(form, password1=f"new {PASSWORD}", password2=f"new {PASSWORD}").status == 302
        assert Visitor(site.port).log_in(address, f"new {PASSWORD}").headers["Location"] == "/"

        # Only an email tells whether an address has an account.
        known = f"{secrets.token_hex(6)}@example.com"
        site.manage("createsuperuser", "--noinput", "--email", known, DJANGO_SUPERUSER_PASSWORD=PASSWORD)
        assert sign_up(Visitor(site.port), known) == "/accounts/confirm-email/"
        assert (postbox.mails[-1]["To"], "already has an account" in postbox.text()) == (known, True)


def test_without_a_mail_server_the_site_works_and_says_what_does_not(started_site: Site) -> None:
    address = f"{secrets.token_hex(6)}@example.com"
    visitor = Visitor(started_site.port)
    assert sign_up(visitor, address) == "/"
    assert Visitor(started_site.port).log_in(address, PASSWORD).status == 302
    for path in ("/accounts/password/reset/", "/accounts/email/"):
        answer = visitor.ask("GET", path)
        assert (answer.status, "cannot send email" in answer.text) == (200, True)
    taken = Visitor(started_site.port).post("/accounts/signup/", email=address, password1=PASSWORD, password2=PASSWORD)
    assert (taken.status, "already registered" in taken.text) == (200, True)


def test_sign_up_can_be_closed(site: Site, tmp_path: Path) -> None:
    with site.started(tmp_path / "log", SIGNUP_OPEN="false"):
        visitor = Visitor(site.port)
        assert "/accounts/signup/" not in visitor.ask("GET", "/").text
        form = {"email": "x@example.com", "password1": PASSWORD, "password2": PASSWORD}
        visitor.ask("GET", "/accounts/login/")
        answer = visitor.ask(
            "POST", "/accounts/signup/", {**form, "csrfmiddlewaretoken": visitor.cookies["__Host-csrftoken"]}
        )
        assert (answer.status, "closed" in answer.text.lower()) == (200, True)
        assert "Traceback" not in answer.text
        assert Visitor(site.port).log_in("x@example.com", PASSWORD).status == 200


def test_a_test_mail_arrives_or_the_command_says_why_not(site: Site) -> None:
    sender = {"DEFAULT_FROM_EMAIL": "site@example.com"}
    with mail_server() as postbox:
        hosts = {"ALLOWED_HOSTS": "localhost,10.0.0.1,.example.com"}
        said = site.manage("sendtestemail", "admin@example.com", EMAIL_URL=postbox.url, **sender, **hosts)
        assert said.startswith("Sent, from site@example.com.")
        assert postbox.recipients == ["admin@example.com"]
        # The greeting is not a container's ID, which strict servers refuse.
        assert postbox.greeting == "example.com"
        assert postbox.mails[-1]["Message-ID"].endswith("@example.com>")
        for url, reason in {
            "": "No mail server is configured: set EMAIL_URL",
            f"smtp://127.0.0.1:{free_port()}": "nobody listens at the host and port of EMAIL_URL",
            "smtp://nowhere.invalid": "the host of EMAIL_URL is not known",
            postbox.url.replace("smtp://", "smtps://"): "the server speaks no TLS from the first byte",
            postbox.url.replace("smtp://", "smtp+tls://"): "STARTTLS extension not supported by server",
            postbox.url.replace("smtp://", "smtp://user:hunter2@"): "SMTP AUTH extension not supported by server",
        }.items():
            done = subprocess.run(
                ["python", "manage.py", "sendtestemail", "admin@example.com"],
                cwd=site.project,
                env=site.environment(EMAIL_URL=url, **(sender if url else {})),
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 1, url
            assert f"No mail was sent: {reason}" in done.stderr, url
            assert "Traceback" not in done.stderr
            assert "hunter2" not in done.stderr
