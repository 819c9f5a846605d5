"""What is told elsewhere, without the secrets that it may hold."""

import os
import re
from urllib.parse import quote

_LOGIN = re.compile(r"(://)[^/\s]*@")  # up to the last @: a password may hold one
_QUERY = re.compile(r"(\w+://[^\s?'\"<>]+\?)[^\s'\"<>)\]]+")
_BEARER = re.compile(r"\b(Bearer|Basic)\s+[\w.~+/=-]{8,}")
_SECRET_NAME = re.compile(r"(^|_)(PASSWORD|PASSWD|SECRET|TOKEN|KEY|CREDENTIALS|WEBHOOK_URL)(_|$)", re.IGNORECASE)
_PLACE_NAME = re.compile(r"_(DIR|FILE|PATH)$", re.IGNORECASE)
"""Variables that say where a secret lies, which a person needs to read."""
_SHORTEST = 6
"""Characters of a value that is a secret; a shorter one is a part of too many words, such as `minio`."""
_HIDDEN = "***"


def without_logins(text: str) -> str:
    """Return a text without the user names and passwords of the addresses in it."""
    return _LOGIN.sub(rf"\1{_HIDDEN}@", text)


def redacted(text: str) -> str:
    """Return a text without secrets: those of the environment, and what addresses and headers in it carry.

    Environment variables whose names say so hold secrets, such as AWS_SECRET_ACCESS_KEY, HF_TOKEN or
    EMBEDTUNE_WEBHOOK_URL. Of addresses go user name, password and query, which may be a signature.
    """
    for secret in _secrets():
        text = text.replace(secret, _HIDDEN)
    text = _QUERY.sub(rf"\1{_HIDDEN}", without_logins(text))
    return _BEARER.sub(rf"\1 {_HIDDEN}", text)


def _secrets() -> list[str]:
    """Return the secrets of the environment, as they are and as an address spells them, the longest first."""
    values = [
        value.strip()
        for name, value in os.environ.items()
        if _SECRET_NAME.search(name) and not _PLACE_NAME.search(name) and len(value.strip()) >= _SHORTEST
    ]
    return sorted({*values, *(quote(value, safe="") for value in values)}, key=len, reverse=True)
