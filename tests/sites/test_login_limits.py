"""Wrong passwords are limited by account and by IP address, across workers, and visitors cannot forge their address."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.sites import Site
from tests.support.visitors import Visitor

TOO_MANY = "Too many failed login attempts"
PASSWORD = "correct horse battery staple"
# A wrong password is answered by the form, and one too many by the status for that.
ANSWERED = {(200, False), (429, True)}


@pytest.fixture(params=["tcp", "unix"])
def where(request: pytest.FixtureRequest, site: Site, tmp_path: Path) -> Iterator[int | str]:
    """The port or the Unix socket of the site, which two workers serve behind a proxy."""
    socket = tmp_path / "socket"
    command = (
        ["gunicorn"]
        if request.param == "tcp"
        else ["gunicorn", f"--bind=unix:{socket}", f"--bind=127.0.0.1:{site.port}"]
    )
    with site.started(tmp_path / "log", command, TRUSTED_PROXY_COUNT="1", WEB_CONCURRENCY="2"):
        yield site.port if request.param == "tcp" else str(socket)


def account(site: Site) -> str:
    """Return the email address of a new account, which may use the admin."""
    email = f"{secrets.token_hex(6)}@example.com"
    site.manage("createsuperuser", "--noinput", "--email", email, DJANGO_SUPERUSER_PASSWORD=PASSWORD)
    return email


def address() -> str:
    """Return an IPv6 address that no other test uses, in a /64 of its own, because the limit counts by /64."""
    return f"2001:db8:{secrets.token_hex(2)}:{secrets.token_hex(2)}::1"


def refused(where: int | str, addresses: list[str]) -> list[bool]:
    """Log in from each address to a new account each; return for each whether the limit refused it."""
    answers = [
        Visitor(where, **{"X-Forwarded-For": each}).log_in(f"{secrets.token_hex(6)}@example.com", "?")
        for each in addresses
    ]
    assert {(answer.status, TOO_MANY in answer.text) for answer in answers} <= ANSWERED
    return [TOO_MANY in answer.text for answer in answers]


def test_an_accounts_wrong_passwords_are_counted_wherever_they_come_from(site: Site, where: int | str) -> None:
    email = account(site)
    for _ in range(5):
        answer = Visitor(where, **{"X-Forwarded-For": address()}).log_in(email, "wrong")
        assert (answer.status, TOO_MANY in answer.text) == (200, False)
    # Now the right password is refused too, on the site's login and on the admin's.
    visitor = Visitor(where, **{"X-Forwarded-For": address()})
    assert TOO_MANY in visitor.log_in(email, PASSWORD).text
    admins = visitor.ask("GET", "/admin/login/?next=/admin/")
    assert (admins.status, admins.headers["Location"]) == (302, "/accounts/login/?next=%2Fadmin%2F")
    assert TOO_MANY in visitor.post("/accounts/login/?next=/admin/", login=email, password=PASSWORD).text
    # Another account can still log in.
    assert Visitor(where, **{"X-Forwarded-For": address()}).log_in(account(site), PASSWORD).status == 302


def test_an_addresss_wrong_passwords_are_counted_whatever_it_forges(site: Site, where: int | str) -> None:
    mine = address()
    for number in range(10):
        # The proxy appends the address that it saw; the visitor wrote the part before it.
        forger = Visitor(where, **{"X-Forwarded-For": f"198.51.100.{number}, {mine}"})
        assert TOO_MANY not in forger.log_in(f"{secrets.token_hex(6)}@example.com", "wrong").text
    email = account(site)
    forger = Visitor(where, **{"X-Forwarded-For": f"198.51.100.99, {mine}"})
    assert TOO_MANY in forger.log_in(email, PASSWORD).text
    assert Visitor(where, **{"X-Forwarded-For": f"{mine}, {address()}"}).log_in(email, PASSWORD).status == 302


def test_what_else_is_cached_does_not_push_the_counts_out(site: Site, tmp_path: Path) -> None:
    with site.started(tmp_path / "log"):
        email = account(site)
        for _ in range(5):
            Visitor(site.port).log_in(email, "wrong")
        write = "from django.core.cache import cache; [cache.set(f'{n}', n) for n in range(400)]"
        site.manage("shell", "--no-imports", "--command", write)
        assert TOO_MANY in Visitor(site.port).log_in(email, PASSWORD).text


def test_without_a_proxy_nothing_that_a_visitor_claims_counts(site: Site, tmp_path: Path) -> None:
    mine = Visitor(site.port).address
    with site.started(tmp_path / "log"):
        for _ in range(10):
            forger = Visitor(site.port, mine, **{"X-Forwarded-For": address()})
            assert TOO_MANY not in forger.log_in(f"{secrets.token_hex(6)}@example.com", "wrong").text
        email = account(site)
        assert TOO_MANY in Visitor(site.port, mine, **{"X-Forwarded-For": address()}).log_in(email, PASSWORD).text
        assert Visitor(site.port, **{"X-Forwarded-For": mine}).log_in(email, PASSWORD).status == 302


# Values that X-Forwarded-For may have, in the characters that HTTP allows in headers.
TOLD = ("", " ", ",", "unknown", "192.0.2.1:", "[2001:db8::1", "fe80::1%eth0", "%", "1" * 4000, "\xc3\xa9", "a, b, c")


@pytest.mark.parametrize("count", ["0", "5"])
def test_a_wrong_count_of_proxies_is_no_error_and_no_limit_for_all(site: Site, tmp_path: Path, count: str) -> None:
    """The proxy is on a Unix socket and sets the header to the visitor's address, as nginx does on the machine."""
    socket = str(tmp_path / "socket")
    command = ["gunicorn", f"--bind=unix:{socket}", f"--bind=127.0.0.1:{site.port}"]
    with site.started(tmp_path / "log", command, TRUSTED_PROXY_COUNT=count):
        assert refused(socket, [address() for _ in range(12)]) == [False] * 12
        assert refused(socket, [address()] * 11) == [False] * 10 + [True]
        for told in TOLD:
            answer = Visitor(socket, **{"X-Forwarded-For": told}).log_in(f"{secrets.token_hex(6)}@example.com", "?")
            # The limit may count some of these as one address.
            assert answer.status in {200, 429}, told


def test_an_ipv6_visitor_is_limited_by_its_network_and_an_ipv4_one_alone(where: int | str) -> None:
    network = address().removesuffix("1")
    assert refused(where, [f"{network}{number:x}:1" for number in range(12)]) == [False] * 10 + [True] * 2
    assert refused(where, [f"[{network}{number:x}:2]:443" for number in range(2)]) == [True] * 2
    # IPv4 addresses as a dual-stack socket reports them: they are not one network.
    assert refused(where, [f"::ffff:198.51.100.{number}" for number in range(12)]) == [False] * 12


def test_no_spelling_of_the_host_passes_an_accounts_limit(site: Site, where: int | str) -> None:
    email = account(site)
    hosts = ["localhost:1", "localhost:2", "LOCALHOST", "localhost.", "localhost:443", "LocalHost.:3", "localhost"]
    answers = [
        Visitor(where, Host=host, Referer=f"https://{host.lower()}/", **{"X-Forwarded-For": address()}).log_in(
            email, "wrong"
        )
        for host in hosts
    ]
    assert {(answer.status, TOO_MANY in answer.text) for answer in answers} <= ANSWERED
    assert [TOO_MANY in answer.text for answer in answers] == [False] * 5 + [True] * 2
