"""A rendered project's own smoke suite: running it, and reading the table that it ends with."""

import contextlib
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.servers import PATIENCE
from tests.support.sites import Site

# The suite's own stand-in for what ends TLS, kept up until its standard input is closed.
STAND_IN = """
import sys
from pathlib import Path
from smoke.server import stand_in

with stand_in(int(sys.argv[1]), Path(sys.argv[2])) as address:
    print(address, flush=True)
    sys.stdin.read()
"""


@dataclass
class Outcome:
    """What a run of the suite said.

    Attributes:
        code: its exit code.
        rows: what the table says of each check, PASS, FAIL or SKIP, in its order.
        remarks: what stands behind that.
        output: all that was printed.
    """

    code: int
    rows: dict[str, str]
    remarks: dict[str, str]
    output: str

    def having(self, word: str) -> set[str]:
        """The checks that have this word in their row."""
        return {name for name, its in self.rows.items() if its == word}


def smoke(project: Path, env: Mapping[str, str], *options: str) -> Outcome:
    """Run the suite with the programs of `env`."""
    done = subprocess.run(
        ["pytest", "smoke", "-p", "no:cacheprovider", *options],
        cwd=project,
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    rows = re.findall(r"^(PASS|FAIL|SKIP)  (.+?)(?:  +(.*))?$", done.stdout, re.MULTILINE)
    return Outcome(
        done.returncode,
        {name: word for word, name, _ in rows},
        {name: remark for _, name, remark in rows},
        done.stdout,
    )


@contextlib.contextmanager
def behind_tls(site: Site, ca_file: Path) -> Iterator[list[str]]:
    """Put the suite's stand-in before a site; gives the options by which the suite finds it as if it were live."""
    process = subprocess.Popen(
        [site.bin / "python", "-c", STAND_IN, str(site.port), str(ca_file)],
        cwd=site.project,
        env=site.environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        address = process.stdout.readline().strip()
        yield [f"--base-url=https://{address}", f"--http-url=http://{address}", f"--ca-file={ca_file}"]
    finally:
        process.stdin.close()
        process.wait(PATIENCE)
        process.stdout.close()
