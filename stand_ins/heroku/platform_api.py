"""Emulate the Platform API, api.heroku.com: apps, config vars, releases, domains and logs.

Paths and fields are from the Platform API Reference.
"""

import re
import uuid
from typing import Any

from stand_ins.heroku.api import ACCOUNT, OWNER, Api, Call, NotFoundError, RefusedError, time
from stand_ins.heroku.apps import App
from stand_ins.heroku.logs import Log
from stand_ins.heroku.records import Release

OUTPUT_HOST = "release-output.heroku.com"
LOG_HOST = "logplex.heroku.com"
NAME = re.compile(r"[a-z][a-z0-9-]{1,28}[a-z0-9]")
api = Api()


def app_json(app: App) -> dict[str, Any]:
    """Return an app as the API shows it."""
    deployed = next((release.slug for release in reversed(app.releases) if release.slug), None)
    return {
        "acm": app.acm,
        "archived_at": None,
        "build_stack": {"id": app.stack, "name": app.stack},
        "created_at": time(app.created_at),
        "generation": {"id": "cedar", "name": "cedar"},
        "git_url": f"https://git.heroku.com/{app.name}.git",
        "id": app.id,
        "maintenance": app.maintenance,
        "name": app.name,
        "owner": OWNER,
        "region": {"id": "us", "name": "us"},
        "released_at": time(app.releases[-1].created_at),
        "repo_size": 0,
        "slug_size": deployed.size if deployed else None,
        "space": None,
        "stack": {"id": app.stack, "name": app.stack},
        "team": None,
        "updated_at": time(app.releases[-1].created_at),
        "web_url": f"https://{app.host}/",
    }


def release_json(app: App, release: Release) -> dict[str, Any]:
    """Return a release as the API shows it. Only a release that succeeded and has code can be rolled back to."""
    has_output = release.output is not None
    return {
        "addon_plan_names": release.addons,
        "app": {"id": app.id, "name": app.name},
        "created_at": time(release.created_at),
        "current": release is app.current,
        "description": release.description,
        "eligible_for_rollback": release.status == "succeeded" and release.slug is not None,
        "id": release.id,
        "output_stream_url": f"https://{OUTPUT_HOST}/streams/{app.id}/{release.id}" if has_output else None,
        "slug": {"id": release.slug.id} if release.slug else None,
        "status": release.status,
        "updated_at": time(release.created_at),
        "user": OWNER,
        "version": release.version,
    }


def domain_json(app: App, name: str) -> dict[str, Any]:
    """Return an app's domain as the API shows it."""
    custom = name != app.host
    return {
        "acm_status": "cert issued" if custom and app.acm else None,
        "acm_status_reason": None,
        "app": {"id": app.id, "name": app.name},
        "cname": app.domains[name] if custom else None,
        "created_at": time(app.created_at),
        "hostname": name,
        "id": str(uuid.uuid5(uuid.NAMESPACE_DNS, name)),
        "kind": "custom" if custom else "heroku",
        "sni_endpoint": None,
        "status": "succeeded" if custom else "none",
        "updated_at": time(app.created_at),
    }


@api.on("GET", "/account")
def account(_call: Call) -> Any:
    """Return the logged-in user."""
    return ACCOUNT


@api.on("GET", "/oauth/authorizations")
def authorizations(_call: Call) -> Any:
    """Return the tokens that expire soon: none."""
    return []


@api.on("GET", "/apps|/users/~/apps")
def apps(call: Call) -> Any:
    """Return all apps."""
    return [app_json(app) for app in call.apps.values()]


@api.on("GET", "/apps/{app}")
def app_info(call: Call) -> Any:
    """Return an app."""
    return app_json(call.app)


@api.on("PATCH", "/apps/{app}")
def change_app(call: Call) -> Any:
    """Turn maintenance mode on or off, or set the stack."""
    app, changes = call.app, call.exchange.json()
    app.maintenance = changes.get("maintenance", app.maintenance)
    app.stack = changes.get("build_stack", app.stack)
    return app_json(app)


@api.on("GET", "/apps/{app}/collaborators")
def collaborators(_call: Call) -> Any:
    """Return the app's collaborators: none."""
    return [{"role": "owner", "user": OWNER}]


@api.on("GET", "/apps/{app}/pipeline-couplings")
def pipeline_coupling(_call: Call) -> Any:
    """Return the app's pipeline: none."""
    raise NotFoundError("pipeline coupling", "pipeline_coupling")


@api.on("GET", "/apps/{app}/buildpack-installations")
def buildpacks(call: Call) -> Any:
    """Return the app's buildpacks."""
    return [
        {"ordinal": number, "buildpack": {"url": url, "name": url}} for number, url in enumerate(call.app.buildpacks)
    ]


@api.on("PUT", "/apps/{app}/buildpack-installations")
def set_buildpacks(call: Call) -> Any:
    """Set the buildpacks. Builds use the Python buildpack in any case."""
    call.app.buildpacks = [update["buildpack"] for update in call.exchange.json()["updates"]]
    return buildpacks(call)


@api.on("GET", "/apps/{app}/config-vars")
def config_vars(call: Call) -> Any:
    """Return the config vars."""
    return call.app.config


@api.on("PATCH", "/apps/{app}/config-vars")
def change_config_vars(call: Call) -> Any:
    """Set config vars, or remove those that are null; make a release only if something changes."""
    app, changes = call.app, call.exchange.json()
    taken = {name for addon in app.addons for name in addon.config_vars} & set(changes)
    if taken:
        names = ", ".join(sorted(taken))
        raise RefusedError(422, "invalid_params", f"Cannot overwrite attachment values {names}.")
    with app.changed:
        config = {name: value for name, value in {**app.config, **changes}.items() if value is not None}
        new = [name for name in changes if config.get(name) not in {None, app.config.get(name)}]
        gone = [name for name in changes if name in app.config and name not in config]
        parts = [f"{word} {', '.join(names)}" for word, names in (("Set", new), ("Remove", gone)) if names]
        if parts:
            app.release(f"{' and '.join(parts)} config vars", config=config)
    return app.config


@api.on("GET", "/apps/{app}/releases")
def releases(call: Call) -> Any:
    """Return the releases."""
    return [release_json(call.app, release) for release in call.page(call.app.releases)]


def release_named(call: Call, wanted: str) -> Release:
    """Return the release with this version or ID.

    Raises:
        NotFoundError: there is none.
    """
    for release in call.app.releases:
        if wanted in {release.id, str(release.version)}:
            return release
    raise NotFoundError("release", "release")


@api.on("GET", "/apps/{app}/releases/{release}")
def release_info(call: Call) -> Any:
    """Return a release."""
    return release_json(call.app, release_named(call, call.path["release"]))


@api.on("GET", "/apps/{app}/releases/{release}/config-vars")
def release_config_vars(call: Call) -> Any:
    """Return a release's config vars."""
    return release_named(call, call.path["release"]).config


@api.on("POST", "/apps/{app}/releases")
def make_release(call: Call) -> Any:
    """Make a release with an older release's slug and all its config vars: devcenter, "Releases", "Rollback".

    Without an older release, release a slug again, which retries its release command.
    """
    asked = call.exchange.json()
    call.status = 201
    if "release" not in asked:
        slug = next(one.slug for one in call.app.releases if one.slug and one.slug.id == asked["slug"])
        return release_json(call.app, call.app.release(asked["description"], slug=slug))
    old = release_named(call, asked["release"])
    if old.status != "succeeded" or old.slug is None:
        raise RefusedError(
            422, "invalid_params", f"Cannot roll back to v{old.version}: it did not succeed or has no code."
        )
    return release_json(call.app, call.app.release(f"Rollback to v{old.version}", slug=old.slug, config=old.config))


@api.on("GET", "/apps/{app}/domains")
def domains(call: Call) -> Any:
    """Return the app's domains."""
    return [domain_json(call.app, name) for name in (call.app.host, *call.app.domains)]


@api.on("GET", "/apps/{app}/domains/{domain}")
def domain_info(call: Call) -> Any:
    """Return a domain."""
    for found in domains(call):
        if call.path["domain"] in {found["hostname"], found["id"]}:
            return found
    raise NotFoundError("domain name", "domain")


@api.on("GET", "/apps/{app}/sni-endpoints")
def certificates(_call: Call) -> Any:
    """Return the uploaded certificates: none."""
    return []


def log_session(call: Call, sessions: dict[str, tuple[Log, dict[str, Any]]]) -> Any:
    """Return the URL of a part of the log."""
    session = str(uuid.uuid4())
    sessions[session] = (call.app.log, call.exchange.json())
    call.status = 201
    return {"id": session, "logplex_url": f"https://{LOG_HOST}/sessions/{session}"}
