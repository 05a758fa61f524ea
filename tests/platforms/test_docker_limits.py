"""The site on Docker enforces its limits: requests that are too large or too slow do not affect others."""

import contextlib
import socket
import ssl
from collections.abc import Callable
from typing import Any

import pytest
import requests

from tests.support.containers import Deployment, Engine, Projects
from tests.support.limits import MEGABYTE
from tests.support.servers import HANGS
from tests.support.slow_visitors import FORM, body, form_of, head, slow_visitors, status_of_announced

STREAM = 20 * MEGABYTE


def connecting(site: Deployment) -> Callable[[], socket.socket]:
    """Return a function that connects to the site's published port."""
    trusted = ssl.create_default_context(cafile=site.authority())

    def connect() -> socket.socket:
        connection = socket.create_connection(("localhost", site.https_port), timeout=HANGS)
        return trusted.wrap_socket(connection, server_hostname="localhost")

    return connect


def state(site: Deployment, service: str) -> tuple[Any, ...]:
    """Return a container's state, which changes if it or its first process ends."""
    container = site.container(service)
    return container["State"]["StartedAt"], container["State"]["Pid"], container["RestartCount"]


def in_tmp(site: Deployment) -> tuple[int, int]:
    """Return the size and the used part of /tmp in `web`, in MB."""
    said = site.compose("exec", "web", "df", "--block-size=M", "--output=size,used", "/tmp")  # noqa: S108 - a container's
    size, used = said.splitlines()[-1].replace("M", "").split()
    return int(size), int(used)


def sent(site: Deployment, size: int, **headers: str) -> int:
    """Send a form with a file of `size` bytes as a visitor; return the answer's status, or 0 if none was read."""
    with site.session() as visitor:
        page = visitor.get(f"{site.url}{FORM}", timeout=HANGS)
        told = {**headers, **form_of(page), "Referer": f"{site.url}/"}
        try:
            return visitor.post(
                f"{site.url}{FORM}", files={"file": b"x" * size}, headers=told, timeout=HANGS
            ).status_code
        except requests.ConnectionError:
            # The site answered and closed the connection while the visitor was still sending.
            return 0


def test_a_body_over_the_limit_is_refused_and_fills_nothing(deployed: Deployment) -> None:
    before = state(deployed, "web"), state(deployed, "caddy")
    connect = connecting(deployed)
    for length in (10 * MEGABYTE + 1, 700 * MEGABYTE, 10**18):
        assert status_of_announced(connect, deployed.url, length) == 413
    assert sent(deployed, 30 * MEGABYTE) in (0, 413)
    # A chunked body, without a length: Caddy ends the request, and Django reads none of it.
    with connect() as connection, contextlib.suppress(OSError):
        connection.sendall(head(deployed.url, 0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked"))
        for _ in range(STREAM // MEGABYTE):
            connection.sendall(b"%x\r\n%s\r\n" % (MEGABYTE, body(MEGABYTE)))
    assert in_tmp(deployed) == (100, 0)
    assert sent(deployed, 9 * MEGABYTE) == 200
    assert in_tmp(deployed) == (100, 0)
    assert (state(deployed, "web"), state(deployed, "caddy")) == before


@pytest.mark.parametrize("read", [True, False], ids=["that the site reads", "that the site refuses unread"])
@pytest.mark.parametrize(("number", "first", "length"), [(10, 1_200_000, 5_000_000), (60, 3_000_000, 9_000_000)])
def test_slow_bodies_stop_no_page(deployed: Deployment, number: int, first: int, length: int, read: bool) -> None:
    """Part of each body is sent at once, then one byte a second. Sixty of nine megabytes exceed Caddy's memory."""
    before = state(deployed, "web"), state(deployed, "caddy")
    with deployed.session() as visitor:
        accepted = form_of(visitor.get(f"{deployed.url}{FORM}", timeout=HANGS)) if read else {}
    slow: dict[str, Any] = {"sent": first, "length": length, **accepted}
    with slow_visitors(number, connecting(deployed), deployed.url, **slow):
        for _ in range(5):
            assert deployed.get("/health/").status_code == 200
            assert deployed.get(FORM).status_code == 200
    assert (state(deployed, "web"), state(deployed, "caddy")) == before


def test_headers_over_the_limit_are_refused(deployed: Deployment) -> None:
    with connecting(deployed)() as connection:
        connection.sendall(head(deployed.url, 0, X_Long="x" * 40 * 1024))
        assert connection.recv(100).split()[1] in (b"400", b"431")


def test_one_variable_sets_the_limit_for_caddy_django_and_tmp(projects: Projects) -> None:
    with projects.deployment(MAX_BODY_MB="1") as site:
        site.up()
        assert status_of_announced(connecting(site), site.url, MEGABYTE + 1) == 413
        assert sent(site, MEGABYTE // 2) == 200
        assert in_tmp(site) == (10, 0)
        code = "from django.conf import settings; print('limit:', settings.MAX_BODY_MB)"
        assert "limit: 1\n" in site.compose("exec", "web", "python", "manage.py", "shell", "--command", code)


@pytest.mark.parametrize(("size", "starts"), [(":size=100m", True), (":size=200m", False), ("", False)])
def test_a_tmp_that_could_fill_the_memory_is_refused(
    engine: Engine, projects: Projects, size: str, starts: bool
) -> None:
    image = projects.get()[1]["IMAGE"]
    options = ("--rm", "--memory=256m", f"--tmpfs=/tmp{size}", "--network=none")
    # Without variables, gunicorn starts and then lists the missing ones.
    said = engine.docker("run", *options, image, code=3)
    assert ("Set MEMORY_LIMIT to" in said) != starts
    assert ("SECRET_KEY: not set" in said) == starts
