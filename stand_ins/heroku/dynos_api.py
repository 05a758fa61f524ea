"""Emulate the Platform API's dynos: process types, running dynos, and one-off dynos.

Paths and fields are from the Platform API Reference.
"""

from threading import Thread
from typing import Any

from stand_ins.heroku.api import Api, Call, NotFoundError, RefusedError, time
from stand_ins.heroku.apps import App, find_by_name_or_id
from stand_ins.heroku.dynos import Dyno
from stand_ins.heroku.rendezvous import Rendezvous

# devcenter, "Dyno Types". The first two types allow only one dyno for each process type, and cannot be mixed with others.
ONLY_ONE = {"Eco", "Basic"}
SIZES = {
    size.lower(): size for size in ("Eco", "Basic", "Standard-1X", "Standard-2X", "Performance-M", "Performance-L")
}

api = Api()


def dyno_json(app: App, dyno: Dyno, attach_url: str | None = None) -> dict[str, Any]:
    """Return a dyno as the API shows it."""
    return {
        "app": {"id": app.id, "name": app.name},
        "attach_url": attach_url,
        "command": dyno.command,
        "created_at": time(dyno.since),
        "id": dyno.id,
        "name": dyno.name,
        "release": {"id": str(dyno.version), "version": dyno.version},
        "size": dyno.size,
        "state": dyno.state,
        "type": dyno.type,
        "updated_at": time(dyno.since),
    }


def formation_json(app: App, kind: str) -> dict[str, Any]:
    """Return a process type as the API shows it."""
    quantity, size = app.formation[kind]
    command = app.slug.processes[kind] if app.slug and kind in app.slug.processes else ""
    return {
        "app": {"id": app.id, "name": app.name},
        "command": command,
        "quantity": quantity,
        "size": size,
        "type": kind,
    }


@api.on("GET", "/apps/{app}/formation")
def formation(call: Call) -> Any:
    """Return the process types."""
    return [formation_json(call.app, kind) for kind in call.app.formation]


@api.on("PATCH", "/apps/{app}/formation")
def scale(call: Call) -> Any:
    """Set the number and size of process types' dynos."""
    app, updates = call.app, call.exchange.json()["updates"]
    wanted = {}
    for update in updates:
        kind = update["type"]
        if kind not in app.formation:
            raise NotFoundError(f"process type ({kind})", "formation")
        quantity, size = app.formation[kind]
        asked = str(update.get("quantity", quantity))
        quantity = quantity + int(asked) if asked[0] in "+-" else int(asked)
        size = SIZES.get(str(update.get("size") or size).lower(), "")
        if not size:
            raise RefusedError(422, "invalid_params", f"No such size as {update['size']}.")
        if quantity > 1 and size in ONLY_ONE:
            message = f"Cannot update to more than 1 {size} size dynos per process type."
            raise RefusedError(422, "cannot_update_above_limit", message)
        wanted[kind] = (quantity, size)
    # It is not documented whether a process type without dynos counts. Here it does, the stricter of both.
    sizes = sorted({size for _, size in {**app.formation, **wanted}.values()})
    if len(sizes) > 1 and ONLY_ONE.intersection(sizes):
        message = f"Cannot use the following dyno types in the same app: {' and '.join(sizes)}"
        raise RefusedError(422, "invalid_params", message)
    for kind, (quantity, size) in wanted.items():
        app.scale(kind, quantity, size)
    return formation(call)


@api.on("GET", "/apps/{app}/dynos")
def dynos(call: Call) -> Any:
    """Return the running dynos."""
    return [dyno_json(call.app, dyno) for dyno in call.app.dynos]


@api.on("DELETE", "/apps/{app}/dynos")
def restart(call: Call) -> Any:
    """Restart all dynos."""
    call.app.exchange()
    call.status = 202
    return {}


@api.on("DELETE", "/apps/{app}/(?:dynos|formations)/{name}")
def restart_some(call: Call) -> Any:
    """Restart a dyno, or all dynos of a process type."""
    call.app.exchange(lambda dyno: call.path["name"] in {dyno.name, dyno.type})
    call.status = 202
    return {}


@api.on("POST", "/apps/{app}/dynos/{dyno}/actions/stop")
def stop(call: Call) -> Any:
    """Stop a dyno."""
    dyno = find_by_name_or_id(call.app.dynos, call.path["dyno"])
    if dyno is None:
        raise NotFoundError("dyno", "dyno")
    Thread(target=dyno.stop).start()
    call.status = 202
    return {}


def run(call: Call, rendezvous: Rendezvous) -> Any:
    """Start a one-off dyno, by default with a terminal: devcenter, "One-Off Dynos"."""
    app, asked = call.app, call.exchange.json()
    try:
        dyno = app.one_off(asked["command"], asked.get("type") or "run")
    except LookupError:
        raise RefusedError(404, "not_found", "App has no code to run: deploy it first.") from None
    variables = {name: str(value) for name, value in (asked.get("env") or {}).items() if value is not None}
    call.status = 201
    if not asked.get("attach"):
        dyno.start(variables=variables)
        return dyno_json(app, dyno)
    terminal = not asked.get("force_no_tty")
    return dyno_json(app, dyno, rendezvous.invite(dyno, variables, terminal=terminal))
