"""What belongs to a platform is valid by the rules of the language it is written in."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from honcho.environ import parse_procfile

from tests.support.rendered import run_tool
from tests.support.rendering import question_choices

Render = Callable[..., Path]


def test_scripts_pass_shellcheck(render: Render) -> None:
    for platform in question_choices("platform"):
        project = render(platform=platform)
        scripts = [path for path in project.rglob("*") if path.is_file() and path.read_text().startswith("#!/bin/sh")]
        assert bool(scripts) == (platform == "docker")
        for script in scripts:
            assert script.stat().st_mode & 0o111 == 0o111, f"{script.name} is not executable"
            run_tool("shellcheck", str(script), folder=project)


@pytest.mark.parametrize("database", question_choices("database"))
def test_the_compose_file_follows_the_specification(render: Render, database: str) -> None:
    project = render(platform="docker", database=database)
    run_tool("check-jsonschema", "--builtin-schema", "vendor.compose-spec", "compose.yaml", folder=project)
    services = yaml.safe_load((project / "compose.yaml").read_text())["services"]
    assert set(services) == {"web", "migrate"} | ({"database"} if database == "postgresql" else set())


def test_the_procfile_has_a_release_phase_and_a_web_process(render: Render) -> None:
    processes = parse_procfile((render(platform="heroku") / "Procfile").read_text()).processes
    assert list(processes) == ["release", "web"]


def test_a_shell_with_a_proxy_in_front_says_so(render: Render) -> None:
    """Limits on logins count by the visitor's address, which the proxy tells."""
    app = json.loads((render(platform="heroku") / "app.json").read_text())
    assert app["env"]["TRUSTED_PROXY_COUNT"]["value"] == "1"
    unit = (render(platform="gunicorn") / "deploy/systemd/web.service").read_text().splitlines()
    assert "Environment=TRUSTED_PROXY_COUNT=1" in unit


def test_every_shell_names_the_production_settings(render: Render) -> None:
    files = {
        "heroku": "app.json",
        "pythonanywhere": "deploy/pythonanywhere_wsgi.py",
        "docker": "Dockerfile",
        "gunicorn": "deploy/systemd/web.service",
    }
    for platform, file in files.items():
        text = (render(platform=platform) / file).read_text()
        assert "config.settings.production" in text[text.index("DJANGO_SETTINGS_MODULE") :]
