"""Visitors of the site: what they see, and what they do with it."""

import secrets
from dataclasses import dataclass, field
from html.parser import HTMLParser
from types import TracebackType
from typing import Self, override
from urllib.parse import urljoin, urlsplit

import requests

from smoke.known import TABLE, change
from smoke.server import Site

# Seconds to connect, and to wait for an answer: a site that sleeps may take so long to wake up.
TIMEOUT = (5, 30)
REDIRECTS = {301, 302, 303, 307, 308}

# Account pages; where they are, Known.accounts says.
SIGN_UP = "signup/"
LOG_IN = "login/"
LOG_OUT = "logout/"
ACCOUNT_PAGE = "password/change/"
DELETE = "delete/"


@dataclass
class Form:
    """A form of a page: where it goes, what it sends if nothing is filled in, and which fields need a value."""

    action: str
    fields: dict[str, str] = field(default_factory=dict)
    required: list[str] = field(default_factory=list)


class Page(HTMLParser):
    """What the checks look at in a page."""

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
        """Add what a `<link>` names, if a browser loads it."""
        if "stylesheet" in kinds:
            self.stylesheets.append(address)
        if "stylesheet" in kinds or "icon" in kinds:
            self.files.append(address)

    def add_field(self, tag: str, values: dict[str, str]) -> None:
        """Add a field to the last form, with what it sends unless it is filled in."""
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
        """The first form that has a field of that name."""
        return next((form for form in self.forms if name in form.fields), None)


class Visitor:
    """Someone at a browser of their own. It keeps cookies, follows no redirect and repeats nothing."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.session = requests.Session()
        # A connection a request: none can fail for the server having closed an idle one.
        self.session.headers.update({"User-Agent": "smoke", "Connection": "close"})

    def get(self, path: str, headers: dict[str, str] | None = None, *, expect: int | None = 200) -> requests.Response:
        """The answer to a path or an address, which has to have the expected status unless that is None."""
        return self.ask("GET", path, headers, expect=expect)

    def post(
        self, path: str, fields: dict[str, str], *, referer: str = "", expect: int | None = None
    ) -> requests.Response:
        """The answer to a form as a browser sends it, filled in on the page `referer`."""
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
        """The answer to one request."""
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
            raise AssertionError(f"{method} {address} got no answer: {cause}") from None
        self.site.set_cookies += answer.raw.headers.getlist("Set-Cookie")
        if "html" in answer.headers.get("Content-Type", ""):
            for file in Page(answer).files:
                self.site.files.setdefault(file, answer.url)
        moved = answer.status_code == 404 and address.startswith(self.site.url + self.site.known.accounts)
        hint = f" {change('accounts')}" if moved else ""
        assert expect in (None, answer.status_code), f"{told(answer)}, not {expect}{hint}"
        return answer

    def account_page(self, page: str, *, expect: int | None = 200) -> requests.Response:
        """The answer to an account page, such as LOG_IN."""
        return self.get(self.site.known.account(page), expect=expect)

    def submit(self, answer: requests.Response, needs: str, /, **filled: str) -> requests.Response:
        """Fill in the form of a page that has the field `needs`, and send it as a browser does."""
        __tracebackhide__ = True
        form = Page(answer).form_with(needs)
        assert form, f"{urlsplit(answer.url).path} has no form with the field {needs}"
        assert form.fields.get("csrfmiddlewaretoken"), f"the form of {urlsplit(answer.url).path} has no CSRF token"
        assert form.action.startswith(f"{self.site.url}/"), f"a form leads to another site: {form.action}"
        return self.post(form.action, {**form.fields, **filled}, referer=answer.url)

    def is_logged_in(self) -> bool:
        """Whether the page that needs a login is shown, and not the way to the login."""
        answer = self.account_page(ACCOUNT_PAGE, expect=None)
        assert answer.status_code in {200, *REDIRECTS}, told(answer)
        return answer.status_code == 200


def told(answer: requests.Response) -> str:
    """What was asked, and how it was answered."""
    path = urlsplit(answer.url).path
    where = f" to {answer.headers['Location']}" if "Location" in answer.headers else ""
    return f"{answer.request.method} {path} is answered {answer.status_code}{where}"


class Account:
    """An account made over the forms. The end of its `with` block deletes it, however the block ends."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.visitor = Visitor(site)
        self.email = f"smoke-{secrets.token_hex(8)}@example.com"
        self.password = secrets.token_urlsafe(24)
        self.can_be_deleted = False
        self.waits_for_mail = False

    def __enter__(self) -> Self:
        """The account, which `sign_up` makes."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Delete it, and name it if that fails.

        Raises:
            AssertionError: it may be left.
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
        """Send the form of the sign-up page; gives where that leads."""
        # What fails from here on may have failed after the account was made.
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
        """Log out by the page that asks whether to."""
        accepted(self.visitor.submit(self.visitor.account_page(LOG_OUT), "csrfmiddlewaretoken"))
        assert not self.visitor.is_logged_in(), "after logging out one is still logged in"

    def log_in(self) -> None:
        """Log in by the form."""
        page = self.visitor.account_page(LOG_IN)
        accepted(self.visitor.submit(page, "login", login=self.email, password=self.password))
        assert self.visitor.is_logged_in(), "after logging in one is not logged in"

    def delete(self) -> None:
        """Delete it by its own page, after a login from another browser if need be."""
        if not self.waits_for_mail and not self.visitor.is_logged_in():
            self.visitor.session.close()
            self.visitor = Visitor(self.site)
            self.log_in()
        accepted(self.visitor.submit(self.visitor.account_page(DELETE), "password", password=self.password))
        page = self.visitor.account_page(LOG_IN)
        answer = self.visitor.submit(page, "login", login=self.email, password=self.password)
        assert answer.status_code not in REDIRECTS, "one can log in to the account that was deleted"


def accepted(answer: requests.Response) -> str:
    """Where a form leads that was taken; one that was refused is shown again, with the reasons."""
    __tracebackhide__ = True
    assert answer.status_code in REDIRECTS, " ".join([told(answer), *Page(answer).errors])
    return answer.headers["Location"]


def first_line(error: BaseException) -> str:
    """What an error says, without what pytest explains below."""
    return (str(error) or type(error).__name__).splitlines()[0]
