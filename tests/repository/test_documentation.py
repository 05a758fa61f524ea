"""The documentation is built from the template, has no broken links, and works by keyboard and without a network."""

import json
import re
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from html import unescape
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import yaml
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, Request

from scripts import docs, picker
from scripts import pictures as pictures_module
from scripts.pages import DEFAULTS
from scripts.renders import Chosen, key, subsets, written
from tests.support import lighthouse
from tests.support.browser import chromium
from tests.support.environments import clean_environment, run, uv
from tests.support.releases import RELEASES
from tests.support.rendering import CHOSEN, ROOT, Once, question_choices, triple_combinations
from tests.support.servers import eventually, free_port


def built(folder: Path) -> None:
    """Build the documentation by `make docs` in a clone with the working tree's files."""
    run(["git", "clone", "--quiet", str(ROOT), str(folder)], ROOT)
    listed = run(["git", "ls-files", "--cached", "--others", "--exclude-standard"], ROOT).splitlines()
    for name in listed:
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    own = {"UV": uv(), "UV_NO_SYNC": "1", "UV_PROJECT_ENVIRONMENT": sys.prefix}
    run(["make", "docs"], folder, env=clean_environment(**own))


@pytest.fixture(scope="module")
def repository(once: Once) -> Path:
    """A clone of this repository in which the documentation is built."""
    return once.get("documentation", built)


class Quiet(SimpleHTTPRequestHandler):
    """A file server without log output."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@dataclass
class Documentation:
    """The served site, and the browser's errors."""

    url: str
    browser: Browser
    debugging_port: int
    complaints: list[str] = field(default_factory=list)

    def on_console(self, message: ConsoleMessage) -> None:
        """Record an error of the browser."""
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def on_request(self, request: Request) -> None:
        """Record a request to another site."""
        if not request.url.startswith((self.url, "data:", "blob:")):
            self.complaints.append(request.url)

    def open(self, address: str, **options: Any) -> Page:
        """Open a page, and wait until it has loaded."""
        page = self.browser.new_page(**options)
        page.on("console", self.on_console)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", self.on_request)
        page.goto(f"{self.url}/{address}", wait_until="networkidle")
        return page


@pytest.fixture(scope="module")
def served(repository: Path) -> Iterator[Documentation]:
    """The site, served on loopback, and a browser."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(repository / "site"))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            port = free_port()
            with chromium(f"--remote-debugging-port={port}") as browser:
                yield Documentation(f"http://127.0.0.1:{server.server_port}", browser, port)
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def documentation(served: Documentation) -> Iterator[Documentation]:
    """The site; after the test, check that no page had an error or sent a request to another site."""
    served.complaints.clear()
    yield served
    assert served.complaints == []


def test_a_link_that_leads_nowhere_is_an_error(repository: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(repository / "build", tmp_path / "build", ignore=shutil.ignore_patterns("examples", "data"))
    (copy / "docs/index.md").write_text("[Nowhere](nowhere.md)\n")
    script = f"from pathlib import Path; from scripts import docs; docs.BUILD = Path({str(copy)!r}); docs.build()"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "page does not exist" in done.stdout + done.stderr


def test_pages_have_what_is_made_from_the_template(repository: Path) -> None:
    """The questions, a runbook for each platform, and the changes of an update."""
    pages = repository / "build/docs"
    questions = (pages / "questions.md").read_text()
    for name in CHOSEN:
        for choice in question_choices(name):
            assert f": `{choice}`" in questions
    newest = list(RELEASES)[-1]
    for platform in question_choices("platform"):
        runbook = (pages / f"runbooks/{platform}.md").read_text()
        assert "```bash" in runbook
        assert "](../compose.yaml)" not in runbook
        changes = (pages / f"changes/{platform}.md").read_text()
        assert newest in changes
        # The page's diff of a file is git's diff.
        assert (pages / f"changes/{platform}.diff.txt").read_text().count("diff --git") == changes.count("\n| `")


def test_a_page_without_its_place_for_what_is_made_is_an_error(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Page\n")
    with pytest.raises(ValueError, match=r"page\.md has 0 comments"):
        docs.filled(page, "figures", "…")


def test_the_picker_gives_the_command_and_the_files_of_every_combination(
    documentation: Documentation, repository: Path
) -> None:
    page = documentation.open("picker/")
    every: list[Chosen] = [
        *triple_combinations(),
        *({**DEFAULTS, "extras": extras} for extras in subsets(question_choices("extras"))),
    ]
    combinations = [{name: written(answer) for name, answer in chosen.items()} for chosen in every]
    shown = page.evaluate(
        """async (combinations) => {
            const { command, load, tree } = await import("/picker/picker.js");
            const files = await load("files");
            return combinations.map((each) => [command(each), tree(files, each).map((file) => file.path)]);
        }""",
        combinations,
    )
    listed = json.loads((repository / "site/picker/data/files.json").read_text())
    for chosen, (command, paths) in zip(every, shown, strict=True):
        words = shlex.split(command)
        assert words[:4] == ["uvx", "copier", "copy", "--defaults"]
        data = dict(word.split("=", 1) for before, word in pairwise(words) if before == "--data")
        told = {name: yaml.safe_load(value) if name == "extras" else value for name, value in data.items()}
        assert told == {"project_name": "Todo List", **{n: a for n, a in chosen.items() if n != "extras" or a}}
        # tests/rendering/test_rendering.py compares these with what Copier renders.
        assert paths == [each["path"] for each in listed if "|".join(key(each["by"], chosen)) in each["at"]]


def test_the_picker_works_by_keyboard_and_its_address_brings_it_back(
    documentation: Documentation, repository: Path
) -> None:
    page = documentation.open("picker/")
    page.get_by_role("radio", name="Heroku").focus()
    # SQLite does not work on Heroku, so it is not offered there.
    page.get_by_role("radio", name="PythonAnywhere").press("ArrowLeft")
    assert page.get_by_role("radio", name="SQLite").is_disabled()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    assert page.get_by_role("radio", name="SQLite").is_checked()
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    chosen = {
        "platform": "pythonanywhere",
        "database": "sqlite",
        "tasks": "database",
        "extras": ["s3"],
        "ci": "github",
        "python_version": "3.13",
    }
    page.get_by_text("deploy/", exact=True).press("Enter")
    page.get_by_role("button", name="pythonanywhere_wsgi.py").press("Enter")
    file = "deploy/pythonanywhere_wsgi.py"
    page.wait_for_url(f"**file={file.replace('/', '%2F')}")
    files = picker.read(repository / "site/picker/data", chosen)
    assert page.locator(".text").text_content() == files[file]
    assert page.locator(".count").text_content() == f"{len(files)} files"
    again = documentation.open(page.url.removeprefix(f"{documentation.url}/"))
    assert again.locator(".command").text_content() == page.locator(".command").text_content()
    assert again.locator(".text").text_content() == files[file]


def test_the_picker_says_what_to_do_where_it_lacks_a_text(documentation: Documentation, repository: Path) -> None:
    extras = question_choices("extras")
    chosen = {**DEFAULTS, "extras": extras[:3]}
    files = picker.read(repository / "site/picker/data", chosen)
    lacking = next(path for path, text in files.items() if text is None)
    page = documentation.open(f"picker/?extras={','.join(extras[:3])}&file={lacking}")
    assert page.locator(".count").text_content() == f"{len(files)} files"
    said = page.locator(".text").text_content() or ""
    assert said.startswith("Shown with at most two of these extras, or with all: ")
    assert "run the command above" in said
    # One less, and it is there.
    page.get_by_role("checkbox", name="S3").press("Space")
    fewer = {**chosen, "extras": [extra for extra in extras[:3] if extra != "s3"]}
    page.wait_for_function("!document.querySelector('.text').textContent.startsWith('Shown with')")
    text = picker.read(repository / "site/picker/data", fewer)[lacking]
    assert page.locator(".text").text_content() == text


def test_the_readme_is_short_and_says_what_the_documentation_says() -> None:
    readme = (ROOT / "README.md").read_text()
    # The page is two screens long at most.
    assert len(readme.splitlines()) <= 60
    for link in re.findall(r"\]\((?!https?://)([^)]+)\)", readme):
        assert (ROOT / link).exists(), link
    table = re.findall(r"^\|.+$", readme, re.MULTILINE)
    assert table == re.findall(r"^\|.+$", (ROOT / "docs/comparison.md").read_text(), re.MULTILINE)
    # Each cell about a project links to its source.
    assert all("](https://github.com/" in cell for row in table[2:] for cell in row.strip("| ").split(" | ")[1:])


def test_the_badges_say_what_is_true() -> None:
    badges = {
        unquote(shown).replace("_", " "): (ROOT / target).read_text()
        for shown, target in re.findall(
            r"shields\.io/badge/(.+?)-[0-9a-f]{6}\)\]\((.+?)\)", (ROOT / "README.md").read_text()
        )
    }
    (django,) = set(re.findall(r'"django>=([\d.]+),<', badges["Django-6.1"]))
    assert badges.keys() == {
        f"Django-{django}",
        f"Python-{', '.join(sorted(question_choices('python_version')))}",
        "License-MIT",
    }
    assert badges["License-MIT"].startswith("MIT License")
    assert (ROOT / ".github/workflows/test.yml").exists()


def test_pictures_load_fast() -> None:
    pictures = list((ROOT / "docs/images").iterdir())
    assert pictures
    assert all(path.stat().st_size <= pictures_module.LIMIT for path in pictures)


def names(page: Page) -> set[str]:
    """Return the accessible names of all elements, including those in parts that scripts cannot read."""
    nodes = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
    return {node.get("name", {}).get("value", "") for node in nodes}


def test_search_needs_no_network(documentation: Documentation) -> None:
    page = documentation.open("")

    def opened() -> bool:
        # The theme listens some time after the page has loaded. The field is in a part of the page that no script can look
        # into; what has it has the focus.
        page.keyboard.press("Control+k")
        page.wait_for_timeout(500)
        return bool(page.evaluate("document.activeElement !== document.body"))

    assert eventually(opened)
    page.keyboard.type("rollback")
    assert eventually(lambda: "Roll back" in names(page))


# One page of each kind: a plain page, one made from the template, and the picker.
KINDS = ("", "questions/", "picker/", "runbooks/docker/", "changes/docker/", "sizes/", "comparison/")


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)], ids=["light", "dark on a phone"])
def test_pages_are_accessible(documentation: Documentation, scheme: str, width: int) -> None:
    found = {}
    for address in KINDS:
        page = documentation.open(address, color_scheme=scheme, viewport={"width": width, "height": 800})
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"{address} scrolls sideways"
        violations = Axe().run(page).response["violations"]
        found[address] = [(each["id"], each["nodes"][0]["html"][:160], len(each["nodes"])) for each in violations]
        page.close()
    assert {address: said for address, said in found.items() if said} == {}


def test_lighthouse_finds_nothing(documentation: Documentation) -> None:
    """In accessibility, best practices and for search engines. Speed is not measured while other tests run."""
    urls = [f"{documentation.url}/{address}" for address in ("", "picker/", "runbooks/docker/")]
    assert lighthouse.faults(documentation.debugging_port, *urls) == {url: [] for url in urls}


def test_pages_show_no_markdown(repository: Path) -> None:
    """An extension that Zensical was not told of leaves its marks in the text."""
    shown = {}
    for page in (repository / "site").rglob("*.html"):
        code_and_drawings = re.sub(r"(?s)<(pre|code|script|style|svg)\b.*?</\1>", "", page.read_text())
        text = unescape(re.sub(r"<[^>]+>", "", code_and_drawings))
        if marks := re.findall(r"!!!.*|\{ ?:?[a-z]+ ?=.*|\*\*.*|\]\(.*|^#+ .*|```.*|\[\^.*", text, re.MULTILINE):
            shown[page.parent.name] = marks
    assert shown == {}
