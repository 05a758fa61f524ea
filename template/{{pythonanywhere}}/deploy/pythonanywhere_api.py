"""Configure and reload the web app through PythonAnywhere's API, with the platform's own library.

    python pythonanywhere_api.py look|configure|reload '{"domain": "todolist.pythonanywhere.com", …}'

The deploy script runs it with a release's Python. The account, its token and the platform's host are those that the
library reads: PYTHONANYWHERE_USERNAME or the user, API_TOKEN, and PYTHONANYWHERE_SITE (www.pythonanywhere.com unless
it says eu.pythonanywhere.com).

Exit codes: 0; 1, and on standard error what is wrong and what to do about it.
"""

import json
import os
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from pythonanywhere_core.base import call_api, get_api_endpoint, get_username
from pythonanywhere_core.exceptions import AuthenticationError, MissingCNAMEException, PythonAnywhereApiException
from pythonanywhere_core.webapp import Webapp

# Seconds to wait if the platform's rate limit does not say how long: it counts per minute.
PATIENCE = 60
# How many times in a row.
TRIES = 3
# The platform's two systems, by what an account's web app is called there.
SYSTEMS = ("pythonanywhere.com", "eu.pythonanywhere.com")
HOW_TO_GET_IN = "make one on the Account page, under API token, and open a new console; elsewhere, set API_TOKEN"


class RefusedError(Exception):
    """Say why the platform refused, and what to do about it."""


@dataclass(frozen=True)
class Wanted:
    """Describe how the web app must be configured.

    Attributes:
        domain: its host name.
        python: the version of its Python, like 3.13.
        virtualenv: where its packages are.
        source: where its code is.
        media_url: the setting MEDIA_URL, a path.
        static_url: the setting STATIC_URL, a path.
        processes: commands that must always run besides it.
    """

    domain: str
    python: str
    virtualenv: str
    source: str
    media_url: str
    static_url: str
    processes: list[str]


def main(action: str, wanted: Wanted) -> int:
    """Run the command line's action, and return the exit code."""
    try:
        {"look": look, "configure": configure, "reload": reload}[action](wanted)
    except RefusedError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def look(wanted: Wanted) -> None:
    """Check that the platform accepts the token, and report what the account has."""
    if not re.fullmatch(r"[\x21-\x7e]+", os.environ.get("API_TOKEN", "")):
        raise RefusedError(f"there is no API token, or one with a space or a line's end in it: {HOW_TO_GET_IN}")
    if not re.fullmatch(r"[A-Za-z0-9.-]+(:\d+)?", platform()):
        raise RefusedError("PYTHONANYWHERE_SITE is a host name: www.pythonanywhere.com or eu.pythonanywhere.com")
    refuse_another_system(wanted.domain.lower())
    found = existing(wanted.domain)
    if found is None:
        print(f"there is no web app {wanted.domain} yet; it will be made")
    else:
        print(f"there is the web app {wanted.domain}")
    for command in wanted.processes:
        task(command)


def refuse_another_system(domain: str) -> None:
    """Check that a web app under the platform's own domain belongs to the account's system (US or EU).

    Raises:
        RefusedError: it belongs to the other system, so it would get no certificate.
    """
    own = platform().removeprefix("www.")
    if own in SYSTEMS and domain.endswith(".pythonanywhere.com") and domain.partition(".")[2] != own:
        raise RefusedError(
            f"this account is at {platform()}, and ALLOWED_HOSTS begins with {domain}. Write NAME.{own} there, in .env, and"
            f" answer {platform()} at the template's question `pythonanywhere_site`, so that docs/deploy.md says the same"
        )


def configure(wanted: Wanted) -> None:
    """Create the web app, or correct its configuration."""
    webapp, found = Webapp(wanted.domain), existing(wanted.domain)
    if found is None:
        paths = Path(wanted.virtualenv), Path(wanted.source)
        patiently(lambda: webapp.create(wanted.python, *paths, nuke=False))
        print(f"made the web app {wanted.domain}")
        found = {
            "virtualenv_path": wanted.virtualenv,
            "source_directory": wanted.source,
            "python_version": wanted.python,
        }
    # The WSGI file tells Django that each request came by https, so "Force HTTPS" must be on.
    should = {"virtualenv_path": wanted.virtualenv, "source_directory": wanted.source, "force_https": True}
    wrong = {name: value for name, value in should.items() if found.get(name) != value}
    # The API returns the version in another form than it accepts.
    digits = wanted.python.replace(".", "")
    if re.sub(r"\D", "", found["python_version"]) != digits:
        wrong["python_version"] = f"python{digits}"
    if wrong:
        patiently(lambda: webapp.patch(wrong))
        print(f"set {', '.join(f'{name} to {value}' for name, value in wrong.items())}")
    map_files(webapp, wanted)


def map_files(webapp: Webapp, wanted: Wanted) -> None:
    """Let the site serve its files itself: it sets caching, and serves uploads so that they cannot run as pages."""
    # The library can create a mapping, but not list or delete one.
    url = f"{webapp.domain_url}static_files/"
    for mapping in asked(url, "get"):
        if mapping["url"].strip("/") in (wanted.static_url.strip("/"), wanted.media_url.strip("/")):
            asked(f"{url}{mapping['id']}/", "delete")
            print(
                f"removed the mapping of {mapping['url']}: the site serves these files itself, with headers of its own"
            )


def reload(wanted: Wanted) -> None:
    """Restart the web app and its other processes with the current release."""
    for command in wanted.processes:
        start(command)
    try:
        patiently(Webapp(wanted.domain).reload)
    except MissingCNAMEException:
        print(f"reloaded; the platform finds no CNAME of {wanted.domain} (docs/deploy.md, Custom domain and HTTPS)")


def task(command: str) -> dict[str, Any]:
    """Return the always-on task of a command. Create it if it does not exist, which fails if the plan has no room."""
    found: dict[str, Any] | None = next(
        (each for each in asked(always_on(), "get") if each["command"] == command), None
    )
    if found is None:
        # Do not start it yet: the code may not be there.
        found = asked(always_on(), "post", json={"command": command, "description": "", "enabled": False})
        print(f"made the always-on task `{command}`")
    return found


def start(command: str) -> None:
    """Start an always-on task, or restart it."""
    found = task(command)
    url = f"{always_on()}{found['id']}/"
    if found["enabled"]:
        asked(f"{url}restart/", "post")
    else:
        asked(url, "patch", json={"enabled": True})


def always_on() -> str:
    """Return the URL of always-on tasks, which the library does not have."""
    return get_api_endpoint(get_username(), "always_on")


def existing(domain: str) -> dict[str, Any] | None:
    """Return the web app with a host name; None if the account has none."""
    found: list[dict[str, Any]] = patiently(Webapp.list_webapps)
    return next((webapp for webapp in found if webapp["domain_name"].lower() == domain.lower()), None)


def asked(url: str, method: str, **options: Any) -> Any:
    """Call a URL of the platform's API, and return its response."""

    def call() -> Any:
        answer = call_api(url, method, **options)
        if not answer.ok:
            raise PythonAnywhereApiException(f"{method.upper()} {url} failed, got {answer}:{answer.text}")
        return answer.json() if answer.content else None

    return patiently(call)


def patiently[Result](call: Callable[[], Result]) -> Result:
    """Call the platform's API. If its rate limit is reached, wait and try again.

    Raises:
        RefusedError: it refused; the text explains why.
        MissingCNAMEException: the call succeeded, but the domain has no CNAME record.
    """
    tries = 0
    while True:
        tries += 1
        try:
            return call()
        except MissingCNAMEException:
            raise
        except AuthenticationError:
            raise RefusedError(f"{platform()} does not know the API token in API_TOKEN: {HOW_TO_GET_IN}") from None
        except requests.RequestException as error:
            # Do not repeat the error's text: it may quote the header with the token.
            raise RefusedError(f"{platform()} gave no answer ({type(error).__name__})") from None
        except PythonAnywhereApiException as error:
            said = str(error)
            if "<Response [429]>" not in said or tries == TRIES:
                raise RefusedError(meaning(said)) from None
            told = re.search(r"available in (\d+) second", said)
            seconds = int(told[1]) + 1 if told else PATIENCE
            print(f"the platform takes 40 calls a minute; waiting {seconds} s, as it says", flush=True)
            time.sleep(seconds)


def meaning(said: str) -> str:
    """Return what a refusal of the platform means, with its response."""
    status = re.search(r"<Response \[(\d+)\]>", said)
    short = " ".join(said.split())[:500]
    if status and status[1] == "403" and "/always_on/" in said:
        return (
            f"an always-on task, which works behind the pages, wants a paid account, with room for it: {short}\nTake a plan"
            " that has it, or answer `none` at the template's question `tasks`"
        )
    if status and status[1] in ("403", "404"):
        return (
            f"the platform says no, or knows no such thing: {short}\nThe token in API_TOKEN has to be one of the account"
            f" {get_username()} at {platform()}; PYTHONANYWHERE_USERNAME and PYTHONANYWHERE_SITE say otherwise where they"
            " are set. A plan may allow no further web app, or none for this domain"
        )
    return f"the platform failed: {short}\nhttps://www.pythonanywhere.com/forums/ says whether it has trouble"


def platform() -> str:
    """Return the host of the platform's API."""
    return get_api_endpoint("", "").removeprefix("https://").partition("/")[0]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Wanted(**json.loads(sys.argv[2]))))
