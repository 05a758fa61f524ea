"""The gunicorn shell's machine is secure and robust: nginx's rules, the owners of files, crashes and reboots."""

import re
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from stand_ins.machines import BUNDLE, Machine, Machines
from tests.support.faults import QUICK
from tests.support.limits import MEGABYTE
from tests.support.owners import DOMAIN, NAMES, SLUG, Owner
from tests.support.readers import assert_read_as_told, told
from tests.support.repositories import repository
from tests.support.runbooks import PASTED, blocks
from tests.support.servers import HANGS, eventually
from tests.support.slow_visitors import FORM, slow_visitors, status_of_announced
from tests.support.smoke import CHECKS
from tests.support.traffic import callers, steady_traffic

# The highest score that a unit may have in `systemd-analyze security`.
EXPOSURE = 2.5
# Sends a login form twelve times from an address that nothing else uses, with a forged one each, then once from a really different address.
GUESSES = f"""
url=https://{DOMAIN}/accounts/login/ cookies=$(mktemp)
curl --silent --output /dev/null --cookie-jar $cookies $url
token=$(awk '/csrftoken/ {{print $7}}' $cookies)
guess() {{
  curl --silent --cookie $cookies --referer $url --data-urlencode csrfmiddlewaretoken=$token \\
    --data-urlencode "login=$1@example.com" --data password=wrong "${{@:2}}" $url | grep --count 'Too many failed' || true
}}
for number in {{1..12}}; do guess "nobody$number" --interface 127.0.0.8 --header "X-Forwarded-For: 198.51.100.$number"; done
guess nobody --resolve {DOMAIN}:443:$(hostname --all-ip-addresses | tr --delete ' ')
"""


@pytest.fixture(scope="module")
def machine(machines: Machines, deployed_machine: tuple[str, Path]) -> Iterator[Machine]:
    """A machine with a live site, for tests that do not change it."""
    with machines.started(deployed_machine[0], *NAMES) as machine:
        yield machine


def asked(machine: Machine, *options: str) -> str:
    """Return curl's output on the machine: an answer's status, or the error."""
    return machine.run(
        f"curl --silent --output /dev/null --write-out '%{{http_code}}' {' '.join(options)}", code=None
    ).strip()


def headers(machine: Machine, path: str, *options: str) -> dict[str, str]:
    """Return an answer's headers."""
    lines = machine.run(f"curl --silent --dump-header - --output /dev/null {' '.join(options)} https://{DOMAIN}{path}")
    return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines.splitlines()[1:])}


def test_units_are_well_formed_and_nginx_accepts_its_site(machine: Machine) -> None:
    """systemd-analyze always ends with 0, so its output is checked."""
    units = machine.run(f"cd /etc/systemd/system && ls -d {SLUG}-*.*").split()
    names = [unit for unit in units if not unit.endswith(".d")]
    assert len(names) == 6
    assert machine.run(f"systemd-analyze verify {' '.join(names)}") == ""
    assert machine.run("nginx -t -q") == ""


def test_systemd_reads_the_variables_as_the_page_says(machine: Machine, deployed_machine: tuple[str, Path]) -> None:
    row = told(deployed_machine[1])[f"`/etc/{SLUG}/environment`: systemd"]

    def read(texts: Mapping[str, str]) -> Mapping[str, str]:
        machine.write("/root/variables", "".join(f"{name}={text}\n" for name, text in texts.items()))
        command = "systemd-run --quiet --pipe --wait --property=EnvironmentFile=/root/variables /usr/bin/env -0"
        return dict(line.split("=", 1) for line in machine.run(command).split("\0") if line)

    assert_read_as_told(row, read)


# The longest for which nginx needs no line of its own, and the longest that the question allows.
LONG = ["a." * 19 + "long", "a." * 116 + "com"]


@pytest.mark.parametrize("domain", LONG, ids=lambda domain: str(len(domain)))
def test_nginx_and_certbot_take_a_long_domain_and_its_alias(
    machine: Machine, render: Callable[..., Path], domain: str
) -> None:
    project = render(platform="gunicorn", project_slug="other", domain=domain)
    names = f"server_name {domain} www.{domain};"
    site = (project / "deploy/nginx.conf").read_text().replace(f"server_name {domain};", names)
    machine.write("/root/long.conf", site)
    page = (project / "docs/deploy.md").read_text()
    (names_of_nginx,) = re.findall(r"(?m)^names=.*$", page)
    (obtain,) = re.findall(r'(?s)certbot certonly [^`]*--expand.*?directory\}"', page)
    # What answers the authority, as the site would.
    (answer,) = re.findall(r"(?s)if \[ ! -e /etc/nginx/sites-enabled/other \]; then.*?\nfi\n", page)
    answer = answer.replace(f"server_name {domain};", names)
    # All at once: the authority, a Go program, reads /etc/hosts again only after five seconds.
    hosts = " ".join(f"{name} www.{name}" for name in LONG)
    machine.run(
        f"echo 127.0.0.1 {hosts} >>/etc/hosts && mkdir -p /run/other\n"
        # The authority forgets accounts when its machine restarts.
        "rm -rf /etc/letsencrypt/accounts\n"
        f"{answer}{names_of_nginx.replace('/etc/nginx/sites-available/other', '/root/long.conf')}\n"
        f"[ \"$names\" = '{domain} www.{domain}' ]\n"
        f"{obtain} --agree-tos --register-unsafely-without-email\n"
        "rm /etc/nginx/sites-enabled/other && systemctl reload nginx\n"
        "sed 's|/etc/nginx/sites-enabled/.*|/root/long.conf;|' /etc/nginx/nginx.conf >/root/nginx.conf\n"
        "nginx -t -q -c /root/nginx.conf"
    )


def test_services_are_locked_in(machine: Machine) -> None:
    for service in ("web", "backup", "cleanup"):
        said = machine.run(f"systemd-analyze security --no-pager {SLUG}-{service}.service")
        (score,) = re.findall(r"Overall exposure level for \S+: ([0-9.]+)", said)
        assert float(score) <= EXPOSURE, said


def test_the_environment_is_roots_alone_and_the_code_is_not_the_services(machine: Machine) -> None:
    machine.run(f"cat /etc/{SLUG}/environment >/dev/null")
    assert "Permission denied" in machine.run(f"cat /etc/{SLUG}/environment", "deploy", code=1)
    for file in (f"/etc/{SLUG}/environment", f"/var/lib/{SLUG}/../postgresql/17"):
        machine.run(f"{SLUG}-run cat {file}", code=1)
    for folder in (f"/srv/{SLUG}/current", f"/srv/{SLUG}", "/etc", "/var/lib", "/usr/local/sbin"):
        machine.run(f"{SLUG}-run touch {folder}/file", code=1)
    machine.run(f"{SLUG}-run touch /var/lib/{SLUG}/file")
    assert "Permission denied" in machine.run(f"ls /var/lib/{SLUG}", "deploy", code=2)


def test_who_deploys_may_restart_the_site_and_run_commands_as_it_and_nothing_else(machine: Machine) -> None:
    assert machine.run(f"sudo --non-interactive {SLUG}-run id --user --name", "deploy").strip() == SLUG
    machine.run(f"sudo --non-interactive systemctl restart {SLUG}-web.service", "deploy")
    for command in (
        "id",
        f"systemctl stop {SLUG}-web.service",
        f"systemctl restart {SLUG}-web.service ssh",
        "systemd-run id",
    ):
        assert "password is required" in machine.run(f"sudo --non-interactive {command}", "deploy", code=1)
    for release in ("", "../../..", "20261121T140000Z/../..", "$(id)", "20261121T140000Z;id"):
        machine.run(f"sudo --non-interactive {SLUG}-run '--release={release}' id", "deploy", code=2)
    # Neither a shell nor systemd expands anything in the values.
    assert (
        machine.run(f"sudo {SLUG}-run printf '%s' '$SECRET_KEY ${{HOME}} $$ %n'", "deploy")
        == "$SECRET_KEY ${HOME} $$ %n"
    )


def test_requests_for_other_hosts_are_closed_without_an_answer(machine: Machine) -> None:
    foreign = "--header 'Host: other.example.com'"
    assert asked(machine, foreign, "http://127.0.0.1/") == "000"
    assert asked(machine, "http://127.0.0.1/") == "000"
    assert asked(machine, "--http1.1", foreign, f"https://{DOMAIN}/") == "000"
    assert asked(machine, "--insecure", "--connect-to ::127.0.0.1:", "https://other.example.com/") == "000"


def test_probes_are_answered_by_any_name_and_without_https(machine: Machine) -> None:
    for url in ("http://127.0.0.1/health/", f"http://{DOMAIN}/health/", f"https://{DOMAIN}/health/"):
        assert asked(machine, url) == "200"
    assert asked(machine, f"http://{DOMAIN}/") == "301"


def test_a_cdn_must_ask_by_https(machine: Machine) -> None:
    """One that asks by http gets a redirect to what its visitor has asked for, again and again."""
    told = "--header 'X-Forwarded-Proto: https'"
    location = asked(machine, told, "--write-out '%{redirect_url}'", f"http://{DOMAIN}/page")
    assert location == f"https://{DOMAIN}/page"
    assert asked(machine, told, f"https://{DOMAIN}/") == "200"


def test_pages_come_over_http_2_and_no_old_tls(machine: Machine) -> None:
    ask = f"curl --silent --output /dev/null --write-out '%{{http_version}} %{{http_code}}' https://{DOMAIN}/"
    assert machine.run(ask).strip() == "2 200"
    for version, works in (("1", False), ("1_1", False), ("1_2", True), ("1_3", True)):
        connect = f"openssl s_client -connect 127.0.0.1:443 -servername {DOMAIN} -tls{version} </dev/null"
        assert ("Cipher is (NONE)" not in machine.run(connect, code=None)) == works, version


def test_what_a_visitor_claims_of_the_scheme_and_of_the_request_counts_for_nothing_but_its_id(machine: Machine) -> None:
    for claim in ("X-Forwarded-Proto: http", "X-Forwarded-Ssl: off", "X-Forwarded-Protocol: http"):
        assert asked(machine, f"--header '{claim}'", f"https://{DOMAIN}/") == "200"
    assert headers(machine, "/", "--header 'X-Request-ID: from.the-visitor'")["x-request-id"] == "from.the-visitor"


def test_an_address_that_a_visitor_claims_does_not_count(machine: Machine) -> None:
    """Ten wrong passwords from one address are the limit, whichever address they claim."""
    *claimed, other = machine.run(GUESSES).split()
    assert claimed[:10] == ["0"] * 10
    assert claimed[10:] == ["1"] * 2
    assert other == "0"


def test_the_port_in_the_host_does_not_pass_the_limit_of_an_account(machine: Machine) -> None:
    guesses = GUESSES.partition("for number")[0] + (
        "for number in {1..7}; do\n"
        f'  guess somebody --header "Host: {DOMAIN}:$number" --referer https://{DOMAIN}/\n'
        "done"
    )
    # From an address that no other test uses.
    guesses = guesses.replace(
        "curl --silent --cookie $cookies",
        "curl --silent --connect-to ::127.0.0.1: --interface 127.0.0.9 --cookie $cookies",
    )
    assert machine.run(guesses).split() == ["0"] * 5 + ["1"] * 2


def test_behind_a_cdn_each_visitor_has_a_limit_as_the_page_on_security_says(machine: Machine) -> None:
    site = f"/etc/nginx/sites-available/{SLUG}"
    lines = "set_real_ip_from 127.0.0.0/8; real_ip_header X-Forwarded-For; real_ip_recursive on;"
    machine.run(
        f"cp {site} /root/site && sed --in-place 's|^  http2 on;|  http2 on; {lines}|' {site} && nginx -s reload"
    )
    try:
        time.sleep(1)
        visitors = GUESSES.replace("198.51.100.$number", "6.6.6.6, 198.51.100.$number").replace(
            "curl --silent --cookie $cookies", "curl --silent --connect-to ::127.0.0.1: --cookie $cookies"
        )
        assert machine.run(visitors).split()[:12] == ["0"] * 12
    finally:
        machine.run(f"cp /root/site {site} && nginx -s reload")


def test_nginx_logs_no_key_that_lets_one_into_an_account(machine: Machine) -> None:
    links = (
        "accounts/password/reset/key/1-s3cret-key",
        "accounts/confirm-email/s3cret:1:2",
        "accounts/%63onfirm-email/s3cret",
    )
    for link in links:
        asked(machine, f"https://{DOMAIN}/{link}/")
        asked(machine, f"http://{DOMAIN}/{link}/")
    asked(machine, f"--referer https://{DOMAIN}/{links[0]}/", f"https://{DOMAIN}/")
    machine.run(f"systemctl stop {SLUG}-web.socket {SLUG}-web")
    assert asked(machine, f"https://{DOMAIN}/{links[0]}/") == "502"
    machine.run(f"systemctl start {SLUG}-web.socket")
    assert "/accounts/password/reset/key/***" in machine.run("cat /var/log/nginx/access.log")
    assert "s3cret" not in machine.run("cat /var/log/nginx/*.log")
    assert "s3cret" not in machine.run("journalctl --no-pager --output=cat")


def test_the_first_step_refuses_a_name_of_the_machines_own(machine: Machine) -> None:
    page = machine.run(f"cat /srv/{SLUG}/repository/docs/deploy.md")
    (check,) = re.findall(f"(?s)```bash\n(if \\[ ! -e /srv/{SLUG}/releases.*?)```", page)
    assert machine.run(check) == ""
    for slug, name in (("user", "user-runtime-dir@.service"), ("services", "/etc/services"), ("deploy", "uid=")):
        assert name in machine.run(check.replace(SLUG, slug), code=1)


def test_pages_and_static_files_are_compressed_once(machine: Machine) -> None:
    page = headers(machine, "/accounts/login/", "--header 'Accept-Encoding: gzip, br'")
    assert page["content-encoding"] == "gzip"
    style = machine.run(f"curl --silent https://{DOMAIN}/ | grep --only-matching '/static/[^\"]*\\.css'").strip()
    assert headers(machine, style, "--header 'Accept-Encoding: gzip, br'")["content-encoding"] == "br"
    assert headers(machine, style, "--header 'Accept-Encoding: gzip'")["content-encoding"] == "gzip"


def test_a_request_that_is_too_large_is_refused_before_the_site_sees_it(machine: Machine) -> None:
    send = "head --bytes=11M /dev/zero | curl --silent --output /dev/null --write-out '%{http_code}' --data-binary @-"
    assert machine.run(f"{send} https://{DOMAIN}/accounts/login/").strip() == "413"


def test_slow_bodies_stop_no_page(machine: Machine, tmp_path: Path) -> None:
    """They are buffered by nginx, so they do not reach the site."""
    trusted = ssl.create_default_context(cafile=machine.authority(tmp_path))

    def connect() -> socket.socket:
        connection = socket.create_connection((machine.address, 443), timeout=HANGS)
        return trusted.wrap_socket(connection, server_hostname=DOMAIN)

    url = f"https://{DOMAIN}"
    assert status_of_announced(connect, url, 10 * MEGABYTE + 1) == 413
    with slow_visitors(40, connect, url, sent=1_200_000, length=5_000_000):
        for _ in range(4):
            assert asked(machine, f"--max-time {HANGS:.0f}", f"{url}/health/") == "200"
            assert asked(machine, f"--max-time {HANGS:.0f}", f"{url}{FORM}") == "200"


def test_services_are_held_to_the_memory_and_the_processes_that_the_unit_says(machine: Machine) -> None:
    said = machine.run(f"systemctl show --property=MemoryMax,TasksMax {SLUG}-web")
    limits = dict(line.split("=") for line in said.split())
    assert limits["TasksMax"] == "200"
    memory = machine.engine.inspect(machine.id)[0]["HostConfig"]["Memory"]
    assert 0.7 < int(limits["MemoryMax"]) / memory < 0.8


def test_one_variable_sets_the_limit_for_nginx_and_django(machine: Machine, deployed_machine: tuple[str, Path]) -> None:
    environment, site = f"/etc/{SLUG}/environment", f"/etc/nginx/sites-available/{SLUG}"
    (block,) = (block.text for block in blocks(deployed_machine[1] / "docs/deploy.md") if "megabytes=" in block.text)
    paste = block[block.index("megabytes=") :]
    install = f"cd /srv/{SLUG}/repository\n{paste}\nsystemctl restart {SLUG}-web"
    send = "head --bytes=2M /dev/zero | curl --silent --output /dev/null --write-out '%{http_code}' --data-binary @-"
    assert machine.run(f"{send} https://{DOMAIN}/accounts/login/").strip() == "403"
    machine.run(f"cp -p {environment} {environment}.before && echo MAX_BODY_MB=1 >>{environment}\n{install}")
    try:
        assert machine.run(f"{send} https://{DOMAIN}/accounts/login/").strip() == "413"
        code = "from django.conf import settings; print(settings.MAX_BODY_MB)"
        assert machine.run(f"{SLUG}-run python manage.py shell --verbosity=0 --command '{code}'").strip() == "1"
        # The deploy script finds nothing outdated, and its user can read the files that it compares.
        status = f"cd /srv/{SLUG}/repository && uv run --quiet --locked python deploy/machine.py status"
        assert site not in machine.run(status, "deploy", code=None)
        machine.run(f"echo '# Another one' >>{site}")
        said = machine.run(status, "deploy", code=None)
        assert f"{site} is not what the release has: docs/deploy.md, Certificate and nginx" in said
    finally:
        machine.run(f"mv {environment}.before {environment}\n{install}")
    assert machine.run(f"{send} https://{DOMAIN}/accounts/login/").strip() == "403"


def test_a_second_site_has_its_place_in_nginx_too(machine: Machine, render: Callable[..., Path]) -> None:
    """Run the runbook's block, also in the form for older nginx versions, with the first site's certificate."""
    site, folder = "/etc/nginx/sites-available/chores", "/srv/chores/repository/deploy"
    project = render(platform="gunicorn", project_slug="chores", domain="chores.example.com")
    (block,) = (block.text for block in blocks(project / "docs/deploy.md") if "megabytes=" in block.text)
    config = (project / "deploy/nginx.conf").read_text().replace("live/chores.example.com/", f"live/{DOMAIN}/")
    paste = f"cd {folder}/..\nMAX_BODY_MB=\n{block[block.index('megabytes=') :]}"
    machine.run(f"mkdir -p {folder} /etc/chores && touch /etc/chores/environment")
    try:
        machine.write(f"{folder}/nginx.conf", config)
        assert machine.run(paste) == ""
        # nginx takes a moment to start new workers.
        assert eventually(lambda: asked(machine, "--header 'Host: chores.example.com'", "http://127.0.0.1/") == "301")
        assert asked(machine, f"https://{DOMAIN}/") == "200"
        assert asked(machine, "http://127.0.0.1/") == "000"
        same = "import sys; from service import comparable, Path; sys.exit(comparable(Path(sys.argv[1])) != comparable(Path(sys.argv[2])))"
        compare = f"cd /srv/{SLUG}/repository/deploy && python3 -c '{same}' {site} {folder}/nginx.conf"
        machine.run(compare)
        # The first site's block still answers for all names, even after it is pasted again.
        again = f"cd /srv/{SLUG}/repository\n{paste.partition(chr(10))[2].replace('chores', SLUG)}"
        assert machine.run(again) == ""
        assert "default_server" in machine.run(f"cat /etc/nginx/sites-available/{SLUG}")
        # The nginx versions of Debian 12 and Ubuntu 24.04.
        machine.run(
            "printf '#!/bin/sh\necho nginx version: nginx/1.24.0 >&2\n' >/usr/local/bin/nginx && chmod 755 /usr/local/bin/nginx"
        )
        machine.run(paste)
        written = machine.run(f"rm /usr/local/bin/nginx && cat {site}")
        assert re.findall("(?m)^ *listen .*443.*|^ *http2.*", written) == [
            "  listen 443 ssl http2;",
            "  listen [::]:443 ssl http2;",
        ]
        machine.run(compare)
    finally:
        machine.run(f"rm -rf {site} /etc/nginx/sites-enabled/chores /srv/chores /etc/chores /usr/local/bin/nginx")
        machine.run("systemctl reload nginx")


@pytest.mark.parametrize("length", [42, 43, 47, 58, 109, 235])
def test_nginx_has_room_for_a_long_name(machine: Machine, render: Callable[..., Path], length: int) -> None:
    """The name also fits with `www.` in front, which the runbook adds."""
    domain = (".".join(letter * 48 for letter in "abcde") + ".example")[-length:]
    config = (render(platform="gunicorn", domain=domain) / "deploy/nginx.conf").read_text()
    config = config.replace(f"/live/{domain}/", f"/live/{DOMAIN}/").replace(
        f"server_name {domain};", f"server_name {domain} www.{domain};"
    )
    site = f"/etc/nginx/sites-available/{SLUG}"
    machine.run(f"cp -p {site} {site}.before")
    try:
        machine.write(site, config)
        assert machine.run("nginx -t -q") == ""
    finally:
        machine.run(f"mv {site}.before {site}")


def test_a_hundred_connections_that_never_finish_hold_nobody_up(machine: Machine) -> None:
    """A slowloris attack: headers and a body that are sent byte by byte, and normal visitors meanwhile."""
    slow = []
    for number in range(100):
        connection = socket.create_connection((machine.address, 80), timeout=HANGS)
        if number % 2:
            connection.sendall(f"POST /health/ HTTP/1.1\r\nHost: {DOMAIN}\r\nContent-Length: 1000\r\n\r\n".encode())
        else:
            connection.sendall(f"GET /health/ HTTP/1.1\r\nHost: {DOMAIN}\r\n".encode())
        slow.append(connection)
    try:
        # Most of the slow connections are still open when normal visitors are answered.
        for _ in range(4):
            assert sum(map(drip, slow)) > len(slow) / 2
            assert asked(machine, f"--max-time {HANGS:.0f}", f"https://{DOMAIN}/") == "200"
        # After its timeout, nginx closes the connections whose headers are incomplete.
        assert eventually(lambda: not any(drip(connection) and drip(connection) for connection in slow[::2]))
    finally:
        for connection in slow:
            connection.close()


def drip(connection: socket.socket) -> bool:
    """Send one more byte; return False if the other side has closed the connection."""
    try:
        connection.sendall(b"X")
        time.sleep(0.001)
    except OSError:
        return False
    return True


def test_a_worker_and_the_master_that_are_killed_come_back(owner: Owner, tmp_path: Path) -> None:
    machine = owner.machine
    main = f"systemctl show --property=MainPID --value {SLUG}-web"
    master = machine.run(main).strip()
    asking = callers(4, machine.address, DOMAIN, "/health/", ca_file=machine.authority(tmp_path))
    with steady_traffic(*asking) as traffic:
        machine.run(f"kill -9 $(pgrep --parent {master} | head --lines=1)")
        time.sleep(2)
        assert machine.run(main).strip() == master
        machine.run(f"kill -9 {master}")
        assert eventually(lambda: machine.run(main).strip() not in ("0", master))
        seen = traffic.succeeded.total()
        # More than those that the old master answered already.
        assert eventually(lambda: traffic.succeeded.total() > seen + len(asking))
    # Only the requests that the killed processes were answering failed.
    assert len(traffic.failures) <= 8


def test_the_machine_comes_back_by_itself(owner: Owner) -> None:
    owner.machine.reboot()
    said = owner.machine.run(f"cd /srv/{SLUG}/repository && uv run pytest smoke --base-url https://{DOMAIN}", "deploy")
    assert set(re.findall("^PASS  (.+?)(?:  |$)", said, re.MULTILINE)) == set(CHECKS)
    assert owner.ask("status").endswith("is live and healthy\n")
    assert "2 timers" in owner.machine.run(f"systemctl list-timers '{SLUG}-*'")


def test_a_second_site_is_set_up_by_its_own_runbook_and_leaves_the_first_alone(
    owner: Owner, render: Callable[..., Path]
) -> None:
    machine, domain = owner.machine, "second.example.com"
    # The authority of a machine that has started anew is another one, which knows no accounts.
    machine.run(
        f"echo 127.0.0.1 {domain} >>/etc/hosts && rm -rf /etc/letsencrypt/accounts\n"
        f"curl --silent --fail --retry 20 --retry-connrefused https://localhost:15000/roots/0 >>{BUNDLE}"
    )
    started = machine.run(f"systemctl show --property=ActiveEnterTimestampMonotonic {SLUG}-web")
    project = render(platform="gunicorn", project_name="Second", project_slug="second", domain=domain)
    QUICK(project)
    repository(project)
    second = Owner(machine, project, "second")
    second.host()
    second.follow_to_the_first_deploy()
    assert machine.run(f"systemctl show --property=ActiveEnterTimestampMonotonic {SLUG}-web") == started
    for name, title in ((DOMAIN, "Todo List"), (domain, "Second")):
        assert title in machine.run(f"curl --silent --fail https://{name}/")
    assert asked(machine, "--header 'Host: other.example.com'", "http://127.0.0.1/") == "000"
    # Neither can read or change what is the other's.
    for path in ("/var/lib/second", f"/srv/{SLUG}/current"):
        machine.run(f"{SLUG}-run touch {path}/file", code=1)
    assert "permission denied" in machine.run(
        f"{SLUG}-run env DATABASE_URL=postgresql:///second python manage.py shell -c "
        "'from apps.accounts.models import User; User.objects.count()' 2>&1",
        code=1,
    )
    # A deploy of one, and what it stops, is nothing to the other.
    owner.deploy()
    machine.run(f"systemctl stop {SLUG}-web.socket {SLUG}-web")
    assert asked(machine, f"https://{domain}/ready/") == "200"


def test_a_pooler_is_added_as_the_page_says(owner: Owner) -> None:
    page = blocks(owner.project / "docs/operations.md")
    install, use = [block for block in page if block.heading == "Behind a pooler" and block.language == PASTED]
    owner.machine.run("apt-get update --quiet=2")
    owner.paste(install)
    assert '"status": "ready"' in owner.paste(use)
    # The machine's own PostgreSQL, which the site reached through its socket, is asked over TCP by the pooler alone.
    asked = "SELECT DISTINCT coalesce(host(client_addr), 'socket') FROM pg_stat_activity WHERE datname = 'todo_list'"
    assert owner.machine.run(f'cd / && runuser --user postgres -- psql --tuples-only --command="{asked}"').split() == [
        "127.0.0.1"
    ]
    assert "is live and healthy" in owner.deploy()


def test_static_files_of_the_release_before_stay_for_pages_that_are_loaded(owner: Owner) -> None:
    style = f"curl --silent https://{DOMAIN} | grep --only-matching '/static/[^\"]*\\.css'"
    before = owner.machine.run(style).strip()

    def redesign(project: Path) -> None:
        with (project / "static/site.css").open("a") as file:
            file.write("\nbody { color: black; }\n")

    owner.commit("Redesign", redesign)
    owner.deploy()
    after = owner.machine.run(style).strip()
    assert after != before
    for path in (before, after):
        assert asked(owner.machine, f"https://{DOMAIN}{path}") == "200"
    owner.ask("rollback")
    assert owner.machine.run(style).strip() == before
    assert asked(owner.machine, f"https://{DOMAIN}{after}") == "200"
