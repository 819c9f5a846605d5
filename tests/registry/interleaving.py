"""Two parties at one registry, stepped from call to call of their MLflow clients.

Each is a greenlet: a flow of its own that hands over where it is told to, so a schedule is the same each time.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import greenlet

from embedtune.registry.evidence import evidence_tags
from embedtune.registry.state import REGISTRATION_TAG


class Killed(BaseException):
    """What ends a party before one of its calls; nothing in the library catches it."""


class Party:
    """Work at a client, which stops before each of its calls until it is let go on."""

    def __init__(self, client: Any, work: Callable[[Any], object], dies_before: int | None = None) -> None:
        self.tracking_uri = client.tracking_uri
        self.calls = 0
        """How many calls it has made."""
        self.result: object = None
        self.error: BaseException | None = None
        self._client, self._work, self._dies_before = client, work, dies_before
        self._flow = greenlet.greenlet(self._run)
        self.step()

    @property
    def ended(self) -> bool:
        return bool(self._flow.dead)

    def step(self) -> None:
        """Let it make one call, and come to the next or to its end."""
        self._flow.parent = greenlet.getcurrent()
        self._flow.switch()

    def finish(self) -> None:
        while not self.ended:
            self.step()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        call = getattr(self._client, name)

        def stepped(*arguments: Any, **named: Any) -> Any:
            self._flow.parent.switch()
            if self.calls == self._dies_before:
                raise Killed
            self.calls += 1
            return call(*arguments, **named)

        return stepped

    def _run(self) -> None:
        try:
            self.result = self._work(self)
        except BaseException as error:  # noqa: BLE001 - handed to the test
            self.error = error


def calls_of(client: Any, work: Callable[[Any], object]) -> int:
    """Return how many calls work makes on its own."""
    party = Party(client, work)
    party.finish()
    if party.error is not None:
        raise party.error
    return party.calls


def two_switches(first: int, second: int) -> Iterator[tuple[int, int]]:
    """Yield every pair of places to switch at: one party makes `i` calls, the other `j`, then the one, then the other.

    Each party can be held up anywhere while the other does any part of its work: all schedules of two parties with at
    most three switches.
    """
    return ((i, j) for i in range(first + 1) for j in range(1, second + 1))


def play(parties: Sequence[Party], i: int, j: int | None) -> None:
    """Let the first party make `i` calls, the second `j`, None for all, and then the first end, and the second."""
    for party, calls in zip(parties, (i, j), strict=True):
        while not party.ended and (calls is None or party.calls < calls):
            party.step()
    for party in parties:
        party.finish()


def add_version(client: Any, name: str, comparison: Any, registration: str) -> int:
    """Create a version as a registration does, with its evidence and no aliases."""
    tags = {**evidence_tags(comparison), REGISTRATION_TAG: registration}
    return int(client.create_model_version(name, f"s3://nowhere/{registration}", tags=tags).version)
