"""Check that pages load the compiled style sheet, and that the compiler is found. `make check-css` compiles."""

import sys
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders

from operations.tailwind import compiler


def test_pages_that_name_site_css_load_the_compiled_one() -> None:
    assert finders.find("site.css") == str(compiler.RESULT)
    assert "tailwindcss v" in compiler.RESULT.read_text(encoding="utf-8")


def test_programs_are_those_beside_python_or_the_machines(tmp_path: Path) -> None:
    own = tmp_path / "tailwind-node"
    own.write_text("#!/bin/sh\n")
    own.chmod(0o755)
    assert compiler.program(own.name, {"PATH": str(tmp_path)}) == str(own)
    python = Path(sys.executable)
    assert Path(compiler.program(python.name, {"PATH": str(tmp_path)})).samefile(python)
    with pytest.raises(compiler.CannotCompileError, match=r"There is no tailwind-node\. Run `uv sync`"):
        compiler.program(own.name, {})


def test_an_error_is_one_line_without_colors() -> None:
    code = r"import sys; sys.exit('\x1b[31mError:\x1b[39m\n\x1b[2m┌\x1b[22m\n│ Error: Can\'t resolve nix.css\n└')"
    with pytest.raises(compiler.CannotCompileError, match=r"^Can't resolve nix\.css$"):
        compiler.run([sys.executable, "-X", "utf8", "-c", code])
    with pytest.raises(compiler.CannotCompileError, match=r" exited 3\.$"):
        compiler.run([sys.executable, "-c", "raise SystemExit(3)"])
