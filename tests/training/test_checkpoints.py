"""The store of one training's newest checkpoint, and what its failures cost."""

import errno
import hashlib
import os
from pathlib import Path

import pytest

from embedtune.storage import store as folder_store
from embedtune.training.checkpoints import CheckpointStore, training_digest

SETTINGS = {"options": {"epochs": 3, "learning_rate": 1e-4}, "data": "sha256:1", "torch": "2.13.0"}


def write_checkpoint(store: CheckpointStore, content: str) -> Path:
    checkpoint = store.scratch / "checkpoint-6"
    checkpoint.mkdir(parents=True)
    (checkpoint / "optimizer.pt").write_text(content)
    return checkpoint


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


class TestDigest:
    def test_is_stable(self):
        text = '{"data": "sha256:1", "options": {"epochs": 3, "learning_rate": 0.0001}, "torch": "2.13.0"}'
        assert training_digest(SETTINGS) == hashlib.sha256(text.encode()).hexdigest()[:16]

    def test_does_not_depend_on_order(self):
        turned = {**dict(reversed(SETTINGS.items())), "options": {"learning_rate": 1e-4, "epochs": 3}}
        assert training_digest(turned) == training_digest(SETTINGS)

    @pytest.mark.parametrize(
        "change",
        [{"options": {"epochs": 4, "learning_rate": 1e-4}}, {"data": "sha256:2"}, {"torch": "2.14.0"}, {"more": ""}],
    )
    def test_changes_with_everything_that_decides(self, change):
        assert training_digest({**SETTINGS, **change}) != training_digest(SETTINGS)


class TestStore:
    def test_the_newest_checkpoint_comes_back(self, tmp_path):
        store = CheckpointStore(str(tmp_path / "kept"), "digest", tmp_path / "first")
        assert store.restore() is None
        assert not store.kept
        for content in ("old", "new"):
            checkpoint = write_checkpoint(store, content)
            store.keep(checkpoint)
            store.settle()
            assert not checkpoint.exists()
        assert store.kept
        again = CheckpointStore(f"{tmp_path}/kept/", "digest", tmp_path / "second")
        restored = again.restore()
        assert restored is not None
        assert again.kept
        assert {path.name: path.read_text() for path in restored.iterdir()} == {"optimizer.pt": "new"}

    def test_what_it_costs_is_reckoned(self, tmp_path):
        """By the clock, or by what is sent where the store makes one wait."""
        store = CheckpointStore(str(tmp_path / "kept"), "digest", tmp_path / "scratch")
        store.keep(write_checkpoint(store, "x" * 1000))
        store.settle()
        assert store.sending_s == 1000 / 100e6

    def test_another_training_does_not_see_it(self, tmp_path):
        store = CheckpointStore(str(tmp_path / "kept"), "one", tmp_path / "first")
        store.keep(write_checkpoint(store, "content"))
        store.settle()
        assert CheckpointStore(str(tmp_path / "kept"), "other", tmp_path / "second").restore() is None

    def test_nothing_is_left_when_cleared(self, tmp_path):
        store = CheckpointStore(str(tmp_path / "kept"), "digest", tmp_path / "scratch")
        store.keep(write_checkpoint(store, "content"))
        store.clear()
        assert files(tmp_path) == []
        assert CheckpointStore(str(tmp_path / "kept"), "digest", tmp_path / "again").restore() is None

    def test_without_an_address_nothing_is_kept(self, tmp_path):
        store = CheckpointStore("", "digest", tmp_path / "scratch")
        assert store.restore() is None
        checkpoint = write_checkpoint(store, "content")
        store.keep(checkpoint)
        store.settle()
        store.clear()
        assert not store.enabled
        assert not store.kept
        assert files(tmp_path) == []

    def test_an_upload_that_was_cut_off_is_not_resumed(self, tmp_path):
        store = CheckpointStore(str(tmp_path / "kept"), "digest", tmp_path / "scratch")
        store.keep(write_checkpoint(store, "content"))
        store.settle()
        (content,) = (tmp_path / "kept").rglob("optimizer.pt")
        content.write_text("cont")
        assert CheckpointStore(str(tmp_path / "kept"), "digest", tmp_path / "again").restore() is None


class TestFailures:
    def test_a_place_that_cannot_be_written(self, tmp_path, capsys):
        (tmp_path / "file").touch()
        store = CheckpointStore(str(tmp_path / "file" / "kept"), "digest", tmp_path / "scratch")
        assert store.restore() is None
        checkpoint = write_checkpoint(store, "content")
        store.keep(checkpoint)
        store.settle()
        assert "This checkpoint is lost, training goes on" in capsys.readouterr().err
        assert not store.kept
        assert not checkpoint.exists()
        store.clear()

    def test_a_store_that_cannot_be_read(self, tmp_path, capsys):
        (tmp_path / "kept" / "digest").mkdir(parents=True)
        (tmp_path / "kept" / "digest" / "manifest.json").write_text("{")
        store = CheckpointStore(str(tmp_path / "kept"), "digest", tmp_path / "scratch")
        assert store.restore() is None
        assert "Training starts without checkpoints" in capsys.readouterr().err
        assert not store.enabled

    def test_an_address_that_is_none(self, tmp_path, capsys):
        store = CheckpointStore("https://example.org/checkpoints", "digest", tmp_path / "scratch")
        assert store.restore() is None
        assert "Give s3://bucket/prefix or a path" in capsys.readouterr().err
        assert not store.enabled

    def test_the_disk_of_the_store_is_full(self, tmp_path, monkeypatch, capsys):
        """As long as the checkpoint before is there: that goes, and the new one takes its place."""
        store = CheckpointStore(str(tmp_path / "kept"), "digest", tmp_path / "scratch")
        store.keep(write_checkpoint(store, "old"))
        store.settle()
        copy, full = folder_store._copy, []

        def copy_if_there_is_room(reader, target, advance):
            if any(path.read_text() == "old" for path in (tmp_path / "kept").rglob("optimizer.pt")):
                full.append(target)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return copy(reader, target, advance)

        monkeypatch.setattr(folder_store, "_copy", copy_if_there_is_room)
        store.keep(write_checkpoint(store, "new"))
        store.settle()
        assert len(full) == 1
        told = capsys.readouterr().err
        assert "The checkpoint before is removed for want of space" in told
        assert "No space left on device" in told
        restored = CheckpointStore(str(tmp_path / "kept"), "digest", tmp_path / "again").restore()
        assert restored is not None
        assert (restored / "optimizer.pt").read_text() == "new"
