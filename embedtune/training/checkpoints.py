"""Checkpoints that survive the attempt that wrote them. Imports no torch.

A retried step gets new output addresses, so checkpoints live beside them, under the run and the task, at an address
derived from the configuration and the data. A checkpoint of other settings has another address and is never resumed.
"""

import hashlib
import json
import logging
import shutil
import threading
from pathlib import Path

from embedtune.errors import StorageError
from embedtune.storage.errors import UnreachableError
from embedtune.storage.folders import delete_folder, download_folder, upload_folder

_log = logging.getLogger(__name__)

_WAITS_S = (5.0, 20.0, 60.0)
"""Seconds before each further try where the store does not answer, beside the few that each request is repeated for."""


def training_digest(settings: dict[str, object]) -> str:
    """Return 16 hexadecimal digits over everything that decides what is trained."""
    text = json.dumps(settings, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class CheckpointStore:
    """Keeps the newest checkpoint of one training at a URI, beside the training: a thread hashes and sends.

    A store that cannot be reached costs the checkpoints, not the training: it is said loudly and training goes on.
    """

    def __init__(self, root: str, digest: str, scratch: Path) -> None:
        """Prepare.

        Args:
            root: URI below which checkpoints are kept; '' keeps none.
            digest: Result of `training_digest`.
            scratch: Local folder for checkpoints while they are written and read.
        """
        self._uri = f"{root.rstrip('/')}/{digest}" if root else ""
        self.scratch = scratch
        self.kept = False
        """Whether there is a checkpoint to go on from."""
        self._restored = scratch / "restored"
        self._sending: threading.Thread | None = None
        self._hurry = threading.Event()

    @property
    def enabled(self) -> bool:
        """Whether checkpoints are wanted and the store could be reached so far."""
        return bool(self._uri)

    @property
    def busy(self) -> bool:
        """Whether a checkpoint is still on its way."""
        return self._sending is not None and self._sending.is_alive()

    def restore(self) -> Path | None:
        """Fetch the newest complete checkpoint, if there is one."""
        try:
            self.kept = self.enabled and self._fetched()
        except StorageError as error:
            _log.warning("Training starts without checkpoints: %s", error)
            self._uri = ""
            return None
        return self._restored if self.kept else None

    def keep(self, checkpoint: Path) -> None:
        """Begin to store a checkpoint that has just been written, in place of the one before, and to free its disk.

        One that is still on its way is waited for: they arrive in their order, and no other one is there meanwhile.
        """
        self.settle()
        self._sending = threading.Thread(target=self._send, args=(checkpoint,), name="checkpoint", daemon=True)
        self._sending.start()

    def settle(self) -> None:
        """Wait until the checkpoint that is on its way has arrived or is lost; a silent store is not waited for."""
        if self._sending is None:
            return
        self._hurry.set()
        self._sending.join()
        self._hurry.clear()
        self._sending = None

    def make_room(self) -> None:
        """Free the disk of the checkpoints here that are older than the one being written."""
        self.settle()
        shutil.rmtree(self._restored, ignore_errors=True)

    def clear(self) -> None:
        """Remove what is kept: the model is finished."""
        self.settle()
        try:
            if self.enabled:
                delete_folder(self._uri)
        except StorageError as error:
            _log.warning("The last checkpoint stays behind: %s", error)

    def _fetched(self) -> bool:
        """Fetch what is kept, if there is any, and wait for a store that does not answer."""
        for wait in _WAITS_S:
            try:
                return download_folder(self._uri, self._restored)
            except UnreachableError as error:
                _log.warning("The checkpoint cannot be fetched now, the next try is in %.0f s: %s", wait, error)
                self._hurry.wait(wait)
        return download_folder(self._uri, self._restored)

    def _send(self, checkpoint: Path) -> None:
        try:
            if self.enabled:
                self._upload(checkpoint)
                self.kept = True
        except StorageError as error:
            _log.warning("This checkpoint is lost, training goes on: %s", error)
        finally:
            shutil.rmtree(checkpoint)

    def _upload(self, checkpoint: Path) -> None:
        for wait in _WAITS_S:
            try:
                return upload_folder(checkpoint, self._uri, quietly=True)
            except UnreachableError as error:
                if self._hurry.is_set():
                    raise
                _log.warning("A checkpoint cannot be stored now, the next try is in %.0f s: %s", wait, error)
                self._hurry.wait(wait)
        return upload_folder(checkpoint, self._uri, quietly=True)
