"""A platform's own files are valid in their format."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from honcho.environ import parse_procfile

from tests.support.databases import PostgreSQL, programs
from tests.support.environments import Environments, project_environment, run
from tests.support.names import IN_A_NAMESPACE
from tests.support.rendered import files, run_tool, texts
from tests.support.rendering import ROOT, question_choices, read_questions
from tests.support.runbooks import blocks

Render = Callable[..., Path]


def test_scripts_pass_shellcheck(render: Render) -> None:
    for platform in question_choices("platform"):
        project = render(platform=platform)
        scripts = [path for path in project.rglob("*") if path.is_file() and path.read_bytes().startswith(b"#!/bin/sh")]
        assert scripts
        for script in scripts:
            assert script.stat().st_mode & 0o111 == 0o111, f"{script.name} is not executable"
            run_tool("shellcheck", str(script), folder=project)


# Versions that a machine's Docker reports, and the script's message.
DOCKERS = {
    "no plugin": ("docker: 'compose' is not a docker command.", 1, "26.1.5+dfsg1", "has no compose plugin"),
    "old": (
        "2.23.3",
        0,
        "24.0.9",
        "Docker is 24.0.9, and 25.0 is the oldest that works. compose is 2.23.3, and 2.24 is",
    ),
    "old compose": ("v2.5.0", 0, "28.0.0-rc.1", "FAILED: compose is v2.5.0, and 2.24 is the oldest"),
    "oldest": ("2.24.0-desktop.1", 0, "25.0.0", "This machine can be deployed to. The site's name on it is todo-list."),
}


@pytest.mark.parametrize(("compose", "code", "engine", "told"), DOCKERS.values(), ids=DOCKERS)
def test_a_docker_that_cannot_be_used_is_refused_with_the_reason(
    render: Render, tmp_path: Path, compose: str, code: int, engine: str, told: str
) -> None:
    """A program prints the versions' output, because not all versions can be installed here."""
    project = render(platform="docker")
    (tmp_path / "docker").write_text(
        f"""#!/bin/sh
case "$*" in
  "compose version"*) echo "{compose}"; exit {code} ;;
  version) printf 'Client:\\n Version: 1.0\\nServer: Docker Engine\\n Engine:\\n  Version:          {engine}\\n' ;;
  "compose config") echo "name: todo-list" ;;
esac
"""
    )
    (tmp_path / "docker").chmod(0o755)
    done = subprocess.run(
        ["deploy/docker.sh", "check"],
        cwd=project,
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert told in done.stdout + done.stderr
    assert done.returncode == (0 if "can be deployed" in told else 1)
    # The page has the same minimum versions.
    page = (project / "docs/deploy.md").read_text()
    assert "25 and compose 2.24, or newer" in page


@pytest.mark.parametrize(
    ("version", "told"),
    [
        ("systemd 249 (249.11-0ubuntu3.16)", "This machine cannot run the site (systemd 249): use Debian 12"),
        ("", "This machine cannot run the site (systemd none): use Debian 12"),
        ("systemd 252 (252.38-1~deb12u1)", ""),
        ("systemd 257 (257.8-1~deb13u2)", ""),
    ],
)
def test_the_first_step_on_a_machine_refuses_one_that_is_too_old(
    render: Render, tmp_path: Path, version: str, told: str
) -> None:
    project = render(platform="gunicorn")
    for name, says in {"systemctl": version, "apt-get": ""}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\necho '{says}'\n")
        (tmp_path / name).chmod(0o755)
    (block,) = (block.text for block in blocks(project / "docs/deploy.md") if "cannot run the site" in block.text)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block],
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1 if told else 0, "")
    assert done.stdout.startswith(told)
    assert bool(done.stdout) == bool(told)


@pytest.mark.skipif(not shutil.which("systemd-run"), reason="no systemd")
def test_a_command_for_the_site_asks_nothing_of_systemd_that_this_machine_does_not_know(render: Render) -> None:
    """Debian 12, where the tests also run, has systemd 252. Its manager cannot be reached, so nothing is started."""
    script = render(platform="gunicorn") / "deploy/run-as-site"
    hidden = 'mount -t tmpfs tmpfs /run 2>/dev/null; exec "$@"'
    done = subprocess.run(
        [*IN_A_NAMESPACE, "sh", "-c", hidden, "sh", script, "true"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "option" not in done.stderr


@pytest.mark.parametrize("tasks", question_choices("tasks"))
@pytest.mark.parametrize("database", question_choices("database"))
def test_the_compose_files_follow_the_specification(render: Render, database: str, tasks: str) -> None:
    project = render(platform="docker", database=database, tasks=tasks)
    for name in ("compose.yaml", "compose.dev.yaml"):
        run_tool("check-jsonschema", "--builtin-schema", "vendor.compose-spec", name, folder=project)
    services = yaml.safe_load((project / "compose.yaml").read_text())["services"]
    expected = {"caddy", "web", "migrate", "backup", "restore", "nightly", "smoke"}
    if database == "postgresql":
        expected.add("database")
    roles = {"none": {"schedule"}, "database": {"worker", "schedule"}, "celery": {"worker", "beat", "broker", "flower"}}
    assert set(services) == expected | roles[tasks]


@pytest.mark.parametrize(
    ("slug", "taken"),
    [("todo-list", ""), ("profile", "/etc/profile"), ("daemon", "uid="), ("user", "user-runtime-dir@.service")],
)
def test_the_first_step_on_a_machine_refuses_a_name_that_is_taken(render: Render, slug: str, taken: str) -> None:
    """Run the runbook's check on this machine, also with slugs that only an earlier release accepted."""
    page = blocks(render(platform="gunicorn") / "docs/deploy.md")
    (check,) = (each.text.replace("todo-list", slug) for each in page if "taken=" in each.text)
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", check], capture_output=True, text=True, check=False)
    assert (done.returncode, bool(done.stdout)) == ((1, True) if taken else (0, False)), done.stdout + done.stderr
    assert taken in done.stdout


def test_postgresql_takes_every_slug_as_a_name(render: Render, database: PostgreSQL) -> None:
    """Run the runbook's SQL for PythonAnywhere with a slug that is an SQL keyword."""
    page = (render(platform="pythonanywhere", project_slug="order") / "docs/deploy.md").read_text()
    statements = re.findall("^CREATE (?:ROLE|DATABASE) .*;$", page, re.MULTILINE)
    assert len(statements) == 2
    for statement in statements:
        psql = [str(programs() / "psql"), "--quiet", "--no-psqlrc", "--dbname", database.url, "--command", statement]
        run(psql, Path("/"))


def test_visitors_by_ipv6_are_let_in_only_where_they_keep_their_addresses(render: Render) -> None:
    """Without IPv6 in its network, Docker relays all IPv6 visitors from one address, so they would share one limit."""
    project = render(platform="docker")
    compose = yaml.safe_load((project / "compose.yaml").read_text())
    assert "enable_ipv6" not in (compose["networks"]["front"] or {})
    assert all(port.startswith("0.0.0.0:") for port in compose["services"]["caddy"]["ports"])
    (override,) = re.findall("<<'OVERRIDE'\n(.*?)OVERRIDE", (project / "docs/server.md").read_text(), re.DOTALL)
    added = yaml.safe_load(override)
    assert added["networks"]["front"]["enable_ipv6"] is True
    assert all(port.startswith("[::]:") for port in added["services"]["caddy"]["ports"])


@pytest.mark.parametrize("tasks", question_choices("tasks"))
@pytest.mark.parametrize("name", ["compose.yaml", "deploy/swarm.yaml"])
def test_containers_have_the_secrets_that_they_read(render: Render, name: str, tasks: str) -> None:
    project = render(platform="docker", tasks=tasks, extras=["s3", "ai"])
    file = yaml.safe_load((project / name).read_text())
    read = 0
    for service in file["services"].values():
        for variable, value in service.get("environment", {}).items():
            if variable.endswith("_FILE"):
                assert value.removeprefix("/run/secrets/") in service["secrets"]
                read += 1
        assert set(service.get("secrets", [])) <= file["secrets"].keys()
    assert read


@pytest.mark.parametrize("tasks", question_choices("tasks"))
def test_a_swarm_has_the_networks_of_compose(render: Render, tasks: str) -> None:
    project = render(platform="docker", tasks=tasks)
    one = yaml.safe_load((project / "compose.yaml").read_text())["services"]
    many = yaml.safe_load((project / "deploy/swarm.yaml").read_text())["services"]
    for name, service in many.items():
        assert service["networks"] == one[name]["networks"], name


def test_the_procfile_has_a_release_phase_and_a_web_process(render: Render) -> None:
    processes = parse_procfile((render(platform="heroku") / "Procfile").read_text()).processes
    assert list(processes) == ["release", "web"]
    # The router keeps idle connections for 90 s. A server that closes one earlier loses a request that is being sent on it.
    (keep_alive,) = re.findall(r"--keep-alive (\d+)", processes["web"])
    assert int(keep_alive) > 90


def test_a_shell_with_a_proxy_in_front_says_so(render: Render) -> None:
    """Login limits count by the visitor's address, which the proxy reports."""
    app = json.loads((render(platform="heroku") / "app.json").read_text())
    assert app["env"]["TRUSTED_PROXY_COUNT"]["value"] == "1"
    unit = (render(platform="gunicorn") / "deploy/systemd/site.conf").read_text().splitlines()
    assert "Environment=TRUSTED_PROXY_COUNT=1" in unit


def test_sqlite_on_a_network_disk_is_not_in_wal_mode(render: Render, environments: Environments) -> None:
    project = render(platform="pythonanywhere", database="sqlite")
    (url,) = re.findall("^DATABASE_URL=(.*)$", (project / ".env.example").read_text(), re.MULTILINE)
    code = f"from operations.environment import parsers; print(parsers.database({url!r}.replace('/home/todolist/todo-list', ''))['OPTIONS'])"
    env = project_environment(environments.install(project))
    assert "'init_command': 'PRAGMA journal_mode=DELETE'" in run(["python", "-c", code], project, env=env)


def test_every_answer_is_used(render: Render) -> None:
    """A question whose answer no file uses would be useless."""
    for platform, answer in {
        "heroku": "heroku_app",
        "pythonanywhere": "pythonanywhere_user",
        "docker": "domain",
        "gunicorn": "domain",
    }.items():
        given = "unlikely.example.com" if answer == "domain" else "unlikely1"
        project = render(platform=platform, **{answer: given})
        told = [path for path in texts(project) if given in path.read_text() and path.name != ".copier-answers.yml"]
        assert told, answer


def test_no_name_of_the_other_system_is_left_for_an_account_in_europe(render: Render) -> None:
    """Except in the pages that both have, and in the command for who has an account in the other."""
    project = render(platform="pythonanywhere", pythonanywhere_site="eu.pythonanywhere.com", ci="github")
    common = r"https://(www|help)\.pythonanywhere\.com/(pricing|forums|pages)|--data pythonanywhere_site=\S+"
    for path in [project / "docs/deploy.md", project / "docs/environment.md", project / ".env.example"]:
        told = re.sub(common, "", path.read_text())
        assert re.findall(r"(?<!eu\.)\bpythonanywhere(?:-services)?\.com|\bwww\.pythonanywhere", told) == [], path


def test_herokus_page_says_what_heroku_announced_and_creates_the_app_by_itself(render: Render) -> None:
    """A name is often taken, and what is pasted after a refused one would be for no app, or another one."""
    page = render(platform="heroku") / "docs/deploy.md"
    assert re.search("February 2026.*sustaining engineering.*platform=docker", page.read_text(), re.DOTALL)
    assert any("no new features since 2026" in choice for choice in read_questions(ROOT)["platform"]["choices"])
    creating = [block.text for block in blocks(page) if block.heading == "First deploy"]
    assert creating[0] == "heroku create todo-list"


@pytest.mark.parametrize("platform", question_choices("platform"))
def test_messages_of_a_deploy_name_headings_of_the_runbook(render: Render, platform: str) -> None:
    project = render(platform=platform, tasks="celery")
    # A heading may end in the user who pastes its blocks.
    headings = re.findall("^##+ (.+?)(?:, as .+)?$", (project / "docs/deploy.md").read_text(), re.MULTILINE)
    named = {
        name
        for path in files(project / "deploy")
        for name in re.findall(r"docs/deploy\.md, ([A-Z][\w ]+)", path.read_text())
    }
    assert named <= set(headings)
    assert named or platform == "docker"


def test_herokus_scripts_are_named_with_the_python_that_runs_them(render: Render) -> None:
    """They are not executable."""
    project = render(platform="heroku", tasks="celery")
    for path in [*files(project / "deploy"), *files(project / "docs")]:
        assert re.findall(r"(?<!uv run python )deploy/heroku\w*\.py \S+", path.read_text()) == [], path


@pytest.mark.parametrize("platform", ["heroku", "pythonanywhere"])
def test_a_redirect_without_end_behind_a_cdn_is_in_the_table_of_problems(render: Render, platform: str) -> None:
    page = (render(platform=platform) / "docs/troubleshooting.md").read_text()
    assert re.search(r'^\| "too many redirects", behind a CDN \| .*https', page, re.MULTILINE)


def test_every_shell_names_the_production_settings(render: Render) -> None:
    files = {
        "heroku": "app.json",
        "pythonanywhere": "deploy/pythonanywhere_wsgi.py",
        "docker": "Dockerfile",
        "gunicorn": "deploy/systemd/site.conf",
    }
    for platform, file in files.items():
        text = (render(platform=platform) / file).read_text()
        assert "config.settings.production" in text[text.index("DJANGO_SETTINGS_MODULE") :]
