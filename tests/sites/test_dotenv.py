"""A `.env` in the project's folder sets the variables of each process, unless they are set already."""

from pathlib import Path

from tests.support.environments import Environments
from tests.support.rendering import render
from tests.support.servers import free_port, running
from tests.support.sites import Site


def test_the_server_reads_dotenv_too(template: Path, environments: Environments, tmp_path: Path) -> None:
    site = Site(render(template, tmp_path / "project", database="sqlite"), environments, "sqlite:///db.sqlite3")
    site.prepare()
    variables = {**site.variables, "WEB_CONCURRENCY": "1"}
    # Values are read literally: a shell would expand `$tail` and `${x}`.
    variables["SECRET_KEY"] += "$tail ${x} 'and' more"
    (site.project / ".env").write_text("".join(f'{name}="{value}"\n' for name, value in variables.items()))
    site.variables = {}
    with running(["gunicorn"], site.project, site.environment(), tmp_path / "log") as server:
        server.wait_until_it_answers(f"{site.url}/health/")
        assert site.get("/").status_code == 200, server.output()
        assert server.output().count("Booting worker") == 1
    code = "from django.conf import settings; print(settings.SECRET_KEY)"
    assert site.manage("shell", "--no-imports", "--command", code).endswith("$tail ${x} 'and' more\n")
    moved = free_port()
    with running(["gunicorn"], site.project, site.environment(PORT=str(moved)), tmp_path / "log") as server:
        server.wait_until_it_answers(f"http://localhost:{moved}/health/")
