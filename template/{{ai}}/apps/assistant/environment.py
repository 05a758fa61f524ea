"""Which language model the assistant asks."""

import re
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from operations.environment import Environment
from operations.environment.parsers import EXAMPLES
from operations.environment.variables import EnvError

EXAMPLES["AI_MODEL"] = "AI_API_KEY needs it: the name of a model, as the provider calls it"
MODES = ("stub", "message")

# Where nobody said which: none.
NO_ASSISTANT: dict[str, Any] = {"key": None, "fallback": "stub"}


def provider_key(text: str | None) -> str | None:
    """A key that can be sent in a header."""
    if text is not None and not re.fullmatch(r"[\x21-\x7e]+", text):
        raise EnvError("holds a space or another character that no key has")
    return text


def provider_url(text: str) -> str:
    """Return the URL under which a provider has `/chat/completions`. It may end with a query, like `?api-version=…`.

    Raises:
        EnvError: it is no URL, or holds a key, which would be in the logs of everything on the way.
    """
    try:
        url = urlsplit(text)
        valid = url.scheme in ("http", "https") and bool(url.hostname) and (url.port or 1) > 0
    except ValueError:
        valid, url = False, urlsplit("")
    if not valid or url.username or url.fragment:
        raise EnvError("not a provider's address. Example: https://api.openai.com/v1")
    if any(re.search("key|token|secret|password", name, re.IGNORECASE) for name, _ in parse_qsl(url.query)):
        raise EnvError("not a provider's address: a key belongs in AI_API_KEY. Example: https://api.openai.com/v1")
    return text


def fallback_mode(text: str) -> str:
    """What the page shows where no model answers."""
    if text not in MODES:
        raise EnvError(f"neither {' nor '.join(MODES)}. Write one of the two")
    return text


def assistant(env: Environment) -> dict[str, Any]:
    """The setting ASSISTANT: `url`, `key`, `model`, `timeout` in seconds, and `fallback`. Good once `env` is sealed."""
    env.add_parser("provider_url", provider_url)
    env.add_parser("fallback_mode", fallback_mode)
    env.add_parser("model", str)
    env.add_parser("provider_key", provider_key)
    key = env.provider_key("AI_API_KEY", None)
    return {
        "url": env.provider_url("AI_PROVIDER_URL", "https://api.openai.com/v1"),
        "key": key,
        "model": env.model("AI_MODEL", ... if key else None),
        "timeout": env.count("AI_TIMEOUT_SECONDS", 20, most=3600),
        "fallback": env.fallback_mode("AI_FALLBACK_MODE", "stub"),
    }
