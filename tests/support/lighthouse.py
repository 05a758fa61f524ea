"""Measure pages with Lighthouse."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.rendering import ROOT

FOLDER = ROOT / ".tools/lighthouse"


def faults(port: int, *urls: str) -> dict[str, list[str]]:
    """Return the audits of accessibility, best practices and search engines that pages do not pass, by URL.

    Args:
        port: the debugging port of a running Chromium.
        urls: the pages.

    Raises:
        pytest.skip.Exception: it is not installed.
    """
    own = ROOT / ".tools/node/bin/node"
    node = own if own.exists() else shutil.which("node")
    if not node or not (FOLDER / "complete").exists():
        pytest.skip("no Lighthouse")
    command = [str(node), str(Path(__file__).with_suffix(".mjs")), str(FOLDER), str(port), *urls]
    said = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    found: dict[str, list[str]] = json.loads(said)
    return found
