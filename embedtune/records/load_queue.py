"""Loading by several threads, in order and within memory."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Result = TypeVar("Result")

# Enough to keep the threads busy while the one who asks writes what it took.
_MAX_AHEAD = 4000
# The one who asks is woken when so many are left: for each result would cost more than a small result itself.
_REFILL_AT = _MAX_AHEAD // 2
_KEPT_SHARE = 0.5
_ENTRY_BYTES = 500


class Ticket(Generic[Key, Result]):
    """One thing that was asked for."""

    __slots__ = ("holders", "is_done", "key", "result", "size")

    def __init__(self, key: Key) -> None:
        """Begin with nothing loaded and nobody waiting."""
        self.key = key
        self.result: Result | None = None
        self.is_done = False
        self.size = 0
        self.holders = 0


class LoadQueue(Generic[Key, Result]):
    """Loads what is asked for with several threads, each thing once as long as it is in memory.

    What is loaded and not yet taken, and what may be asked for again, fill `max_bytes`; on top come at most one thing
    for each thread. Use it as a context manager and from one thread. Leaving it does not wait for a thread that is in
    the middle of something, so that an interrupt ends the work at once.
    """

    def __init__(
        self, load: Callable[[Key], Result], size_of: Callable[[Result], int], workers: int, max_bytes: int
    ) -> None:
        """Set up; the threads start on entering.

        Args:
            load: Called in the threads. It raises nothing; an exception is a bug and surfaces in `take`.
            size_of: Bytes that a result takes in memory.
            workers: Number of threads.
            max_bytes: See above.
        """
        self._load = load
        self._size_of = size_of
        self._max_bytes = max_bytes
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(workers)]
        self._asked: SimpleQueue[Ticket[Key, Result] | None] = SimpleQueue()
        self._tickets: OrderedDict[Key, Ticket[Key, Result]] = OrderedDict()
        self._changed = threading.Condition()
        self._awaited: Sequence[Ticket[Key, Result]] = ()
        self._held_bytes = 0
        self._unfinished = 0
        self._running = 0
        self._is_over = False

    def __enter__(self) -> "LoadQueue[Key, Result]":
        """Start the threads."""
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Let the threads end after what they are doing right now."""
        with self._changed:
            self._is_over = True
            self._changed.notify_all()
        try:
            while True:
                self._asked.get_nowait()
        except Empty:
            for _ in self._threads:
                self._asked.put(None)

    def ask(self, key: Key) -> Ticket[Key, Result]:
        """Have something loaded, unless it is there or on its way; every ticket has to be given to `take` once."""
        ticket = self._tickets.get(key)
        if ticket is None:
            ticket = self._tickets[key] = Ticket(key)
            with self._changed:
                self._unfinished += 1
            self._asked.put(ticket)
        else:
            self._tickets.move_to_end(key)
        ticket.holders += 1
        return ticket

    def wait_for_room(self, oldest: Sequence[Ticket[Key, Result]]) -> bool:
        """Wait until more may be asked for, or else until the oldest tickets can be taken.

        Returns:
            Whether more may be asked for.
        """
        if self._has_room(_MAX_AHEAD):
            return True
        with self._changed:
            self._awaited = oldest
            self._changed.wait_for(lambda: self._has_room(_REFILL_AT) or _are_done(oldest))
            return self._has_room(_MAX_AHEAD)

    def take(self, tickets: Sequence[Ticket[Key, Result]]) -> list[Result]:
        """Wait for results and return them.

        Raises:
            RuntimeError: a thread died of a bug; its traceback went to stderr.
        """
        if not _are_done(tickets):
            with self._changed:
                self._awaited = tickets
                self._changed.wait_for(lambda: _are_done(tickets))
        results = []
        for ticket in tickets:
            if ticket.result is None:
                raise RuntimeError(f"a thread died while it loaded {ticket.key!r}; its traceback stands above")
            results.append(ticket.result)
            ticket.holders -= 1
        self._forget()
        return results

    def _has_room(self, unfinished: int) -> bool:
        return self._unfinished < unfinished and self._held_bytes < self._max_bytes

    def _forget(self) -> None:
        """Let go of what was asked for longest ago, beyond what is kept for those who ask again."""
        while self._tickets and self._held_bytes > _KEPT_SHARE * self._max_bytes:
            ticket = next(iter(self._tickets.values()))
            if ticket.holders > 0:
                return
            del self._tickets[ticket.key]
            with self._changed:
                was_full = self._held_bytes >= self._max_bytes
                self._held_bytes -= ticket.size
                if was_full:
                    self._changed.notify_all()

    def _work(self) -> None:
        while (ticket := self._asked.get()) is not None:
            with self._changed:
                # One goes on even when memory is full: it may be what everyone waits for.
                self._changed.wait_for(lambda: self._held_bytes < self._max_bytes or not self._running or self._is_over)
                if self._is_over:
                    return
                self._running += 1
            try:
                ticket.result = self._load(ticket.key)
                ticket.size = _ENTRY_BYTES + self._size_of(ticket.result)
            finally:
                with self._changed:
                    self._finish(ticket)

    def _finish(self, ticket: Ticket[Key, Result]) -> None:
        ticket.is_done = True
        self._held_bytes += ticket.size
        self._unfinished -= 1
        self._running -= 1
        if self._held_bytes >= self._max_bytes or self._has_room(_REFILL_AT) or _are_done(self._awaited):
            self._changed.notify_all()


def _are_done(tickets: Sequence[Ticket[Key, Result]]) -> bool:
    return all(ticket.is_done for ticket in tickets)
