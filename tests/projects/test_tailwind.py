"""With Tailwind, a class in a template reaches the style sheet: while one develops, and in production by what is in git."""

import shutil
import signal
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import requests

from scripts.style_sheet import COMPILED
from tests.support import rendering
from tests.support.environments import Environments, run
from tests.support.servers import HANGS, Running, eventually, free_port, running

CHECK = ["python", "manage.py", "css", "--check"]
# Where nobody listens, as for who is not online.
OFFLINE = {"npm_config_registry": "http://127.0.0.1:1", "npm_config_fetch_retries": "0"}


@pytest.fixture(scope="module")
def project(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with Tailwind, of a combination that other tests install too."""
    answers = next(row for row in rendering.pairwise_combinations() if "tailwind" in row["extras"])
    return rendering.render(template, tmp_path_factory.mktemp("tailwind") / "project", **answers)


@pytest.fixture(scope="module")
def env(project: Path, environments: Environments) -> dict[str, str]:
    """The variables of its developer. The first check installs Tailwind, and accepts the style sheet as it is rendered."""
    env = environments.at_work(project)
    env["PATH"] = f"{environments.install(project)}:{env['PATH']}"
    run(CHECK, project, env=env)
    return env


def served(port: int) -> str:
    """Return the style sheet of a site in development."""
    return requests.get(f"http://127.0.0.1:{port}/static/site.css", timeout=HANGS).text


def developing(project: Path, env: dict[str, str], port: int) -> AbstractContextManager[Running]:
    """Start the site as a developer does."""
    return running(["make", "dev", f"PORT={port}"], project, env, project.parent / f"log-{port}")


def test_a_fresh_project_starts_with_the_style_sheet_of_all_extras_pages(
    template: Path, tmp_path: Path, project: Path, env: dict[str, str]
) -> None:
    extras = rendering.question_choices("extras")
    everything = rendering.render(template, tmp_path / "everything", extras=extras)
    modules = project / "assets/node_modules"
    (everything / "assets/node_modules").symlink_to(modules)
    command = ["node", str(modules / "@tailwindcss/cli/dist/index.mjs"), "--optimize", "--silent"]
    said = run([*command, "--input", "tailwind.css"], everything / "assets", env=env)
    assert said.rstrip() == COMPILED.read_text().rstrip(), "run: make style-sheet"


def test_what_is_not_compiled_is_an_error_that_says_what_to_do(project: Path, env: dict[str, str]) -> None:
    page, style, source = project / "templates/new.html", project / "static/site.css", project / "assets/tailwind.css"
    not_current = r"assets/compiled/site\.css is not current: run `make css` .*, and commit it"
    before = style.read_text(), source.read_text()
    page.write_text('<p class="italic md:mt-[37px]"></p>')
    with pytest.raises(AssertionError, match=not_current):
        run(["make", "check-css"], project, env=env)
    run(["make", "css"], project, env=env)
    # A class that no page uses any more is no error, because projects start with those of all extras' pages.
    page.write_text('<p class="md:mt-[37px]"></p>')
    run(CHECK, project, env=env)
    try:
        style.write_text(f"{before[0]}\n.new {{ gap: 37px; }}\n")
        with pytest.raises(AssertionError, match=not_current):
            run(CHECK, project, env=env)
        source.write_text(f'{before[1]}\n@import "new.css";\n')
        with pytest.raises(AssertionError, match=r"cannot be compiled\. Can't resolve 'new\.css' in '.*'\n$"):
            run(CHECK, project, env=env)
    finally:
        style.write_text(before[0])
        source.write_text(before[1])


def test_a_class_in_a_page_of_a_new_app_is_seen_without_a_restart_and_after_a_deploy(
    project: Path, env: dict[str, str]
) -> None:
    run(["make", "app", "NAME=shop"], project, env=env)
    port = free_port()
    with developing(project, env, port) as server:
        server.wait_until_it_answers(f"http://127.0.0.1:{port}/health/")
        assert ".card {" in served(port)
        assert ".grid-cols-3" not in served(port)
        page = project / "templates/shop/index.html"
        page.write_text(page.read_text().replace("<ul", '<ul class="grid-cols-3 md:hidden"', 1))
        assert eventually(lambda: ".grid-cols-3" in served(port)), server.output()
        # The compiler ends too: the test waits for the whole group of processes.
        server.stop(signal.SIGINT)
    # What each platform's build does with what is in git.
    run(CHECK, project, env=env)
    collected = project.parent / "collected"
    (project.parent / "collecting.py").write_text(f"""
from config.settings.development import *
STATIC_ROOT = {str(collected)!r}
STORAGES = {{**STORAGES, "staticfiles": {{"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"}}}}
""")
    hashing = {**env, "DJANGO_SETTINGS_MODULE": "collecting", "PYTHONPATH": str(project.parent)}
    run(["python", "manage.py", "collectstatic", "--noinput"], project, env=hashing)
    (hashed,) = collected.glob("site.*.css")
    assert ".grid-cols-3" in hashed.read_text()


def test_without_a_network_pages_keep_their_style_sheet_and_it_is_said(project: Path, env: dict[str, str]) -> None:
    shutil.move(project / "assets/node_modules", project.parent / "node_modules")
    port = free_port()
    try:
        with developing(project, {**env, **OFFLINE}, port) as server:
            server.wait_until_it_answers(f"http://127.0.0.1:{port}/health/")
            assert ".card {" in served(port)
            assert "Changes of classes in templates will have no effect." in server.output()
            assert "Traceback" not in server.output()
    finally:
        shutil.rmtree(project / "assets/node_modules", ignore_errors=True)
        shutil.move(project.parent / "node_modules", project / "assets/node_modules")
