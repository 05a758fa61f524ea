"""Emulate the Platform API's add-ons: databases, brokers and the scheduler. Paths and fields are from its reference."""

import random
import uuid
from threading import Thread
from typing import Any

from stand_ins.heroku import broker, postgres
from stand_ins.heroku.api import Api, Call, NotFoundError, RefusedError, time
from stand_ins.heroku.apps import App, find_by_name_or_id
from stand_ins.heroku.broker import Broker
from stand_ins.heroku.postgres import Database
from stand_ins.heroku.records import AddOn
from tests.support.databases import PostgreSQL

# Each service's plans with the monthly price in cents, and the name under which the add-on is attached.
PLANS = {"heroku-postgresql": postgres.PRICES, "heroku-redis": broker.PRICES, "scheduler": {"standard": 0}}
NAMES = {"heroku-postgresql": "DATABASE", "heroku-redis": "REDIS", "scheduler": "SCHEDULER"}
COLORS = ["AMBER", "BLUE", "CYAN", "GREEN", "PINK", "SILVER", "TEAL", "WHITE"]
SHAPES = ["clear", "cubed", "curved", "flat", "round", "sinuous", "spherical", "tetrahedral"]

api = Api()


def addon_json(addon: AddOn) -> dict[str, Any]:
    """Return an add-on as the API shows it."""
    price = {"cents": PLANS[addon.service][addon.plan], "contract": False, "metered": False, "unit": "month"}
    return {
        "addon_service": {"id": addon.service, "name": addon.service},
        "app": {"id": addon.app.id, "name": addon.app.name},
        "billed_price": price,
        "billing_entity": {"id": addon.app.id, "name": addon.app.name, "type": "app"},
        "config_vars": addon.config_vars,
        "created_at": time(addon.created_at),
        "id": addon.id,
        "name": addon.name,
        "plan": {"id": addon.plan, "name": f"{addon.service}:{addon.plan}", "price": price},
        "provision_message": "It should be available soon" if addon.state == "provisioning" else None,
        "state": addon.state,
        "web_url": f"https://addons-sso.heroku.com/apps/{addon.app.id}/addons/{addon.id}",
    }


def attachment_json(addon: AddOn, name: str) -> dict[str, Any]:
    """Return one attachment of an add-on as the API shows it."""
    app = {"id": addon.app.id, "name": addon.app.name}
    return {
        "addon": addon_json(addon),
        "app": app,
        "config_vars": [f"{name}_URL"] if addon.resource else [],
        "id": addon.attachments[name],
        "name": name,
        "namespace": None,
        "web_url": None,
    }


def all_addons(call: Call) -> list[AddOn]:
    """Return the add-ons of all apps."""
    return [addon for app in call.apps.values() for addon in app.addons]


def addon_named(call: Call, wanted: str) -> AddOn:
    """Return the add-on with this name or ID.

    Raises:
        NotFoundError: there is none.
    """
    if found := find_by_name_or_id(all_addons(call), wanted):
        return found
    raise NotFoundError("add-on", "add_on")


def attach(addon: AddOn, asked: str | None) -> str:
    """Attach an add-on to its app under the requested name, or DATABASE for the first database, or a colour for others.

    Raises:
        RefusedError: the name is taken.
    """
    taken = {name for other in addon.app.addons for name in other.attachments}
    free = [
        name
        for name in (NAMES[addon.service], *(f"HEROKU_POSTGRESQL_{color}" for color in COLORS))
        if name not in taken
    ]
    name = asked or free[0]
    if name in taken:
        raise RefusedError(422, "invalid_params", f"An add-on is attached as {name} already.")
    addon.attachments[name] = str(uuid.uuid4())
    return name


@api.on("GET", "/addons")
def every_addon(call: Call) -> Any:
    """Return the add-ons of all apps."""
    return [addon_json(addon) for addon in all_addons(call)]


@api.on("GET", "/apps/{app}/addons")
def addons(call: Call) -> Any:
    """Return an app's add-ons."""
    return [addon_json(addon) for addon in call.app.addons]


@api.on("GET", "(?:/apps/{app})?/addons/{addon}")
def addon_info(call: Call) -> Any:
    """Return an add-on."""
    return addon_json(addon_named(call, call.path["addon"]))


@api.on("GET", "/addon-attachments")
def every_attachment(call: Call) -> Any:
    """Return the attachments of all apps."""
    return [attachment_json(addon, name) for addon in all_addons(call) for name in addon.attachments]


@api.on("GET", "/apps/{app}/addon-attachments")
def attachments(call: Call) -> Any:
    """Return an app's attachments."""
    return [attachment_json(addon, name) for addon in call.app.addons for name in addon.attachments]


@api.on("GET", "/addons/{addon}/addon-attachments")
def attachments_of(call: Call) -> Any:
    """Return an add-on's attachments."""
    addon = addon_named(call, call.path["addon"])
    return [attachment_json(addon, name) for name in addon.attachments]


@api.on("POST", "/actions/addon-attachments/resolve")
def resolve_attachment(call: Call) -> Any:
    """Return the attachments that match a name, an ID, a config var's name or an add-on's name."""
    asked = call.exchange.json()
    wanted = asked["addon_attachment"]
    found = [
        attachment_json(addon, name)
        for addon in all_addons(call)
        for name, id_ in addon.attachments.items()
        if wanted in {name, id_, f"{name}_URL", addon.name} and asked.get("app") in {None, addon.app.name, addon.app.id}
    ]
    if not found:
        raise NotFoundError("add on attachment", "add_on attachment")
    return found


@api.on("POST", "/actions/addons/resolve")
def resolve_addon(call: Call) -> Any:
    """Return the add-ons that match a name, an ID or an attachment's name."""
    asked = call.exchange.json()
    wanted = asked["addon"]
    found = [
        addon_json(addon)
        for addon in all_addons(call)
        if wanted in {addon.name, addon.id, addon.service, *addon.attachments, *addon.config_vars}
        and asked.get("app") in {None, addon.app.name, addon.app.id}
    ]
    if not found:
        raise NotFoundError("add-on", "add_on")
    return found


def create(call: Call, server: PostgreSQL) -> Any:
    """Create an add-on. It is provisioned in the background, which then sets its config var."""
    app, asked = call.app, call.exchange.json()
    plan = asked["plan"]
    service, _, name = (plan["name"] if isinstance(plan, dict) else plan).partition(":")
    if name not in PLANS.get(service, {}):
        raise NotFoundError("add-on service or plan", "plan")
    number = random.randint(10000, 99999)  # noqa: S311 - no secret
    called = asked.get("name") or f"{service.removeprefix('heroku-')}-{random.choice(SHAPES)}-{number}"  # noqa: S311 - no secret
    resource: Database | Broker | None = None
    if service == "heroku-postgresql":
        resource = Database(server, name)
    elif service == "heroku-redis":
        resource = Broker()
    addon = AddOn(app, service, resource, name, called)
    with app.changed:
        attach(addon, (asked.get("attachment") or {}).get("name"))
        app.addons.append(addon)
        app.release(f"Attach {next(iter(addon.attachments))} (@ref:{addon.name})")
    Thread(target=provision, args=(app, addon)).start()
    call.status = 201
    return addon_json(addon)


def provision(app: App, addon: AddOn) -> None:
    """Create the add-on's database or server, and set its URL in the app's config vars."""
    if addon.resource:
        addon.resource.create()
    with app.changed:
        addon.state = "provisioned"
        if addon.resource:
            set_config(app, addon, f"@ref:{addon.name} completed provisioning, setting {', '.join(addon.config_vars)}.")


def set_config(app: App, addon: AddOn, description: str) -> None:
    """Make a release with the add-on's config vars, without a release phase: devcenter, "Release Phase"."""
    theirs = dict.fromkeys(addon.config_vars, addon.resource.url if addon.resource else "")
    app.release(description, config={**app.config, **theirs}, command=False)


@api.on("POST", "/addon-attachments")
def attach_again(call: Call) -> Any:
    """Attach an add-on to its own app under one more name."""
    asked = call.exchange.json()
    addon = addon_named(call, asked["addon"]["name"])
    if asked["app"]["name"] != addon.app.name:
        raise RefusedError(422, "invalid_params", "The stand-in shares no add-ons between apps.")
    with addon.app.changed:
        name = attach(addon, asked.get("name"))
        set_config(addon.app, addon, f"Attach {name} (@ref:{addon.name})")
    call.status = 201
    return attachment_json(addon, name)


@api.on("DELETE", "/apps/{app}/addons/{addon}")
def destroy(call: Call) -> Any:
    """Remove an add-on and its config vars."""
    app, addon = call.app, addon_named(call, call.path["addon"])
    with app.changed:
        app.addons.remove(addon)
        config = {name: value for name, value in app.config.items() if name not in addon.config_vars}
        app.release(f"Detach {', '.join(addon.attachments)} (@ref:{addon.name})", config=config)
    if addon.resource:
        addon.resource.drop()
    addon.state = "deprovisioned"
    return addon_json(addon)
