"""Remember which servers cannot be reached, so that many addresses on one of them fail at once."""

import threading

from embedtune.storage.errors import UnreachableError

_LIMIT = 5


class HostMemory:
    """What is known of servers; may be used by many threads at once.

    A server that never answered is given up at the first failed connection, any other after five failures in a row.
    """

    def __init__(self) -> None:
        """Know nothing yet."""
        self._lock = threading.Lock()
        self._answered: set[str] = set()
        self._failures: dict[str, int] = {}
        self._given_up: dict[str, str] = {}

    def check(self, host: str) -> None:
        """Raise UnreachableError, with the reason, if a server was given up."""
        reason = self._given_up.get(host)
        if reason is not None:
            raise UnreachableError(f"{host} was not asked again, because it could not be reached before: {reason}.")

    def answered(self, host: str) -> None:
        """Note that a server answered in full."""
        with self._lock:
            self._answered.add(host)
            self._failures.pop(host, None)
            self._given_up.pop(host, None)

    def failed(self, host: str, reason: str, connected: bool) -> None:
        """Note that a server could not be connected to, or broke off or was too slow later."""
        with self._lock:
            self._failures[host] = self._failures.get(host, 0) + 1
            is_unknown = host not in self._answered and not connected
            if is_unknown or self._failures[host] >= _LIMIT:
                self._given_up[host] = reason
