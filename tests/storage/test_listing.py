import hashlib
import os
import shutil
import tarfile
import threading
import zipfile
from contextlib import suppress

import pytest

from embedtune.errors import StorageError
from embedtune.storage.listing import Listing, SourceFile
from embedtune.storage.opening import LocalSource, local_copy, resolve_source
from embedtune.storage.ownership import OUTPUT_MARKER

CSVS = {f"part-{number}.csv": f"text {number},label\n".encode() for number in range(8)}


def write(folder, files):
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def sha256(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "data", CSVS)
    return tmp_path / "data"


def names_of(uri):
    return [file.name for file in resolve_source(str(uri)).files]


def test_one_file(folder):
    path, content = folder / "part-1.csv", CSVS["part-1.csv"]
    for uri in (str(path), path.as_uri()):
        file = SourceFile("part-1.csv", uri, len(content), "", path, sha256(content))
        assert resolve_source(uri) == Listing(uri, folder, (file,), is_folder=False, version=sha256(content))


@pytest.mark.parametrize("ending", ["", "/", "/*.csv", "/part-[0-9].csv", "/part-?.*"])
def test_a_folder_and_a_pattern(folder, ending):
    source = resolve_source(f"{folder}{ending}")
    assert source.is_folder
    assert source.files == tuple(
        SourceFile(name, str(folder / name), len(content), "", folder / name, sha256(content))
        for name, content in CSVS.items()
    )
    assert source.version == resolve_source(str(folder)).version
    with local_copy(f"{folder}{ending}", source.version) as local:
        paths = tuple(folder / name for name in CSVS)
        assert local == LocalSource(folder, paths, tuple(map(str, paths)))
    for file in source.files:
        assert resolve_source(file.uri).version == file.version


def test_the_address_of_a_folder_may_be_a_file_address(folder):
    assert names_of(folder.as_uri()) == list(CSVS)
    assert names_of(f"{folder.as_uri()}/part-[12].csv") == ["part-1.csv", "part-2.csv"]


def test_the_version_names_what_is_there(folder):
    version = resolve_source(str(folder)).version
    assert version.startswith("sha256:")
    assert resolve_source(str(folder.rename(folder.with_name("moved")))).version == version
    moved = folder.with_name("moved")
    versions = {version}
    for change in (
        lambda: (moved / "new.csv").write_text("a,b\n"),
        lambda: (moved / "new.csv").write_text("c,d\n"),
        lambda: (moved / "new.csv").rename(moved / "newer.csv"),
    ):
        change()
        versions.add(resolve_source(str(moved)).version)
    assert len(versions) == 4
    (moved / "newer.csv").unlink()
    assert resolve_source(str(moved)).version == version


def test_a_folder_that_changed(folder):
    for uri in (str(folder), f"{folder}/*.csv"):
        version = resolve_source(uri).version
        (folder / "part-9.csv").write_text("more")
        with pytest.raises(StorageError, match=r"changed: version sha256:\w+ was asked for"), local_copy(uri, version):
            pass
        (folder / "part-9.csv").unlink()


def test_what_does_not_count(folder):
    junk = [".hidden", ".git/config", "_SUCCESS", "_temporary/0/part-7.csv", "__MACOSX/part-1.csv", "a/.DS_Store"]
    write(folder, dict.fromkeys(junk, b"junk"))
    write(folder, {"_DSC1.jpg": b"a", "_other/a.jpg": b"b"})
    assert names_of(folder) == ["_DSC1.jpg", "_other/a.jpg", *CSVS]
    assert names_of(f"{folder}/*") == ["_DSC1.jpg", *CSVS]


def test_folders_below_and_their_order(tmp_path):
    write(tmp_path, {"b/2.png": b"1", "a/train/1.off": b"", "a-b/1.png": b"1", "B.png": b"1"})
    assert names_of(tmp_path) == ["B.png", "a-b/1.png", "a/train/1.off", "b/2.png"]
    assert names_of(f"{tmp_path}/*/*.png") == ["a-b/1.png", "b/2.png"]
    assert names_of(f"{tmp_path}/[ab]/*") == ["b/2.png"]


def test_a_name_that_looks_like_a_pattern(tmp_path):
    write(tmp_path, {"a[1].csv": b"1", "a1.csv": b"2", "what?.csv": b"3", "set*/x.csv": b"4"})
    assert names_of(tmp_path / "a[1].csv") == ["a[1].csv"]
    assert names_of(tmp_path / "what?.csv") == ["what?.csv"]
    assert names_of(tmp_path / "set*") == ["x.csv"]
    assert names_of(tmp_path / "a[12].csv") == ["a1.csv"]
    for file in resolve_source(str(tmp_path)).files:
        assert resolve_source(file.uri).version == file.version


@pytest.mark.parametrize("name", ["data/none-*.csv", "empty", "hidden", "data/*/*.csv"])
def test_nothing_there(folder, name):
    write(folder.parent, {"hidden/.a": b"1"})
    (folder.parent / "empty").mkdir()
    with pytest.raises(StorageError, match=r"no file is there\. Hidden files"):
        resolve_source(str(folder.parent / name))


def test_links(folder, tmp_path):
    write(tmp_path, {"elsewhere/a.csv": b"1", "elsewhere/deep/b.csv": b"2"})
    (folder / "z.csv").symlink_to(tmp_path / "elsewhere" / "a.csv")
    (folder / "more").symlink_to(tmp_path / "elsewhere")
    assert names_of(folder) == ["more/a.csv", "more/deep/b.csv", *CSVS, "z.csv"]
    (tmp_path / "elsewhere" / "deep" / "up").symlink_to(folder)
    with pytest.raises(StorageError, match=r"is a link to a folder that .* holds already"):
        resolve_source(str(folder))
    (tmp_path / "elsewhere" / "deep" / "up").unlink()
    (folder / "broken.csv").symlink_to(tmp_path / "none")
    os.mkfifo(folder / "pipe.csv")
    assert names_of(folder) == ["more/a.csv", "more/deep/b.csv", *CSVS, "z.csv"]
    assert names_of(f"{folder}/*") == [*CSVS, "z.csv"]
    for address in (str(folder), f"{folder}/*"):
        with local_copy(address, "") as source:
            assert source.broken == ("broken.csv", "pipe.csv")


def test_what_is_no_file(folder):
    os.mkfifo(folder / "pipe.csv")
    with pytest.raises(StorageError, match="that can be read twice"):
        resolve_source(str(folder / "pipe.csv"))
    with pytest.raises(StorageError, match="cannot be read"):
        resolve_source(str(folder / ("n" * 300)))
    with pytest.raises(StorageError, match="is a file, not a folder"):
        resolve_source(f"{folder}/part-1.csv/")


def test_a_backslash_in_a_name(folder):
    write(folder, {"a\\b.csv": b"1"})
    with pytest.raises(StorageError, match="backslash"):
        resolve_source(str(folder))


def test_a_file_that_goes_while_its_folder_is_read(folder):
    stop = threading.Event()

    def shuffle():
        while not stop.is_set():
            (folder / "part-7.csv").rename(folder / "part-6b.csv")
            (folder / "part-6b.csv").rename(folder / "part-7.csv")

    thread = threading.Thread(target=shuffle)
    thread.start()
    try:
        for _ in range(200):
            with suppress(StorageError):
                assert 7 <= len(resolve_source(str(folder)).files) <= 9
    finally:
        stop.set()
        thread.join()


def test_data_sets_are_not_looked_up_here():
    with pytest.raises(StorageError, match=r"dataset://user/name@1 is the name of a data set"):
        resolve_source("dataset://user/name@1")


class TestArchives:
    @pytest.fixture(params=["set.zip", "set.tar.gz"])
    def archive(self, request, tmp_path):
        files = {"scifact/corpus.jsonl": b"{}\n", "scifact/qrels/test.tsv": b"1\n", "scifact/.DS_Store": b"junk"}
        write(tmp_path / "files", files)
        path = tmp_path / request.param
        if path.suffix == ".zip":
            with zipfile.ZipFile(path, "w") as opened:
                for name in files:
                    opened.write(tmp_path / "files" / name, name)
                opened.writestr("__MACOSX/._corpus.jsonl", b"junk")
        else:
            with tarfile.open(path, "w:gz") as opened:
                opened.add(tmp_path / "files", ".")
        return path

    def test_unpacked_to_a_folder_that_goes_away(self, archive):
        source = resolve_source(str(archive))
        assert source.version == sha256(archive.read_bytes())
        assert (len(source.files), source.is_folder) == (1, False)
        with local_copy(str(archive), source.version) as local:
            assert local.root.name == "scifact"
            assert [path.relative_to(local.root).as_posix() for path in local.files] == [
                "corpus.jsonl",
                "qrels/test.tsv",
            ]
            assert local.files[0].read_bytes() == b"{}\n"
            assert local.origins == tuple(map(str, local.files))
        assert not local.root.exists()

    def test_without_a_folder_of_its_own(self, tmp_path):
        with zipfile.ZipFile(tmp_path / "rows.csv.zip", "w") as opened:
            opened.writestr("rows.csv", b"a,b\n")
            opened.writestr("images/a.png", b"")
        with local_copy(str(tmp_path / "rows.csv.zip"), "") as local:
            assert [path.relative_to(local.root).as_posix() for path in local.files] == ["images/a.png", "rows.csv"]

    def test_an_empty_one(self, tmp_path):
        zipfile.ZipFile(tmp_path / "a.zip", "w").close()
        with pytest.raises(StorageError, match="no file is there"), local_copy(str(tmp_path / "a.zip"), ""):
            pass

    def test_in_a_folder_it_is_a_file_like_others(self, archive):
        with local_copy(str(archive.parent), "") as local:
            assert archive in local.files


class TestOutputsOfRuns:
    @pytest.fixture(params=[OUTPUT_MARKER, "runs/request.json"])
    def output(self, folder, request):
        """A run's output folder in the data folder, as this version and the one before mark it."""
        write(folder / "out", {request.param: b"", "runs/log.csv": b"a,b\n", "scores/queries.csv": b"a,b\n"})
        return folder / "out"

    @pytest.mark.parametrize("ending", ["", "/", "/*.csv"])
    def test_they_are_no_data(self, folder, output, ending, capsys):
        assert names_of(f"{folder}{ending}") == list(CSVS)
        told = f"{folder}{ending}: not read, because a run of embedtune wrote it: out\n"
        assert capsys.readouterr().err == (told if ending != "/*.csv" else "")

    def test_nor_what_a_pattern_finds_in_them(self, folder, output, capsys):
        write(folder, {"more/a.csv": b"a,b\n"})
        write(output, {"b.csv": b"a,b\n"})
        assert names_of(f"{folder}/*/*.csv") == ["more/a.csv"]
        assert capsys.readouterr().err == f"{folder}/*/*.csv: not read, because a run of embedtune wrote it: out\n"

    def test_the_version_is_that_of_the_data(self, folder, output, capsys):
        with_output = resolve_source(str(folder)).version
        with local_copy(str(folder), with_output) as local:
            assert [path.name for path in local.files] == list(CSVS)
        assert capsys.readouterr().err.count("not read") == 1
        shutil.rmtree(output)
        assert resolve_source(str(folder)).version == with_output

    def test_what_is_named_itself_is_read(self, folder, output):
        write(output, {"mine.csv": b"a,b\n"})
        assert names_of(output / "mine.csv") == ["mine.csv"]
        assert names_of(output / "*.csv") == ["mine.csv"]
        assert "scores/queries.csv" in names_of(output)

    def test_nothing_else_is_there(self, folder, output):
        with pytest.raises(StorageError, match=r"no file is there\. .* nor does what a run has written"):
            resolve_source(str(folder / "*" / "*.csv"))

    def test_in_an_archive_neither(self, tmp_path, capsys):
        path = tmp_path / "set.zip"
        with zipfile.ZipFile(path, "w") as opened:
            for name in ("a.csv", f"out/{OUTPUT_MARKER}", "out/b.csv"):
                opened.writestr(name, b"a,b\n")
        with local_copy(str(path), "") as local:
            assert [file.name for file in local.files] == ["a.csv"]
        assert capsys.readouterr().err == f"{path}: not read, because a run of embedtune wrote it: out\n"
