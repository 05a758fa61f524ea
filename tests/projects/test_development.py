"""Development accepts the configured hosts and says why it refuses others; the lines in docs/content-security-policy.md are valid settings."""

import re
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from tests.support import rendering
from tests.support.edits import behind, edit
from tests.support.environments import Environments, project_environment, run
from tests.support.faults import text
from tests.support.servers import HANGS, Running, eventually, free_port, running

Render = Callable[..., Path]

# Hosts: for a phone on the LAN, a tunnel, and a codespace.
PHONE, TUNNEL, CODESPACE = "192.0.2.20", "a1b2.ngrok.example", "site-8000.app.github.dev"


@pytest.fixture(scope="module")
def served(
    template: Path, environments: Environments, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Running, int]]:
    """The port of a site with development settings."""
    project = rendering.render(template, tmp_path_factory.mktemp("development") / "project", ci="none")
    variables = {
        "DEVELOPMENT_HOSTS": f"{PHONE},.ngrok.example",
        "GITHUB_CODESPACES_PORT_FORWARDING_DOMAIN": "app.github.dev",
    }
    port = free_port()
    command = ["python", "manage.py", "runserver", "--migrate", f"127.0.0.1:{port}"]
    env = project_environment(environments.install(project), PYTHONUNBUFFERED="1", **variables)
    with running(command, project, env, project.parent / "log") as server:
        server.wait_until_it_answers(f"http://127.0.0.1:{port}/health/")
        yield server, port


def log_in(port: int, **headers: str) -> requests.Response:
    """Send the login form with a CSRF token and cookie, as a browser does."""
    url = f"http://127.0.0.1:{port}/accounts/login/"
    page = requests.get(url, headers={"Host": headers["Host"]}, timeout=HANGS)
    assert page.status_code == 200
    (token,) = re.findall('name="csrfmiddlewaretoken" value="(.+?)"', page.text)
    fields = {"csrfmiddlewaretoken": token, "login": f"{secrets.token_hex(6)}@example.com", "password": "none"}
    cookie = {"Cookie": f"csrftoken={page.cookies['csrftoken']}"}
    return requests.post(url, fields, headers=headers | cookie, timeout=HANGS)


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": f"{PHONE}:8000", "Origin": f"http://{PHONE}:8000"},
        {"Host": TUNNEL, "Origin": f"https://{TUNNEL}", "X-Forwarded-Proto": "https"},
        # A tunnel that does not announce HTTPS, and one that replaces the host name.
        {"Host": TUNNEL, "Origin": f"https://{TUNNEL}"},
        {"Host": "localhost:8000", "Origin": f"https://{TUNNEL}", "X-Forwarded-Proto": "https"},
        {"Host": CODESPACE, "Origin": f"https://{CODESPACE}", "X-Forwarded-Proto": "https"},
        {"Host": "localhost:8000", "Origin": f"https://{CODESPACE}", "X-Forwarded-Proto": "https"},
        {"Host": "localhost:8000", "Origin": "https://localhost:8000", "X-Forwarded-Proto": "https"},
        {"Host": "localhost:8000", "Origin": "http://localhost:8000"},
    ],
    ids=lambda headers: " ".join(headers.values()),
)
def test_a_form_is_accepted_from_a_host_that_is_admitted(served: tuple[Running, int], headers: dict[str, str]) -> None:
    answer = log_in(served[1], **headers)
    assert answer.status_code == 200, answer.text
    assert "not correct" in answer.text


def test_another_host_is_refused_and_named(served: tuple[Running, int]) -> None:
    server, port = served
    elsewhere = {"Host": "elsewhere.example:8000"}
    assert requests.get(f"http://127.0.0.1:{port}/", headers=elsewhere, timeout=HANGS).status_code == 400
    assert eventually(lambda: "make dev DEVELOPMENT_HOSTS=elsewhere.example" in server.output())


def test_a_form_from_elsewhere_is_refused_with_djangos_reason(served: tuple[Running, int]) -> None:
    answer = log_in(served[1], Host="localhost:8000", Origin="https://elsewhere.example")
    assert answer.status_code == 403
    assert "Origin checking failed - https://elsewhere.example does not match any trusted origins." in answer.text
    assert "make dev DEVELOPMENT_HOSTS=elsewhere.example" in answer.text


def test_development_listens_on_the_network_where_other_hosts_are_admitted(
    render: Render, environments: Environments
) -> None:
    project = render(ci="none")
    (command,) = re.findall("python manage.py runserver.*", (project / "Procfile.dev").read_text())
    env = environments.at_work(project)
    for hosts, address in (("", "127.0.0.1"), (PHONE, "0.0.0.0")):  # noqa: S104 - it is read, and nobody listens there
        said = run(["make", "--dry-run", "dev", f"DEVELOPMENT_HOSTS={hosts}"], project, env=env)
        assert f"runserver --migrate {address}:8000" in said
        # Without an address, Django uses 127.0.0.1.
        said = run(["sh", "-c", f'echo "{command}"'], project, env={**env, "DEVELOPMENT_HOSTS": hosts, "PORT": "8000"})
        assert said.strip().endswith(f"--migrate {f'{address}:' if hosts else ''}8000")


def test_the_lines_of_the_page_on_the_policy_are_good_settings(render: Render, environments: Environments) -> None:
    project = render(ci="none")
    lines = re.findall("`(SECURE_[^`]+)`", (project / "docs/content-security-policy.md").read_text())
    lines = [line for line in lines if " = " in line or " += " in line]
    assert len(lines) > 20
    marker = "SECURE_CSP_BY_PREFIX: dict[str, dict[str, list[str]]] = defaultdict(dict)"
    edit(project, behind("config/settings/base.py", marker, "\n".join(lines)))
    env = project_environment(environments.install(project))
    run(["python", "manage.py", "check"], project, env=env)
    run(["mypy", "config"], project, env=env)
    code = "from django.conf import settings; from django.utils.csp import build_policy; print(build_policy(settings.SECURE_CSP))"
    policy = run(["python", "manage.py", "shell", "--no-imports", "--command", code], project, env=env)
    for line in lines:
        if line.startswith("SECURE_CSP[") and "+=" in line:
            (directive,) = re.findall(r'SECURE_CSP\["([a-z-]+)"\]', line)
            (sources,) = re.findall(rf"\b{directive} ([^;\n]+)", policy)
            assert set(re.findall(r'"((?:https|wss)://[^"]+)"', line)) <= set(sources.split()), line


def test_the_policy_starts_from_nothing_and_an_owners_edits_of_it_leave_the_shipped_tests_green(
    render: Render, environments: Environments
) -> None:
    project = render(ci="none")
    env = project_environment(environments.install(project))
    code = "from django.conf import settings; from django.utils.csp import build_policy; print(build_policy(settings.SECURE_CSP))"
    shell = ["python", "manage.py", "shell", "--no-imports", "--command", code]
    assert run(shell, project, env=env).strip() == (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self';"
        " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    edit(
        project,
        behind(
            "config/settings/base.py",
            "SECURE_CSP_BY_PREFIX: dict[str, dict[str, list[str]]] = defaultdict(dict)",
            'SECURE_CSP["script-src"] += ["https://*.example.com", CSP.UNSAFE_EVAL]\n'
            'SECURE_CSP["frame-ancestors"] = [CSP.SELF]\n'
            'SECURE_CSP_BY_PREFIX["/accounts/"]["style-src"] = [CSP.SELF, CSP.UNSAFE_INLINE]',
        ),
        text(
            "templates/base.html",
            "    {% block extra_head %}",
            '    <script nonce="{{ csp_nonce }}">window.ours = true</script>\n    {% block extra_head %}',
        ),
    )
    # Leave out the owner's test of the policy, which these lines weaken.
    run(
        ["pytest", "--quiet", "--deselect=tests/test_pages.py::test_the_policy_of_every_page_is_strict"],
        project,
        env=env,
    )
    run(["ruff", "check"], project, env=env)
    run(["mypy", "config"], project, env=env)


HOME = 'from django.test import Client; print(Client(headers={"host": "localhost"}).get("/").text)'


def test_the_home_page_says_what_to_do_before_the_first_migrate(render: Render, environments: Environments) -> None:
    project = render(ci="none")
    env = project_environment(environments.install(project))
    page = run(["python", "manage.py", "shell", "--no-imports", "--command", HOME], project, env=env)
    assert "not applied: <code>uv run python manage.py migrate</code>" in page
    assert "createsuperuser" in page
    assert "make app NAME=todo" in page
    assert "make seed" in page


# Prints what the settings for development have of the debug toolbar.
TOOLBAR = """
import sys
if "without-its-package" in sys.argv:
    sys.modules["debug_toolbar"] = None
import django
django.setup()
from django.conf import settings
from django.test import Client
page = Client(headers={"Host": "localhost"}).get("/accounts/login/").text
print("toolbar" in repr((settings.INSTALLED_APPS, settings.MIDDLEWARE)), "djDebug" in page, "/__debug__/" in page)
"""


def test_the_debug_toolbar_is_in_development_alone_and_gone_without_its_package(
    render: Render, environments: Environments
) -> None:
    project = render(ci="none")
    bin_folder = environments.install(project)

    def toolbar(*arguments: str, settings: str = "development", **variables: str) -> str:
        env = project_environment(bin_folder, DJANGO_SETTINGS_MODULE=f"config.settings.{settings}", **variables)
        return run(["python", "-c", TOOLBAR, *arguments], project, env=env).splitlines()[-1]

    assert toolbar() == "True True True"
    absent = "False False False"
    assert toolbar(DEBUG_TOOLBAR="false") == absent
    assert toolbar("without-its-package") == absent
    assert toolbar(settings="test") == absent
