"""Control Chromium by Playwright."""

import contextlib
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

# Options that stop Chromium's own requests to the network, which would fail.
QUIET = [
    "--no-sandbox",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


WITHOUT_NETLINK = Path(__file__).with_name("without_netlink.py")


@contextlib.contextmanager
def undisturbed(program: str) -> Iterator[Path]:
    """Yield a command that runs a program to which networks that come and go do not show."""
    with tempfile.TemporaryDirectory(prefix="browser-") as folder:
        command = Path(folder, "browser")
        command.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{WITHOUT_NETLINK}" "{program}" "$@"\n')
        command.chmod(0o755)
        yield command


@contextlib.contextmanager
def chromium(*options: str) -> Iterator[Browser]:
    """Run headless Chromium, with more options, until the end of the block.

    Raises:
        pytest.skip.Exception: it is not installed. If CI is set, the test then fails: tests/support/left_out.py.
    """
    program = shutil.which("chromium")
    if not program:
        pytest.skip("no Chromium")
    with undisturbed(program) as command, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=command, args=[*QUIET, *options])
        try:
            yield browser
        finally:
            browser.close()
