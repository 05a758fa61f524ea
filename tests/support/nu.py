"""Check pages with the Nu checker, the HTML validator of the W3C."""

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.rendering import ROOT

JAR = ROOT / ".tools/vnu-jar/node_modules/vnu-jar/build/dist/vnu.jar"


def findings(pages: Mapping[str, str], folder: Path) -> list[str]:
    """Return what the checker says about pages, errors and warnings, one line each.

    Args:
        pages: the HTML of each page, by its name. They are checked by one process, because Java takes seconds to start.
        folder: an empty folder.

    Raises:
        pytest.skip.Exception: it is not installed.
    """
    java = shutil.which("java")
    if not java or not JAR.exists():
        pytest.skip("no Nu checker")
    files = [folder / f"{name}.html" for name in pages]
    for file, source in zip(files, pages.values(), strict=True):
        file.write_text(source)
    command = [java, "-XX:TieredStopAtLevel=1", "-Xss4m", "-jar", str(JAR), "--stdout", *map(str, files)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    # It ends with 1 if it finds an error, or fails itself.
    assert done.stdout or done.returncode == 0
    return [line.replace(f"file:{folder}/", "") for line in done.stdout.splitlines()]
