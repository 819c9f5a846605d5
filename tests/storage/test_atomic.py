import errno
import os
from pathlib import Path

import pytest

from embedtune.errors import StorageError
from embedtune.storage import atomic
from embedtune.storage.atomic import atomic_folder, atomic_path, check_writable, is_part, write_text_whole
from embedtune.storage.ownership import INVENTORY


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != INVENTORY)


def fill(target: Path, content: str) -> None:
    with atomic_folder(target) as folder:
        (folder / content).touch()


class TestFile:
    def test_whole_files_only(self, tmp_path):
        target = tmp_path / "new" / "file"
        with atomic_path(target) as part:
            part.write_text("one")
            assert not target.exists()
        with pytest.raises(UnicodeEncodeError), atomic_path(target) as part:
            part.write_text("two \ud800")
        assert target.read_text() == "one"
        assert list(target.parent.iterdir()) == [target]

    def test_what_the_disk_refuses(self, tmp_path):
        (tmp_path / "folder").mkdir()
        with pytest.raises(StorageError, match="folder cannot be written"), atomic_path(tmp_path / "folder") as part:
            part.write_text("x")
        assert [path.name for path in tmp_path.iterdir()] == ["folder"]

    @pytest.mark.parametrize("atomic", [atomic_path, atomic_folder])
    def test_errors_of_what_the_block_reads_pass_unchanged(self, tmp_path, atomic):
        with pytest.raises(FileNotFoundError), atomic(tmp_path / "target"):
            (tmp_path / "source").read_text()
        with pytest.raises(OSError, match="of the reader"), atomic(tmp_path / "target"):
            raise OSError("of the reader")
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("atomic", [atomic_path, atomic_folder])
    @pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
    def test_a_full_disk_in_the_block_is_explained(self, tmp_path, atomic, code):
        message = rf"target cannot be written: .*{os.strerror(code)}\. Give a path"
        with pytest.raises(StorageError, match=message), atomic(tmp_path / "target"):
            raise OSError(code, os.strerror(code))
        assert list(tmp_path.iterdir()) == []

    def test_two_writers_do_not_meet(self, tmp_path):
        target = tmp_path / "file"
        with atomic_path(target) as first, atomic_path(target) as second:
            first.write_text("first")
            second.write_text("second")
        assert target.read_text() == "first"

    def test_text(self, tmp_path):
        write_text_whole(tmp_path / "deep" / "page.html", "ä\n")
        assert (tmp_path / "deep" / "page.html").read_bytes() == b"\xc3\xa4\n"
        with pytest.raises(StorageError, match=r"page\.html/x cannot be written"):
            write_text_whole(tmp_path / "deep" / "page.html" / "x", "")


def test_parts_are_known_by_their_names(tmp_path):
    with atomic_path(tmp_path / "file") as part, atomic_folder(tmp_path / "folder") as folder:
        assert is_part(part.name)
        assert is_part(folder.name)
    for name in ("file.part", ".hidden", "part"):
        assert not is_part(name)


class TestFolder:
    @pytest.mark.parametrize("older", ["nothing", "folder", "file", "link"])
    @pytest.mark.parametrize("system", ["new", "old"])
    def test_replaces_what_is_there(self, tmp_path, monkeypatch, older, system):
        if system == "old":
            monkeypatch.setattr(atomic, "_exchanged", lambda *_: False)
        target = tmp_path / "target"
        if older == "folder":
            fill(target, "old")
        elif older == "file":
            target.touch()
        elif older == "link":
            fill(tmp_path / "elsewhere", "kept")
            target.symlink_to(tmp_path / "elsewhere")
        fill(target, "new")
        assert names_in(target) == ["new"]
        assert not target.is_symlink()
        assert {path.name for path in tmp_path.iterdir()} - {"elsewhere"} == {"target"}
        assert older != "link" or (tmp_path / "elsewhere" / "kept").exists()

    def test_something_is_there_at_all_times(self, tmp_path, monkeypatch):
        probe = tmp_path / "probe"
        for name in ("one", "other"):
            (probe / name).mkdir(parents=True)
        if not atomic._exchanged(probe / "one", probe / "other"):
            pytest.skip("this system cannot swap two names")
        target = tmp_path / "target"
        fill(target, "old")

        def refuse(*_):
            raise OSError("between two of these, the target would not be there")

        monkeypatch.setattr(Path, "rename", refuse)
        fill(target, "new")
        assert names_in(target) == ["new"]

    def test_an_error_leaves_the_old_folder(self, tmp_path):
        target = tmp_path / "target"
        fill(target, "old")
        with pytest.raises(KeyboardInterrupt), atomic_folder(target) as folder:  # noqa: PT012
            (folder / "new").touch()
            raise KeyboardInterrupt
        assert names_in(target) == ["old"]
        assert list(tmp_path.iterdir()) == [target]

    def test_a_failed_swap_puts_the_old_folder_back(self, tmp_path, monkeypatch):
        target = tmp_path / "target"
        fill(target, "old")
        rename = Path.rename

        def refuses_new_folders(path: Path, goal: Path) -> Path:
            if goal == target and (path / "new").exists():
                raise OSError("no more renaming")  # without a number, so without a strerror
            return rename(path, goal)

        monkeypatch.setattr(Path, "rename", refuses_new_folders)
        monkeypatch.setattr(atomic, "_exchanged", lambda *_: False)
        with pytest.raises(StorageError, match="target cannot be written: no more renaming"):
            fill(target, "new")
        assert names_in(target) == ["old"]
        assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize(("umask", "file", "folder"), [(0o022, 0o644, 0o755), (0o027, 0o640, 0o750)])
def test_modes_are_the_umasks_whatever_a_library_made(tmp_path, umask, file, folder):
    before = os.umask(umask)
    try:
        with atomic_folder(tmp_path / "model") as part:
            (part / "sub").mkdir(mode=0o700)
            (part / "sub" / "weights").touch(mode=0o600)
        write_text_whole(tmp_path / "page", "x")
    finally:
        os.umask(before)
    modes = {path.relative_to(tmp_path).as_posix(): path.stat().st_mode & 0o777 for path in tmp_path.rglob("*")}
    assert modes.pop("model") == modes.pop("model/sub") == folder
    assert set(modes) == {"model/sub/weights", f"model/{INVENTORY}", "page"}
    assert set(modes.values()) == {file}


def test_places_are_checked_before_the_work(tmp_path):
    check_writable(tmp_path / "a" / "page.html", tmp_path / "b" / "folder")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a", "b"]
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"file/page\.html cannot be written"):
        check_writable(tmp_path / "page.html", tmp_path / "file" / "page.html")
