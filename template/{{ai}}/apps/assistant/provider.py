"""One question to a language model behind any OpenAI-compatible address, and an answer in any case.

https://platform.openai.com/docs/api-reference/chat
"""

import asyncio
import json
import logging
import random
import threading
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx2
from asgiref.sync import async_to_sync
from django.conf import settings
from django.utils.translation import gettext as _

log = logging.getLogger("assistant")

TRIES = 3
# Seconds before the second try, and twice as long before each further one.
BACK_OFF = 0.5
# What may be right a moment later. https://platform.openai.com/docs/guides/error-codes
WORTH_ANOTHER_TRY = {408, 409, 429, *range(500, 600)}
LARGEST_ANSWER = 1_000_000
LONGEST_TEXT = 20_000

# Who asks waits in one of the web server's threads. Where the provider hangs, as many as these do, and the others go on
# serving pages.
AT_A_TIME = threading.BoundedSemaphore(2)


@dataclass(frozen=True)
class Answer:
    """What is shown.

    Attributes:
        text: the answer; empty where the page says all there is to say.
        stand_in: whether it comes from no model.
    """

    text: str
    stand_in: bool = False


class ProviderError(Exception):
    """The provider gave no answer; the text is for the log, and holds nothing that was asked or answered."""


class PassingError(ProviderError):
    """One that may be over a moment later."""


def ask(prompt: str) -> Answer:
    """The model's answer, or a stand-in that is called one: without a key, or where the provider fails.

    It takes AI_TIMEOUT_SECONDS at most, whatever the provider does.
    """
    if not settings.ASSISTANT["key"]:
        return stand_in()
    if not AT_A_TIME.acquire(blocking=False):
        log.warning("the provider was not asked: others wait for it already")
        return stand_in()
    try:
        return Answer(async_to_sync(in_time)(prompt))
    except ProviderError as error:
        log.warning("the provider gave no answer: %s", error)
        return stand_in()
    except Exception:
        # A fault of ours, or of the library: told with its traceback, and no reason for a page that fails.
        log.exception("the provider gave no answer")
        return stand_in()
    finally:
        AT_A_TIME.release()


def stand_in() -> Answer:
    """What AI_FALLBACK_MODE says: with `stub` a text where an answer would be, with `message` the page's words alone."""
    if settings.ASSISTANT["fallback"] == "stub":
        return Answer(_("This is where the answer would be."), stand_in=True)
    return Answer("", stand_in=True)


async def in_time(prompt: str) -> str:
    """The answer, tried for several times within the time that there is.

    Raises:
        ProviderError: there was none.
    """
    try:
        # Over all of it: a provider that sends a byte now and then would never reach a time-out of the client's.
        async with asyncio.timeout(settings.ASSISTANT["timeout"]), httpx2.AsyncClient(timeout=None) as client:
            for number in range(1, TRIES):
                try:
                    return await once(client, prompt)
                except PassingError as error:
                    log.info("try %s failed: %s", number, error)
                await asyncio.sleep(BACK_OFF * 2 ** (number - 1) * random.uniform(0.75, 1.25))  # noqa: S311 - guards no secret
            return await once(client, prompt)
    except TimeoutError:
        raise ProviderError(f"not within {settings.ASSISTANT['timeout']} s") from None


async def once(client: httpx2.AsyncClient, prompt: str) -> str:
    """The answer to one try.

    Raises:
        PassingError: it is worth another one.
        ProviderError: it is not.
    """
    address, key = urlsplit(settings.ASSISTANT["url"]), settings.ASSISTANT["key"]
    path = address.path.rstrip("/").removesuffix("/chat/completions")
    url = address._replace(path=f"{path}/chat/completions").geturl()
    headers = {"Authorization": f"Bearer {key}", "Accept-Encoding": "identity"}
    if "api-version=" in address.query:
        # Azure takes a key by another name. https://learn.microsoft.com/azure/ai-foundry/openai/reference
        headers["api-key"] = key
    question = {"model": settings.ASSISTANT["model"], "messages": [{"role": "user", "content": prompt}]}
    body = bytearray()
    try:
        async with client.stream("POST", url, json=question, headers=headers) as response:
            if response.status_code in WORTH_ANOTHER_TRY:
                raise PassingError(f"status {response.status_code}")
            if response.status_code != 200:
                raise ProviderError(f"status {response.status_code}: see AI_PROVIDER_URL, AI_API_KEY and AI_MODEL")
            # As it came: what is packed could be far larger than what was read.
            async for part in response.aiter_raw():
                body += part
                if len(body) > LARGEST_ANSWER:
                    raise ProviderError(f"more than {LARGEST_ANSWER} bytes")
    except httpx2.HTTPError as error:
        raise PassingError(type(error).__name__) from None
    return text_of(bytes(body))


def text_of(body: bytes) -> str:
    """Return the text in a provider's answer, which may come in parts; what a model thought on the way is not shown.

    Raises:
        ProviderError: there is none.
    """
    try:
        # Whatever is not there, or is something else, is an error of one of these kinds.
        content: Any = json.loads(body)["choices"][0]["message"]["content"]
        if isinstance(content, list):
            content = "".join(part["text"] for part in content if part["type"] == "text")
    except (ValueError, KeyError, IndexError, TypeError, RecursionError):
        content = None
    if not isinstance(content, str) or not content.strip():
        raise ProviderError("what came is no answer")
    return content.strip()[:LONGEST_TEXT]
