"""The assistant answers whatever its provider does, and says so where no model has."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any, cast, override

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from apps.assistant import environment as assistant
from apps.assistant import provider
from apps.assistant.forms import LONGEST_PROMPT
from operations.environment.variables import EnvError

pytestmark = pytest.mark.usefixtures("as_shipped")

Production = Callable[..., SimpleNamespace]
Respond = Callable[[BaseHTTPRequestHandler], None]

STAND_IN = "No language model has answered."
KEY = "s3cret"


def says(status: int, body: bytes, **headers: str) -> Respond:
    """An answer of the provider's."""

    def respond(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    return respond


def answer(content: object) -> bytes:
    """An answer in the shape that it has to have."""
    return json.dumps({"choices": [{"message": {"role": "assistant", "content": content}}]}).encode()


def drip(handler: BaseHTTPRequestHandler) -> None:
    """A byte now and then, so that no wait for the next one is long."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    for _ in range(1200):
        handler.wfile.write(b"X")
        time.sleep(0.05)
    cast(Provider, handler.server).waited_for = True


def silent(handler: BaseHTTPRequestHandler) -> None:
    """Nothing for a minute."""
    time.sleep(60)
    cast(Provider, handler.server).waited_for = True


def endless(handler: BaseHTTPRequestHandler) -> None:
    """More than anybody wants to read."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        handler.wfile.write(b" " * 100_000)


def hang_up(handler: BaseHTTPRequestHandler) -> None:
    """Nothing, and the connection is closed."""
    handler.close_connection = True


class Provider(ThreadingHTTPServer):
    """A provider on loopback, which answers as it is told: each response once, and the last one from then on."""

    block_on_close = False

    def __init__(self) -> None:
        self.responses: list[Respond] = [says(200, answer("Forty-two."))]
        self.asked: list[dict[str, Any]] = []
        self.waited_for = False
        super().__init__(("127.0.0.1", 0), Handler)

    @override
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Who asked has gone, which is what some responses are about."""


class Handler(BaseHTTPRequestHandler):
    """One question."""

    server: Provider

    def do_POST(self) -> None:
        """Keep the question, and answer."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(
            {"path": self.path, "key": self.headers["Authorization"], "azure": self.headers["api-key"], **body}
        )
        responses = self.server.responses
        (responses.pop(0) if len(responses) > 1 else responses[0])(self)

    @override
    def log_message(self, *_: object) -> None:
        """Write nothing."""


@pytest.fixture
def model(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    """The provider that the site asks."""
    monkeypatch.setattr(provider, "BACK_OFF", 0.01)
    with Provider() as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/v1"
        settings.ASSISTANT = {"url": url, "key": KEY, "model": "large", "timeout": 20, "fallback": "stub"}
        yield server
        server.shutdown()
        thread.join()


def ask(client: Client, prompt: str = "What is it?") -> str:
    """The page after a question."""
    response = client.post(reverse("assistant"), {"prompt": prompt})
    assert response.status_code == 200
    return response.text


def test_a_members_question_is_answered(member_client: Client, model: Provider) -> None:
    page = ask(member_client)
    assert "Forty-two." in page
    assert STAND_IN not in page
    (asked,) = model.asked
    assert (asked["path"], asked["key"]) == ("/v1/chat/completions", f"Bearer {KEY}")
    assert (asked["model"], asked["messages"]) == ("large", [{"role": "user", "content": "What is it?"}])


def test_an_answer_is_text_and_no_page(member_client: Client, model: Provider) -> None:
    model.responses = [says(200, answer("<script>alert(1)</script>\n\n<b>bold</b>"))]
    page = ask(member_client, "</textarea><script>")
    assert "<script>" not in page
    assert "&lt;b&gt;bold&lt;/b&gt;" in page


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("/v1/", "/v1/chat/completions"),
        ("/v1/chat/completions", "/v1/chat/completions"),
        ("/deployments/a?api-version=2026-01-01&x=1", "/deployments/a/chat/completions?api-version=2026-01-01&x=1"),
    ],
)
def test_an_address_is_completed_in_its_path(
    member_client: Client, model: Provider, settings: Settings, address: str, path: str
) -> None:
    url = assistant.provider_url(f"http://127.0.0.1:{model.server_port}{address}")
    settings.ASSISTANT = {**settings.ASSISTANT, "url": url}
    assert "Forty-two." in ask(member_client)
    (asked,) = model.asked
    assert (asked["path"], asked["azure"]) == (path, KEY if "api-version" in path else None)


def test_an_answer_may_come_in_parts(member_client: Client, model: Provider) -> None:
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": "Six times nine?"}]}
    parts = [thought, {"type": "text", "text": "Forty-"}, {"type": "text", "text": "two."}]
    model.responses = [says(200, answer(parts))]
    page = ask(member_client)
    assert "Forty-two." in page
    assert "Six times nine?" not in page


NONSENSE = {
    "a wrong key": says(401, b"{}"),
    "a wrong address": says(404, b""),
    "a way elsewhere": says(302, b"", Location="/elsewhere"),
    "a page": says(200, b"<!doctype html>"),
    "nothing": says(200, b""),
    "a list": says(200, b"[]"),
    "no text": says(200, b"\xff\xfe"),
    "depth": says(200, b"[" * 100_000),
    "no choice": says(200, b'{"choices": []}'),
    "null": says(200, answer(None)),
    "a blank": says(200, answer(" ")),
    "a part alone": says(200, answer({"text": "Forty-two."})),
    "parts without text": says(200, answer([{"type": "text"}, {"type": "image_url"}])),
    "parts that are none": says(200, answer(["Forty-two.", None])),
    "a broken archive": says(200, b"not zipped", **{"Content-Encoding": "gzip"}),
    "no end": endless,
}


@pytest.mark.parametrize("response", NONSENSE.values(), ids=NONSENSE)
def test_nonsense_is_no_answer(
    member_client: Client, model: Provider, response: Respond, caplog: pytest.LogCaptureFixture
) -> None:
    model.responses = [response]
    assert STAND_IN in ask(member_client, "a private question")
    assert "the provider gave no answer" in caplog.text
    assert KEY not in caplog.text
    assert "private" not in caplog.text


@pytest.mark.parametrize("response", [says(429, b""), says(500, b""), hang_up], ids=["too many", "an error", "hung up"])
def test_what_may_be_over_soon_is_tried_again(member_client: Client, model: Provider, response: Respond) -> None:
    model.responses = [response, response, says(200, answer("Forty-two."))]
    assert "Forty-two." in ask(member_client)
    model.asked.clear()
    model.responses = [response]
    assert STAND_IN in ask(member_client)
    assert len(model.asked) == provider.TRIES


@pytest.mark.parametrize("response", [silent, drip])
def test_a_slow_provider_is_not_waited_for(
    member_client: Client, model: Provider, settings: Settings, response: Respond
) -> None:
    settings.ASSISTANT = {**settings.ASSISTANT, "timeout": 0.5}
    model.responses = [response]
    assert STAND_IN in ask(member_client)
    assert not model.waited_for


def test_a_provider_that_is_down_is_no_error(member_client: Client, model: Provider, settings: Settings) -> None:
    settings.ASSISTANT = {**settings.ASSISTANT, "url": "http://127.0.0.1:1/v1"}
    assert STAND_IN in ask(member_client)
    assert not model.asked


def test_who_waits_leaves_threads_for_others(member_client: Client, model: Provider) -> None:
    assert provider.AT_A_TIME.acquire(blocking=False)
    assert provider.AT_A_TIME.acquire(blocking=False)
    assert STAND_IN in ask(member_client)
    provider.AT_A_TIME.release()
    provider.AT_A_TIME.release()
    assert not model.asked
    assert "Forty-two." in ask(member_client)


def test_a_fault_of_our_own_is_told_and_no_page_that_fails(
    member_client: Client, model: Provider, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(provider, "text_of", lambda body: 1 // len(body[:0]))
    assert STAND_IN in ask(member_client)
    assert "ZeroDivisionError" in caplog.text
    assert len(model.asked) == 1


@pytest.mark.parametrize("wrong", ["s3cret key", "s3cret\u00e9"])
def test_what_is_no_key_is_refused(wrong: str) -> None:
    with pytest.raises(EnvError, match="no key has") as refused:
        assistant.provider_key(wrong)
    assert KEY not in str(refused.value)


@pytest.mark.parametrize(("mode", "shown"), [("stub", True), ("message", False)])
def test_without_a_key_no_model_is_asked(member_client: Client, settings: Settings, mode: str, shown: bool) -> None:
    settings.ASSISTANT = {**assistant.NO_ASSISTANT, "fallback": mode}
    page = ask(member_client)
    assert STAND_IN in page
    assert ("where the answer would be" in page) == shown


def test_a_member_may_ask_so_much(member_client: Client, model: Provider) -> None:
    for _ in range(10):
        assert "Forty-two." in ask(member_client)
    response = member_client.post(reverse("assistant"), {"prompt": "Once more?"})
    assert (response.status_code, len(model.asked)) == (429, 10)
    assert "in a minute" in response.text


def test_a_question_has_a_length(member_client: Client, model: Provider) -> None:
    for prompt in ("", " ", "x" * (LONGEST_PROMPT + 1)):
        page = ask(member_client, prompt)
        assert "Forty-two." not in page
        assert STAND_IN not in page
    assert not model.asked


@pytest.mark.django_db
def test_the_page_is_for_members(client: Client, member_client: Client) -> None:
    assert client.get(reverse("assistant")).status_code == 302
    assert client.post(reverse("assistant"), {"prompt": "?"}).status_code == 302
    assert reverse("assistant") in member_client.get(reverse("account_change_password")).text
    assert member_client.get(reverse("assistant")).status_code == 200


def test_production_asks_whom_it_is_told(production: Production, capsys: pytest.CaptureFixture[str]) -> None:
    assert production().ASSISTANT["key"] is None
    told = production(AI_API_KEY=KEY, AI_MODEL="large", AI_PROVIDER_URL="http://localhost:11434/v1").ASSISTANT
    assert (told["url"], told["key"], told["model"]) == ("http://localhost:11434/v1", KEY, "large")
    assert (told["timeout"], told["fallback"]) == (20, "stub")
    with pytest.raises(SystemExit):
        production(AI_API_KEY=KEY, AI_FALLBACK_MODE="quiet")
    said = capsys.readouterr().err
    assert "AI_MODEL: not set. AI_API_KEY needs it" in said
    assert "AI_FALLBACK_MODE: neither stub nor message" in said
    assert KEY not in said


@pytest.mark.parametrize(
    "wrong", ["s3cret", "https://user:s3cret@host/v1", "https://host:port", "https://host?api_key=s3cret"]
)
def test_what_is_no_address_is_refused(wrong: str) -> None:
    with pytest.raises(EnvError, match="not a provider's address") as refused:
        assistant.provider_url(wrong)
    assert KEY not in str(refused.value)
