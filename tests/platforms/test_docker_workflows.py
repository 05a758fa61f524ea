"""The workflows that deploy to Docker, run step by step against a registry and a server on this machine.

Two programs are not run. The scanner needs a list of vulnerabilities from the network, so only the effect of its exit code
is tested. A program that runs the command in the server's folder replaces ssh.
"""

import os
import re
import secrets
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.containers import Deployment, Engine, make_secrets
from tests.support.environments import run
from tests.support.faults import QUICK
from tests.support.runbooks import blocks, management_blocks
from tests.support.servers import eventually, free_port
from tests.support.workflows import OUTPUT, Runner, github_workflow, gitlab_job

Render = Callable[..., Path]

SSH = """#!/bin/sh
echo "$1" >>"$SSH_LOG"
shift
exec sh -c "$*"
"""
SCANNER = "anchore/grype:v0.104.0"


@dataclass
class Remote:
    """A registry, and a server that pulls from it.

    Attributes:
        registry: the registry that images are pushed to.
        server: the deployment on the server.
        environment: the environment variables of the runner's machine.
        log: a file with the servers that ssh was called with.
    """

    registry: str
    server: Deployment
    environment: dict[str, str]
    log: Path


@pytest.fixture
def remote(engine: Engine, tmp_path: Path) -> Iterator[Remote]:
    """A registry and a server for this test."""
    label, port = engine.label(), free_port()
    engine.write_down(images=f"localhost:{port}/*/*/*")
    engine.docker("run", "--detach", f"--label={label}", f"--publish=127.0.0.1:{port}:5000", "registry:2")
    folder = tmp_path / "server"
    folder.mkdir()
    # `docker login` writes a file here.
    config = tmp_path / "docker"
    config.mkdir()
    own = Path(engine.environment.get("DOCKER_CONFIG", Path.home() / ".docker"))
    if (own / "cli-plugins").exists():
        (config / "cli-plugins").symlink_to(own / "cli-plugins")
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "ssh").write_text(SSH)
    (programs / "ssh").chmod(0o755)
    environment = {
        **engine.environment,
        "DOCKER_CONFIG": str(config),
        "HOME": str(tmp_path / "home"),
        "PATH": f"{programs}{os.pathsep}{engine.environment['PATH']}",
        "SSH_LOG": str(tmp_path / "ssh"),
    }
    (tmp_path / "home").mkdir()
    registry = f"localhost:{port}"
    try:
        with Deployment(engine, folder) as server:
            (folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in server.variables.items()))
            yield Remote(registry, server, environment, tmp_path / "ssh")
    finally:
        engine.remove(label, images=f"{registry}/*/*/*")


@pytest.fixture
def repository(engine: Engine, render: Render, remote: Remote, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A committed project with its secrets on the server."""
    slug = engine.slug()
    project = render(project_slug=slug, database="sqlite", ci=request.param)
    QUICK(project)
    engine.docker("build", "--target", "lock", "--output", ".", ".", folder=project)
    run(["git", "init", "--quiet", "--initial-branch=main"], project)
    commit(project)
    make_secrets(project)
    (project / "secrets").rename(remote.server.project / "secrets")
    try:
        yield project
    finally:
        for images in (slug, "site", "smoke"):
            engine.remove(images=images)


def commit(project: Path) -> str:
    """Commit all changes; return the commit."""
    run(["git", "add", "--all"], project)
    run(["git", "commit", "--quiet", "--message", "Change"], project)
    return run(["git", "rev-parse", "HEAD"], project).strip()


def break_the_site(project: Path) -> str:
    """Commit a change that breaks the home page; return the commit."""
    urls = project / "apps/pages/urls.py"
    urls.write_text(urls.read_text().replace("urlpatterns = [", "urlpatterns = []\n_ = ["))
    return commit(project)


def on_github(project: Path, remote: Remote, revision: str) -> tuple[int, str]:
    """Run the jobs after the tests; return the exit code of the last step, and all output."""
    workflow = github_workflow(project, "deploy-docker.yml")
    image = workflow["jobs"]["image"]
    assert [step["uses"] for step in image["steps"] if "scan" in step.get("uses", "")] == ["anchore/scan-action@v7"]
    image["steps"] = [step for step in image["steps"] if not step.get("uses", "").startswith("anchore/")]
    image["env"]["REGISTRY"] = remote.registry
    own = {"GITHUB_SHA": revision, "GITHUB_REPOSITORY": "Someone/Site", "GITHUB_ACTOR": "mergify[bot]"}
    expressions = {
        "github.token": "token",
        "github.actor": "mergify[bot]",
        "secrets.DEPLOY_SSH_KEY": "the key",
        "vars.DEPLOY_KNOWN_HOSTS": "the server's key",
        "vars.DEPLOY_TO": "deploy@www.example.com",
        "vars.DEPLOY_FOLDER": str(remote.server.project),
    }
    runner = Runner(project, {**remote.environment, **own}, expressions)
    code, said = runner.github(workflow, "image")
    if code:
        return code, said
    for name, digest in re.findall(rf"^{OUTPUT}(\w+)=(.+@sha256:.+)$", said, re.MULTILINE):
        expressions[f"needs.image.outputs.{name}"] = digest
    code, then = runner.github(workflow, "deploy")
    assert (Path(remote.environment["HOME"]) / ".ssh/id_ed25519").stat().st_mode & 0o777 == 0o600
    return code, said + then


def on_gitlab(project: Path, remote: Remote, revision: str, tmp_path: Path, scanner: str) -> tuple[int, str]:
    """Run the job that deploys; return its exit code and all output."""
    job: dict[str, Any] = gitlab_job(project, "deploy")
    # Leave out lines that install programs: this machine has them.
    job["before_script"] = [line for line in job["before_script"] if not line.startswith("apk add")]
    assert any(SCANNER in line for line in job["script"])
    job["script"] = [line.replace(SCANNER, scanner) for line in job["script"]]
    for name in ("key", "hosts"):
        (tmp_path / name).write_text(name)
    variables = {
        "CI_COMMIT_SHA": revision,
        "CI_REGISTRY": remote.registry,
        "CI_REGISTRY_IMAGE": f"{remote.registry}/someone/project",
        "CI_REGISTRY_USER": "robot$gitlab+deploy",
        "CI_REGISTRY_PASSWORD": "token",
        "DEPLOY_SSH_KEY": str(tmp_path / "key"),
        "DEPLOY_KNOWN_HOSTS": str(tmp_path / "hosts"),
        "DEPLOY_TO": "deploy@www.example.com",
        "DEPLOY_FOLDER": str(remote.server.project),
    }
    return Runner(project, remote.environment, {}).gitlab(job, variables)


@pytest.mark.parametrize("repository", ["github"], indirect=True)
def test_github_deploys_what_is_pushed_and_goes_back(repository: Path, remote: Remote) -> None:
    revision = run(["git", "rev-parse", "HEAD"], repository).strip()
    code, said = on_github(repository, remote, revision)
    assert code == 0, said
    assert remote.log.read_text().splitlines()[0] == "deploy@www.example.com"
    assert "Todo List" in remote.server.get("/").text
    web = remote.server.container("web")
    assert web["Config"]["Labels"]["org.opencontainers.image.revision"] == revision
    # The folder has only those files of the repository that compose needs, also where it was a clone before.
    needed = {"compose.yaml", "deploy", "secrets", ".env"}
    assert {path.name for path in remote.server.project.iterdir()} == needed
    shutil.copytree(repository / ".git", remote.server.project / ".git")
    run(["git", "reset", "--quiet", "--hard"], remote.server.project)
    (leave,) = [each for each in blocks(repository / "docs/server.md") if each.heading == "When CI takes over"]
    run(["bash", "-euc", re.sub(r"/srv/\S+", ".", leave.text)], remote.server.project)
    assert {path.name for path in remote.server.project.iterdir()} == needed
    kept = names(remote)
    assert f"{remote.server.name}:{revision[:12]}" in kept
    assert {name.partition(":")[0] for name in kept} == {remote.server.name}
    for block in management_blocks(repository):
        run(["bash", "-euc", block], remote.server.project, env={**remote.environment, **remote.server.variables})
    (remote.server.project / "unused.txt").unlink()
    refuses_an_image_for_another_processor(remote)
    code, said = on_github(repository, remote, break_the_site(repository))
    assert code == 1
    assert "rolled back: the previous image serves" in said, said
    assert eventually(lambda: "Todo List" in remote.server.get("/").text)
    # Its own code can undo its migrations.
    assert names(remote) == kept | {f"{remote.server.name}:failed"}


def names(remote: Remote) -> set[str]:
    """Return the names of all images on the server; the runner, which has the same engine, knows its own by a commit."""
    listed = remote.server.engine.docker("image", "ls", "--digests", "--format={{.Repository}}:{{.Tag}}{{.Digest}}")
    ours = (remote.server.name, f"{remote.registry}/")
    found = {name.removesuffix("<none>") for name in listed.splitlines() if name.startswith(ours)}
    return {name for name in found if not re.search(r":[0-9a-f]{40}", name)}


def refuses_an_image_for_another_processor(remote: Remote) -> None:
    """Assert that the deploy reports it before it starts anything."""
    engine, server = remote.server.engine, remote.server
    here = engine.docker("version", "--format={{.Server.Arch}}").strip()
    other, image = "arm64" if here == "amd64" else "amd64", f"{remote.registry}/someone/site/site:other"
    build = f"echo 'FROM scratch\nLABEL a=b' | docker build --quiet --platform=linux/{other} --tag={image} -"
    engine.run("sh", "-c", f"{build} && docker push --quiet {image} && docker image rm {image}")
    said = engine.run("deploy/docker.sh", image, folder=server.project, code=1, variables={"SMOKE_IMAGE": image})
    assert f"The image is for {other}, and this machine is {here}" in said
    assert "nothing has changed for the live site" in said


@pytest.mark.parametrize("repository", ["gitlab"], indirect=True)
def test_gitlab_deploys_what_is_pushed_unless_the_scanner_refuses(
    engine: Engine, repository: Path, remote: Remote, tmp_path: Path
) -> None:
    revision = run(["git", "rev-parse", "HEAD"], repository).strip()
    scanners = {}
    for verdict, code in {"good": 0, "bad": 2}.items():
        scanners[verdict] = f"{repository.name}-{secrets.token_hex(4)}:{verdict}"
        dockerfile = f'FROM python:3.13-slim-trixie\nENTRYPOINT ["python", "-c", "raise SystemExit({code})"]\n'
        subprocess.run(
            ["docker", "build", "--quiet", "--tag", scanners[verdict], "-"],
            env=engine.environment,
            input=dockerfile,
            text=True,
            check=True,
        )
    try:
        code, said = on_gitlab(repository, remote, revision, tmp_path, scanners["bad"])
        assert code == 2, said
        assert not remote.log.exists(), "what the scanner refused was deployed"
        code, said = on_gitlab(repository, remote, revision, tmp_path, scanners["good"])
        assert code == 0, said
        assert "Todo List" in remote.server.get("/").text
    finally:
        for scanner in scanners.values():
            engine.remove(images=scanner)


@pytest.mark.parametrize("repository", ["github"], indirect=True)
def test_what_would_become_a_command_on_the_server_is_refused(repository: Path, remote: Remote) -> None:
    good = {"DEPLOY_TO": "deploy@www.example.com", "DEPLOY_FOLDER": "/srv/site"}
    images = ("ghcr.io/name/site@sha256:0", "ghcr.io/name/site/smoke@sha256:0")
    for variables, arguments in (
        ({**good, "DEPLOY_TO": "-oProxyCommand=id"}, images),
        ({**good, "DEPLOY_FOLDER": "/srv/site; id"}, images),
        ({**good, "DEPLOY_FOLDER": ""}, images),
        (good, (images[0], "$(id)")),
        (good, ("", images[1])),
    ):
        done = subprocess.run(
            ["deploy/deploy-to-server.sh", *arguments],
            cwd=repository,
            env={**remote.environment, **variables},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1
        assert done.stderr.startswith("FAILED: ")
    assert not remote.log.exists()
