"""Checkpoints that survive the attempt that wrote them. Imports no torch.

A retried step gets new output addresses, so checkpoints live beside them, under the run and the task, at an address
derived from the configuration and the data. A checkpoint of other settings has another address and is never resumed.
"""

import hashlib
import json
import logging
import shutil
from pathlib import Path

from embedtune.errors import StorageError
from embedtune.storage.folders import delete_folder, download_folder, upload_folder

_log = logging.getLogger(__name__)


def training_digest(settings: dict[str, object]) -> str:
    """Return 16 hexadecimal digits over everything that decides what is trained."""
    text = json.dumps(settings, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class CheckpointStore:
    """Keeps the newest checkpoint of one training at a URI.

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

    @property
    def enabled(self) -> bool:
        """Whether checkpoints are wanted and the store could be reached so far."""
        return bool(self._uri)

    def restore(self) -> Path | None:
        """Fetch the newest complete checkpoint, if there is one."""
        target = self.scratch / "restored"
        try:
            self.kept = self.enabled and download_folder(self._uri, target)
        except StorageError as error:
            _log.warning("Training starts without checkpoints: %s", error)
            self._uri = ""
            return None
        return target if self.kept else None

    def keep(self, checkpoint: Path) -> None:
        """Store a checkpoint that the trainer has just written, in place of the one before, and free its disk."""
        try:
            if self.enabled:
                upload_folder(checkpoint, self._uri)
                self.kept = True
        except StorageError as error:
            _log.warning("This checkpoint is lost, training goes on: %s", error)
        finally:
            shutil.rmtree(checkpoint)

    def clear(self) -> None:
        """Remove what is kept: the model is finished."""
        try:
            if self.enabled:
                delete_folder(self._uri)
        except StorageError as error:
            _log.warning("The last checkpoint stays behind: %s", error)
