"""Build the documentation into site/: `make docs`, and with SERVE=1 serve it.

The pages are those of docs/, and those that are made from the template here, so that they cannot go stale: the
questions, the runbooks, the picker with all that it shows, and what the next update changes. They meet in build/docs.
"""

import contextlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory

from scripts import examples, pages, picker
from scripts.renders import File, Renders
from tests.support.releases import MissingReleaseError
from tests.support.rendering import CHOSEN, ROOT, template_copy

BUILD = ROOT / "build"
PAGES = BUILD / "docs"
SITE = ROOT / "site"


def filled(page: Path, marker: str, text: str) -> None:
    """Insert a text into a page at the comment with this name.

    Raises:
        ValueError: the page has no such comment, or several.
    """
    before, *after = page.read_text().split(f"<!-- {marker} -->")
    if len(after) != 1:
        raise ValueError(f"{page.name} has {len(after)} comments <!-- {marker} -->, and not one.")
    page.write_text(before + text + after[0])


def updates(files: Mapping[str, File]) -> None:
    """Write the pages about what the next update changes.

    Raises:
        SystemExit: with CI set, this clone lacks the commit of a release; elsewhere these pages say so.
    """
    (PAGES / "changes").mkdir()
    try:
        before, after = examples.make(files)
    except MissingReleaseError as error:
        if os.environ.get("CI"):
            raise SystemExit(str(error)) from None
        sys.stderr.write(f"Without the pages on what an update changes: {error}\n")
        for platform, name in pages.PLATFORMS.items():
            (PAGES / f"changes/{platform}.md").write_text(f"# {name}\n\nThis clone has no releases to compare.\n")
        return
    for platform, name in pages.PLATFORMS.items():
        (PAGES / f"changes/{platform}.md").write_text(examples.page(before, after, platform, name))
        (PAGES / f"changes/{platform}.diff.txt").write_text(examples.difference(before, after, platform))


def gather() -> None:
    """Write all pages into one folder."""
    shutil.rmtree(PAGES, ignore_errors=True)
    shutil.copytree(ROOT / "docs", PAGES)
    with TemporaryDirectory() as folder:
        renders = Renders(template_copy(Path(folder, "template")))
        files = renders.files()
    picker.write(files, PAGES / "picker/data")
    filled(PAGES / "picker.md", "form", picker.form(renders.questions, CHOSEN))
    (PAGES / "questions.md").write_text(pages.questions(renders, files))
    (PAGES / "runbooks").mkdir()
    for platform in pages.PLATFORMS:
        (PAGES / f"runbooks/{platform}.md").write_text(pages.runbook(files, platform))
    filled(PAGES / "proved.md", "figures", pages.figures(files, ROOT))
    updates(files)


def serve() -> None:
    """Serve the site on loopback until Ctrl-C."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(SITE))
    with ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "0"))), handler) as server:
        sys.stdout.write(f"Serving at http://127.0.0.1:{server.server_port}/ (Ctrl-C stops it)\n")
        sys.stdout.flush()
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()


def build() -> None:
    """Build the site from the gathered pages.

    Raises:
        SystemExit: a link leads nowhere; Zensical has said which.
    """
    # Zensical keeps its cache beside its settings, and --clean empties it.
    shutil.copy(ROOT / "zensical.toml", BUILD)
    built = subprocess.run([Path(sys.prefix, "bin/zensical"), "build", "--strict", "--clean"], cwd=BUILD, check=False)
    if built.returncode:
        raise SystemExit(built.returncode)
    for page in (BUILD / "site").rglob("*.html"):
        html = page.read_text()
        finished = re.sub(r'href="([^"?]*)" title="(\?[^"]*)"', r'href="\1\2"', html)
        # A heading without a text is left out.
        finished = re.sub(r"<th([^>]*)></th>", r"<td\1></td>", finished)
        if finished != html:
            page.write_text(finished)
    shutil.rmtree(SITE, ignore_errors=True)
    (BUILD / "site").rename(SITE)


def main() -> None:
    """Gather and build the pages, and serve them if SERVE is set."""
    gather()
    build()
    if os.environ.get("SERVE"):
        serve()


if __name__ == "__main__":
    main()
