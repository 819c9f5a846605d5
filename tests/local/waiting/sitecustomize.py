"""Python imports this at its start: a training then waits after its first step for the signal that is to stop it.

So an interruption comes in its middle however busy the machine is.
"""

import signal
import socket

from embedtune import progress

_emit = progress.emit


def _waiting(event: str, fields: dict[str, object]) -> None:
    if fields.get("description") != "Fine-tuning":
        _emit(event, fields)
        return
    progress.emit = _emit  # it waits once
    reading, writing = socket.socketpair()
    writing.setblocking(False)
    signal.set_wakeup_fd(writing.fileno())  # a signal between the event and the waiting ends the waiting, too
    _emit(event, fields)
    reading.recv(1)


progress.emit = _waiting
