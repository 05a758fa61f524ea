"""Control Chromium by Playwright."""

import contextlib
import shutil
from collections.abc import Iterator

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


@contextlib.contextmanager
def chromium(*options: str) -> Iterator[Browser]:
    """Run headless Chromium, with more options, until the end of the block.

    Raises:
        pytest.skip.Exception: it is not installed. If CI is set, the test then fails: tests/support/left_out.py.
    """
    program = shutil.which("chromium")
    if not program:
        pytest.skip("no Chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=[*QUIET, *options])
        try:
            yield browser
        finally:
            browser.close()
