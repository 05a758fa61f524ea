"""Owners translate their pages and add languages as docs/languages.md says, and are told which texts are missing."""

import gettext
import io
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts import translations
from tests.support.edits import appended
from tests.support.environments import Environments, run
from tests.support.faults import text
from tests.support.runbooks import Reader, blocks

Render = Callable[..., Path]

PAGE = "templates/pages/home.html"
FINDS = ["uv", "run", "pytest", "--quiet", "operations/tests/test_languages.py"]

pytestmark = pytest.mark.skipif(not shutil.which("xgettext"), reason="no gettext")


def red(command: list[str], project: Path, env: dict[str, str]) -> str:
    """Run a command that fails, and return its output."""
    done = subprocess.run(command, cwd=project, env=env, stdout=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1, done.stdout
    return done.stdout


def untranslated(catalogue: Path) -> list[str]:
    """Return the texts of a catalogue that have no translation, or one that was guessed."""
    kinds = ("--untranslated", "--only-fuzzy")
    listed = "".join(run(["msgattrib", kind, "--no-wrap", str(catalogue)], catalogue.parent) for kind in kinds)
    return re.findall(r'(?m)^msgid "(.+)"$', listed)


def test_the_page_on_languages_is_followed(render: Render, environments: Environments, tmp_path: Path) -> None:
    project = render(platform="gunicorn", database="sqlite", ci="none", extras=["i18n"])
    env = environments.at_work(project)
    shipped = {path: path.read_bytes() for path in (project / "operations/locale").rglob("*.*")}
    owner = Reader(project / "docs/languages.md", tmp_path, env)
    german = project / "locale/de/LC_MESSAGES/django.po"

    # A page in one language needs nothing, and one that is translated in part is told of the rest.
    text(PAGE, "{% block content %}", "{% block content %}<p>Buy milk</p>")(project)
    assert f"{PAGE}: Buy milk" in red(FINDS, project, env)
    text(PAGE, "Buy milk", '{% translate "Buy milk" %}')(project)
    appended("config/settings/base.py", 'SITE_DESCRIPTION = _("A list")')(project)
    text(
        "config/settings/base.py",
        "from django.utils.csp",
        "from django.utils.translation import gettext_lazy as _\nfrom django.utils.csp",
    )(project)
    said = red(FINDS, project, env)
    assert "Run `make messages LOCALE=de`" in said
    assert re.findall(r"(?m)^E +(\S+: .*)$", said)[-2:] == ["config/settings/base.py: A list", f"{PAGE}: Buy milk"]

    # The project's own texts are translated already, and the owner's words count.
    owner.paste(owner.left.pop(0).text)
    assert sorted(untranslated(german)) == ["A list", "Buy milk"]
    words = german.read_text().replace('msgid "Buy milk"\nmsgstr ""', 'msgid "Buy milk"\nmsgstr "Milch kaufen"')
    words = words.replace('msgid "A list"\nmsgstr ""', 'msgid "A list"\nmsgstr "Eine Liste"')
    german.write_text(words.replace('"Passwort vergessen?"', '"Passwort weg?"'))
    assert " passed" in owner.paste(owner.left.pop(0).text)
    code = "activate('de'); print([gettext(each) for each in ('Buy milk', 'Forgot your password?', 'Log out')])"
    code = f"from django.utils.translation import activate, gettext; {code}"
    shell = ["uv", "run", "python", "manage.py", "shell", "--no-imports", "--command"]
    assert "['Milch kaufen', 'Passwort weg?', 'Abmelden']" in run([*shell, code], project, env=env)

    # Another language.
    owner.paste(owner.left.pop(0).text)
    french = project / "locale/fr/LC_MESSAGES/django.po"
    assert {"Buy milk", "Log out", "Language"} <= set(untranslated(french))
    assert "[fr]" in red(FINDS, project, env)
    run(["msgen", f"--output-file={french}", str(french)], project)
    run(["make", "messages"], project, env=env)
    run(FINDS, project, env=env)
    assert not owner.left
    assert {path: path.read_bytes() for path in (project / "operations/locale").rglob("*.*")} == shipped

    # The page's other blocks: a task, and a design of the owner's own.
    task, line = (block.text for block in blocks(project / "docs/languages.md") if block.language != "bash")
    run([*shell, task.replace("        ...", "        print(get_language())")], project, env=env)
    own = ["uv", "run", "pytest", "--quiet", "tests/test_languages.py", "tests/test_pages.py"]
    text("templates/base.html", line, "")(project)
    assert "does not include languages.html: see docs/languages.md" in red(own, project, env)
    text("templates/base.html", "</body>", f"{line}</body>")(project)
    # The site's own language is another one.
    appended("config/settings/base.py", 'LANGUAGE_CODE = "de"')(project)
    run(own, project, env=env)


def test_the_compiled_catalogue_is_that_of_the_texts() -> None:
    for catalogue in translations.CATALOGUES.glob("*/LC_MESSAGES/django.po"):
        assert untranslated(catalogue) == []
        compiled = gettext.GNUTranslations(io.BytesIO(translations.compiled(catalogue)))
        with catalogue.with_suffix(".mo").open("rb") as shipped:
            texts = vars(gettext.GNUTranslations(shipped))["_catalog"]
        assert texts == vars(compiled)["_catalog"], "run: make translations"
