"""Make the pictures of README.md and of the documentation from the real thing: `make pictures [smoke prompts update site deploy]`.

What a terminal shows becomes an SVG, which is small and follows light and dark; what a browser shows, a PNG.
"""

import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import ViewportSize

from stand_ins.heroku.platform import heroku
from stand_ins.heroku.projects import BROKEN_HOME, Developer
from tests.support.browser import chromium
from tests.support.databases import postgresql
from tests.support.environments import Environments, clean_environment, project_environment, run
from tests.support.faults import QUICK
from tests.support.releases import RELEASES, repository_of_releases, tag
from tests.support.rendering import ROOT, question_choices, render, template_copy
from tests.support.repositories import repository
from tests.support.servers import free_port, running
from tests.support.smoke import CHECKS, smoke
from tests.support.terminal import Terminal

IMAGES = ROOT / "docs/images"
LIMIT = 150_000
# What is longer is cut.
COLUMNS = 110
# A character's size in pixels.
WIDTH, HEIGHT = 8.4, 19
STYLE = """
    .paper { fill: #f6f8fa; stroke: #d0d7de; } text { fill: #1f2328; white-space: pre; } .green { fill: #116329; } .red { fill: #a40e26; }
    .grey { fill: #57606a; } .bold { font-weight: 700; }
    @media (prefers-color-scheme: dark) {
      .paper { fill: #161b22; stroke: #30363d; } text { fill: #e6edf3; } .green { fill: #56d364; } .red { fill: #ff7b72; } .grey { fill: #9aa5b1; }
    }
"""

# A line consists of parts: a text, and its class in STYLE.
Line = Sequence[tuple[str, str]]


def drawn(name: str, lines: Sequence[Line], described: str) -> None:
    """Write a picture of a terminal.

    Args:
        name: the file's name, without its suffix.
        lines: the terminal's lines.
        described: a description for screen readers.
    """
    columns = max(sum(len(text) for text, _ in line) for line in lines)
    width, height = round(columns * WIDTH + 32), len(lines) * HEIGHT + 28
    rows = []
    for number, line in enumerate(lines):
        at = 0
        for text, kind in line:
            if text.strip():
                x, y = 16 + at * WIDTH, 30 + number * HEIGHT
                length = len(text.rstrip()) * WIDTH
                rows.append(
                    f'<text x="{x:.1f}" y="{y}" class="{kind}" textLength="{length:.1f}">{escape(text.rstrip())}</text>'
                )
            at += len(text)
    IMAGES.mkdir(exist_ok=True)
    (IMAGES / f"{name}.svg").write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-label="{escape(described)}" font-family="ui-monospace, Menlo, Consolas, monospace" font-size="14">\n'
        f"  <style>{STYLE}  </style>\n"
        f'  <rect class="paper" x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="8"/>\n  '
        + "\n  ".join(rows)
        + "\n</svg>\n"
    )


def smoke_picture(folder: Path, template: Path) -> None:
    """Run the smoke suite with each platform's start command, and draw one table of all results."""
    environments = Environments(folder)
    outcomes = {}
    for platform in question_choices("platform"):
        project = render(template, folder / platform, platform=platform)
        outcomes[platform] = smoke(project, project_environment(environments.install(project)))
        if outcomes[platform].code:
            raise SystemExit(outcomes[platform].output)
    first = max(map(len, CHECKS)) + 3
    names = ["Heroku", "PythonAnywhere", "Docker", "gunicorn"]
    lines: list[Line] = [[("$ make smoke".ljust(first), "grey"), *((name.ljust(16), "bold") for name in names)], []]
    for check in CHECKS:
        words = [outcome.rows[check] for outcome in outcomes.values()]
        # PythonAnywhere redirects before the request reaches the server.
        cells = [
            (word.ljust(16) if word == "PASS" else "by the platform ", "green" if word == "PASS" else "grey")
            for word in words
        ]
        lines.append([(check.ljust(first), ""), *cells])
    drawn("smoke", lines, "The smoke suite's checks, run on each of the four platforms: all pass.")


def prompts_picture(folder: Path, template: Path) -> None:
    """Answer Copier's first questions in a terminal, and draw the screen."""
    command = [sys.executable, "-W", "ignore", "-m", "copier", "copy", str(template), str(folder / "prompted")]
    with closing(Terminal(command, clean_environment())) as terminal:
        for question, answer in (("called", "Todo List\r"), ("slug", "\r"), ("Where will it run", "\x1b[B\x1b[B")):
            terminal.wait_for(question)
            terminal.type(answer)
        terminal.wait_for("» Docker")
        shown = [line.rstrip() for line in terminal.screen.display]
    while not shown[-1]:
        shown.pop()
    lines: list[Line] = [[("$ uvx copier copy gh:copier-django/copier-django todo-list", "grey")]]
    lines += [[(line[:COLUMNS], "bold" if "🎤" in line else "")] for line in shown]
    drawn("prompts", lines, "Copier's questions in a terminal: the name, the slug, and the choice of a platform.")


def update_picture(folder: Path, _: Path) -> None:
    """Update a project whose owner and template changed the same line, and draw how the conflict is reported."""
    newest = list(RELEASES)[-1]
    released = repository_of_releases(folder / "released")
    project = folder / "updated"
    copier = [sys.executable, "-W", "ignore", "-m", "copier"]
    run(
        [
            *copier,
            "copy",
            "--quiet",
            "--defaults",
            f"--vcs-ref={tag(newest)}",
            "--data=project_name=Todo List",
            "--data=platform=docker",
            str(released),
            str(project),
        ],
        folder,
    )
    example = project / ".env.example"
    text = example.read_text()
    theirs = "# TRUSTED_PROXY_COUNT is set in compose.yaml."
    if theirs not in text:
        raise SystemExit(
            f"{newest} has no line {theirs!r}: let update_picture change one that the next release changes."
        )
    example.write_text(text.replace(theirs, "# TRUSTED_PROXY_COUNT: we have a CDN, see the wiki."))
    for words in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message=Start"]):
        run(["git", *words], project)
    run([*copier, "update", "--quiet", "--defaults"], project)
    found = subprocess.run(["make", "conflicts"], cwd=project, stderr=subprocess.PIPE, text=True, check=False)
    if not found.returncode:
        raise SystemExit("The update has no conflict: let update_picture change another line.")
    said = found.stderr.splitlines()
    lines: list[Line] = [[("$ uvx copier update --defaults", "grey")], [("$ make conflicts", "grey")]]
    lines += [[(line, "" if line.startswith("Settle") else "red")] for line in said if not line.startswith("make:")]
    drawn("update", lines, "An update where the owner and the template changed the same line: make conflicts names it.")


def site_picture(folder: Path, template: Path) -> None:
    """Serve a project in development, and take screenshots of its login page: light, dark, and on a phone."""
    project = render(template, folder / "site")
    env = project_environment(
        Environments(folder).install(project),
        DJANGO_SETTINGS_MODULE="config.settings.development",
        DEBUG_TOOLBAR="false",
    )
    port = free_port()
    command = ["python", "manage.py", "runserver", "--migrate", "--noreload", f"127.0.0.1:{port}"]
    with running(command, project, env, folder / "log") as server, chromium() as browser:
        server.wait_until_it_answers(f"http://127.0.0.1:{port}/health/")
        phone: ViewportSize = {"width": 390, "height": 700}
        desk: ViewportSize = {"width": 900, "height": 560}
        pages = {
            "light": browser.new_page(color_scheme="light", viewport=desk),
            "dark": browser.new_page(color_scheme="dark", viewport=desk),
            "phone": browser.new_page(color_scheme="light", viewport=phone),
        }
        for name, page in pages.items():
            page.goto(f"http://127.0.0.1:{port}/accounts/signup/")
            page.screenshot(path=IMAGES / f"site-{name}.png")


def coloured(said: str) -> list[Line]:
    """Return what a command printed, with the words of the smoke suite's table in their colours."""
    lines: list[Line] = []
    # What Heroku's build prints is of no interest here, and names folders of this machine.
    for line in (line for line in said.rstrip().splitlines() if not line.startswith("remote: ")):
        found = re.match(r"(\s*)(PASS|FAIL)(?=  )(.*)", line[:COLUMNS])
        if found:
            kind = {"PASS": "green", "FAIL": "red"}[found[2]]
            lines.append([(found[1], ""), (found[2], kind), (found[3], "")])
        else:
            lines.append([(line[:COLUMNS], "bold" if re.match(r"\d/\d ", line) else "")])
    return lines


def deploy_picture(folder: Path, template: Path) -> None:
    """Deploy a project by the real heroku program, then one that answers 500, and draw both runs of the deploy command.

    This needs root, and what scripts/install-machine brings.
    """
    with postgresql() as database, heroku(folder / "heroku", database) as platform:
        project = render(template, folder / "project", platform="heroku")
        QUICK(project)
        repository(project)
        developer = Developer(platform, project, Environments(folder).install(project))
        developer.create()
        shown: list[Line] = [[("$ uv run python deploy/heroku.py", "grey")]]
        drawn("deploy", shown + coloured(developer.deploy()), "A deploy: its steps, and the smoke suite, which passes.")
        developer.commit("Break the home page", BROKEN_HOME)
        drawn(
            "rollback",
            shown + coloured(developer.deploy(code=1)),
            "A deploy that fails the smoke suite, and its rollback.",
        )


PICTURES: dict[str, Callable[[Path, Path], None]] = {
    "smoke": smoke_picture,
    "prompts": prompts_picture,
    "update": update_picture,
    "site": site_picture,
    "deploy": deploy_picture,
}


def main() -> None:
    """Make the pictures that the command line names, or all.

    Raises:
        SystemExit: a picture is too large for a page that loads fast, or shows a failure.
    """
    for name in sys.argv[1:] or PICTURES:
        with TemporaryDirectory() as folder:
            sys.stdout.write(f"{name} ...\n")
            sys.stdout.flush()
            PICTURES[name](Path(folder), template_copy(Path(folder, "template")))
    if large := [path.name for path in IMAGES.iterdir() if path.stat().st_size > LIMIT]:
        raise SystemExit(f"Larger than {LIMIT} bytes: {', '.join(large)}")


if __name__ == "__main__":
    main()
