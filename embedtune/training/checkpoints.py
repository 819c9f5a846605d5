"""Checkpoints that survive the attempt that wrote them. Imports no torch.

A retried step gets new output addresses, so checkpoints live beside them, under the run and the task, at an address
derived from the configuration and the data. A checkpoint of other settings has another address and is never resumed.

A finished model takes the place of the last checkpoint where its output may still be lost: Kubeflow sends it on after
the step has ended. It stays until the next step has it (`forget_finished`).
"""

import hashlib
import json
import re
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from embedtune.errors import StorageError
from embedtune.models.card import CARD_FILE, TRAINING_FILE, ModelCard
from embedtune.progress import note, silent
from embedtune.storage.digests import file_sha256
from embedtune.storage.errors import UnreachableError, lacks_space, reading
from embedtune.storage.folders import MANIFEST_NAME, delete_folder, download_folder, kept_files, upload_folder
from embedtune.storage.opening import open_store
from embedtune.storage.store import ABANDONED_S

_WAITS_S = (5.0, 20.0, 60.0)
"""Seconds before each further try where the store does not answer, beside the few that each request is repeated for."""
_SENT_PER_CPU_SECOND = 100e6
"""Bytes; `python -m benchmarks.checkpoints` took 2.6 s of the CPU for 270 MB."""
_DIGEST = re.compile("[0-9a-f]{16}")

T = TypeVar("T")


def training_digest(settings: dict[str, object]) -> str:
    """Return 16 hexadecimal digits over everything that decides what is trained."""
    text = json.dumps(settings, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def digest_of(card: ModelCard) -> str:
    """Return the digest of the training that makes the model of a card."""
    options = dict(card.options)
    train_options = options.get("train_options")
    if isinstance(train_options, dict):
        options["train_options"] = {**train_options, "checkpoint_minutes": None}  # decides nothing
    settings = {"options": options, "data": card.data_digest, "backbone": card.backbone_digest}
    return training_digest({**settings, **card.versions})


@dataclass(frozen=True)
class Keeping:
    """What a training keeps in case that it is interrupted."""

    root: str = ""
    """URI below which checkpoints are kept; '' keeps none."""
    finished: bool = False
    """Whether the finished model is kept there as well, because the output may be lost after the training."""


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
        self._root = root.rstrip("/")
        self._uri = f"{self._root}/{digest}" if root else ""
        self.scratch = scratch
        self.kept = False
        """Whether there is a checkpoint to go on from."""
        self.sent = ""
        """Name of the folder of the last checkpoint that was stored in this attempt; '' for none."""
        self.sending_s = 0.0
        """Seconds of a CPU that sending the last checkpoint took, about."""
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
        return self._fetch(finished=False)

    def finished(self) -> Path | None:
        """Fetch the finished model, if there is one: nothing is left to be trained then."""
        return self._fetch(finished=True)

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

    def finish(self, model: Path) -> None:
        """Store the finished model in place of the last checkpoint."""
        self.settle()
        try:
            if self.enabled:
                self._patiently("The finished model cannot be stored now", lambda: upload_folder(model, self._uri))
        except StorageError as error:
            note(f"If this step's output is lost now, the model has to be trained again: {error}")

    def expire(self) -> None:
        """Remove the finished models of other trainings that nobody has come for in a day."""
        try:
            for uri in _trainings(self._root) if self.enabled else []:
                if uri != self._uri and CARD_FILE in kept_files(uri) and _age(uri) > ABANDONED_S:
                    delete_folder(uri)
        except StorageError as error:
            note(f"Finished models of earlier trainings stay behind: {error}")

    def clear(self) -> None:
        """Remove what is kept: the model is finished."""
        self.settle()
        try:
            if self.enabled:
                delete_folder(self._uri)
        except StorageError as error:
            note(f"The last checkpoint stays behind: {error}")

    def _fetch(self, finished: bool) -> Path | None:
        """Fetch what is kept, if it is a finished model or if it is not, and wait for a store that does not answer."""
        try:
            what_fails = "The checkpoint cannot be fetched now"
            self.kept = self.enabled and self._patiently(what_fails, lambda: self._fetched(finished))
        except StorageError as error:
            note(f"Training starts without checkpoints: {error}")
            self._uri = ""
            return None
        return self._restored if self.kept else None

    def _fetched(self, finished: bool) -> bool:
        files = kept_files(self._uri)
        return bool(files) and (CARD_FILE in files) == finished and download_folder(self._uri, self._restored)

    def _send(self, checkpoint: Path) -> None:
        """Store a checkpoint."""
        started, size = time.monotonic(), 0
        try:
            size = sum(path.stat().st_size for path in checkpoint.rglob("*"))
            if self.enabled:
                self._patiently("A checkpoint cannot be stored now", lambda: self._store(checkpoint))
                self.kept, self.sent = True, checkpoint.name
        except (StorageError, OSError) as error:
            note(f"This checkpoint is lost, training goes on: {error}")
        try:
            shutil.rmtree(checkpoint)
        except OSError as error:
            note(f"A checkpoint stays behind on the local disk, training goes on: {error}")
        self.sending_s = min(time.monotonic() - started, size / _SENT_PER_CPU_SECOND)

    def _store(self, checkpoint: Path) -> None:
        """Store a checkpoint; the older one goes first where the disk of the store is full."""
        try:
            upload_folder(checkpoint, self._uri, quietly=True)
        except StorageError as error:
            if not lacks_space(error):
                raise
            note(f"The checkpoint before is removed for want of space: {error}")
            delete_folder(self._uri)
            self.kept = False
            upload_folder(checkpoint, self._uri, quietly=True)

    def _patiently(self, what_fails: str, act: Callable[[], T]) -> T:
        """Do something, and again where the store does not answer, unless there is no time for that."""
        for wait in _WAITS_S:
            try:
                return act()
            except UnreachableError as error:
                if self._hurry.is_set():
                    raise
                note(f"{what_fails}, the next try is in {wait:.0f} s: {error}")
                self._hurry.wait(wait)
        return act()


def forget_finished(root: str, model: Path) -> None:
    """Remove the finished model that is kept in case that the output is lost; for whoever has that output.

    Args:
        root: URI below which checkpoints are kept; '' for none.
        model: Folder of the model.
    """
    try:
        with reading(model):
            ours = file_sha256(model / TRAINING_FILE, silent)
        for uri in _trainings(root) if root else []:
            if kept_files(uri).get(TRAINING_FILE) == ours:
                delete_folder(uri)
    except StorageError as error:
        note(f"The finished model stays at the address of the checkpoints: {error}")


def _trainings(root: str) -> list[str]:
    """Return the addresses below which something is kept of a training."""
    place = root.rstrip("/")
    return [f"{place}/{name}" for name in open_store(place).children() if _DIGEST.fullmatch(name)]


def _age(uri: str) -> float:
    """Return for how many seconds the folder at an address has been there."""
    there = [entry.modified for entry in open_store(uri).entries(MANIFEST_NAME)]
    return time.time() - max(there, default=time.time())
