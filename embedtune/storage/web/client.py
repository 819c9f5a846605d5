"""Ask allowed web servers, and no other whatever redirects and name servers say. Imports urllib3."""

import socket
import threading
import time
from collections.abc import Sequence
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from urllib3 import BaseHTTPResponse, PoolManager
from urllib3.exceptions import ConnectTimeoutError, HTTPError, MaxRetryError, NewConnectionError, SSLError

from embedtune.errors import StorageError
from embedtune.storage.access import ForbiddenError, check_address, check_host, web_port
from embedtune.storage.errors import UnreachableError
from embedtune.storage.web.http import HostMemory, reason_of

_REDIRECTS = (301, 302, 303, 307, 308)
_MAX_REDIRECTS = 5
_ADDRESSES_S = 6.0
_UNREACHED = (NewConnectionError, ConnectTimeoutError, SSLError)


class WebClient:
    """Sends requests to web servers on a list; may be used by many threads at once.

    Redirects are followed up to five times, and every host on the way is checked: its name against the list, its
    numeric addresses against those that are private. Each name is looked up once, and connections go to the addresses
    that were checked. No credentials are sent.
    """

    def __init__(self, hosts: Sequence[str], pool: PoolManager, memory: HostMemory) -> None:
        """Set up the client; `memory` is told of servers that do not answer, and those given up are not asked."""
        self._hosts = hosts
        self._pool = pool
        self._memory = memory
        self._lock = threading.Lock()
        self._addresses: dict[tuple[str, int], tuple[str, ...]] = {}

    def request(self, method: str, uri: str, headers: dict[str, str]) -> tuple[BaseHTTPResponse, str]:
        """Send a request without a secret, and follow redirects; errors as of `opening.Contents.read`.

        Returned are the first response that is no redirect, its body not read, and the server that it came from.
        """
        address, what = uri, uri.partition("?")[0]
        for _ in range(_MAX_REDIRECTS + 1):
            response = self._send(method, address, headers, what)
            server = urlsplit(address).netloc
            if response.status not in _REDIRECTS:
                return response, server
            self._memory.answered(server)
            target = response.headers.get("Location", "")
            response.close()
            address = _redirected(address, target, what)
        raise StorageError(f"{what} redirects more than {_MAX_REDIRECTS} times. Give the final address.")

    def _send(self, method: str, address: str, headers: dict[str, str], what: str) -> BaseHTTPResponse:
        parts = _split(address, what)
        may_be_private = check_host(address, self._hosts)
        self._memory.check(parts.netloc)
        try:
            addresses = self._look_up(parts, may_be_private)
            return self._send_to(addresses, method, parts, headers)
        except (HTTPError, OSError, UnicodeError) as error:
            reason = reason_of(error)
            connected = isinstance(error, HTTPError) and not _is_unreached(error)
            self._memory.failed(parts.netloc, reason, connected)
            raise UnreachableError(
                f"{what}: the server {parts.netloc} does not answer: {reason}. Check the address."
            ) from error

    def _look_up(self, parts: SplitResult, may_be_private: bool) -> tuple[str, ...]:
        host, port = str(parts.hostname), web_port(parts)
        with self._lock:
            known = self._addresses.get((host, port))
        if known is None:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            known = tuple(dict.fromkeys(str(entry[4][0]) for entry in found))
            with self._lock:
                known = self._addresses.setdefault((host, port), known)
        if not may_be_private:
            for address in known:
                check_address(parts.netloc, address)
        return known

    def _send_to(
        self, addresses: tuple[str, ...], method: str, parts: SplitResult, headers: dict[str, str]
    ) -> BaseHTTPResponse:
        path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~") + (
            f"?{quote(parts.query, safe='/%:@!$&()*+,;=~?')}" if parts.query else ""
        )
        server_hostname = {"server_hostname": parts.hostname} if parts.scheme == "https" else None
        give_up = time.monotonic() + _ADDRESSES_S
        for count, address in enumerate(addresses, start=1):
            pool = self._pool.connection_from_host(address, web_port(parts), parts.scheme, server_hostname)
            try:
                return pool.urlopen(
                    method,
                    path,
                    headers={"Host": parts.netloc, "Accept-Encoding": "identity"} | headers,
                    redirect=False,
                    assert_same_host=False,
                    preload_content=False,
                )
            except MaxRetryError as error:
                if not _is_unreached(error) or count == len(addresses) or time.monotonic() > give_up:
                    raise
        raise OSError("it has no address")


def _split(address: str, what: str) -> SplitResult:
    """Take an address apart; the same parts are checked and connected to, so no second parser can see another host."""
    try:
        parts = urlsplit(address)
        is_valid = parts.port is None or parts.port > 0
    except ValueError:
        is_valid = False
    if not is_valid or parts.scheme not in ("http", "https") or not parts.hostname or not parts.netloc.isascii():
        raise StorageError(f"{what} leads to an address that is not of the form http(s)://host/path. Check it.")
    if "@" in parts.netloc:
        raise ForbiddenError(f"{what} leads to an address with a user name or password, which is not followed.")
    return parts


def _redirected(address: str, target: str, what: str) -> str:
    try:
        following = urljoin(address, target)
    except ValueError:
        following = ""
    if not target or not following:
        raise StorageError(f"{what}: the server redirects without saying where to. Give the final address.")
    if address.startswith("https:") and following.startswith("http:"):
        raise ForbiddenError(f"{what} redirects from https to http, which is not followed. Give the final address.")
    return following


def _is_unreached(error: Exception) -> bool:
    return isinstance(error.reason if isinstance(error, MaxRetryError) else error, _UNREACHED)
