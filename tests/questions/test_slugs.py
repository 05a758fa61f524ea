"""The slug that is made from a name is valid, and is not the name of anything else."""

# Names in several scripts, and names that look like addresses and paths.
# ruff: noqa: RUF001

import itertools
import re
import tomllib
from collections.abc import Callable
from pathlib import Path

import copier
import pytest
import yaml

from tests.support.environments import run, uv
from tests.support.questions import QUESTIONS, answers_of, question_id
from tests.support.rendered import parse
from tests.support.rendering import ANSWERS, pairwise_combinations

Render = Callable[..., Path]

# Names that are hard to make a slug from, and the correct slugs.
SLUGS = {
    "Todo List": "todo-list",
    "O'Neil & Sons": "oneil-sons",
    "Ben’s Blog": "bens-blog",
    "naïve café ☕": "naive-cafe",
    "re\u0301sume\u0301": "resume",
    "Ænima Œuvre": "aenima-oeuvre",
    "Straße Þórður": "strasse-thordur",
    "Đặng Thị": "dang-thi",
    "ŁÓDŹ İstanbul": "lodz-istanbul",
    "ＡＢＣ": "abc",
    "日本語": "my-site",
    "3.10": "my-site",
    "☕": "my-site",
    "3D Prints": "site-3d-prints",
    "PG Stats": "site-pg-stats",
    "django": "django-site",
    "www data": "www-data-site",
    "Yes!": "yes-site",
    "Systemd Timesync": "systemd-timesync-site",
    "a" * 29 + " b": "a" * 29,
    "C:\\Users": "c-users",
    "-- x --": "x",
    "Cloud": "cloud-site",
    "User": "user-site",
    "User Runtime": "user-runtime-site",
    "Services": "services-site",
    "Users of the Cloud": "users-of-the-cloud",
}

# Beginnings, middles and ends of names that break some programs.
PIECES = (
    *(
        "",
        "x",
        "Todo List",
        "3",
        "2024 ",
        "é",
        "ß",
        "ŋ",
        "Ω",
        "日本",
        "☕",
        "👩‍🍳",
        "\u0301",
        "'",
        '"',
        "\\",
        "\\U0001f600",
    ),
    *("-", "_", "  ", "pg ", "PG-", "Django", "template", "null", "{{ 7*7 }}", "\\N{LATIN SMALL LETTER A}", "𝓐", "ﬁ"),
    *("a" * 24 + " ", "b" * 29, "c" * 30 + "-", "www", "data"),
)


UNIT_FOLDERS = (Path("/usr/lib/systemd/system"), Path("/lib/systemd/system"))
# Packages that every Debian system has.
BASE = ("base-files", "base-passwd", "bash", "dpkg", "apt", "adduser", "login", "passwd", "netbase", "sudo", "systemd")


def words(unit: str) -> list[str]:
    """Return the parts of a unit's name between dashes, without the instance and the suffix."""
    return unit.removesuffix(".service").partition("@")[0].split("-")


@pytest.mark.parametrize(("name", "slug"), SLUGS.items(), ids=question_id)
def test_the_slug_comes_from_the_name(questions: Path, name: str, slug: str) -> None:
    assert answers_of(questions, project_name=name)["project_slug"] == slug


def test_the_slug_of_every_name_is_valid(questions: Path) -> None:
    asking = copier.run_copy(str(questions), questions / "nowhere", ANSWERS, defaults=True, quiet=True)
    compiled = asking.jinja_env.from_string
    name_refusal = compiled(QUESTIONS["project_name"]["validator"])
    slug_from_name = compiled(QUESTIONS["slug_from_name"]["default"])
    slug_refusal = compiled(QUESTIONS["project_slug"]["validator"])
    reserved_slugs = asking.answers.user["reserved_slugs"]
    accepted = 0
    for pieces in itertools.product(PIECES, PIECES, ("", " ", "b" * 29)):
        name = "".join(pieces)
        if not name_refusal.render(project_name=name).strip():
            accepted += 1
            slug = slug_from_name.render(project_name=name, reserved_slugs=reserved_slugs)
            refusal = slug_refusal.render(project_slug=slug, reserved_slugs=reserved_slugs).strip()
            assert not refusal, f"the slug of {name!r}: {refusal}"
            assert yaml.safe_load(slug) == slug
    assert accepted > 2000


def test_no_slug_is_the_name_of_a_package_that_a_project_needs(render: Render, questions: Path) -> None:
    reserved = answers_of(questions)["reserved_slugs"].split()
    needs: dict[str, Path] = {}
    for answers in pairwise_combinations():
        project = render(**answers)
        settings = parse(project / "pyproject.toml")
        needs[repr((settings["project"]["dependencies"], settings["dependency-groups"]))] = project
    for project in needs.values():
        run([uv(), "lock", "--quiet"], project)
        packages = {package["name"] for package in tomllib.loads((project / "uv.lock").read_text())["package"]}
        missing = packages - {parse(project / "pyproject.toml")["project"]["name"]} - set(reserved)
        assert not missing, f"put these into copier.yml's reserved_slugs: {sorted(missing)}"


def test_no_slug_is_a_user_or_group_that_debian_is_born_with(questions: Path) -> None:
    reserved = answers_of(questions)["reserved_slugs"].split()
    for accounts in Path("/usr/share/base-passwd").glob("*.master"):
        names = {line.split(":")[0] for line in accounts.read_text().splitlines()}
        assert {name for name in names if not name.startswith("_")} <= set(reserved)


def test_no_slug_captures_a_unit_of_the_systems_own(questions: Path) -> None:
    """A drop-in for `<slug>-` applies to all services whose names start with it, also the system's."""
    reserved = answers_of(questions)["reserved_slugs"].split()
    units = [path.name for folder in UNIT_FOLDERS for path in folder.glob("*-*.service")]
    prefixes = {"-".join(parts[:number]) for parts in map(words, units) for number in range(1, len(parts))}
    slugs = {prefix for prefix in prefixes if len(prefix) <= 30 and re.fullmatch("[a-z][a-z0-9]*(-[a-z0-9]+)*", prefix)}
    assert not slugs - set(reserved)


# Prefixes of units on a Debian with systemd, cloud tools and a serial console. This machine need not have them.
CAPTURING = "cloud cloud-init console container debug getty initrd kmod rc serial system systemd user user-runtime"
IN_ETC = "group gshadow hostname hosts networks passwd profile protocols services shadow shells sudoers"
OF_OTHERS = "all bridge host ingress pgbouncer replication scratch"


@pytest.mark.thorough
@pytest.mark.parametrize("slug", [*CAPTURING.split(), *IN_ETC.split(), *OF_OTHERS.split()])
def test_a_name_of_the_systems_is_refused(questions: Path, slug: str) -> None:
    with pytest.raises(ValueError, match="taken: use"):
        answers_of(questions, project_slug=slug)
    assert answers_of(questions, project_name=slug)["project_slug"] == f"{slug}-site"


def test_no_slug_is_a_file_in_etc(questions: Path) -> None:
    reserved = answers_of(questions)["reserved_slugs"].split()
    lists = [Path(f"/var/lib/dpkg/info/{package}.{kind}") for package in BASE for kind in ("list", "conffiles")]
    listed = [line for path in lists if path.exists() for line in path.read_text().splitlines()]
    names = {Path(path).name for path in listed if re.fullmatch("/(etc|run|var/lib)/[a-z][a-z0-9]*(-[a-z0-9]+)*", path)}
    assert not names - set(reserved)


def test_reserved_slugs_are_listed_in_order() -> None:
    lists = re.split(r"\{#.*?#\}", QUESTIONS["reserved_slugs"]["default"])
    assert [words.split() for words in lists] == [sorted(words.split()) for words in lists]
    every = " ".join(lists).split()
    assert len(set(every)) == len(every)
