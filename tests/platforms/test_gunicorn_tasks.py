"""Workers on a Linux machine are units beside the web server's, which a deploy restarts."""

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stand_ins.machines import Machines
from tests.support.faults import QUICK, route
from tests.support.owners import NAMES, SLUG, Owner
from tests.support.repositories import repository
from tests.support.runbooks import blocks

Render = Callable[..., Path]

UNITS = {"database": ["worker"], "celery": ["worker", "beat"]}
# The highest score that a service may have in `systemd-analyze security`.
EXPOSURE = 2.5
NEW_PAGE = route("^new/$", "lambda request: HttpResponse('new')")


@pytest.fixture(params=UNITS)
def tasks(request: pytest.FixtureRequest) -> str:
    """The answer to `tasks`."""
    return str(request.param)


@pytest.fixture
def owner(machines: Machines, render: Render, tasks: str, tmp_path: Path) -> Iterator[Owner]:
    """An owner with a site with workers on a Linux machine; each answer to `tasks` has another database."""
    database = {"database": "sqlite", "celery": "postgresql"}[tasks]
    project = shutil.copytree(render(platform="gunicorn", tasks=tasks, database=database), tmp_path / "owned")
    QUICK(project)
    with machines.started(machines.bare(), *NAMES) as machine:
        owner = Owner(machine, repository(project))
        owner.settle()
        yield owner


def main_process(owner: Owner, unit: str) -> int:
    """Return the ID of a unit's main process; 0 if there is none."""
    return int(owner.machine.run(f"systemctl show --property=MainPID --value {SLUG}-{unit}").strip())


def test_the_runbook_leads_to_a_site_whose_tasks_are_done(owner: Owner, tasks: str) -> None:
    machine = owner.machine
    if tasks == "celery":
        assert '{"status": "ok"}' in owner.follow("Before you start")
    owner.follow_to_the_first_deploy()
    if tasks == "celery":
        # Redis keeps these settings after a restart.
        machine.run("systemctl restart redis-server")
        assert machine.run("redis-cli config get appendonly").split() == ["appendonly", "yes"]
        # If Redis cannot write a snapshot, it refuses all tasks.
        assert machine.run("redis-cli config get save").split() == ["save"]
        # Another site's tasks are in another database.
        (block,) = (block.text for block in blocks(owner.project / "docs/deploy.md") if "redis-cli" in block.text)
        machine.run(f"mkdir /etc/chores && touch /etc/chores/environment\n{block.replace(SLUG, 'chores')}")
        assert machine.run("cat /etc/chores/environment") == "CELERY_BROKER_URL=redis://localhost:6379/1\n"
    units = " ".join(f"{SLUG}-{unit}.service" for unit in UNITS[tasks])
    assert machine.run(f"systemd-analyze verify {units}") == ""
    for unit in UNITS[tasks]:
        said = machine.run(f"systemd-analyze security --no-pager {SLUG}-{unit}.service")
        (score,) = re.findall(r"Overall exposure level for \S+: ([0-9.]+)", said)
        assert float(score) <= EXPOSURE, said
        assert main_process(owner, unit) > 0

    before = {unit: main_process(owner, unit) for unit in UNITS[tasks]}
    owner.commit("Add a page", NEW_PAGE)
    assert "PASS  a task is done" in owner.deploy()
    for unit, number in before.items():
        assert main_process(owner, unit) not in (0, number), unit
    # They run the release that serves.
    serving = machine.run(f"readlink --canonicalize /srv/{SLUG}/current").strip()
    assert machine.run(f"readlink /proc/{main_process(owner, 'worker')}/cwd").strip() == serving

    machine.run(f"systemctl kill --signal=KILL {SLUG}-worker")
    machine.run(f"until systemctl is-active --quiet {SLUG}-worker; do sleep 0.2; done")
    assert "is live and healthy" in owner.ask("status")
    if tasks == "database":
        machine.run(f"systemctl start {SLUG}-cleanup")
        assert "Expired sessions" in machine.run(f"journalctl --unit={SLUG}-cleanup --output=cat")

    # Changes of the environment apply to them too, and they do not block a restore.
    machine.run(f"systemctl start {SLUG}-backup")
    owner.choose_backup()
    by_hand = ("Environment variables", "Restore")
    owner.reader.left = [block for block in owner.reader.left if block.heading in by_hand]
    for heading in by_hand:
        before = {unit: main_process(owner, unit) for unit in UNITS[tasks]}
        owner.follow(heading)
        for unit, number in before.items():
            assert main_process(owner, unit) not in (0, number), (heading, unit)
    assert "is live and healthy" in owner.ask("status")
