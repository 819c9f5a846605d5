"""Ask a Hugging Face hub which commit a model has. Imports urllib3, no torch.

The hub is the one that HF_ENDPOINT names. Proxies are those of the environment, as for the library that downloads the
weights later; where that library is installed, its cache and its token are known too.
"""

import json
import os
import re
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from urllib3 import PoolManager, ProxyManager, Retry, Timeout
from urllib3.exceptions import HTTPError

from embedtune.errors import ModelError, StorageError
from embedtune.models.backbones import hub_cache, what_lacks
from embedtune.storage.web.http import certificates, proxy_for, read_body, reason_of

_HUB = "https://huggingface.co"
_TRUE = frozenset({"1", "ON", "YES", "TRUE"})
_COMMIT = re.compile(r"[0-9a-f]{40}")
_TIMEOUT_S = 4.0
_MOST_BYTES = 16 << 20
_MEANING = {
    401: "there is no such model, or it is private or gated",
    403: "it is private or gated",
    404: "there is no such model",
}


class HubError(Exception):
    """The hub was not asked, or did not say which commit a model has; the message is a sentence, with what to do."""

    def __init__(self, message: str, reason: str = "") -> None:
        """Keep the sentence, and the reason as a part of one; '' where nobody wanted to ask."""
        super().__init__(message)
        self.reason = reason


class HubRefusedError(HubError):
    """The hub says that there is no such model, or not for us."""


def find_model(candidates: Sequence[str]) -> tuple[str, str]:
    """Ask for a model's present commit.

    Args:
        candidates: Ids under which it may be there, tried in order.

    Returns:
        The id that was found and the commit, 40 hexadecimal digits.

    Raises:
        HubError: no network is wanted, or the hub does not answer or not as a hub does.
        HubRefusedError: it answers that there is no such model, or not for us.
        ModelError: the model holds no weights that are loaded.
    """
    variables = [name for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE") if _is_true(os.environ.get(name, ""))]
    if variables:
        raise HubError(
            f"{variables[0]} is set, so nothing is downloaded, and the cache of the hub does not hold it. Check the "
            "name."
        )
    for candidate in candidates[:-1]:
        try:
            return candidate, _commit_of(candidate)
        except HubRefusedError:
            continue
    return candidates[-1], _commit_of(candidates[-1])


def cached_snapshot(identifier: str) -> tuple[str, Path] | None:
    """Return the id and the folder of the model's newest commit in the hub's cache, where there is one."""
    if find_spec("huggingface_hub") is None:
        return None
    from huggingface_hub import constants

    model = Path(hub_cache() or constants.HF_HUB_CACHE, f"models--{identifier.replace('/', '--')}")
    try:
        commit = (model / "refs" / "main").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return None
    folder = model / "snapshots" / commit
    return (identifier, folder) if _COMMIT.fullmatch(commit) and folder.is_dir() else None


def _is_true(value: str) -> bool:
    return value.upper() in _TRUE


def _commit_of(identifier: str) -> str:
    endpoint = os.environ.get("HF_ENDPOINT", _HUB).rstrip("/")
    address = quote(identifier)
    content = _ask("GET", f"{endpoint}/api/models/{address}", identifier)
    try:
        facts = json.loads(content)
        commit, files = facts["sha"], [entry["rfilename"] for entry in facts.get("siblings") or []]
        is_known = _COMMIT.fullmatch(commit) is not None
    except (ValueError, KeyError, TypeError, AttributeError):
        is_known = False
    if not is_known:
        what = f"{endpoint} answers something else than a hub does"
        raise HubError(f"{what}. Check the variable HF_ENDPOINT.", what)
    if files:
        lack = what_lacks(files)
        if lack:
            raise ModelError(f"Backbone {identifier!r}: the model on {endpoint} {lack}")
        # Of a gated model the facts are public, the files are not.
        name = "modules.json" if "modules.json" in files else "config.json"
        _ask("HEAD", f"{endpoint}/{address}/resolve/{commit}/{name}", identifier)
    return str(commit)


def _ask(method: str, address: str, identifier: str) -> bytes:
    """Return the body of the hub's answer."""
    server = urlsplit(address).netloc
    try:
        # urllib3 sends the token to no other host that an answer may lead to.
        response = _pool(address).request(method, address, headers=_headers(), preload_content=False)
        status = response.status
        content = read_body(response, address, _MOST_BYTES, time.monotonic() + _TIMEOUT_S) if status == 200 else b""
        response.close()
    except (HTTPError, StorageError, OSError, ValueError) as error:
        what = f"the server {server} does not answer: {reason_of(error)}"
        raise HubError(f"{what}. Check the network and the variable HF_ENDPOINT.", what) from error
    if status in _MEANING:
        what = f"{server} answers {status} for {identifier}, so {_MEANING[status]}"
        raise HubRefusedError(f"{what}. Check the name, or set HF_TOKEN to a token that may read it.", what)
    if status != 200:
        what = f"{server} answers {status} for {identifier}"
        raise HubError(f"{what}. Try again later, or check the variable HF_ENDPOINT.", what)
    return content


def _pool(address: str) -> PoolManager:
    proxy = proxy_for(address)
    settings: dict[str, Any] = {
        "timeout": Timeout(connect=3.0, read=_TIMEOUT_S),
        "retries": Retry(total=5, connect=1, read=1, status=0, redirect=3, other=0),
        "ca_certs": certificates(),
    }
    return ProxyManager(proxy, **settings) if proxy else PoolManager(**settings)


def _headers() -> dict[str, str]:
    token = os.environ.get("HF_TOKEN", "").strip()
    if not token and find_spec("huggingface_hub") is not None:
        from huggingface_hub import get_token

        token = get_token() or ""
    identity = {"Accept-Encoding": "identity"}
    return {**identity, "Authorization": f"Bearer {token}"} if token else identity
