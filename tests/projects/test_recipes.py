"""All checks pass after the recipes of docs/recipes.md are applied to a fresh project word for word."""

import json
import re
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from stand_ins.services import says, stand_in
from tests.support.environments import Environments, clean_environment, project_environment, run, uv
from tests.support.faults import QUICK
from tests.support.recipes import apply, recipes
from tests.support.rendering import ROOT

PAGE = ROOT / "docs/recipes.md"
RECIPES = {name: steps for name, steps in recipes(PAGE).items() if steps}

# Prints a page with development settings, for recipes whose effect no test of the recipe shows.
BROWSE = """
from django.test import Client
print(Client(headers={"host": "localhost"}).get("%s").text)
"""
SEEN_IN_DEVELOPMENT = {"htmx": ("/clock/", "django_htmx/htmx")}

# Settings with which allauth asks an emulated GitHub, and visitors who log in there.
AT_GITHUB = """
import os

from config.settings.development import *

SOCIALACCOUNT_PROVIDERS["github"] |= {"GITHUB_URL": os.environ["GITHUB_URL"]}
SOCIALACCOUNT_PROVIDERS["github"]["APPS"] = [{"client_id": "client", "secret": "not one"}]
"""
LOG_IN = """
from urllib.parse import parse_qs, urlsplit
from django.test import Client
from apps.accounts.models import User
User.objects.filter(email="ann@example.com").exists() or User.objects.create_superuser("ann@example.com", "correct horse")
client = Client(headers={"host": "localhost"})
leads = urlsplit(client.post("/accounts/github/login/").headers["Location"])
back = client.get("/accounts/github/login/callback/", {"code": "1", "state": parse_qs(leads.query)["state"][0]})
user = User.objects.get(pk=client.session["_auth_user_id"]) if "_auth_user_id" in client.session else None
print(leads.netloc, back.status_code, user, User.objects.count())
"""


def log_in_at_github(project: Path, env: dict[str, str]) -> None:
    """Log in with GitHub: a visitor to a new account, and a member to the account with the same confirmed address."""
    (project / "config/settings/at_github.py").write_text(AT_GITHUB)
    emails = {"id": 1, "email": "new@example.com"}, {"id": 2, "email": "ann@example.com"}
    with stand_in() as github:
        variables = {**env, "GITHUB_URL": github.url, "DJANGO_SETTINGS_MODULE": "config.settings.at_github"}
        run(["python", "manage.py", "migrate", "--verbosity=0"], project, env=variables)
        seen = []
        for who in emails:
            confirmed = [{"email": who["email"], "primary": True, "verified": True}]
            told = {
                "/login/oauth/access_token": {"access_token": "token", "token_type": "bearer"},
                "/api/v3/user": {"id": who["id"], "login": f"person-{who['id']}"},
                "/api/v3/user/emails": confirmed,
            }

            def answer(handler: BaseHTTPRequestHandler, told: dict[str, object] = told) -> None:
                says(200, json.dumps(told[handler.path.partition("?")[0]]).encode())(handler)

            github.answer = answer
            shell = ["python", "manage.py", "shell", "--no-imports", "--verbosity=0", "--command", LOG_IN]
            seen.append(run(shell, project, env=variables).splitlines()[-1])
    assert seen == [f"{github.url.removeprefix('http://')} 302 {who['email']} 2" for who in emails]


def download(project: Path, commands: str) -> None:
    """Write a file instead of `curl`. Like the real one, it ends with its source map's name, which `collectstatic` checks."""
    for name in re.findall(r"--output (\S+)", commands):
        comment = "/*# sourceMappingURL={} */" if ".css" in name else "//# sourceMappingURL={}"
        source_map = f"{Path(name).name}.map"
        (project / name).write_text("{}" if name.endswith(".map") else f"{comment.format(source_map)}\n")


# A project gets several recipes one after the other. Two pairs cannot be combined: alternatives, and the same admin class.
APART = ["Charts from a CDN", "Admin theme"]
PROJECTS = {"all that go together": [name for name in RECIPES if name not in APART], "apart": APART}


@pytest.mark.parametrize("names", PROJECTS.values(), ids=PROJECTS)
def test_recipes_are_followed(render: Callable[..., Path], environments: Environments, names: list[str]) -> None:
    project = render(platform="gunicorn", database="sqlite", ci="none")

    def paste(commands: str) -> None:
        env = {"PATH": f"{Path(uv()).parent}:{clean_environment()['PATH']}"}
        if "uv run" in commands:
            env |= {"UV_PROJECT_ENVIRONMENT": str(environments.install(project).parent), "UV_NO_SYNC": "1"}
        else:
            # Let `uv add` only change pyproject.toml, because the environment is shared.
            env["UV_FROZEN"] = "1"
        run(["bash", "-eu", "-c", commands], project, env=clean_environment(**env))

    for step in (step for name in names for step in RECIPES[name]):
        if step.language == "sh":
            download(project, step.text)
        else:
            apply(step, project, paste)
    env = project_environment(environments.install(project))
    run(["ruff", "check", "--fix", "--exit-zero", "--quiet"], project, env=env)
    run(["ruff", "format", "--quiet"], project, env=env)
    run(["ruff", "check"], project, env=env)
    run(["djlint", "--check", "--lint", "--quiet", "templates"], project, env=env)
    run(["mypy"], project, env=env)
    run(["pytest", "--quiet"], project, env=env)
    run(["python", "manage.py", "makemigrations", "--check", "--dry-run"], project, env=env)
    QUICK(project)
    run(["pytest", "--quiet", "smoke"], project, env=env)
    if "Log in with GitHub" in names:
        log_in_at_github(project, env)
    for path, text in (SEEN_IN_DEVELOPMENT[name] for name in names if name in SEEN_IN_DEVELOPMENT):
        assert text in run(["python", "manage.py", "shell", "--command", BROWSE % path], project, env=env)


def test_the_table_has_each_recipe() -> None:
    table = PAGE.read_text().partition("\n## ")[0]
    linked = re.findall(r"\]\(#([a-z-]+)\)", table)
    assert linked == [name.lower().replace(" ", "-") for name in RECIPES]
