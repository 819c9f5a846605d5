"""One run at a time in an output folder.

The lock is that of flock(2) on the folder's marker file. Every process that writes for the run inherits the open file,
and the system takes the lock away when the last of them has ended, however that came. So no lock is ever stale: what
the file says of its holder counts only while somebody holds it.
"""

import errno
import fcntl
import getpass
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from embedtune.errors import StorageError, reason
from embedtune.progress import note
from embedtune.registry.contents import public_uri
from embedtune.storage.ownership import OUTPUT_MARKER
from pipelines.local_process import GRACE_SECONDS

_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL)
_MOST_BYTES = 1 << 16
_POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Holder:
    """Who runs, as the marker file says it."""

    process: int
    host: str
    user: str
    since: str
    """Local time."""
    model: str
    """Name under which the run registers its model."""
    data: str
    """Where its data are, without what may be secret."""

    @classmethod
    def here(cls, model: str, data_uri: str) -> "Holder":
        """Describe a run of this process that starts now."""
        since = datetime.now().astimezone().isoformat(" ", timespec="seconds")
        return cls(os.getpid(), socket.gethostname(), _user(), since, model, public_uri(data_uri))

    def is_gone(self) -> bool:
        """Tell whether the process has ended, as far as one can see from here."""
        if self.host != socket.gethostname():
            return False
        try:
            os.kill(self.process, 0)
        except ProcessLookupError:
            return True
        except PermissionError:  # it is there, and another user's
            return False
        with suppress(OSError):  # no such files on this system, or it has just ended
            state = Path(f"/proc/{self.process}/stat").read_text(encoding="utf-8", errors="replace")
            return state.rpartition(")")[2].split()[0] == "Z"  # it has ended, and its parent does not ask
        return False


@contextmanager
def folder_lock(folder: Path, holder: Holder) -> Iterator[int]:
    """Hold a folder; where its file system has no locks, say so and go on.

    Args:
        folder: An existing folder.
        holder: What those are told who find it held.

    Yields:
        The open file that holds the folder for every process that inherits it.

    Raises:
        StorageError: another run holds it, or the marker file cannot be written.
    """
    try:
        descriptor = _opened(folder)
    except OSError as error:
        raise StorageError(
            f"{folder / OUTPUT_MARKER} cannot be written: {reason(error)}. "
            "Give another --output, or ask for permission."
        ) from error
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(asdict(holder)).encode(), 0)
        yield descriptor
    finally:
        os.close(descriptor)


def _opened(folder: Path) -> int:
    """Return the marker file, open and locked."""
    path = folder / OUTPUT_MARKER
    deadline = time.monotonic() + 2 * GRACE_SECONDS
    waiting = False
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        locked = False
        try:
            locked = _lock(descriptor, folder)
            if locked and path.exists() and os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor  # another file of that name would be another lock
            locked = False
            holder = _holder(descriptor)
        finally:
            if not locked:
                os.close(descriptor)
        if holder is None or not holder.is_gone() or time.monotonic() > deadline:
            raise StorageError(_refusal(folder, holder))
        if not waiting:
            waiting = True
            note(f"The run that process {holder.process} had started in {folder} was killed; waiting for its end.")
        time.sleep(_POLL_SECONDS)


def _lock(descriptor: int, folder: Path) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        note(
            f"The file system of {folder} has no locks, so nothing keeps a second run out of it. "
            "Start one run at a time in this folder."
        )
    return True


def _holder(descriptor: int) -> Holder | None:
    """Return what the file says, None if it says nothing yet."""
    try:
        return Holder(**json.loads(os.pread(descriptor, _MOST_BYTES, 0)))
    except (ValueError, TypeError):
        return None


def _refusal(folder: Path, holder: Holder | None) -> str:
    if holder is None:
        return f"The output folder {folder} is in use by another run. Wait for its end, or give another --output."
    here = holder.host == socket.gethostname()
    stop = f"stop it with 'kill {holder.process}'" if here else f"stop it on {holder.host}"
    return (
        f"The output folder {folder} is in use: process {holder.process} of {holder.user} on {holder.host} has been "
        f"making the model {holder.model!r} of {holder.data} in it since {holder.since}. Wait for its end, {stop}, or "
        "give another --output."
    )


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return str(os.getuid())
