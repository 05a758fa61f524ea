"""Act as visitors of the site: read its pages, fill in its forms, make an account."""

import secrets
from dataclasses import dataclass, field
from html.parser import HTMLParser
from types import TracebackType
from typing import Self, override
from urllib.parse import urljoin, urlsplit

import requests

from smoke.known import TABLE, change
from smoke.server import Site

# Seconds to connect, and to wait for a response: a sleeping site may take that long to wake up.
TIMEOUT = (5, 30)
REDIRECTS = {301, 302, 303, 307, 308}

# Account pages, below the path Known.accounts.
SIGN_UP = "signup/"
LOG_IN = "login/"
LOG_OUT = "logout/"
ACCOUNT_PAGE = "password/change/"
DELETE = "delete/"


@dataclass
class Form:
    """Describe a form: its action, the values that it sends unless they are changed, and its required fields."""

    action: str
    fields: dict[str, str] = field(default_factory=dict)
    required: list[str] = field(default_factory=list)


class Page(HTMLParser):
    """Find what the checks need in a page."""

    def __init__(self, answer: requests.Response) -> None:
        super().__init__()
        self.stylesheets: list[str] = []
        self.files: list[str] = []
        self.links: list[str] = []
        self.forms: list[Form] = []
        self.errors: list[str] = []
        self.in_errors = False
        self.address = answer.url
        self.feed(answer.text)

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag in ("img", "script") and values.get("src"):
            self.files.append(urljoin(self.address, values["src"]))
        elif tag == "link" and values.get("href"):
            self.add_link(values.get("rel", "").split(), urljoin(self.address, values["href"]))
        elif tag == "a":
            self.links.append(urljoin(self.address, values.get("href")))
        elif tag == "form":
            self.forms.append(Form(urljoin(self.address, values.get("action"))))
        elif tag in ("input", "select", "textarea") and self.forms and values.get("name"):
            self.add_field(tag, values)
        elif "errorlist" in values.get("class", ""):
            self.in_errors = True

    def add_link(self, kinds: list[str], address: str) -> None:
        """Add the file of a `<link>`, if a browser loads it."""
        if "stylesheet" in kinds:
            self.stylesheets.append(address)
        if "stylesheet" in kinds or "icon" in kinds:
            self.files.append(address)

    def add_field(self, tag: str, values: dict[str, str]) -> None:
        """Add a field to the last form, with its initial value."""
        form = self.forms[-1]
        if "required" in values:
            form.required.append(values["name"])
        if tag == "input" and (values.get("type") not in ("checkbox", "radio") or "checked" in values):
            form.fields[values["name"]] = values.get("value", "")

    @override
    def handle_endtag(self, tag: str) -> None:
        self.in_errors = self.in_errors and tag != "ul"

    @override
    def handle_data(self, data: str) -> None:
        if self.in_errors and data.strip():
            self.errors.append(data.strip())

    def form_with(self, name: str) -> Form | None:
        """Return the form that has a field of that name: the page's own, or else the first, since all pages may have one."""
        found = [form for form in self.forms if name in form.fields]
        return next((form for form in found if form.action == self.address), found[0] if found else None)


class Visitor:
    """Act as one visitor with one browser: keep cookies, follow no redirect, do not retry."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.session = requests.Session()
        # Open a connection for each request, so that none fails because the server closed an idle one.
        self.session.headers.update({"User-Agent": "smoke", "Connection": "close"})

    def get(self, path: str, headers: dict[str, str] | None = None, *, expect: int | None = 200) -> requests.Response:
        """Return the response to a path or URL. It must have the expected status, unless that is None."""
        return self.ask("GET", path, headers, expect=expect)

    def post(
        self, path: str, fields: dict[str, str], *, referer: str = "", expect: int | None = None
    ) -> requests.Response:
        """Send a form as a browser does from the page `referer`, and return the response."""
        return self.ask(
            "POST", path, {"Origin": self.site.url, "Referer": referer or self.site.url + path}, fields, expect=expect
        )

    def ask(
        self,
        method: str,
        path: str,
        headers: dict[str, str] | None = None,
        fields: dict[str, str] | None = None,
        *,
        expect: int | None,
    ) -> requests.Response:
        """Send one request, and return the response."""
        __tracebackhide__ = True
        address = urljoin(self.site.url, path)
        try:
            answer = self.session.request(
                method,
                address,
                headers=headers,
                data=fields,
                timeout=TIMEOUT,
                allow_redirects=False,
                verify=self.site.ca_file or True,
            )
        except requests.RequestException as error:
            cause = getattr(error.args[0], "reason", error) if error.args else error
            raise AssertionError(f"{method} {address} got no response: {cause}") from None
        self.site.set_cookies += answer.raw.headers.getlist("Set-Cookie")
        if "html" in answer.headers.get("Content-Type", ""):
            for file in Page(answer).files:
                self.site.files.setdefault(file, answer.url)
        moved = answer.status_code == 404 and address.startswith(self.site.url + self.site.known.accounts)
        hint = f" {change('accounts')}" if moved else ""
        assert expect in (None, answer.status_code), f"{told(answer)}, not {expect}{hint}"
        return answer

    def account_page(self, page: str, *, expect: int | None = 200) -> requests.Response:
        """Return the response to an account page, such as LOG_IN."""
        return self.get(self.site.known.account(page), expect=expect)

    def submit(self, answer: requests.Response, needs: str, /, **filled: str) -> requests.Response:
        """Fill in the form that has the field `needs`, and send it as a browser does."""
        __tracebackhide__ = True
        form = Page(answer).form_with(needs)
        assert form, f"{urlsplit(answer.url).path} has no form with the field {needs}"
        assert form.fields.get("csrfmiddlewaretoken"), f"the form of {urlsplit(answer.url).path} has no CSRF token"
        assert form.action.startswith(f"{self.site.url}/"), f"a form goes to another site: {form.action}"
        return self.post(form.action, {**form.fields, **filled}, referer=answer.url)

    def is_logged_in(self) -> bool:
        """Return whether a page that requires login is shown, instead of a redirect to the login."""
        answer = self.account_page(ACCOUNT_PAGE, expect=None)
        assert answer.status_code in {200, *REDIRECTS}, told(answer)
        return answer.status_code == 200


def told(answer: requests.Response) -> str:
    """Return a request and the status of its response, in words."""
    path = urlsplit(answer.url).path
    where = f" to {answer.headers['Location']}" if "Location" in answer.headers else ""
    return f"{answer.request.method} {path} is answered {answer.status_code}{where}"


class Account:
    """Sign up with the site's forms. The end of the `with` block deletes the account, however the block ends."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.visitor = Visitor(site)
        self.email = f"smoke-{secrets.token_hex(8)}@example.com"
        self.password = secrets.token_urlsafe(24)
        self.can_be_deleted = False
        self.waits_for_mail = False

    def __enter__(self) -> Self:
        """Return the account, which `sign_up` makes."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Delete the account, and name it if that fails.

        Raises:
            AssertionError: the account may be left.
        """
        try:
            if self.can_be_deleted:
                self.delete()
        except Exception as error:
            first = f"{first_line(failure)}; then " if failure else ""
            raise AssertionError(f"{first}{first_line(error)}; {self.email} may be left") from error
        finally:
            self.visitor.session.close()

    def sign_up(self, page: requests.Response) -> str:
        """Send the form of the sign-up page, and return the URL that it redirects to."""
        # A failure from here on may come after the account was made.
        self.can_be_deleted = True
        filled = {"email": self.email, "password1": self.password, "password2": self.password}
        filled |= self.site.known.filled_in(self.email)
        answer = self.visitor.submit(page, "email", **filled)
        if answer.status_code < 500 and answer.status_code not in REDIRECTS:
            self.can_be_deleted = False
            form = Page(page).form_with("email")
            empty = [name for name in form.required if not {**form.fields, **filled}.get(name)] if form else []
            needs = f"it needs {', '.join(empty)}" if empty else "what the form needs"
            raise AssertionError(
                f"{told(answer)}: {' '.join(Page(answer).errors)} ({needs}: `sign_up_fields` under {TABLE} fills it in)"
            )
        return accepted(answer)

    def log_out(self) -> None:
        """Log out on the logout page."""
        accepted(self.visitor.submit(self.visitor.account_page(LOG_OUT), "csrfmiddlewaretoken"))
        assert not self.visitor.is_logged_in(), "still logged in after logout"

    def log_in(self) -> None:
        """Log in with the form."""
        page = self.visitor.account_page(LOG_IN)
        accepted(self.visitor.submit(page, "login", login=self.email, password=self.password))
        assert self.visitor.is_logged_in(), "not logged in after login"

    def delete(self) -> None:
        """Delete the account on its own page; log in from another browser first if necessary."""
        if not self.waits_for_mail and not self.visitor.is_logged_in():
            self.visitor.session.close()
            self.visitor = Visitor(self.site)
            self.log_in()
        accepted(self.visitor.submit(self.visitor.account_page(DELETE), "password", password=self.password))
        page = self.visitor.account_page(LOG_IN)
        answer = self.visitor.submit(page, "login", login=self.email, password=self.password)
        assert answer.status_code not in REDIRECTS, "the deleted account can still log in"


def accepted(answer: requests.Response) -> str:
    """Return the URL that an accepted form redirects to. A refused form is shown again, with the reasons, and fails."""
    __tracebackhide__ = True
    assert answer.status_code in REDIRECTS, " ".join([told(answer), *Page(answer).errors])
    return answer.headers["Location"]


def first_line(error: BaseException) -> str:
    """Return the first line of an error, without pytest's explanation below."""
    return (str(error) or type(error).__name__).splitlines()[0]
