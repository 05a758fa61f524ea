"""Every page works in a browser, in all its states: under the policy, by keyboard, on a phone, for screen readers."""

import copy
import json
import re
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import html5lib
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Route

from stand_ins.mail_server import Postbox, mail_server
from stand_ins.services import says
from stand_ins.services import stand_in as service
from template.smoke.server import stand_in
from tests.support import lighthouse, nu
from tests.support.browser import chromium
from tests.support.environments import Environments, project_environment
from tests.support.faults import settings
from tests.support.rendering import render
from tests.support.servers import free_port, running
from tests.support.sites import Site
from tests.support.smoke import API, CHECKS, checked
from tests.support.tour import ADMIN, PASSWORD, Tour

# A script in the page that is no data.
INLINE = re.compile(r"<script(?![^>]*(\ssrc=|json)).{,80}", re.DOTALL)
# A device with passkeys, whose owner always agrees.
AUTHENTICATOR = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}
# Sets the size of text, as a visitor does in the browser's settings.
TEXT_SIZE = "size => { document.documentElement.style.fontSize = size }"
# An answer with a word that is too long for a line.
ANSWER = f"Forty-two.\n\n{'forty-two' * 20}"

# Returns the text directions in which the page is wider than the window.
SIDEWAYS = """() => {
  const root = document.documentElement, before = root.dir;
  const found = [];
  for (const dir of ["ltr", "rtl"]) {
    root.dir = dir;
    if (root.scrollWidth > root.clientWidth) found.push(`${dir}: ${root.scrollWidth} > ${root.clientWidth}`);
  }
  root.dir = before;
  return found;
}"""
# Finds elements whose description is missing or empty.
EMPTY_DESCRIPTIONS = """() => [...document.querySelectorAll("[aria-describedby]")].flatMap(
  field => field.getAttribute("aria-describedby").split(" ").filter(id => !document.getElementById(id)?.innerText.trim())
)"""
# Finds buttons that look like plain text.
NO_BORDER = """() => [...document.querySelectorAll("main button, main .button")].filter(
  each => getComputedStyle(each).borderTopWidth === "0px" || getComputedStyle(each).borderTopColor === "rgba(0, 0, 0, 0)"
).length"""


class Listener:
    """Collects a page's console messages, without the one about the page's own status."""

    def __init__(self, page: Page) -> None:
        self.complaints: list[str] = []
        self.page = page
        page.on("console", self.hear)
        page.on("pageerror", lambda error: self.complaints.append(f"{page.url}: {error}"))

    def hear(self, message: ConsoleMessage) -> None:
        """Record an error or a warning. The browser reports a page with status 400 or more as a resource that failed to load."""
        is_the_page = "Failed to load resource" in message.text and message.location.get("url") == self.page.url
        if message.type in ("error", "warning") and not is_the_page:
            self.complaints.append(f"{self.page.url}: {message.text}")


@pytest.fixture(scope="module")
def debugging_port() -> int:
    """The port at which other programs can use the browser."""
    return free_port()


@pytest.fixture(scope="module")
def browser(debugging_port: int) -> Iterator[Browser]:
    """A browser that accepts any certificate."""
    with chromium("--ignore-certificate-errors", f"--remote-debugging-port={debugging_port}") as browser:
        yield browser


@pytest.fixture(scope="module")
def served(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Postbox]]:
    """The site's HTTPS URL, and its mailbox."""
    folder = tmp_path_factory.mktemp("browser")
    sender = {"DEFAULT_FROM_EMAIL": "site@example.com", "ALLOWED_HOSTS": "localhost,127.0.0.1"}
    with (
        mail_server() as postbox,
        site.started(folder / "log", EMAIL_URL=postbox.url, **sender),
        stand_in(site.port, folder / "ca.pem") as host,
    ):
        yield f"https://{host}", postbox


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A visitor without cookies."""
    with browser.new_context(ignore_https_errors=True) as context:
        yield context


def faults(tour: Tour) -> list[str]:
    """Return the faults of the browser's current page."""
    page, source = tour.page, tour.source()
    found = [f"an inline script: {each[0]}" for each in INLINE.finditer(source)]
    try:
        html5lib.HTMLParser(strict=True).parse(source)
    except html5lib.html5parser.ParseError as error:
        found.append(f"HTML: {error}")
    if not page.title().strip() or "\n" in page.title():
        found.append(f"title: {page.title()!r}")
    found += [f"describes nothing: {each}" for each in page.evaluate(EMPTY_DESCRIPTIONS)]
    for violation in Axe().run(page).response["violations"]:
        found.append(f"axe: {violation['id']}: {json.dumps([node['html'] for node in violation['nodes']])[:200]}")
    size = page.viewport_size
    page.set_viewport_size({"width": 320, "height": 640})
    found += [f"sideways at 320 px, {each}" for each in page.evaluate(SIDEWAYS)]
    page.emulate_media(forced_colors="active")
    if page.evaluate(NO_BORDER):
        found.append("a button without a border in forced colours")
    page.emulate_media(forced_colors="none")
    # At a zoom of 200 %, half as many pixels have room. Text of twice the size needs as much again.
    page.set_viewport_size({"width": 640, "height": 480})
    page.evaluate(TEXT_SIZE, "200%")
    found += [f"sideways at 200 %, {each}" for each in page.evaluate(SIDEWAYS)]
    page.evaluate(TEXT_SIZE, "")
    assert size
    page.set_viewport_size(size)
    return found


def wrong(tour: Tour, states: Iterator[str], folder: Path) -> dict[str, list[str]]:
    """Return the faults of each state of a tour that has any, and what the Nu checker says of all."""
    found, sources = {}, {}
    for name in states:
        sources[name] = tour.source()
        found[name] = faults(tour)
    found["the Nu checker"] = nu.findings(sources, folder)
    return {name: faults for name, faults in found.items() if faults}


def dead_links(tour: Tour) -> list[str]:
    """Return the links in the navigation that lead to an error."""
    links = tour.page.eval_on_selector_all("nav a", "links => links.map(link => link.href)")
    assert links
    return [link for link in links if tour.page.context.request.get(link, max_redirects=5).status >= 400]


def test_all_that_a_visitor_sees_is_without_fault(
    served: tuple[str, Postbox], context: BrowserContext, tmp_path: Path
) -> None:
    tour = Tour(context.new_page(), served[0])
    listener = Listener(tour.page)
    assert wrong(tour, tour.visitor(), tmp_path) == {}
    assert dead_links(tour) == []
    assert listener.complaints == []


def test_lighthouse_finds_nothing_on_what_is_public(
    served: tuple[str, Postbox], browser: Browser, debugging_port: int
) -> None:
    assert browser.is_connected()
    home, login = f"{served[0]}/", f"{served[0]}/accounts/login/"
    assert lighthouse.faults(debugging_port, home) == {home: []}
    # Search engines are told not to list account pages.
    assert lighthouse.faults(debugging_port, login) == {login: ["is-crawlable: Page is blocked from indexing"]}


def test_a_member_goes_from_sign_up_to_deleting_by_keyboard_without_fault(
    served: tuple[str, Postbox], context: BrowserContext, tmp_path: Path
) -> None:
    tour = Tour(context.new_page(), served[0], served[1].text)
    listener = Listener(tour.page)
    dead = []

    def states() -> Iterator[str]:
        for state in tour.member():
            yield state
            if state == "home-menu":
                dead.extend(dead_links(tour))

    assert wrong(tour, states(), tmp_path) == {}
    assert dead == []
    assert "Your account is deleted" in tour.page.inner_text(".message")
    assert listener.complaints == []


@pytest.fixture(scope="module")
def site_with_extras(template: Path, environments: Environments, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A site with all extras that have pages, with an admin, and without email."""
    folder = tmp_path_factory.mktemp("extras") / "project"
    project = render(template, folder, platform="gunicorn", extras=["ai", "htmx", "api", "mfa", "i18n"])
    site = Site(project, environments, "sqlite:///db.sqlite3")
    site.variables |= {"ALLOWED_HOSTS": "localhost,127.0.0.1", "WEB_CONCURRENCY": "1"}
    site.prepare()
    site.manage("createsuperuser", "--noinput", "--email", ADMIN, DJANGO_SUPERUSER_PASSWORD=PASSWORD)
    return site


def test_the_pages_of_extras_are_without_fault(
    site_with_extras: Site, browser: Browser, context: BrowserContext, tmp_path: Path
) -> None:
    site = site_with_extras
    (tmp_path / "pages").mkdir()
    with service() as provider:
        provider.answer = says(200, json.dumps({"choices": [{"message": {"content": ANSWER}}]}).encode())
        variables = {"AI_PROVIDER_URL": provider.url, "AI_API_KEY": "key", "AI_MODEL": "large"}
        with site.started(tmp_path / "log", **variables), stand_in(site.port, tmp_path / "ca.pem") as host:
            tour = Tour(context.new_page(), f"https://{host}")
            listener = Listener(tour.page)
            assert wrong(tour, tour.assistant(), tmp_path / "pages") == {}
            assert "Forty-two." in tour.source()
            assert dead_links(tour) == []
            change_a_name_in_place(tour, listener)
            try_the_api(tour)
            tour.visit("/assistant/?page=2")
            tour.page.click("text=Deutsch")
            tour.page.wait_for_selector("html[lang=de]")
            assert tour.page.url.endswith("/assistant/?page=2")
            assert faults(tour) == []
            (kept,) = [each for each in context.cookies() if "language" in each["name"]]
            assert (kept["name"], kept["secure"], kept["httpOnly"]) == ("__Host-language", True, True)
            assert listener.complaints == []
            with browser.new_context(ignore_https_errors=True, java_script_enabled=False) as plain:
                change_a_name_without_a_script(Tour(plain.new_page(), f"https://{host}"))
    broken = copy.copy(site)
    broken.project = Path(shutil.copytree(site.project, tmp_path / "broken"))
    settings("MIDDLEWARE.remove('operations.api.middleware.ApiMiddleware')")(broken.project)
    outcome = checked(broken, tmp_path)
    assert outcome.having("FAIL") == {API}
    assert set(CHECKS) == outcome.having("PASS")


def refuse(status: int, html: str, route: Route) -> None:
    """Answer a browser's request in place of the site."""
    route.fulfill(status=status, body=html)


def change_a_name_in_place(tour: Tour, listener: Listener) -> None:
    """Change the name of who is logged in by htmx: it is saved, refused, and what fails is said beside the form."""
    page = tour.page
    tour.visit("/")
    page.click("nav a:has-text('Your name')")
    # It is lost if the page is loaded again.
    page.evaluate("window.same = true")
    page.fill("[name=first_name]", "Ann")
    page.click("#save-profile")
    page.wait_for_selector(".message-success:has-text('Saved.')")
    assert page.evaluate("[window.same, document.activeElement.id]") == [True, "save-profile"]
    assert Axe().run(page).response["violations"] == []
    assert listener.complaints == []
    for status, text in ((429, "Wait a few minutes"), (500, "It has been noted"), (403, "That did not work")):
        html = f"<main><p>{text}</p></main>" if status != 403 else "Forbidden"
        page.route("**/profile/", partial(refuse, status, html))
        page.click("#save-profile")
        page.wait_for_selector(f"[role=alert]:has-text('{text}')")
        page.unroute("**/profile/")
    page.route("**/profile/", lambda route: route.abort())
    page.click("#save-profile")
    page.wait_for_selector("[role=alert]:has-text('Check your connection')")
    page.unroute("**/profile/")
    # htmx writes what has failed to the console too.
    assert not any("Content Security Policy" in text for text in listener.complaints)
    listener.complaints.clear()
    page.click("#save-profile")
    page.wait_for_selector(".message-success")
    assert page.locator("[role=alert]").count() == 0
    assert page.evaluate("window.same")
    page.context.clear_cookies(name="__Host-sessionid")
    page.click("#save-profile")
    page.wait_for_url("**/accounts/login/?next=%2Fprofile%2F")


def change_a_name_without_a_script(tour: Tour) -> None:
    """Change the name of a new member in a browser that runs no script."""
    tour.visit("/accounts/signup/")
    tour.send(email="ben@example.com", password1=PASSWORD, password2=PASSWORD)
    tour.visit("/profile/")
    tour.send(first_name="Ben")
    assert "Saved." in tour.page.inner_text(".message")
    assert tour.page.input_value("[name=first_name]") == "Ben"


def try_the_api(tour: Tour) -> None:
    """Send a request from the API's documentation, which only staff see."""
    tour.page.context.clear_cookies()
    assert tour.visit("/api/docs") == 200
    assert "/accounts/login/" in tour.page.url
    tour.send(login=ADMIN, password=PASSWORD)
    tour.page.click("button:has-text('/api/me')")
    tour.page.click("button:has-text('Try it out')")
    tour.page.click("button:has-text('Execute')")
    answer = tour.page.locator(".live-responses-table .response-col_description .microlight").first
    assert f'"email": "{ADMIN}"' in answer.inner_text()


def test_second_factors_and_passkeys_are_without_fault_and_open_the_admin(
    site_with_extras: Site, context: BrowserContext, tmp_path: Path
) -> None:
    site = site_with_extras
    (tmp_path / "pages").mkdir()
    with site.started(tmp_path / "log"), stand_in(site.port, tmp_path / "ca.pem") as host:
        # Browsers have no passkeys for IP addresses.
        tour = Tour(context.new_page(), f"https://{host.replace('127.0.0.1', 'localhost')}")
        browser = context.new_cdp_session(tour.page)
        browser.send("WebAuthn.enable")
        authenticator = browser.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})
        listener = Listener(tour.page)

        def states() -> Iterator[str]:
            for state in tour.second_factors():
                assert (state == "admin") is (tour.page.url == f"{tour.url}/admin/"), state
                # The admin's pages are Django's own.
                if state != "admin":
                    yield state

        assert wrong(tour, states(), tmp_path / "pages") == {}
        assert listener.complaints == []
        # A passkey that fails says so on the page.
        tour.log_out()
        browser.send("WebAuthn.removeVirtualAuthenticator", authenticator)
        browser.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})
        tour.page.click("#passkey_login")
        tour.page.wait_for_selector("#key-failed", state="visible")
        # Who has lost everything gets in by password, and is led to set up another second factor.
        assert "removed" in site.manage("removemfa", ADMIN)
        tour.send(login=ADMIN, password=PASSWORD)
        assert tour.page.url == f"{tour.url}/accounts/2fa/"


def test_the_admin_works_under_the_policy(site: Site, served: tuple[str, Postbox], context: BrowserContext) -> None:
    site.manage("createsuperuser", "--noinput", "--email", ADMIN, DJANGO_SUPERUSER_PASSWORD=PASSWORD)
    page = context.new_page()
    tour = Tour(page, served[0])
    listener = Listener(page)
    assert list(tour.staff()) == ["admin", "home-staff"]
    for path in ("", "accounts/user/", "accounts/user/add/", "auth/group/add/", "account/emailaddress/"):
        if "reauthenticate" in page.url:
            tour.send(password=PASSWORD)
        assert tour.visit(f"/admin/{path}") == 200
    assert page.title().endswith("Todo List")
    tour.visit("/admin/accounts/user/")
    page.click("#result_list th.field-email a")
    # Account changes ask for the password again, unless it was given recently.
    page.wait_for_load_state("load")
    if "reauthenticate" in page.url:
        tour.send(password=PASSWORD)
    page.wait_for_url("**/change/")
    # The calendar that the admin's script draws beside a date.
    page.click("#calendarlink0")
    assert page.is_visible("#calendarbox0")
    page.keyboard.press("Escape")
    page.click(".historylink")
    page.wait_for_url("**/history/")
    page.go_back()
    page.click(".deletelink")
    page.wait_for_url("**/delete/")
    assert listener.complaints == []


def test_a_script_that_is_not_the_sites_own_is_not_run(served: tuple[str, Postbox], context: BrowserContext) -> None:
    page = context.new_page()
    page.goto(f"{served[0]}/")
    refused: list[str] = []
    page.on("console", lambda message: refused.append(message.text))
    page.evaluate("document.body.appendChild(document.createElement('script')).textContent = 'window.inline = 1'")
    assert page.evaluate("window.inline") is None
    assert any("Content Security Policy" in text for text in refused)


def test_what_development_shows_is_without_fault(site: Site, context: BrowserContext, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    # The debug toolbar's HTML is its own business.
    own = {"DEBUG_TOOLBAR": "false", "DATABASE_URL": f"sqlite:///{tmp_path}/site.sqlite3"}
    env = project_environment(site.bin, PYTHONUNBUFFERED="1", **own)
    command = ["python", "manage.py", "runserver", "--noreload", "--migrate", url.removeprefix("http://")]
    with running(command, site.project, env, tmp_path / "log") as server:
        server.wait_until_it_answers(f"{url}/health/")
        tour = Tour(context.new_page(), url)
        (tmp_path / "pages").mkdir()
        assert wrong(tour, tour.development(), tmp_path / "pages") == {}
        tour.visit("/")
        links = tour.page.eval_on_selector_all("main a", "links => links.map(link => link.href)")
        errors = [link for link in links if "/errors/" in link]
        assert [context.request.get(link).status for link in errors] == [400, 403, 404, 429, 500, 403]
        # Development prints emails with unbroken links, and shows them on the page.
        tour.visit("/accounts/signup/")
        tour.send(email=tour.email, password1=PASSWORD, password2=PASSWORD)
        tour.visit("/")
        tour.page.click("details:has-text('Confirm') summary")
        link = tour.page.locator("main details a").get_attribute("href")
        assert link
        assert link in server.output().splitlines()
        assert tour.visit(link.removeprefix(url)) == 200
        assert "runs." not in context.request.get(f"{url}/?preview").text()
