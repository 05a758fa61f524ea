"""Every page works in a browser under the Content-Security-Policy, without an error in its console."""

import secrets
from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, ConsoleMessage, Page

from template.smoke.server import stand_in
from tests.support.browser import chromium
from tests.support.sites import Site

PASSWORD = "correct horse battery staple"


# Chromium gives up what it is loading when the machine gets or loses a network, as each container brings one.
pytestmark = pytest.mark.alone


@pytest.fixture(scope="module")
def browser_context(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[BrowserContext, str]]:
    """A browser, and the site's https address in it."""
    folder = tmp_path_factory.mktemp("browser")
    with (
        site.started(folder / "log", ALLOWED_HOSTS="localhost,127.0.0.1"),
        stand_in(site.port, folder / "ca.pem") as host,
        chromium("--ignore-certificate-errors") as browser,
    ):
        yield browser.new_context(ignore_https_errors=True), f"https://{host}"


def test_no_page_breaks_its_policy(site: Site, browser_context: tuple[BrowserContext, str]) -> None:
    context, address = browser_context
    email = f"{secrets.token_hex(6)}@example.com"
    site.manage("createsuperuser", "--noinput", "--email", email, DJANGO_SUPERUSER_PASSWORD=PASSWORD)
    page = context.new_page()
    complaints: list[str] = []
    expected_status = {"value": 200}

    def hear(message: ConsoleMessage) -> None:
        # A page that is not found is told of as a resource that failed to load.
        own = "Failed to load resource" in message.text and str(expected_status["value"]) in message.text
        if message.type in ("error", "warning") and not own:
            complaints.append(f"{page.url}: {message.text}")

    page.on("console", hear)
    page.on("pageerror", lambda error: complaints.append(f"{page.url}: {error}"))

    def visit(path: str, status: int = 200) -> None:
        expected_status["value"] = status
        answer = page.goto(f"{address}{path}", wait_until="load")
        assert answer is not None
        assert answer.status == status, path
        assert "content-security-policy" in answer.headers

    visit("/")
    # The style sheet came through: the page looks as it should and not as a browser's own.
    assert page.evaluate("getComputedStyle(document.querySelector('.bar')).display") == "flex"
    visit("/nowhere/", status=404)
    visit("/accounts/password/reset/", status=503)
    visit("/accounts/signup/")
    sign_up(page)
    visit("/accounts/password/change/")
    visit("/accounts/email/", status=503)
    visit("/accounts/logout/")
    page.click("main button[type=submit]")
    page.wait_for_url(f"{address}/")
    visit("/accounts/login/?next=/admin/")
    page.fill("input[name=login]", email)
    page.fill("input[name=password]", PASSWORD)
    page.click("main button[type=submit]")
    page.wait_for_url(f"{address}/admin/")
    for path in ("", "accounts/user/", "accounts/user/add/", "auth/group/add/", "account/emailaddress/"):
        visit(f"/admin/{path}")
    visit("/admin/accounts/user/")
    page.click("#result_list th.field-email a")
    # Who changes an account gives the password again, unless that was just now.
    page.wait_for_load_state("load")
    if "reauthenticate" in page.url:
        page.fill("input[name=password]", PASSWORD)
        page.click("main button[type=submit]")
    page.wait_for_url("**/change/")
    # The calendar that the admin's own script draws beside a date.
    page.click("#calendarlink0")
    assert page.is_visible("#calendarbox0")
    page.keyboard.press("Escape")
    page.click(".historylink")
    page.wait_for_url("**/history/")
    page.go_back()
    page.click(".deletelink")
    page.wait_for_url("**/delete/")
    visit("/accounts/delete/")
    page.fill("input[name=password]", PASSWORD)
    page.click("main button[type=submit]")
    page.wait_for_url(f"{address}/")
    assert "Your account is deleted" in page.inner_text(".message")
    assert complaints == []


def test_a_script_that_is_not_the_sites_own_is_not_run(browser_context: tuple[BrowserContext, str]) -> None:
    context, address = browser_context
    page = context.new_page()
    page.goto(f"{address}/")
    refused: list[str] = []
    page.on("console", lambda message: refused.append(message.text))
    page.evaluate("document.body.appendChild(document.createElement('script')).textContent = 'window.inline = 1'")
    assert page.evaluate("window.inline") is None
    assert any("Content Security Policy" in text for text in refused)


def sign_up(page: Page) -> None:
    """Make an account by the form that is open."""
    page.fill("input[name=email]", f"{secrets.token_hex(6)}@example.com")
    page.fill("input[name=password1]", PASSWORD)
    page.fill("input[name=password2]", PASSWORD)
    page.click("main button[type=submit]")
    page.wait_for_selector("text=You are logged in")
