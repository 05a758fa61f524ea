"""Read what the suite knows about the site: `[tool.smoke.site]` in pyproject.toml, which the site's owner edits."""

import secrets
import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

TABLE = "[tool.smoke.site] in pyproject.toml"
SIGN_UP = ("auto", "open", "closed", "unchecked")


class TableError(Exception):
    """Name the key of the table that is unknown or has a wrong value."""


@dataclass(frozen=True)
class Known:
    """Hold what the suite knows about the site.

    Attributes:
        home: the path of a public page.
        accounts: the path that the account pages are below.
        admin: the path of the admin; empty if there is none.
        pages: the paths of further public pages.
        member_pages: the paths of pages that redirect a visitor to the login, and that a member sees.
        sign_up: whether visitors can sign up: one of SIGN_UP.
        sign_up_fields: the values of form fields that sign-up requires besides an email address and a password.
    """

    home: str = "/"
    accounts: str = "/accounts/"
    admin: str = "/admin/"
    pages: list[str] = field(default_factory=list)
    member_pages: list[str] = field(default_factory=list)
    sign_up: str = "auto"
    sign_up_fields: dict[str, str] = field(default_factory=dict)

    def account(self, page: str) -> str:
        """Return the path of an account page, such as `login/`."""
        return self.accounts + page

    def filled_in(self, email: str) -> dict[str, str]:
        """Return `sign_up_fields` for one sign-up, with `{email}` and `{random}` (new each time) replaced."""
        random = secrets.token_hex(8)
        return {
            name: value.replace("{email}", email).replace("{random}", random)
            for name, value in self.sign_up_fields.items()
        }


def known(project: Path) -> Known:
    """Return what the suite knows about the site of the project in a folder.

    Raises:
        TableError: a key is unknown, or its value is wrong.
    """
    text = (project / "pyproject.toml").read_text(encoding="utf-8")
    table: dict[str, Any] = tomllib.loads(text)["tool"]["smoke"].get("site", {})
    keys = [each.name for each in fields(Known)]
    for key, value in table.items():
        if key not in keys:
            raise TableError(f"{TABLE}: `{key}` is not a key. The keys are {', '.join(keys)}")
        if wanted := problem(key, value):
            raise TableError(f"{TABLE}: `{key}` must be {wanted}, not {value!r}")
    return Known(**table)


def problem(key: str, value: object) -> str:
    """Return what the value of a key must be; an empty text if the value is right."""
    if key == "sign_up":
        return "" if value in SIGN_UP else f"one of {', '.join(SIGN_UP)}"
    if key == "sign_up_fields":
        right = isinstance(value, dict) and all(isinstance(each, str) for each in value.values())
        return "" if right else 'a table of texts, like { terms = "on" }'
    if key in ("pages", "member_pages"):
        right = isinstance(value, list) and all(is_path(each) for each in value)
        return "" if right else 'a list of paths, like ["/about/"]'
    if key == "admin" and value == "":
        return ""
    if key == "accounts":
        return "" if is_path(value) and str(value).endswith("/") else 'a path that ends with a slash, like "/accounts/"'
    return "" if is_path(value) else f'a path, like "{getattr(Known(), key)}"'


def is_path(value: object) -> bool:
    """Return whether a value is the path of a page of this site."""
    return isinstance(value, str) and value.startswith("/") and not value.startswith("//") and " " not in value


def change(key: str) -> str:
    """Return the hint to change a key if the site is right and the table is not."""
    return f"(if that is intended, change `{key}` under {TABLE})"
