"""Visit the pages of a site in a browser, in all their states, for tests and screenshots."""

import base64
import hmac
import re
import secrets
import struct
import time
from collections.abc import Callable, Iterator

from playwright.sync_api import Page, Response

PASSWORD = "correct horse battery staple"
NEW_PASSWORD = "staple battery horse correct"
ADMIN = "admin@example.com"
# More than the number of links, fields and buttons on any page.
MOST_TABS = 60
# An email address of the maximum length, without a place for a line break.
LONG = f"{'long' * 16}@{'very-long-name.' * 8}example.com"


def app_code(secret: str, step: int = 0) -> str:
    """Return the code that an app shows (RFC 6238), now or some steps of 30 seconds later."""
    counter = struct.pack(">Q", int(time.time()) // 30 + step)
    digest = hmac.digest(base64.b32decode(secret), counter, "sha1")
    (number,) = struct.unpack_from(">I", digest, digest[-1] & 15)
    return f"{(number & 0x7FFFFFFF) % 1_000_000:06}"


class Tour:
    """A visitor with a browser.

    Args:
        page: the browser's page.
        url: the site's URL.
        newest: returns the text of the newest email; None if the site sends none.
    """

    def __init__(self, page: Page, url: str, newest: Callable[[], str] | None = None) -> None:
        self.page = page
        self.url = url
        self.newest = newest
        self.answers: list[Response] = []
        page.on(
            "response", lambda answer: self.answers.append(answer) if answer.request.is_navigation_request() else None
        )
        self.email = f"{secrets.token_hex(6)}@example.com"

    def visit(self, path: str) -> int:
        """Go to a page, and return its status."""
        answer = self.page.goto(f"{self.url}{path}", wait_until="load")
        assert answer is not None
        return answer.status

    def source(self) -> str:
        """Return the HTML of the page as the server sent it."""
        return self.answers[-1].text()

    def reach(self, selector: str) -> None:
        """Press Tab until an element has the focus."""
        for _ in range(MOST_TABS):
            self.page.keyboard.press("Tab")
            if self.page.evaluate("selector => document.activeElement.matches(selector)", selector):
                return
        raise AssertionError(f"the keyboard does not reach {selector} on {self.page.url}")

    def send(self, button: str = "main form button", **fields: str) -> None:
        """Fill in the page's form and send it, by keyboard only."""
        for name, value in fields.items():
            self.reach(f"main [name={name}]:not([type=hidden])")
            self.page.keyboard.press("Control+A")
            self.page.keyboard.insert_text(value)
        self.reach(button)
        with self.page.expect_navigation():
            self.page.keyboard.press("Enter")

    def link(self, part: str) -> str:
        """Return the path of the link in the newest email that contains this part."""
        assert self.newest is not None
        found = re.search(rf"https?://[^/\s]+(/\S*{part}\S*)", self.newest())
        assert found
        return found[1]

    def visitor(self) -> Iterator[str]:
        """Yield the name of each state that a visitor without an account sees, while the browser shows it."""
        self.visit("/")
        yield "home"
        self.visit("/accounts/login/")
        yield "login"
        self.send(login="nobody@example.com", password="wrong")
        yield "login-wrong"
        self.visit("/accounts/signup/")
        yield "signup"
        self.send(email=self.email, password1="12345", password2="1234")
        yield "signup-wrong"
        self.visit("/no-such-page/")
        yield "404"
        self.visit("/accounts/inactive/")
        yield "inactive"
        self.visit("/accounts/confirm-email/none/")
        yield "confirm-old-link"
        self.visit("/accounts/password/reset/key/1-none/")
        yield "reset-old-link"
        self.visit("/accounts/password/reset/")
        yield "reset"

    def member(self) -> Iterator[str]:
        """Yield each state from sign-up to the deletion of the account, on a site with email."""
        self.visit("/accounts/signup/")
        self.send(email=self.email, password1=PASSWORD, password2=PASSWORD)
        yield "signup-sent"
        self.visit(self.link("confirm-email/"))
        yield "confirm"
        self.send()
        yield "confirmed"
        self.visit("/accounts/password/reset/")
        self.send(email=self.email)
        yield "reset-sent"
        self.visit(self.link("password/reset/key/"))
        yield "reset-form"
        self.send(password1="12345", password2="12345")
        yield "reset-form-wrong"
        self.send(password1=PASSWORD, password2=PASSWORD)
        yield "reset-done"
        self.send(login=self.email, password=PASSWORD)
        yield "home-member"
        self.reach("summary")
        self.page.keyboard.press("Enter")
        yield "home-menu"
        self.visit("/accounts/password/change/")
        yield "password"
        self.send(oldpassword="wrong", password1=NEW_PASSWORD, password2="other")
        yield "password-wrong"
        self.send(oldpassword=PASSWORD, password1=NEW_PASSWORD, password2=NEW_PASSWORD)
        yield "password-done"
        self.visit("/accounts/email/")
        yield "email"
        self.send("[name=action_add]", email=LONG)
        if "reauthenticate" in self.page.url:
            yield "reauthenticate"
            self.send(password=NEW_PASSWORD)
        yield "email-added"
        self.visit("/accounts/email/")
        self.send("[name=action_add]", email=self.email)
        yield "email-wrong"
        self.visit("/admin/")
        yield "403"
        self.visit("/accounts/logout/")
        yield "logout"
        self.visit("/accounts/delete/")
        yield "delete"
        self.send(password="wrong")
        yield "delete-wrong"
        self.send(password=NEW_PASSWORD)
        yield "deleted"

    def staff(self) -> Iterator[str]:
        """Yield the states that an administrator sees."""
        self.visit("/accounts/login/?next=/admin/")
        self.send(login=ADMIN, password=PASSWORD)
        yield "admin"
        self.visit("/")
        yield "home-staff"

    def assistant(self) -> Iterator[str]:
        """Yield the states of the assistant's page, on a site without email."""
        self.visit("/accounts/signup/")
        self.send(email=self.email, password1=PASSWORD, password2=PASSWORD)
        self.visit("/assistant/")
        yield "assistant"
        self.send(prompt="What is it?")
        yield "assistant-answered"

    def log_out(self) -> None:
        """Log out, and go to the login page."""
        self.visit("/accounts/logout/")
        self.send()
        self.visit("/accounts/login/?next=/admin/")

    def press(self, selector: str) -> None:
        """Press a button that a script answers, by keyboard, and wait for the next page."""
        self.reach(selector)
        with self.page.expect_navigation():
            self.page.keyboard.press("Enter")

    def second_factors(self) -> Iterator[str]:
        """Yield the states of an administrator with an app, recovery codes and a passkey, on a site with no other way into the admin.

        The browser has to have a virtual authenticator.
        """
        self.visit("/accounts/login/?next=/admin/")
        yield "login-passkey"
        self.send(login=ADMIN, password=PASSWORD)
        yield "second-factors"
        self.visit("/accounts/2fa/totp/activate/")
        self.send(password=PASSWORD)
        yield "app"
        self.send(code="1")
        yield "app-wrong"
        secret = self.page.input_value("#authenticator_secret")
        self.send(code=app_code(secret))
        yield "recovery-codes"
        recovery = self.page.input_value("#recovery_codes").split()[0]
        self.visit("/admin/")
        yield "second-factor-again"
        self.send(code=app_code(secret))
        yield "admin"
        self.log_out()
        self.send(login=ADMIN, password=PASSWORD)
        yield "second-factor"
        self.send(code="1")
        yield "second-factor-wrong"
        # A code is good once, and the next one already is.
        self.send(code=app_code(secret, 1))
        yield "admin"
        self.log_out()
        self.send(login=ADMIN, password=PASSWORD)
        self.send(code=recovery)
        yield "admin"
        self.visit("/accounts/2fa/webauthn/add/")
        self.send(password=PASSWORD)
        yield "key-add"
        self.press("#mfa_webauthn_add")
        yield "second-factors-all"
        self.visit("/accounts/2fa/recovery-codes/generate/")
        yield "recovery-codes-generate"
        self.visit("/accounts/2fa/totp/deactivate/")
        yield "app-remove"
        self.visit("/accounts/2fa/webauthn/")
        yield "keys"
        edit, remove = self.page.eval_on_selector_all("main .rows a", "links => links.map(link => link.pathname)")
        self.visit(edit)
        yield "key-edit"
        self.visit(remove)
        yield "key-remove"
        self.log_out()
        self.press("#passkey_login")
        yield "admin"
        self.log_out()
        self.send(login=ADMIN, password=PASSWORD)
        self.press("#mfa_webauthn_authenticate")
        yield "admin"

    def development(self) -> Iterator[str]:
        """Yield the states that only development has."""
        self.visit("/")
        yield "welcome"
        for error in ("400", "403", "429", "500", "csrf"):
            self.visit(f"/development/errors/{error}/")
            yield f"error-{error}"
