"""Lines that an owner adds in the documented places never conflict with an update."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.edits import IN_LISTS, Edit, appended, behind, edit
from tests.support.faults import text
from tests.support.releases import AGAIN, FOLLOWING, RELEASES, release
from tests.support.rendering import Answers, combination_id, pairwise_combinations
from tests.support.repositories import commit
from tests.support.updating import render_release, tracked, unsettled, update

# The files that owners append to, and their last lines, which are the same for all answers.
ENDS = {
    "config/settings/base.py": 'X_FRAME_OPTIONS = "DENY"',
    "config/settings/production.py": "LOGGING = logs.configuration(level=LOG_LEVEL, request_level=REQUEST_LOG_LEVEL, "
    'formatter="json", file=LOG_FILE)',
    "config/settings/development.py": "LOGGING = logs.configuration(level=LOG_LEVEL, request_level=REQUEST_LOG_LEVEL, "
    'formatter="text")',
    "config/settings/test.py": 'LOGGING = logs.configuration(level="INFO", request_level="INFO", formatter="json")',
    "config/urls.py": 'handler500 = "apps.pages.views.server_error"',
    "Makefile": "\tuv run djlint --reformat --quiet templates",
    "Procfile.dev": "web: python manage.py runserver --migrate ${DEVELOPMENT_HOSTS:+0.0.0.0:}$PORT",
    "pyproject.toml": 'ignore = "H006,H030"',
    ".env.example": "# GUNICORN_TIMEOUT=30",
    ".gitignore": ".vscode/",
}
# Lines that owners append there.
OWN = {
    "config/settings/base.py": '\nMIDDLEWARE.insert(0, "django.middleware.gzip.GZipMiddleware")\nWEEK_STARTS = 1',
    "config/settings/production.py": '\nSESSION_COOKIE_SAMESITE = "Strict"',
    "config/settings/development.py": "\nINTERNAL_IPS = ['127.0.0.1']",
    "config/settings/test.py": "\nWEEK_STARTS = 0",
    "config/urls.py": '\nurlpatterns = [path("", include("apps.todo.urls")), *urlpatterns]',
    "Makefile": "\nlint: hello\nhello: ## Say hello\n\techo hello",
    "Procfile.dev": "css: npx tailwindcss --watch",
    "pyproject.toml": '\n[tool.own]\nname = "hello"',
    ".env.example": "# GREETING=hello",
    ".gitignore": "/hello.txt",
}
AT_THE_END: dict[str, Edit] = {name: appended(name, lines) for name, lines in OWN.items()}
# The ends of files other than settings have been places for owners since 0.6.0, and this one since 0.7.0.
SINCE = {"Procfile.dev": "0.7.0"}
# Before the line that ends the reading of environment variables.
VARIABLE = text("config/settings/production.py", "\nenv.seal()", '\nGREETING = env.str("GREETING", "")\nenv.seal()')


@pytest.mark.parametrize("answers", pairwise_combinations(), ids=combination_id)
def test_files_that_owners_add_to_end_alike_whatever_the_answers(render: Callable[..., Path], answers: Answers) -> None:
    """An update or a switch could not merge an owner's lines next to lines that are added or removed."""
    project = render(**answers)
    assert {name: (project / name).read_text().splitlines()[-1] for name in ENDS} == ENDS


@pytest.mark.parametrize("version", RELEASES)
def test_an_update_from_each_release_leaves_what_was_added(released: Path, tmp_path: Path, version: str) -> None:
    project = tracked(render_release(released, tmp_path / "project", version, ci="none"))
    names = [name for name in OWN if version >= SINCE.get(name, "0.6.0") or name.startswith("config/")]
    assert {name: last_line(project / name) for name in names} == {name: ENDS[name] for name in names}
    edit(project, *(AT_THE_END[name] for name in names), VARIABLE)
    commit(project, "Ours")
    update(project)
    assert not unsettled(project)
    assert not [name for name in names if not (project / name).read_text().endswith(f"{OWN[name]}\n")]
    assert 'GREETING = env.str("GREETING", "")' in (project / "config/settings/production.py").read_text()


def last_line(path: Path) -> str:
    """Return a file's last line."""
    return path.read_text().splitlines()[-1]


OTHERS = {"platform": "heroku", "tasks": "celery", "extras": ["sentry", "s3", "ai", "mfa", "tailwind"], "ci": "gitlab"}


def test_other_answers_leave_what_was_added(fresh: Callable[..., Path]) -> None:
    project = tracked(fresh())
    edit(project, *AT_THE_END.values(), VARIABLE, *IN_LISTS)
    commit(project, "Ours")
    update(project, AGAIN, **OTHERS)
    assert not unsettled(project)
    update_again = {"platform": "docker", "tasks": "none", "extras": [], "ci": "github"}
    commit(project, "Moved")
    update(project, AGAIN, **update_again)
    assert not unsettled(project)
    assert not [name for name in OWN if OWN[name] not in (project / name).read_text()]


def test_a_release_that_changes_what_is_near_leaves_what_was_added(following: Path, tmp_path: Path) -> None:
    project = tracked(render_release(following, tmp_path / "project"))
    edit(project, *AT_THE_END.values(), VARIABLE, *IN_LISTS)
    commit(project, "Ours")
    template = following / "template"
    near: dict[str, tuple[str, str]] = {
        "config/settings/base.py.jinja": (
            'SECURE_REFERRER_POLICY = "same-origin"',
            'SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"\nSECURE_REFERRER_POLICY = "same-origin"',
        ),
        "config/urls.py.jinja": (
            '    path("", include("operations.urls")),',
            '    path("news/", include("operations.urls")),\n    path("", include("operations.urls")),',
        ),
        "Makefile.jinja": ("uv run ruff format\n", "uv run ruff format --quiet\n"),
        "pyproject.toml.jinja": ("max_line_length = 120", "max_line_length = 100"),
        ".gitignore.jinja": (".DS_Store", ".DS_Store\nThumbs.db"),
    }
    edit(template, *(text(name, old, new) for name, (old, new) in near.items()))
    edit(template, behind("config/settings/base.py.jinja", '    "allauth.account",', '    "allauth.mfa",'))
    release(following, FOLLOWING)
    update(project, FOLLOWING)
    assert not unsettled(project)
    assert not [name for name in OWN if OWN[name] not in (project / name).read_text()]


ASSISTANTS = {"AGENTS.md": "# Ours\n", "CLAUDE.md": "Ours.\n"}


def test_files_for_coding_assistants_that_were_there_stay(released: Path, tmp_path: Path) -> None:
    """Many projects had them before the template brought them."""
    project = tracked(render_release(released, tmp_path / "project", "0.7.0"))
    edit(project, *(appended(name, content.rstrip()) for name, content in ASSISTANTS.items()))
    commit(project, "Ours")
    update(project)
    assert not unsettled(project)
    assert {name: (project / name).read_text() for name in ASSISTANTS} == ASSISTANTS


def test_files_for_coding_assistants_are_the_owners_from_then_on(following: Path, tmp_path: Path) -> None:
    project = tracked(render_release(following, tmp_path / "project"))
    # One that is not wanted is left empty, because Copier writes a deleted one again.
    (project / "AGENTS.md").write_text("# Ours\n")
    (project / "CLAUDE.md").write_text("")
    commit(project, "Ours")
    edit(following / "template", text("AGENTS.md", "# For coding assistants", "# For all assistants"))
    edit(following / "template", appended("CLAUDE.md", "See README.md."))
    release(following, FOLLOWING)
    update(project, FOLLOWING)
    assert not unsettled(project)
    assert [(project / name).read_text() for name in ASSISTANTS] == ["# Ours\n", ""]
