"""The table of limits in docs/security.md agrees with the files on each of the four platforms.

tests/platforms and tests/sites check that proxies and servers enforce the limits.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.limits import MEGABYTE, PLATFORMS, limits
from tests.support.rendering import question_choices

Render = Callable[..., Path]


def found(pattern: str, file: Path) -> str:
    """Return the single value that a pattern finds in a file."""
    (value,) = set(re.findall(pattern, file.read_text(), re.MULTILINE))
    return str(value)


def production(project: Path, variable: str) -> str:
    """Return the default of a variable that the production settings read as a number."""
    return found(rf'env\.count\("{variable}", (\d+)(?:, most=\d+)?\)', project / "config/settings/production.py")


@pytest.fixture
def projects(render: Render) -> dict[str, Path]:
    """A project for each platform."""
    return {title: render(platform=title.lower()) for title in PLATFORMS}


def test_every_platform_is_told_the_same(projects: dict[str, Path]) -> None:
    assert [title.lower() for title in PLATFORMS] == question_choices("platform")
    pages = {(project / "docs/security.md").read_text() for project in projects.values()}
    assert len(pages) == 1


def test_bodies_are_limited_as_the_table_says(projects: dict[str, Path]) -> None:
    row = limits(projects["Docker"])["body of a request"]
    docker, machine = projects["Docker"], projects["gunicorn"]
    proxies = {
        "Docker": found(r"max_size \{\$MAX_BODY_MB:(\d+)\}MiB", docker / "deploy/Caddyfile"),
        "gunicorn": found(r"client_max_body_size (\d+)m;", machine / "deploy/nginx.conf"),
    }
    for platform, project in projects.items():
        megabytes = production(project, "MAX_BODY_MB")
        assert row[platform] == f"{megabytes} MB"
        assert found(r"^MAX_BODY_MB = (\d+)$", project / "config/settings/base.py") == megabytes
        assert proxies.get(platform, megabytes) == megabytes
    assert set(re.findall(r"MAX_BODY_MB:-(\d+)", (docker / "compose.yaml").read_text())) == {megabytes}
    assert set(re.findall(r"MAX_BODY_MB:-(\d+)", (docker / "deploy/swarm.yaml").read_text())) == {megabytes}


def test_headers_and_times_are_those_of_the_proxies(projects: dict[str, Path]) -> None:
    table = limits(projects["Docker"])
    caddy, nginx = projects["Docker"] / "deploy/Caddyfile", projects["gunicorn"] / "deploy/nginx.conf"
    assert table["headers of a request"]["Docker"] == found(r"max_header_size (\d+)KiB", caddy) + " KB"
    # The table's value is nginx's default: four buffers of 8 KB.
    assert "large_client_header_buffers" not in nginx.read_text()
    times = table["time for the headers"]
    assert times["Docker"] == found(r"read_header (\d+)s", caddy) + " s"
    assert times["gunicorn"] == found(r"client_header_timeout (\d+)s;", nginx) + " s"
    bodies = table["slow bodies"]
    assert bodies["Docker"].startswith(found(r"request_buffers (\d+)KiB", caddy) + " KB wait")
    assert bodies["gunicorn"].endswith(found(r"client_body_timeout (\d+)s;", nginx) + " s between two packets")
    assert "proxy_request_buffering" not in nginx.read_text()
    idle = table["idle connection"]
    assert idle["Docker"] == found(r"idle (\d+)m", caddy) + " min"
    assert idle["gunicorn"] == found(r"keepalive_timeout (\d+)s;", nginx) + " s"
    answers = table["time for an answer to begin"]
    assert answers["Docker"] == found(r"response_header_timeout (\d+)s", caddy) + " s"
    assert answers["gunicorn"] == found(r"proxy_read_timeout (\d+)s;", nginx) + " s"


def test_threads_are_gunicorns(projects: dict[str, Path]) -> None:
    table = limits(projects["Docker"])
    for platform in ("Heroku", "Docker", "gunicorn"):
        server = projects[platform] / "gunicorn.conf.py"
        workers = found(r'number\("WEB_CONCURRENCY", (\d+)\)', server)
        threads = found(r'number\("GUNICORN_THREADS", (\d+)\)', server)
        assert table["requests at a time"][platform] == f"{workers} processes of {threads}"
        assert production(projects[platform], "GUNICORN_THREADS") == threads
    readers = f"{int(threads) - 1} of {threads} threads"
    assert table["slow bodies"]["Heroku"] == readers
    assert table["slow bodies"]["Docker"].endswith(readers)


def megabytes(value: Any, **variables: str) -> int:
    """Return a size in a compose file in MB, with these variables and the defaults of others."""

    def filled(match: re.Match[str]) -> str:
        return variables.get(match[1], match[2])

    text = re.sub(r"\$\{(\w+):-(\w+)\}", filled, str(value))
    units = {"M": 1, "m": 1, "G": 1024}
    return int(text[:-1]) * units[text[-1]] if text[-1] in units else int(text) // MEGABYTE


@pytest.mark.parametrize("tasks", question_choices("tasks"))
def test_containers_are_held_to_the_table(render: Render, tasks: str) -> None:
    """Each tmpfs that a container can fill has a size that leaves enough memory for the program."""
    project = render(tasks=tasks)
    table = limits(project)
    compose = yaml.safe_load((project / "compose.yaml").read_text())["services"]
    swarm = yaml.safe_load((project / "deploy/swarm.yaml").read_text())["services"]
    site = {"web", "worker", "schedule", "beat", "migrate", "flower", "send", "nightly-send"}
    own = {"caddy": 256, "database": 1024, "broker": 512, "nightly": 512}
    for name, service in [*compose.items(), *swarm.items()]:
        sizes = [megabytes(entry.split("size=")[1]) for entry in service.get("tmpfs", [])]
        sizes += [megabytes(each["tmpfs"]["size"]) for each in service.get("volumes", []) if "tmpfs" in each]
        if name in ("backup", "restore", "smoke"):
            assert sizes == [64]
            continue
        limit = service["deploy"]["resources"]["limits"]
        memory = megabytes(limit["memory"])
        assert limit["pids"] == 200
        assert sum(sizes) <= memory / 2, name
        assert sizes, name
        if name in site:
            # On a swarm, the scheduler starts commands in other containers.
            assert memory in (512, 256)
            assert sizes == [100]
        else:
            assert memory == own[name]
    assert table["memory"]["Docker"] == "512 MB a container; Caddy 256 MB; database 1 GB"
    assert table["processes and threads"]["Docker"] == "200 a container"
    assert table["uploads that arrive"]["Docker"] == "100 MB in `/tmp`"
    log = compose["web"]["logging"]["options"]
    assert log == swarm["web"]["logging"]["options"]
    assert table["log"]["Docker"] == f"{log['max-file']} files of {log['max-size'][:-1]} MB a container"


def test_tmp_grows_with_the_limit_on_bodies(render: Render) -> None:
    compose = yaml.safe_load((render() / "compose.yaml").read_text())
    (entry,) = compose["services"]["web"]["tmpfs"]
    for limit in (1, 10, 250):
        assert megabytes(entry.removeprefix("/tmp:size="), MAX_BODY_MB=str(limit)) == 10 * limit  # noqa: S108 - a container's


def test_services_of_a_machine_are_held_to_the_table(projects: dict[str, Path]) -> None:
    table, deploy = limits(projects["gunicorn"]), projects["gunicorn"] / "deploy"
    site, journal = deploy / "systemd/site.conf", deploy / "systemd/journald.conf"
    assert table["memory"]["gunicorn"] == found(r"^MemoryMax=(\d+)%$", site) + " % of the machine a service"
    assert table["processes and threads"]["gunicorn"] == found(r"^TasksMax=(\d+)$", site) + " a service"
    kept = f"{found(r'^SystemMaxUse=(\d+)G$', journal)} GB or {found(r'^MaxRetentionSec=(\d+)day$', journal)} days"
    assert table["log"]["gunicorn"] == f"{kept}, the machine's"


def test_the_log_file_is_rotated_as_the_table_says(projects: dict[str, Path]) -> None:
    logs = projects["PythonAnywhere"] / "operations/logs.py"
    size, kept = found(r"^LOG_FILE_BYTES = (\S+)$", logs), found(r"^LOG_FILES_KEPT = (\d+)$", logs)
    told = limits(projects["PythonAnywhere"])["log"]["PythonAnywhere"]
    assert told == f"{int(kept) + 1} files of {int(size) // 1_000_000} MB, in `LOG_FILE`"


def test_connecting_to_a_database_is_bounded(projects: dict[str, Path]) -> None:
    seconds = found(
        r'setdefault\("connect_timeout", (\d+)\)', projects["Docker"] / "operations/environment/databases.py"
    )
    row = limits(projects["Docker"])["time to connect to the database"]
    assert {row[platform] for platform in PLATFORMS} == {f"{seconds} s"}


@pytest.mark.parametrize("length", [42, 43, 235])
def test_nginx_is_told_of_a_long_name(render: Render, length: int) -> None:
    """With `www.` in front too. tests/platforms runs nginx with it."""
    labels = ".".join(letter * 48 for letter in "abcde") + ".example"
    domain = labels[-length:]
    assert len(domain) == length
    config = (render(platform="gunicorn", domain=domain) / "deploy/nginx.conf").read_text()
    assert ("server_names_hash_bucket_size 512;" in config) == (length > 42)
