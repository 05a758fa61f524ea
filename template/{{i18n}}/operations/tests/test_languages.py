"""Texts are translated into every language that visitors can choose, and their choice is kept."""

import ast
import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import override

import pytest
from django.conf import settings as project
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import include, path
from django.utils.translation import deactivate, gettext
from django.utils.translation.template import templatize
from django.utils.translation.trans_real import translation
from pytest_django import Settings

# The functions that `makemessages` looks for, with the number of texts that each takes: a context, a text, its plural.
TAKES = {"_": 1, "gettext": 1, "gettext_noop": 1, "ngettext": 2, "pgettext": 2, "npgettext": 3}
TAKES |= {f"{name}_lazy": number for name, number in TAKES.items() if name not in ("_", "gettext_noop")}
CALL = re.compile(r"""\b(\w*)\(((?:u?(?:'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"),?\s*)+)""")
# What visitors read of a tag's attributes.
READ = {"alt", "aria-label", "placeholder", "title"}
TO_DO = "Run `make messages LOCALE={0}`, translate them in locale/{0}/LC_MESSAGES/django.po, and run it again:"


def page(_request: HttpRequest) -> HttpResponse:
    """Answer in the visitor's language."""
    return HttpResponse(gettext("Log out"))


urlpatterns = [path("", page), path("language/", include("operations.languages"))]


@pytest.fixture
def languages(settings: Settings) -> Iterator[None]:
    """Serve this module's pages in English and German."""
    settings.ROOT_URLCONF = __name__
    settings.LANGUAGES = [("en", "English"), ("de", "Deutsch")]
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.middleware.locale.LocaleMiddleware"]
    yield
    # The middleware leaves the last visitor's language to the next test.
    deactivate()


def sources(suffix: str) -> Iterator[tuple[str, str]]:
    """Yield the names and texts of the project's files that may have texts to translate."""
    for folder in ("apps", "config", "templates"):
        for file in sorted((project.BASE_DIR / folder).rglob(f"*{suffix}")):
            if not {"tests", "migrations"} & set(file.parts):
                yield str(file.relative_to(project.BASE_DIR)), file.read_text(encoding="utf-8")


def calls(name: str, text: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the functions that a file calls, with the texts that they are given first."""
    if Path(name).suffix != ".py":
        for function, given in CALL.findall(templatize(text)):
            yield function, list(ast.literal_eval(f"({given.rstrip(', ')},)"))
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call):
            given = [each.value for each in node.args if isinstance(each, ast.Constant) and isinstance(each.value, str)]
            yield str(getattr(node.func, "id", getattr(node.func, "attr", ""))), given


def marked() -> Iterator[tuple[str, str, object]]:
    """Yield each marked text with its file's name, and its key in a catalogue."""
    for suffix in (".py", ".html", ".txt"):
        for name, text in sources(suffix):
            for function, given in calls(name, text):
                if function in TAKES and len(given) >= TAKES[function]:
                    context = f"{given.pop(0)}\x04" if "pgettext" in function else ""
                    key = context + given[0]
                    yield name, given[0], (key, 0) if function.startswith("n") else key


@pytest.mark.parametrize("language", [code for code, _ in project.LANGUAGES if code.partition("-")[0] != "en"])
def test_every_marked_text_is_translated(language: str) -> None:
    # Django has no public name for it.
    catalogue = translation(language)._catalog  # type: ignore[attr-defined] # Django has no public one
    missing = {f"{name}: {text}" for name, text, key in marked() if key not in catalogue}
    assert not missing, "\n".join(["Texts without a translation.", TO_DO.format(language), *sorted(missing)])


class Unmarked(HTMLParser):
    """Find what visitors read in a template and what is not marked."""

    def __init__(self, template: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.inside: list[str] = []
        # What Django puts in, whole texts that are marked, and blocks with the names of classes.
        template = re.sub(r"(?s)\{% (block\w*translate|blocktrans|comment)\b.*?\{% end\1 ?\w* ?%\}", "", template)
        template = re.sub(r"(?s)\{% block \w*class\w* %\}.*?\{% endblock", "{% endblock", template)
        self.feed(re.sub(r"(?s)\{%.*?%\}|\{\{.*?\}\}|\{#.*?#\}", "", template))

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "style", "code", "pre") or ("translate", "no") in attrs:
            self.inside.append(tag)
        for name, value in attrs:
            if name in READ:
                self.handle_data(value or "")

    @override
    def handle_endtag(self, tag: str) -> None:
        if tag in self.inside:
            self.inside.remove(tag)

    @override
    def handle_data(self, data: str) -> None:
        if not self.inside and re.search(r"[^\W\d_]{2}", data):
            self.found.append(" ".join(data.split()))


def test_a_page_that_is_translated_is_translated_whole() -> None:
    """Pages that mark no text, such as those of a site for its staff, are as they are."""
    found = {
        f"{name}: {text}"
        for name, page in sources(".html")
        if re.search(r"\{% (block)?trans", page)
        for text in Unmarked(page).found
    }
    ways = 'Put such a text into {% translate "…" %}, or its element into translate="no" if it is the same in all languages:'
    assert not found, "\n".join(["Texts that are not marked for translation.", ways, *sorted(found)])


@pytest.mark.parametrize(
    ("template", "found"),
    [
        ('<p>{% translate "Log in" %}</p><img alt="" src="logo.svg">', []),
        ("<p>{% blocktranslate trimmed %}Hello <b>{{ name }}</b>{% endblocktranslate %} · {{ site_name }}</p>", []),
        ('<p class="lead">Log <code>in</code></p>', ["Log"]),
        ('<input placeholder="Your name"><p translate="no">GitHub</p>', ["Your name"]),
    ],
)
def test_what_is_not_marked_is_found(template: str, found: list[str]) -> None:
    assert Unmarked(template).found == found


@pytest.mark.usefixtures("languages")
def test_the_browsers_language_counts_until_another_is_chosen(client: Client) -> None:
    german = {"accept-language": "de-AT,de;q=0.9,en;q=0.5"}
    first = client.get("/", headers=german)
    assert (first.text, first.headers["Content-Language"]) == ("Abmelden", "de")
    assert "Accept-Language" in first.headers["Vary"]
    assert client.get("/", headers={"accept-language": "fr"}).text == "Log out"
    answer = client.post("/language/", {"language": "en", "next": "/?page=2"})
    assert (answer.status_code, answer.headers["Location"]) == (302, "/?page=2")
    assert client.get("/", headers=german).text == "Log out"
    cookie = client.cookies[project.LANGUAGE_COOKIE_NAME]
    assert (cookie["httponly"], cookie["samesite"], cookie["max-age"]) == (True, "Lax", 365 * 24 * 3600)


def test_the_cookie_that_keeps_the_choice_is_as_safe_as_the_others(production: Callable[..., SimpleNamespace]) -> None:
    live = production()
    assert (live.LANGUAGE_COOKIE_NAME[:7], live.LANGUAGE_COOKIE_SECURE) == (live.SESSION_COOKIE_NAME[:7], True)
    assert production(SESSION_COOKIE_SECURE="false").LANGUAGE_COOKIE_SECURE is False


@pytest.mark.usefixtures("languages")
@pytest.mark.parametrize(
    "leads_to", ["https://elsewhere.example/", "//elsewhere.example", "javascript:alert()", "\\\\elsewhere", ""]
)
def test_the_choice_leads_to_no_other_site(client: Client, leads_to: str) -> None:
    assert client.post("/language/", {"language": "de", "next": leads_to}).headers["Location"] == "/"


@pytest.mark.usefixtures("languages")
@pytest.mark.parametrize("language", ["fr", "xx", "../de", "de\x00", "", "d" * 5000])
def test_another_language_cannot_be_chosen(client: Client, language: str) -> None:
    assert client.post("/language/", {"language": language}).status_code == 302
    client.cookies[project.LANGUAGE_COOKIE_NAME] = language.replace("\x00", "")
    assert client.get("/", headers={"accept-language": "de"}).text in ("Abmelden", "Log out")
