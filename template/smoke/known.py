"""What the suite knows of the site: `[tool.smoke.site]` in pyproject.toml, which the site's owner edits."""

import secrets
import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

TABLE = "[tool.smoke.site] in pyproject.toml"
SIGN_UP = ("auto", "open", "closed", "unchecked")


class TableError(Exception):
    """The table cannot be meant; the text names the key."""


@dataclass(frozen=True)
class Known:
    """What the suite knows of the site.

    Attributes:
        home: a page that everybody sees.
        accounts: what the addresses of the account pages begin with.
        admin: the admin's address; empty if there is none.
        pages: further pages that everybody sees.
        member_pages: pages that lead a visitor to the login, and that a member sees.
        sign_up: whether visitors can sign up, a word of SIGN_UP.
        sign_up_fields: what the sign-up form needs beside an email address and a password.
    """

    home: str = "/"
    accounts: str = "/accounts/"
    admin: str = "/admin/"
    pages: list[str] = field(default_factory=list)
    member_pages: list[str] = field(default_factory=list)
    sign_up: str = "auto"
    sign_up_fields: dict[str, str] = field(default_factory=dict)

    def account(self, page: str) -> str:
        """Return the address of an account page, such as `login/`."""
        return self.accounts + page

    def filled_in(self, email: str) -> dict[str, str]:
        """Return the values of `sign_up_fields` for one sign-up: `{email}` is the address, `{random}` new each time."""
        random = secrets.token_hex(8)
        return {
            name: value.replace("{email}", email).replace("{random}", random)
            for name, value in self.sign_up_fields.items()
        }


def known(project: Path) -> Known:
    """Return what the suite knows of the site of the project in a folder.

    Raises:
        TableError: a key or its value cannot be meant.
    """
    text = (project / "pyproject.toml").read_text(encoding="utf-8")
    table: dict[str, Any] = tomllib.loads(text)["tool"]["smoke"].get("site", {})
    keys = [each.name for each in fields(Known)]
    for key, value in table.items():
        if key not in keys:
            raise TableError(f"{TABLE}: `{key}` is not a key. There are {', '.join(keys)}")
        if wanted := problem(key, value):
            raise TableError(f"{TABLE}: `{key}` must be {wanted}, not {value!r}")
    return Known(**table)


def problem(key: str, value: object) -> str:
    """Return what the value of a key must be; an empty text if it is that."""
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
    """Tell whether a value is the path of a page of this site."""
    return isinstance(value, str) and value.startswith("/") and not value.startswith("//") and " " not in value


def change(key: str) -> str:
    """Return what to do where the site is meant to be as it was found."""
    return f"(if that is meant, change `{key}` under {TABLE})"
