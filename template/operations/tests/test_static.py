"""Find misspelt names of static files before their pages fail in production."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings as site
from django.contrib.staticfiles import finders
from django.template import engines
from django.template.backends.django import DjangoTemplates
from django.templatetags.static import StaticNode, static
from pytest_django import Settings

from operations.static import is_there


def templates(engine: DjangoTemplates) -> Iterator[Path]:
    """Yield the project's own templates, not those of libraries."""
    for folder in map(Path, engine.template_dirs):
        if folder.is_relative_to(site.BASE_DIR) and "site-packages" not in folder.parts:
            yield from folder.rglob("*.html")


def named(engine: DjangoTemplates, template: Path) -> Iterator[str]:
    """Yield the static files that a template names. Names in variables are known only when the page is rendered."""
    nodes = engine.from_string(template.read_text(encoding="utf-8")).template.nodelist
    for node in nodes.get_nodes_by_type(StaticNode):
        if isinstance(node, StaticNode) and isinstance(name := node.path.var, str):
            yield name


def test_there_is_every_static_file_that_a_template_names() -> None:
    missing = [
        f"{template.relative_to(site.BASE_DIR)} names {name}"
        for engine in engines.all()
        if isinstance(engine, DjangoTemplates)
        for template in templates(engine)
        for name in named(engine, template)
        if not is_there(name)
    ]
    assert not missing, f"There is no such static file: {'; '.join(missing)}. Correct the name, or build it first."


def test_a_page_that_names_a_static_file_which_is_missing_fails() -> None:
    with pytest.raises(ValueError, match=r"There is no static file lgoo.png: correct its name"):
        static("lgoo.png")


@pytest.mark.parametrize(
    "name", ["img/an icon.svg", "img/an%20icon.svg", "img/an icon.svg#part", "img/an icon.svg?v=1"]
)
def test_a_static_file_is_found_whatever_follows_its_name(settings: Settings, tmp_path: Path, name: str) -> None:
    settings.STATICFILES_DIRS = [tmp_path]
    (tmp_path / "img").mkdir()
    (tmp_path / "img/an icon.svg").touch()
    assert static(name).startswith(settings.STATIC_URL)


@pytest.mark.parametrize("name", ["", "none/"])
def test_a_folder_of_static_files_need_not_be_there(name: str) -> None:
    assert finders.find("none/") is None
    assert static(name).startswith(site.STATIC_URL)
