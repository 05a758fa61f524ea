"""Emulate the Data API, api.data.heroku.com: databases and their backups.

It has no reference. Paths and fields are those that the heroku program uses, and the commands' effects are from
devcenter, "Heroku Postgres Backups".
"""

import subprocess
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stand_ins.heroku.addons_api import addon_named
from stand_ins.heroku.api import Api, Call, NotFoundError, RefusedError
from stand_ins.heroku.postgres import CONNECTIONS
from stand_ins.heroku.records import AddOn, Transfer

STORAGE_HOST = "heroku-postgres-backups.s3.amazonaws.com"

api = Api()


def database(call: Call) -> AddOn:
    """Return the add-on that the path names.

    Raises:
        NotFoundError: there is none, or it is not provisioned yet.
    """
    addon = addon_named(call, call.path["database"])
    if addon.state != "provisioned":
        raise NotFoundError("database", "database")
    return addon


def moment(time: datetime) -> str:
    """Return a time in this API's format."""
    return time.strftime("%Y-%m-%d %H:%M:%S.%f +0000")


def transfer_json(transfer: Transfer) -> dict[str, Any]:
    """Return a backup or a restore as the API shows it."""
    backup = transfer.kind == "backup"
    name = next(iter(transfer.addon.attachments), "DATABASE")
    finished = moment(transfer.finished_at)
    return {
        "canceled_at": None,
        "created_at": moment(transfer.started_at),
        "finished_at": finished,
        "from_name": name if backup else "BACKUP",
        "from_type": "pg_dump" if backup else "gof3r",
        "logs": [{"created_at": finished, "message": line} for line in transfer.log.splitlines()],
        "num": transfer.number,
        "options": {},
        "processed_bytes": transfer.size,
        "schedule": None,
        "source_bytes": transfer.source_size,
        "started_at": moment(transfer.started_at),
        "succeeded": transfer.succeeded,
        "to_name": "BACKUP" if backup else name,
        "to_type": "gof3r" if backup else "pg_restore",
        "to_url": address(transfer),
        "uuid": transfer.id,
        "warnings": 0,
    }


def address(transfer: Transfer) -> str:
    """Return the URL of a backup, which contains a secret key and needs no login."""
    return f"https://{STORAGE_HOST}/{transfer.key}"


@api.on("GET", "/client/v11/databases/{database}")
def info(call: Call) -> Any:
    """Return a database as `pg:info` shows it."""
    addon = database(call)
    shown = {
        "Plan": addon.plan.replace("-", " ").title(),
        "Status": "Available",
        "Connections": f"{addon.database.connections()}/{CONNECTIONS[addon.plan]}",
        "PG Version": addon.database.version(),
        "Created": addon.created_at.strftime("%Y-%m-%d %H:%M"),
        "Data Size": f"{addon.database.size() / 1024**2:.1f} MB",
        "Tables": str(addon.database.tables()),
        "Fork/Follow": "Unsupported",
        "Rollback": "Unsupported",
        "Continuous Protection": "Off",
    }
    return {
        "info": [{"name": name, "values": [value]} for name, value in shown.items()],
        "resource_url": addon.database.url,
    }


@api.on("GET", "/client/v11/databases/{database}/wait_status")
def wait_status(call: Call) -> Any:
    """Return whether a database is still being provisioned."""
    database(call)
    return {"waiting?": False, "message": "available", "error?": False}


@api.on("POST", "/client/v11/databases/{database}/upgrade/run")
def upgrade(call: Call) -> Any:
    """Record an upgrade. The server here stays as it is, and no version older than it is accepted."""
    addon, asked = database(call), call.exchange.json()["version"]
    if int(asked) < int(addon.database.version().partition(".")[0]):
        raise RefusedError(422, "invalid_params", "You can only upgrade to a newer version.")
    addon.upgraded_to.append(asked)
    return {"message": "Upgrading"}


@api.on("GET", "/client/v11/databases/{database}/upgrade/wait_status")
def upgrade_wait_status(call: Call) -> Any:
    """Return whether a database is still being upgraded."""
    return wait_status(call)


@api.on("POST", "/client/v11/databases/{database}/backups")
def capture(call: Call) -> Any:
    """Make a backup."""
    addon = database(call)
    transfer = begin(addon, "backup")
    transfer.source_size = addon.database.size()
    return carry_out(transfer, lambda: addon.database.dump(transfer.file))


@api.on("POST", "/client/v11/databases/{database}/restores")
def restore(call: Call) -> Any:
    """Restore a backup of any app, given by its URL."""
    addon = database(call)
    asked = call.exchange.json()["backup_url"]
    backup = next((one for app in call.apps.values() for one in app.transfers if address(one) == asked), None)
    if backup is None:
        raise RefusedError(422, "invalid_params", "The stand-in restores only backups of its own.")
    return carry_out(begin(addon, "restore"), lambda: addon.database.restore(backup.file))


def begin(addon: AddOn, kind: str) -> Transfer:
    """Record a new backup or restore."""
    app = addon.app
    folder = app.folder / "backups"
    folder.mkdir(exist_ok=True)
    number = len(app.transfers) + 1
    transfer = Transfer(number, addon, kind, folder / f"{number}.dump")
    app.transfers.append(transfer)
    return transfer


def carry_out(transfer: Transfer, work: Any) -> Any:
    """Run it, and record the outcome."""
    try:
        transfer.log = work()
        transfer.succeeded = True
    except subprocess.CalledProcessError as error:
        transfer.log = str(error.output)
    transfer.finished_at = datetime.now(UTC)
    transfer.size = transfer.file.stat().st_size if transfer.file.exists() else 0
    return transfer_json(transfer)


@api.on("GET", "/client/v11/apps/{app}/transfers")
def transfers(call: Call) -> Any:
    """Return an app's backups and restores."""
    return [transfer_json(transfer) for transfer in call.app.transfers]


def transfer_named(call: Call) -> Transfer:
    """Return the backup or restore that the path names by number or ID.

    Raises:
        NotFoundError: there is none.
    """
    for transfer in call.app.transfers:
        if call.path["transfer"] in {transfer.id, str(transfer.number)}:
            return transfer
    raise NotFoundError("transfer", "transfer")


@api.on("GET", "/client/v11/apps/{app}/transfers/{transfer}")
def transfer_info(call: Call) -> Any:
    """Return a backup or a restore."""
    return transfer_json(transfer_named(call))


@api.on("DELETE", "/client/v11/apps/{app}/transfers/{transfer}")
def delete(call: Call) -> Any:
    """Delete a backup."""
    transfer = transfer_named(call)
    call.app.transfers.remove(transfer)
    transfer.file.unlink(missing_ok=True)
    return transfer_json(transfer)


@api.on("POST", "/client/v11/apps/{app}/transfers/{transfer}/actions/public-url")
def public_url(call: Call) -> Any:
    """Return a backup's URL."""
    return {"url": address(transfer_named(call)), "expires_at": moment(datetime.now(UTC))}


@api.on("GET", "/client/v11/databases/{database}/transfer-schedules")
def schedules(call: Call) -> Any:
    """Return the backup schedules."""
    return database(call).app.schedules


@api.on("POST", "/client/v11/databases/{database}/transfer-schedules")
def schedule(call: Call) -> Any:
    """Schedule a daily backup. No test runs long enough to see one."""
    app, asked = database(call).app, call.exchange.json()
    name = asked["schedule_name"]
    new = {"uuid": str(uuid.uuid4()), "name": name, "hour": asked["hour"], "timezone": asked["timezone"]}
    app.schedules = [*(one for one in app.schedules if one["name"] != name), new]
    call.status = 201
    return new


@api.on("DELETE", "/client/v11/databases/{database}/transfer-schedules/{schedule}")
def unschedule(call: Call) -> Any:
    """Delete a backup schedule."""
    app = database(call).app
    app.schedules = [one for one in app.schedules if one["uuid"] != call.path["schedule"]]
    return {}


def stored(call_path: str, transfers: list[Transfer]) -> Path | None:
    """Return the backup file that is stored under a path."""
    return next((one.file for one in transfers if one.key == call_path.strip("/")), None)
