"""`make dev` prints what the Content-Security-Policy blocks, with the settings line that allows it. The debug toolbar works under it."""

import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Page

from tests.support.browser import chromium
from tests.support.edits import added, behind, edit
from tests.support.environments import Environments, project_environment
from tests.support.servers import HANGS, Running, eventually, free_port, running

# Paths of another site: a CDN, an API, a payment service.
ELSEWHERE = {
    "/a.js": ("text/javascript", "window.cdn = 1"),
    "/a.css": ("text/css", "@font-face { font-family: F; src: url(/f.woff) } body { font-family: F }"),
    "/f.woff": ("font/woff", ""),
    "/a.png": ("image/png", ""),
    "/frame": ("text/html", "framed"),
    "/api": ("application/json", "1"),
    "/paid": ("text/html", "paid"),
}
NEEDS = """<!DOCTYPE html>
<title>Needs</title>
<script src="ELSEWHERE/a.js"></script>
<link rel="stylesheet" href="ELSEWHERE/a.css">
<script>window.inline = 1</script>
<style>#styled { display: flex }</style>
<p id="styled">Text</p>
<audio src="/static/a.ogg" preload="auto"></audio>
<img src="ELSEWHERE/a.png" alt="">
<iframe src="ELSEWHERE/frame"></iframe>
<form method="post" action="/pay/">{% csrf_token %}<button>Pay</button></form>
<script src="/static/needs.js"></script>
"""
SCRIPT = """
fetch("ELSEWHERE/api").then(() => { window.fetched = 1 }, () => {});
try { window.evaluated = eval("1") } catch {}
try { new Worker(URL.createObjectURL(new Blob(["postMessage(1)"]))).onmessage = () => { window.worked = 1 } } catch {}
"""
# JavaScript like an editor's.
ATTRIBUTES = """<!DOCTYPE html>
<title>Attributes</title>
<p id="styled" style="display: flex">Text</p>
<button onclick="window.clicked = 1">Click</button>
<script src="/static/attributes.js"></script>
"""
MAKES_A_STYLE = """
const style = document.createElement("style");
style.textContent = "#styled { color: rgb(1, 2, 3) }";
document.head.append(style);
"""
LINE = re.compile(r"(?:To allow it|on pages below this one): (SECURE_CSP.+)$", re.MULTILINE)


class Elsewhere(BaseHTTPRequestHandler):
    """Another site."""

    def do_GET(self) -> None:
        """Send a file that any origin may load."""
        kind, text = ELSEWHERE[self.path]
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Access-Control-Allow-Origin", "*")
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        """Write nothing."""


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[str]:
    """Another site's origin."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def page() -> Iterator[Page]:
    """A browser's page."""
    with chromium() as browser:
        yield browser.new_page()


@pytest.fixture
def project(render: Callable[..., Path], elsewhere: str) -> Path:
    """A project with pages that load more than the policy allows."""
    pages = {"templates/needs.html": NEEDS, "templates/attributes.html": ATTRIBUTES}
    scripts = {"static/needs.js": SCRIPT, "static/attributes.js": MAKES_A_STYLE, "static/a.ogg": ""}
    routes = f"""
    path("needs/", TemplateView.as_view(template_name="needs.html")),
    path("attributes/", TemplateView.as_view(template_name="attributes.html")),
    path("pay/", RedirectView.as_view(url="{elsewhere}/paid")),"""
    return edit(
        render(platform="gunicorn", database="sqlite", ci="none"),
        added({name: text.replace("ELSEWHERE", elsewhere) for name, text in (pages | scripts).items()}),
        behind("config/urls.py", "urlpatterns = [", routes),
        behind(
            "config/urls.py",
            "from django.urls import include, path",
            "from django.views.generic import RedirectView, TemplateView",
        ),
    )


def add(project: Path, lines: list[str], url: str) -> None:
    """Add lines to the policy in the settings, those for all pages first, and wait until the server has reloaded."""
    behind(
        "config/settings/base.py",
        "SECURE_CSP_BY_PREFIX: dict[str, dict[str, list[str]]] = defaultdict(dict)",
        "\n".join([*sorted(lines, key=lambda line: "BY_PREFIX" in line), 'SECURE_CSP["manifest-src"] = [CSP.SELF]']),
    )(project)

    def is_taken_in() -> bool:
        try:
            answer = requests.get(url, timeout=HANGS)
        except requests.RequestException:
            return False
        # A server that is stopped while it answers may have sent the status line only.
        return "manifest-src" in answer.headers.get("Content-Security-Policy", "")

    assert eventually(is_taken_in)


def reported(server: Running, *words: str) -> bool:
    """Return True if the terminal shows all of these words."""
    return eventually(lambda: all(word in server.output() for word in words))


def test_what_is_blocked_is_printed_with_the_line_that_allows_it(
    project: Path, environments: Environments, elsewhere: str, page: Page, tmp_path: Path
) -> None:
    env = project_environment(environments.install(project), PYTHONUNBUFFERED="1")
    url = f"http://127.0.0.1:{free_port()}"
    refused: list[str] = []
    page.on("console", lambda message: refused.append(message.text) if "Content Security" in message.text else None)
    command = ["python", "manage.py", "runserver", "--migrate", url.removeprefix("http://")]
    with running(command, project, env, tmp_path / "log") as server:
        server.wait_until_it_answers(f"{url}/needs/")
        page.goto(f"{url}/needs/")
        page.click("button")
        page.goto(f"{url}/attributes/")
        page.click("button")
        expected = {
            f'SECURE_CSP["script-src"] += ["{elsewhere}"]',
            f'SECURE_CSP["style-src"] += ["{elsewhere}"]',
            'SECURE_CSP_BY_PREFIX["/needs/"]["script-src"] = [*SECURE_CSP["script-src"], CSP.UNSAFE_EVAL]',
            'SECURE_CSP["media-src"] = [CSP.SELF]',
            f'SECURE_CSP["img-src"] += ["{elsewhere}"]',
            f'SECURE_CSP["frame-src"] = ["{elsewhere}"]',
            f'SECURE_CSP["connect-src"] += ["{elsewhere}"]',
            'SECURE_CSP["worker-src"] = [CSP.SELF, "blob:"]',
            f'SECURE_CSP["form-action"] += ["{elsewhere}"]',
            'SECURE_CSP_BY_PREFIX["/attributes/"]["script-src-attr"] = [CSP.UNSAFE_INLINE]',
            'SECURE_CSP_BY_PREFIX["/attributes/"]["style-src-attr"] = [CSP.UNSAFE_INLINE]',
            'SECURE_CSP_BY_PREFIX["/attributes/"]["style-src"] = [CSP.SELF, CSP.UNSAFE_INLINE]',
        }
        nonces = [f'Give it the nonce: <{tag} nonce="{{{{ csp_nonce }}}}">' for tag in ("script", "style")]
        assert reported(server, *expected, *nonces), server.output()
        assert set(LINE.findall(server.output())) == expected
        assert refused

        needs = project / "templates/needs.html"
        for tag in ("script", "style"):
            needs.write_text(needs.read_text().replace(f"<{tag}>", f'<{tag} nonce="{{{{ csp_nonce }}}}">'))
        # Fonts are blocked only once the style sheet that names them is allowed.
        add(project, [*expected, f'SECURE_CSP["font-src"] += ["{elsewhere}"]'], f"{url}/needs/")
        refused.clear()
        page.goto(f"{url}/needs/")
        page.wait_for_function("window.cdn && window.inline && window.fetched && window.evaluated && window.worked")
        assert page.evaluate("getComputedStyle(document.querySelector('#styled')).display") == "flex"
        page.click("button")
        page.wait_for_url(f"{elsewhere}/paid")
        page.goto(f"{url}/attributes/")
        page.click("button")
        assert page.evaluate("window.clicked")
        style = "getComputedStyle(document.querySelector('#styled'))"
        assert page.evaluate(f"[{style}.display, {style}.color]") == ["flex", "rgb(1, 2, 3)"]
        assert refused == []


def test_the_debug_toolbar_shows_a_pages_queries_and_nothing_of_it_is_blocked(
    project: Path, environments: Environments, page: Page, tmp_path: Path
) -> None:
    env = project_environment(environments.install(project), PYTHONUNBUFFERED="1")
    url = f"http://127.0.0.1:{free_port()}"
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    command = ["python", "manage.py", "runserver", "--migrate", url.removeprefix("http://")]
    with running(command, project, env, tmp_path / "log") as server:
        server.wait_until_it_answers(f"{url}/health/")
        page.goto(f"{url}/accounts/password/reset/")
        page.fill("input[type=email]", "ann@example.com")
        page.click("main button")
        # Collapsed at first, so that pages look as they do in production.
        page.click("#djShowToolBarButton")
        for panel in ("SQLPanel", "TemplatesPanel", "HeadersPanel", "CachePanel", "HistoryPanel"):
            page.click(f"#djDebugPanelList a.{panel}")
            page.wait_for_selector(f"#{panel} .djdt-scroll")
            page.locator(f"#{panel} .djdt-loader").wait_for(state="detached")
        assert "blocks" not in server.output()
        assert wrong == []
