"""Chromium, driven by Playwright."""

import contextlib
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

# What it would ask of networks by itself, and fail to get.
QUIET = [
    "--no-sandbox",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextlib.contextmanager
def chromium(*options: str) -> Iterator[Browser]:
    """Start Chromium without a screen, with more options, until the end of the block.

    Raises:
        pytest.skip.Exception: it is not installed. With CI set the test fails by that: tests/support/left_out.py.
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
