"""The site in compose.yaml serves visitors on one machine, and recovers when one of its parts fails."""

import json
import re
import secrets
import shlex
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from tests.support.containers import Deployment, Projects, make_secrets
from tests.support.readers import assert_read_as_told, told
from tests.support.rendering import ROOT
from tests.support.servers import HANGS, eventually, free_port
from tests.support.smoke import CHECKS
from tests.support.traffic import steady_traffic, visitors

TOO_MANY = "Too many failed login attempts"
SIGNED_IN = "__Host-sessionid=the-session-of-a-visitor"


@pytest.fixture
def own(projects: Projects) -> Iterator[Deployment]:
    """A running site that the test may change."""
    with projects.deployment() as deployment:
        deployment.up()
        yield deployment


def test_the_smoke_suite_passes_through_the_published_ports(deployed: Deployment) -> None:
    said = deployed.compose("run", "--rm", "smoke")
    assert re.findall(r"^PASS  (.+?)(?:  .*)?$", said, re.MULTILINE) == CHECKS


def test_only_caddy_can_be_reached_from_outside(deployed: Deployment) -> None:
    for service in ("web", "database", "migrate"):
        published = deployed.container(service)["NetworkSettings"]["Ports"]
        assert not any(published.values()), service
    # So only Caddy can reach gunicorn, which trusts its headers. `migrate` connects only to a database.
    front = deployed.engine.inspect(f"{deployed.name}_front")[0]["Containers"].values()
    assert sorted(each["Name"].split("-")[-2] for each in front) == ["caddy", "schedule", "web"]
    (back,) = deployed.engine.inspect(f"{deployed.name}_back")
    assert back["Internal"] is True


def test_what_runs_on_this_machine_has_a_name_in_the_containers(deployed: Deployment) -> None:
    (bridge,) = deployed.engine.inspect("bridge")
    said = deployed.compose("exec", "--no-TTY", "web", "getent", "hosts", "host.docker.internal")
    assert said.split()[0] == bridge["IPAM"]["Config"][0]["Gateway"]


@pytest.mark.parametrize("service", ["caddy", "web", "migrate", "schedule", "nightly", "database"])
def test_every_container_is_held_to_what_it_needs(deployed: Deployment, service: str) -> None:
    limits = deployed.container(service)["HostConfig"]
    assert limits["ReadonlyRootfs"] is True
    assert limits["CapDrop"] == ["ALL"]
    assert limits["SecurityOpt"] == ["no-new-privileges:true"]
    assert limits["Memory"] > 0
    assert limits["PidsLimit"] > 0
    assert limits["LogConfig"]["Config"] == {"max-size": "10m", "max-file": "5"}
    assert limits["RestartPolicy"]["Name"] == ("no" if service == "migrate" else "unless-stopped")
    if service in ("web", "migrate", "schedule"):
        assert deployed.container(service)["Config"]["User"] == "1001:1001"
        assert not limits["CapAdd"]


def test_no_secret_stands_where_docker_shows_it(deployed: Deployment) -> None:
    for secret in ("secret_key", "database_password"):
        value = (deployed.project / "secrets" / secret).read_text()
        for service in ("caddy", "web", "migrate", "schedule", "nightly", "database"):
            assert value not in str(deployed.container(service)), (secret, service)
    assert (deployed.project / "secrets").stat().st_mode & 0o777 == 0o700


def refusals(deployment: Deployment, forwarded: list[str]) -> list[bool]:
    """Send a wrong password with each of these X-Forwarded-For; return True for each that is refused by the limit."""
    answers = []
    with deployment.session() as visitor:
        page = visitor.get(f"{deployment.url}/accounts/login/", timeout=HANGS)
        (token,) = re.findall('name="csrfmiddlewaretoken" value="(.*?)"', page.text)[:1]
        for addresses in forwarded:
            form = {"login": f"{secrets.token_hex(4)}@example.com", "password": "wrong", "csrfmiddlewaretoken": token}
            told = {"X-Forwarded-For": addresses, "Referer": f"{deployment.url}/"}
            answers.append(visitor.post(f"{deployment.url}/accounts/login/", form, headers=told, timeout=HANGS).text)
    return [TOO_MANY in answer for answer in answers]


def test_an_address_that_a_visitor_made_up_does_not_count(deployed: Deployment) -> None:
    """After ten wrong passwords from one address the site refuses more, whichever address the visitor forges."""
    refused = refusals(deployed, [f"192.0.2.{attempt}" for attempt in range(14)])
    # Logins of another test from the same address count too.
    assert not refused[0]
    assert refused == sorted(refused)
    assert refused[10:] == [True] * 4


def test_behind_a_cdn_that_asks_by_https_each_visitor_has_a_limit(projects: Projects, tmp_path: Path) -> None:
    """As docs/security.md says. One that asks by http gets a redirect to what its visitor has asked for, again and again."""
    with projects.copied(tmp_path) as deployment:
        row = re.search(r"^\| Docker \| (.*) \|$", (deployment.project / "docs/security.md").read_text(), re.MULTILINE)
        assert row
        listed, count = re.findall(r"`(trusted_proxies .*?|TRUSTED_PROXY_COUNT=.*?)`", row[1])
        here = "127.0.0.0/8 10.0.0.0/8 172.16.0.0/12 192.168.0.0/16"
        caddyfile = deployment.project / "deploy/Caddyfile"
        line = listed.replace("203.0.113.0/24 2001:db8::/32", here)
        caddyfile.write_text(caddyfile.read_text().replace("reverse_proxy {", f"reverse_proxy {{\n{line}"))
        (deployment.project / ".env").write_text(f"{count}\n")
        deployment.up()
        visitor = {"Host": f"localhost:{deployment.https_port}", "X-Forwarded-Proto": "https"}
        answer = requests.get(f"{deployment.http_url}/page", headers=visitor, timeout=HANGS, allow_redirects=False)
        assert (answer.status_code, answer.headers["Location"]) == (308, f"{deployment.url}/page")
        assert deployment.get("/", **visitor).status_code == 200
        # What a visitor makes up, and what the CDN adds.
        assert not any(refusals(deployment, [f"6.6.6.6, 192.0.2.{number}" for number in range(12)]))
        refused = refusals(deployment, [f"6.6.6.{number}, 192.0.2.99" for number in range(12)])
        assert refused == [False] * 10 + [True] * 2


def test_the_port_in_the_host_does_not_pass_the_limit_of_an_account(deployed: Deployment) -> None:
    email = f"{secrets.token_hex(4)}@example.com"
    answers = []
    for number in range(1, 8):
        with deployed.session() as visitor:
            page = visitor.get(f"{deployed.url}/accounts/login/", timeout=HANGS)
            (token,) = re.findall('name="csrfmiddlewaretoken" value="(.*?)"', page.text)[:1]
            form = {"login": email, "password": "wrong", "csrfmiddlewaretoken": token}
            told = {"Host": f"localhost:{number}", "Referer": f"https://localhost:{number}/"}
            answers.append(visitor.post(f"{deployed.url}/accounts/login/", form, headers=told, timeout=HANGS))
    assert {(answer.status_code, TOO_MANY in answer.text) for answer in answers} <= {(200, False), (429, True)}
    # The address's limit may be reached first, if other tests have used the address.
    assert [TOO_MANY in answer.text for answer in answers][5:] == [True] * 2


def test_caddy_logs_no_key_that_lets_one_into_an_account(own: Deployment) -> None:
    own.compose("stop", "web")
    link = "/accounts/password/reset/key/1-s3cret-key/"
    assert own.get(link, Referer=f"{own.url}/accounts/confirm-email/s3cret:1:2/").status_code >= 502
    said = own.compose("logs", "--no-color", "caddy")
    assert "/accounts/password/reset/key/***/" in said
    assert "s3cret" not in said


def test_a_second_folder_on_the_machine_is_a_site_of_its_own_or_refused(own: Deployment, tmp_path: Path) -> None:
    other = shutil.copytree(own.project, tmp_path / "other")
    for command in ([], ["check"], ["back"]):
        said = own.engine.run("deploy/docker.sh", *command, folder=other, code=1, variables=own.variables)
        assert f"belongs to {own.project} on this machine" in said
        assert "STACK_NAME=" in said
    assert "belongs to" in own.engine.run("make", "up", folder=other, code=2, variables=own.variables)
    before = [own.container(service)["State"]["StartedAt"] for service in ("web", "database", "caddy")]
    own.compose("exec", "web", "sh", "-c", "echo production >/uploads/note.txt")

    with Deployment(own.engine, other) as staging:
        # It uses its own `.env`, as the page says.
        told = {"STACK_NAME": staging.name, **{name: staging.variables[name] for name in ("HTTP_PORT", "HTTPS_PORT")}}
        (other / ".env").write_text("".join(f"{name}={value}\n" for name, value in told.items()))
        staging.variables = {"IMAGE": own.variables["IMAGE"]}
        assert f"name on it is {staging.name}." in own.engine.run("deploy/docker.sh", "check", folder=other)
        staging.up()
        assert staging.get("/media/note.txt").status_code == 404
        assert staging.get("/ready/").status_code == 200
        # The data is copied to the new name as the page says.
        (copy,) = re.findall("^docker run .*", (ROOT / "docs/switching.md").read_text(), re.MULTILINE)
        own.engine.run(*shlex.split(copy.replace("OLD", own.name).replace("NEW", staging.name)))
        assert staging.get("/media/note.txt").text == "production\n"
        staging.variables = {}
        assert f"{staging.name}:live" in staging.compose("config", "--images").split()
        staging.compose("down", "--volumes")
    assert [own.container(service)["State"]["StartedAt"] for service in ("web", "database", "caddy")] == before
    assert own.get("/media/note.txt").text == "production\n"


def test_plain_http_stays_plain_whatever_a_visitor_claims(deployed: Deployment) -> None:
    answer = requests.get(
        deployed.http_url, headers={"X-Forwarded-Proto": "https"}, timeout=HANGS, allow_redirects=False
    )
    assert (answer.status_code, answer.headers["Location"]) == (308, f"{deployed.url}/")


def test_a_host_that_is_not_the_sites_gets_nothing(deployed: Deployment) -> None:
    assert deployed.get("/", Host="elsewhere.example.com").text == ""
    answer = requests.get(
        deployed.http_url, headers={"Host": "elsewhere.example.com"}, timeout=30, allow_redirects=False
    )
    assert "elsewhere" not in answer.headers.get("Location", "")


def test_compose_warns_of_nothing(deployed: Deployment) -> None:
    variables = {name: value for name, value in deployed.variables.items() if not name.endswith("_PORT")}
    assert deployed.engine.docker("compose", "config", "--quiet", folder=deployed.project, variables=variables) == ""


def test_compose_reads_dotenv_as_the_page_says(deployed: Deployment, tmp_path: Path) -> None:
    row = told(deployed.project)["`.env`: compose, for the containers"]
    image = deployed.variables["IMAGE"]
    (tmp_path / "compose.yaml").write_text(
        f"services: {{site: {{image: '{image}', env_file: .env, network_mode: none}}}}\n"
    )
    show = "import json, os; print(json.dumps(dict(os.environ)))"

    def read(texts: Mapping[str, str]) -> Mapping[str, str]:
        (tmp_path / ".env").write_text("".join(f"{name}={text}\n" for name, text in texts.items()))
        printed = deployed.engine.docker(
            *(
                "compose",
                "run",
                "--rm",
                f"--label={deployed.engine.label()}",
                "--entrypoint=python",
                "site",
                "-c",
                show,
            ),
            folder=tmp_path,
            variables={"COMPOSE_PROJECT_NAME": f"{deployed.name}-read", "HOME": str(tmp_path)},
        )
        found: dict[str, str] = json.loads(printed.splitlines()[-1])
        return found

    assert_read_as_told(row, read)


def test_secrets_that_are_made_are_read_alike_by_everybody(deployed: Deployment) -> None:
    for path in (deployed.project / "secrets").iterdir():
        if path.name != "database_url":
            assert re.fullmatch(r"[\w-]{64}|\n", path.read_text(), re.ASCII), path.name


def test_caddy_gets_a_certificate_for_the_longest_domain(deployed: Deployment) -> None:
    """As long as the question allows, and the www. of an alias. Caddy's own authority gives it, as there is no network."""
    script = r"""
        sed '0,/^{/s//{\n local_certs/' /etc/caddy/Caddyfile >/tmp/Caddyfile
        caddy run --config /tmp/Caddyfile >/tmp/log 2>&1 &
        for _ in $(seq 300); do
          [ ! -s "/data/caddy/certificates/local/$DOMAIN/$DOMAIN.crt" ] || exit 0
          sleep 0.2
        done
        cat /tmp/log
        exit 1
    """
    label, domain = deployed.engine.label(), "www." + "a." * 116 + "com"
    options = [f"--label={label}", "--network=none", f"--env=DOMAIN={domain}", "--entrypoint=sh"]
    folder = f"--volume={deployed.project}/deploy:/etc/caddy:ro"
    deployed.engine.docker("run", "--rm", *options, folder, "caddy:2", "-ec", script)


def test_a_missing_secret_is_named(projects: Projects, tmp_path: Path) -> None:
    with projects.copied(tmp_path) as deployment:
        (deployment.project / "secrets/secret_key").unlink()
        assert "secrets/secret_key" in deployment.compose("up", "--detach", "--no-build", code=1)


def test_secrets_that_are_there_are_not_made_again(deployed: Deployment) -> None:
    before = (deployed.project / "secrets/database_password").read_text()
    with pytest.raises(Exception, match="returned non-zero exit status 1"):
        make_secrets(deployed.project)
    assert (deployed.project / "secrets/database_password").read_text() == before


@pytest.mark.parametrize("database", ["postgresql", "sqlite"])
def test_down_and_up_again_keeps_the_data(projects: Projects, database: str) -> None:
    with projects.deployment(database) as deployment:
        deployment.up()
        account = {"DJANGO_SUPERUSER_EMAIL": "admin@example.com", "DJANGO_SUPERUSER_PASSWORD": secrets.token_urlsafe()}
        told = [f"--env={name}={value}" for name, value in account.items()]
        deployment.compose("exec", *told, "web", "python", "manage.py", "createsuperuser", "--noinput")
        deployment.compose("exec", "web", "sh", "-c", "echo kept >/uploads/note.txt")
        deployment.compose("down")
        deployment.up()
        code = "from apps.accounts.models import User; print('accounts:', User.objects.count())"
        assert "accounts: 1" in deployment.compose("exec", "web", "python", "manage.py", "shell", "--command", code)
        assert deployment.get("/media/note.txt").text == "kept\n"
        assert deployment.get("/ready/").status_code == 200


def test_stopping_loses_no_request_in_flight(own: Deployment) -> None:
    """Eight requests wait for the database or for a thread when `web` is stopped."""
    # Warm up: each worker loads some things at its first request.
    assert own.get("/").status_code == 200
    assert own.sql("SELECT 1")
    holding = "BEGIN; LOCK TABLE django_session IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(20); COMMIT;"
    with ThreadPoolExecutor(9) as pool:
        lock = pool.submit(own.sql, holding)
        assert eventually(lambda: "AccessExclusiveLock" in own.sql("SELECT mode FROM pg_locks WHERE NOT fastpath"))
        asked = [pool.submit(own.get, "/", Cookie=SIGNED_IN) for _ in range(8)]
        waiting = (
            "SELECT pid, wait_event_type, left(query, 60) FROM pg_stat_activity WHERE datname = current_database()"
        )
        # One of the two processes may have got more requests than it has threads.
        assert eventually(lambda: own.sql(waiting).count("| Lock ") >= 4), own.sql(waiting)
        own.compose("stop", "web")
        lock.result()
    assert [each.result().status_code for each in asked] == [200] * 8
    # It waited for them and then ended. The exit code would be 137 if the engine had killed it after 30 s.
    assert own.container("web")["State"]["ExitCode"] == 0


def test_three_migrations_at_once_all_succeed(projects: Projects) -> None:
    with projects.deployment() as deployment, ThreadPoolExecutor(3) as pool:
        deployment.up("database")
        said = list(pool.map(lambda _: deployment.compose("run", "--rm", "migrate"), range(3)))
        assert sum("Applying accounts.0001_initial" in each for each in said) == 1
        assert any("Another migrate is at work" in each for each in said)


def test_a_database_elsewhere_is_migrated(deployed: Deployment) -> None:
    """The database is reached like a managed one, at an address outside compose's networks."""
    engine, password = deployed.engine, secrets.token_hex()
    label, address = engine.label(), f"{deployed.way_out()}:{free_port()}"
    told = ("--env=POSTGRES_PASSWORD", f"--label={label}", f"--publish={address}:5432")
    try:
        name = engine.docker("run", "--detach", *told, "postgres:18", variables={"POSTGRES_PASSWORD": password}).strip()
        ready = ("exec", name, "pg_isready", "--host=127.0.0.1")
        assert eventually(lambda: "accepting" in engine.docker(*ready, code=None))
        url = f"postgresql://postgres:{password}@{address}/postgres"
        said = deployed.compose(
            "run", "--rm", "--env=DATABASE_URL_FILE=", "--env=DATABASE_URL", "migrate", variables={"DATABASE_URL": url}
        )
        assert "Applying accounts.0001_initial" in said
    finally:
        engine.remove(label)


def test_a_database_that_stops_and_comes_back_takes_nothing_else_along(own: Deployment) -> None:
    before = own.container("web")["State"]["StartedAt"]
    with steady_traffic(*visitors(2, own.session, own.url)):
        own.compose("stop", "database")
        assert eventually(lambda: own.get("/ready/").status_code == 503)
        assert own.get("/health/").status_code == 200
        own.compose("start", "database")
        assert eventually(lambda: own.get("/ready/").status_code == 200)
    web = own.container("web")
    assert (web["State"]["StartedAt"], web["RestartCount"]) == (before, 0)
    assert web["State"]["Health"]["Status"] == "healthy"


def test_replacing_web_loses_no_request(own: Deployment) -> None:
    """Run the runbook's manual steps while sixteen visitors send requests, every second one a form."""
    with steady_traffic(*visitors(16, own.session, own.url)) as traffic:
        assert eventually(lambda: min(traffic.succeeded[200], traffic.succeeded[403]) > 16)
        own.compose("up", "--detach", "--no-build", "--no-deps", "--wait", "--force-recreate", "web")
        pages, forms = traffic.succeeded[200], traffic.succeeded[403]
        assert eventually(lambda: traffic.succeeded[200] > pages + 16 and traffic.succeeded[403] > forms + 16)
    assert not traffic.failures


def test_the_development_site_serves_what_is_changed(projects: Projects, tmp_path: Path) -> None:
    with projects.copied(tmp_path) as deployment:
        port = str(free_port())
        stat = deployment.project.stat()
        variables = {"WEB_PORT": port, "DEV_USER": f"{stat.st_uid}:{stat.st_gid}", "COMPOSE_FILE": "compose.dev.yaml"}
        # Production's variables, which development does not read.
        (deployment.project / ".env").write_text("DATABASE_URL=postgresql://nobody@nowhere/nothing\n")
        image = f"{projects.slug}:dev"
        try:
            deployment.compose("up", "--detach", "--build", variables=variables)

            def page() -> str:
                try:
                    return requests.get(f"http://localhost:{port}/", timeout=HANGS).text
                except requests.RequestException:
                    return ""

            assert eventually(lambda: "Todo List" in page()), deployment.compose("logs", variables=variables)
            assert (deployment.project / "staticfiles").is_dir()
            # The browser is on this machine, which the container sees as its network's gateway.
            assert "djDebug" in page()
            # The server checks for changes once a second, and must have checked once.
            time.sleep(2.5)
            settings = deployment.project / "config/settings/site.py"
            settings.write_text(settings.read_text().replace("Todo List", "Shopping List"))
            assert eventually(lambda: "Shopping List" in page()), deployment.compose("logs", variables=variables)
            deployment.compose("stop", variables=variables)
            (name,) = deployment.compose("ps", "--all", "--quiet", variables=variables).split()
            # It ended by SIGTERM, and was not killed.
            assert deployment.engine.inspect(name)[0]["State"]["ExitCode"] != 137
        finally:
            deployment.compose("down", "--volumes", code=None, variables=variables)
            deployment.engine.remove(images=image)


def test_make_starts_and_stops_it(projects: Projects, tmp_path: Path) -> None:
    with projects.copied(tmp_path) as deployment:
        run: Callable[..., str] = deployment.engine.run
        run("make", "up", folder=deployment.project, variables=deployment.variables)
        assert deployment.get("/health/").status_code == 200
        following = threading.Timer(3, lambda: deployment.compose("stop"))
        following.start()
        assert '"logger"' in run("make", "logs", folder=deployment.project, variables=deployment.variables)
        following.join()
        run("make", "down", folder=deployment.project, variables=deployment.variables)
        assert not deployment.compose("ps", "--all", "--quiet").split()
