"""Check the site. Each test is a row of the table, with its name and, if it fails, its message."""

import re
import secrets
import time
from collections.abc import Callable, Iterator
from urllib.parse import urljoin, urlsplit

import pytest
import requests

from smoke.known import TABLE, change
from smoke.server import Site
from smoke.visitors import LOG_IN, REDIRECTS, SIGN_UP, Account, Page, Visitor, told

A_YEAR = 365 * 24 * 60 * 60
# How a page says that an email could not be sent: in English, or by the class of the message.
NOT_SENT = ("could not be sent just now", "message-error")
TASK = "/tasks/answer/"
# Seconds for a task to be done: the worker may be busy with another one.
TASK_TIMEOUT = 30
UNKNOWN = "/no-page-has-this-address/"
# Text on Django's own pages, which a site shows if it has none of its own.
DJANGOS_404 = ("The requested resource was not found on this server.", "Using the URLconf defined in")

# Headers that every page must have, and their allowed values.
HEADERS = {
    "X-Content-Type-Options": {"nosniff"},
    "X-Frame-Options": {"DENY"},
    "Referrer-Policy": {"no-referrer", "same-origin", "strict-origin", "strict-origin-when-cross-origin"},
    "Cross-Origin-Opener-Policy": {"same-origin", "same-origin-allow-popups"},
    "Cross-Origin-Resource-Policy": {"same-origin"},
}
# Text on Django's pages for developers. It includes tags, which the name of a site cannot have.
DEBUG_PAGES = (
    "Traceback (most recent call last):",
    "<code>DEBUG = True</code>",
    "Using the URLconf defined in <code>",
    ">Django Version:<",
)

Note = Callable[[str], None]


@pytest.fixture
def visitor(site: Site) -> Iterator[Visitor]:
    """Return a new visitor."""
    visitor = Visitor(site)
    with visitor.session:
        yield visitor


@pytest.fixture(scope="session")
def home(site: Site) -> Iterator[requests.Response]:
    """Return the home page with any status, for all checks that need it."""
    visitor = Visitor(site)
    with visitor.session:
        yield visitor.get(site.known.home, expect=None)


@pytest.fixture
def stylesheet(site: Site, visitor: Visitor, home: requests.Response) -> str:
    """Return the URL of a static file on the home page, or else on the login page."""
    for page in (home, visitor.account_page(LOG_IN, expect=None)):
        if stylesheets := [each for each in Page(page).stylesheets if each.startswith(f"{site.url}/")]:
            return stylesheets[0]
    pytest.fail("neither the home page nor the login page names a stylesheet of this site")


def test_http_leads_to_https(site: Site, visitor: Visitor) -> None:
    assert site.url.startswith("https://"), "the address of the site is not https://"
    if not site.http_url:
        pytest.skip(site.no_http)
    path = f"{site.known.account(LOG_IN)}?next=/"
    answer = visitor.get(site.http_url + path, expect=None)
    assert answer.status_code in REDIRECTS, f"over http, {told(answer)}"
    leads_to = answer.headers["Location"]
    assert leads_to == site.url + path, f"{site.http_url}{path} leads to {leads_to}"


def test_the_process_is_healthy(visitor: Visitor) -> None:
    answer = visitor.get("/health/")
    assert answer.json() == {"status": "ok"}, f"/health/ says {answer.text[:300]}"


def test_what_the_site_needs_is_ready(visitor: Visitor) -> None:
    answer = visitor.get("/ready/", expect=None)
    assert answer.status_code == 200, f"{told(answer)}: {answer.text[:300]}"
    assert answer.json()["status"] == "ready", f"/ready/ says {answer.text[:300]}"


def test_the_home_page_is_shown(home: requests.Response) -> None:
    assert home.status_code == 200, f"{told(home)} {change('home')}"
    kind = home.headers.get("Content-Type", "")
    assert kind.startswith("text/html"), f"the home page is of the type {kind!r}"
    # One that was cut off is no answer: urllib3 compares the length.
    assert home.text.strip(), "the home page is empty"


# A site that is down passes no check.
@pytest.mark.usefixtures("home")
def test_further_pages_are_shown(site: Site, visitor: Visitor, note: Note) -> None:
    wrong = [
        f"{told(answer)} {change('pages')}"
        for answer in (visitor.get(path, expect=None) for path in site.known.pages)
        if answer.status_code != 200
    ]
    log_in = site.known.account(LOG_IN)
    for path in site.known.member_pages:
        answer = visitor.get(path, expect=None)
        leads_to = urljoin(answer.url, answer.headers.get("Location", ""))
        if answer.status_code not in REDIRECTS or not leads_to.startswith(site.url + log_in):
            wrong.append(f"{told(answer)}, and not to the login {change('member_pages')}")
    assert not wrong, "; ".join(wrong)
    if not (site.known.pages or site.known.member_pages):
        note(f"none is named: `pages` under {TABLE}")


def test_static_files_are_hashed_and_kept_for_a_year(visitor: Visitor, stylesheet: str) -> None:
    assert re.search(r"\.[0-9a-f]{8,}\.css$", stylesheet), f"{stylesheet} has no hash in its name"
    caching = visitor.get(stylesheet).headers.get("Cache-Control", "")
    age = re.search(r"max-age=(\d+)", caching)
    assert age, f"the Cache-Control of {stylesheet} is {caching!r}"
    assert int(age[1]) >= A_YEAR, caching
    assert "immutable" in caching, caching


def test_static_files_are_compressed(visitor: Visitor, stylesheet: str) -> None:
    plain = visitor.get(stylesheet, {"Accept-Encoding": "identity"})
    for encoding in ("gzip", "br"):
        packed = visitor.get(stylesheet, {"Accept-Encoding": encoding})
        sent = packed.headers.get("Content-Encoding")
        assert sent == encoding, f"asked for {encoding}, {stylesheet} comes as {sent or 'plain text'}"
        assert packed.text == plain.text, f"compressed by {encoding}, {stylesheet} is another file"


def test_browsers_are_told_to_stay_with_https(home: requests.Response, note: Note) -> None:
    policy = home.headers.get("Strict-Transport-Security", "")
    age = re.search(r"max-age=(\d+)", policy)
    assert age, "the home page has no Strict-Transport-Security"
    assert int(age[1]) > 0, policy
    note(policy)


def test_the_content_security_policy_is_strict(home: requests.Response) -> None:
    policy = home.headers.get("Content-Security-Policy", "")
    assert policy, "the home page has no Content-Security-Policy"
    directives = {name: values for name, *values in (part.split() for part in policy.split(";") if part.strip())}
    assert directives.get("default-src") == ["'none'"], policy
    assert not re.search("'unsafe-(inline|eval)'", policy), policy
    # These directives do not fall back to default-src.
    for name in ("base-uri", "form-action", "frame-ancestors"):
        assert name in directives, f"the Content-Security-Policy says nothing about {name}"


def test_security_headers_are_set(home: requests.Response) -> None:
    wrong = [name for name, good in HEADERS.items() if home.headers.get(name, "").strip() not in good]
    wrong += ["Permissions-Policy"] if not home.headers.get("Permissions-Policy") else []
    assert not wrong, "; ".join(f"{name} is {home.headers.get(name, 'missing')}" for name in wrong)


def test_request_ids_are_kept_or_replaced(visitor: Visitor) -> None:
    given = secrets.token_hex(16)
    kept = visitor.get("/health/", {"X-Request-ID": given}).headers.get("X-Request-ID")
    assert kept == given, f"for the request id {given} comes {kept}"
    for hostile in ('<b onclick="x">', "a" * 65):
        replaced = visitor.get("/health/", {"X-Request-ID": hostile}).headers.get("X-Request-ID", "")
        assert re.fullmatch(r"[A-Za-z0-9._-]{1,64}", replaced), f"for {hostile} comes {replaced or 'no request id'}"


def test_one_can_sign_up_log_out_log_in_and_delete_the_account(site: Site, home: requests.Response) -> None:
    said = site.known.sign_up
    if said == "unchecked":
        pytest.skip(f"not tried, as `sign_up` says under {TABLE}")
    with Account(site) as account:
        page = account.visitor.account_page(SIGN_UP)
        if form := Page(page).form_with("email"):
            assert said != "closed", f"{form.action} has a form {change('sign_up')}"
        else:
            assert said != "open", f"{page.url} has no form {change('sign_up')}"
            leads_to_none = said == "auto" and page.url in Page(home).links
            assert not leads_to_none, f"the home page leads to sign-up, which has no form {change('sign_up')}"
            pytest.skip("sign-up is closed: no account was made, and logging in was not tried")
        leads_to = account.sign_up(page)
        if "confirm-email" in leads_to:
            account.waits_for_mail = True
            page = account.visitor.get(leads_to)
            assert not any(sign in page.text for sign in NOT_SENT), "the mail server did not take the mail"
            pytest.skip(f"sign-up waits for the mail to {account.email}: deleted again, and logging in was not tried")
        assert account.visitor.is_logged_in(), "after signing up one is not logged in"
        account.log_out()
        account.log_in()
        for path in site.known.member_pages:
            answer = account.visitor.get(path, expect=None)
            assert answer.status_code == 200, f"after logging in, {told(answer)} {change('member_pages')}"


def test_a_task_is_done(site: Site, visitor: Visitor, note: Note) -> None:
    if site.no_tasks:
        pytest.skip(site.no_tasks)
    page = visitor.account_page(LOG_IN)
    form = Page(page).form_with("csrfmiddlewaretoken")
    assert form, "the page to log in has no form with a CSRF token"
    started = time.monotonic()
    asked = visitor.post(TASK, {"csrfmiddlewaretoken": form.fields["csrfmiddlewaretoken"]}, referer=page.url)
    assert asked.status_code == 202, f"{told(asked)}: {asked.text[:300]}"
    while not visitor.get(f"{TASK}?key={asked.json()['key']}").json()["done"]:
        assert time.monotonic() - started < TASK_TIMEOUT, f"not done after {TASK_TIMEOUT} s: is a worker there?"
        time.sleep(0.2)
    note(f"after {time.monotonic() - started:.1f} s")


def test_cookies_are_secure(site: Site, visitor: Visitor, note: Note) -> None:
    visitor.account_page(LOG_IN)
    wrong, names = [], set()
    for line in site.set_cookies:
        name, attributes = parsed(line)
        if attributes.get("max-age") == "0":
            # This header deletes a cookie.
            continue
        names.add(name)
        if "secure" not in attributes or "samesite" not in attributes:
            wrong.append(f"{name} is not Secure and SameSite")
        if re.search("session|csrf", name) and not name.startswith("__Host-"):
            wrong.append(f"{name} has no __Host- before its name")
        if "session" in name and "httponly" not in attributes:
            wrong.append(f"{name} is not HttpOnly")
        if name.startswith("__Host-") and ("domain" in attributes or attributes.get("path") != "/"):
            wrong.append(f"browsers refuse {name}, for its Path or Domain")
    assert not wrong, "; ".join(sorted(set(wrong)))
    assert any("csrf" in name for name in names), "the login page sets no CSRF cookie"
    if not any("session" in name for name in names):
        note("no session cookie was seen, since nobody logged in")


def parsed(set_cookie: str) -> tuple[str, dict[str, str]]:
    """Return the name of the cookie that a header sets, and its attributes in lower case."""
    first, *rest = (part.strip().partition("=") for part in set_cookie.split(";"))
    return first[0], {name.lower(): value for name, _, value in rest}


def test_a_form_without_its_token_is_refused(visitor: Visitor) -> None:
    page = visitor.account_page(LOG_IN)
    visitor.post(page.url, {"login": "", "password": ""}, expect=403)


def test_the_admin_leads_to_the_login(site: Site, visitor: Visitor) -> None:
    if not site.known.admin:
        pytest.skip(f"there is none, as `admin` says under {TABLE}")
    answer = visitor.get(site.known.admin, expect=None)
    for _ in range(3):
        if answer.status_code in REDIRECTS:
            answer = visitor.get(urljoin(answer.url, answer.headers["Location"]), expect=None)
    assert answer.status_code == 200, f"{told(answer)} {change('admin')}"
    # The site's own login limits how often one may try, which the admin's does not.
    log_in = site.url + site.known.account(LOG_IN)
    assert answer.url.startswith(log_in), f"the admin leads to {answer.url} {change('admin')}"
    assert Page(answer).form_with("login"), "the login page has no form"


def test_an_unknown_address_gets_the_404_page(visitor: Visitor) -> None:
    answer = visitor.get(UNKNOWN, expect=404)
    # What stands before the site gives its answers no id, and Django's page is its own.
    assert "X-Request-ID" in answer.headers, "the 404 page is not the site's own: it has no request id"
    assert not any(sign in answer.text for sign in DJANGOS_404), "the 404 page is not the site's own: it is Django's"


def test_no_page_is_one_for_developers(site: Site, visitor: Visitor) -> None:
    missing = visitor.get(UNKNOWN, expect=None)
    refused = visitor.post(site.known.account(LOG_IN), {})
    for answer in (missing, refused):
        for sign in DEBUG_PAGES:
            assert sign not in answer.text, f"{told(answer)} with {sign!r} on the page"


def test_static_files_of_all_these_pages_are_there(site: Site, visitor: Visitor, stylesheet: str) -> None:
    # What else pages show, such as uploads, is not of this release.
    static = urljoin(stylesheet, f"/{urlsplit(stylesheet).path.split('/')[1]}/")
    missing = [
        f"{told(answer)}, and {urlsplit(page).path} names it"
        for file, page in sorted(site.files.items())
        if file.startswith(static) and (answer := visitor.get(file, expect=None)).status_code != 200
    ]
    assert not missing, "; ".join(missing)
