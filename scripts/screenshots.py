"""Take screenshots of all pages of a project, in light, dark and on a phone, into .cache/screenshots/.

Arguments: the project's extras.
"""

import shutil
import sys
from collections.abc import Iterator

from playwright.sync_api import ViewportSize

from stand_ins.mail_server import mail_server
from template.smoke.server import stand_in
from tests.support import rendering
from tests.support.browser import chromium
from tests.support.environments import Environments, project_environment
from tests.support.servers import free_port, running
from tests.support.sites import Site
from tests.support.tour import ADMIN, PASSWORD, Tour

FOLDER = rendering.ROOT / ".cache/screenshots"
LIGHT: ViewportSize = {"width": 1100, "height": 760}
PHONE: ViewportSize = {"width": 320, "height": 640}


def take(states: Iterator[str], tour: Tour) -> None:
    """Take three screenshots of each state, and save its HTML."""
    for name in states:
        (FOLDER / f"{name}.html").write_text(tour.source())
        tour.page.screenshot(path=FOLDER / f"{name}-light.png", full_page=True)
        tour.page.emulate_media(color_scheme="dark")
        tour.page.screenshot(path=FOLDER / f"{name}-dark.png", full_page=True)
        tour.page.emulate_media(color_scheme="light")
        tour.page.set_viewport_size(PHONE)
        tour.page.screenshot(path=FOLDER / f"{name}-phone.png", full_page=True)
        tour.page.set_viewport_size(LIGHT)


def main() -> None:
    """Render a project, serve it in production and in development, and take the screenshots."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    environments = rendering.ROOT / ".cache/environments"
    environments.mkdir(exist_ok=True)
    project = rendering.render(
        rendering.template_copy(FOLDER / "template"),
        FOLDER / "project",
        platform="gunicorn",
        database="sqlite",
        extras=sys.argv[1:],
    )
    base = project / "config/settings/base.py"
    base.write_text(
        base.read_text()
        + '\nSITE_DESCRIPTION = "Lists of what to do, for people who forget."\nCONTACT = "hello@example.com"\n'
    )
    site = Site(project, Environments(environments), f"sqlite:///{FOLDER}/site.sqlite3")
    site.variables["ALLOWED_HOSTS"] = "localhost,127.0.0.1"
    site.prepare()
    site.manage("createsuperuser", "--noinput", "--email", ADMIN, DJANGO_SUPERUSER_PASSWORD=PASSWORD)
    sender = {"DEFAULT_FROM_EMAIL": "site@example.com"}
    with chromium("--ignore-certificate-errors") as browser:
        with (
            mail_server() as postbox,
            site.started(FOLDER / "log", EMAIL_URL=postbox.url, **sender),
            stand_in(site.port, FOLDER / "ca.pem") as host,
        ):
            context = browser.new_context(ignore_https_errors=True, viewport=LIGHT)
            tour = Tour(context.new_page(), f"https://{host}", postbox.text)
            take(tour.visitor(), tour)
            take(tour.member(), tour)
            take(tour.staff(), tour)
        port = free_port()
        command = ["python", "manage.py", "runserver", "--noreload", "--migrate", f"127.0.0.1:{port}"]
        env = project_environment(site.bin, PYTHONUNBUFFERED="1", DATABASE_URL="", DEBUG_TOOLBAR="false")
        with running(command, project, env, FOLDER / "development.log") as server:
            server.wait_until_it_answers(f"http://127.0.0.1:{port}/health/")
            tour = Tour(browser.new_context(viewport=LIGHT).new_page(), f"http://127.0.0.1:{port}")
            take(tour.development(), tour)
    sys.stdout.write(f"The pictures are in {FOLDER}, with the HTML of each page.\n")


if __name__ == "__main__":
    main()
