import gzip
import io
import os
import stat
import tarfile
import time
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from embedtune.errors import StorageError
from embedtune.storage.archives import is_archive, unpack_archive

FILES = {"corpus.jsonl": b'{"_id": "1"}\n' * 1000, "qrels/test.tsv": b"1\t1\t1\n", "images/a b ü.png": b""}
MODES = {".tar": "w", ".tar.gz": "w:gz", ".tgz": "w:gz", ".tar.bz2": "w:bz2", ".tar.xz": "w:xz"}


def make(path: Path, files: dict[str, bytes]) -> Path:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        return path
    with tarfile.open(path, MODES["".join(path.suffixes)]) as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


def make_tar(path: Path, *entries: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w") as archive:
        for entry in entries:
            archive.addfile(entry, io.BytesIO(bytes(entry.size)))
    return path


def entry_of(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", size: int = 0) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname, entry.size = kind, link, size
    return entry


def found(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if not p.is_dir()}


def refuse(archive: Path, message: str, **limits: int) -> None:
    """Check that an archive is refused and leaves nothing, neither in the target nor beside it."""
    before = sorted(archive.parent.rglob("*"))
    with pytest.raises(StorageError, match=message):
        unpack_archive(archive, archive.parent / "target", **limits)
    assert sorted(archive.parent.rglob("*")) == before


@pytest.mark.parametrize("suffix", [".zip", *MODES])
def test_files_and_folders(tmp_path, suffix):
    archive = make(tmp_path / f"set{suffix}", FILES)
    assert is_archive(archive.name)
    assert is_archive(archive.name.upper())
    unpack_archive(archive, tmp_path / "target")
    assert found(tmp_path / "target") == FILES


def test_other_files_are_no_archives():
    assert not any(map(is_archive, ["rows.csv", "corpus.jsonl.gz", "train.da", "zip", "a.protobuf-array.gzip"]))


def test_the_shapes_that_tools_write(tmp_path):
    archive = make_tar(
        tmp_path / "a.tar",
        entry_of("./", tarfile.DIRTYPE),
        entry_of("./images/", tarfile.DIRTYPE),
        entry_of("./images/a.png", size=3),
        entry_of("images", tarfile.DIRTYPE),
    )
    unpack_archive(archive, tmp_path / "target")
    assert found(tmp_path / "target") == {"images/a.png": bytes(3)}
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as opened:
        opened.mkdir("images")
        opened.writestr("images/a.png", b"a")
    unpack_archive(tmp_path / "b.zip", tmp_path / "target")
    assert found(tmp_path / "target") == {"images/a.png": b"a"}


def test_long_names_and_many_entries(tmp_path):
    names = [f"{'deep/' * 30}{'n' * 200}-{number}.txt" for number in range(300)]
    for archive in (tmp_path / "a.tar.gz", tmp_path / "a.zip"):
        make(archive, dict.fromkeys(names, b"x"))
        unpack_archive(archive, tmp_path / "target")
        assert sorted(found(tmp_path / "target")) == sorted(names)


def test_rights_are_not_taken_over(tmp_path):
    entry = entry_of("a.sh")
    entry.mode = 0o6777
    unpack_archive(make_tar(tmp_path / "a.tar", entry), tmp_path / "target")
    mode = (tmp_path / "target" / "a.sh").stat().st_mode
    assert mode & (stat.S_ISUID | stat.S_ISGID | stat.S_IXUSR) == 0


@pytest.mark.parametrize("suffix", [".zip", ".tar"])
@pytest.mark.parametrize(
    "name", ["../out", "a/../../out", "/out", "//out", "a//b", "a/./b", "..", "..\\out", "C:\\out", "a/..", "/"]
)
def test_paths_that_lead_out(tmp_path, suffix, name):
    refuse(make(tmp_path / f"a{suffix}", {"fine": b"1", name: b"2"}), "no plain path below the folder|File exists")


@pytest.mark.parametrize(
    "entry",
    [
        entry_of("link", tarfile.SYMTYPE, "/etc/passwd"),
        entry_of("link", tarfile.SYMTYPE, "inside"),
        entry_of("link", tarfile.LNKTYPE, "fine"),
        entry_of("pipe", tarfile.FIFOTYPE),
        entry_of("disk", tarfile.BLKTYPE),
        entry_of("tty", tarfile.CHRTYPE),
    ],
    ids=lambda entry: entry.name + entry.linkname,
)
def test_links_and_devices_in_a_tar(tmp_path, entry):
    refuse(make_tar(tmp_path / "a.tar", entry_of("fine"), entry), "holds a link or device")


def test_links_in_a_zip(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as opened:
        entry = zipfile.ZipInfo("link")
        entry.create_system, entry.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        opened.writestr(entry, "/etc/passwd")
        opened.writestr("link/out", b"2")
    refuse(tmp_path / "a.zip", "holds a link or device: 'link'")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_one_name_twice(tmp_path):
    refuse(make_tar(tmp_path / "a.tar", entry_of("a"), entry_of("./a")), "two entries for one file")
    refuse(make_tar(tmp_path / "b.tar", entry_of("a"), entry_of("a/b")), "two entries for one file|Not a directory")
    refuse(make_tar(tmp_path / "c.tar", entry_of("a/b"), entry_of("a")), "two entries for one file|Is a directory")


class TestBombs:
    def test_too_many_entries(self, tmp_path):
        for archive in (tmp_path / "a.zip", tmp_path / "a.tar"):
            make(archive, {f"{number}/": b"" for number in range(6)})
            refuse(archive, "has more than 5 entries", max_files=5)

    @pytest.mark.parametrize("suffix", [".zip", ".tar.gz", ".tar.xz"])
    def test_too_many_bytes(self, tmp_path, suffix):
        archive, content = tmp_path / f"a{suffix}", os.urandom(3000)
        make(archive, {"a": content, "b": content})
        refuse(archive, "unpacks to more than 5999", max_bytes=5999)
        unpack_archive(archive, tmp_path / "target", max_bytes=6000)

    @pytest.mark.parametrize("suffix", [".zip", ".tar.gz", ".tar.bz2", ".tar.xz"])
    def test_a_ratio_that_is_too_high(self, tmp_path, suffix):
        archive = make(tmp_path / f"a{suffix}", {"zeros": bytes(20 << 20)})
        start = time.monotonic()
        refuse(archive, "unpacks to more than")
        assert time.monotonic() - start < 10

    def test_a_small_archive_may_be_simple(self, tmp_path):
        archive = make(tmp_path / "a.zip", {"rows.csv": b"a,b\n" * 100_000})
        unpack_archive(archive, tmp_path / "target")

    def test_the_size_that_the_archive_names_is_not_believed(self, tmp_path):
        archive = make(tmp_path / "a.zip", {"a": bytes(2 << 20)})
        content = archive.read_bytes().replace((2 << 20).to_bytes(4, "little"), (5).to_bytes(4, "little"))
        archive.write_bytes(content)
        refuse(archive, "damaged|unpacks to more")

    def test_a_header_that_would_fill_the_memory(self, tmp_path):
        header = entry_of("x", tarfile.XHDTYPE, size=8 << 30)
        with gzip.open(tmp_path / "a.tar.gz", "wb") as file:
            file.write(header.tobuf(tarfile.GNU_FORMAT))
            file.write(bytes(4 << 20))
        refuse(tmp_path / "a.tar.gz", "a header says that 8589934592 bytes follow")

    def test_a_negative_size(self, tmp_path):
        block = bytearray(entry_of("x").tobuf(tarfile.GNU_FORMAT))
        block[124:136] = b"\xff" * 10 + b"\xfe\x00"  # -512 in base 256
        block[148:156] = b" " * 8
        block[148:156] = b"%06o\0 " % sum(block[:512])
        (tmp_path / "a.tar").write_bytes(bytes(block) + bytes(1024))
        refuse(tmp_path / "a.tar", "a header says that -512 bytes follow")

    @pytest.mark.parametrize("kind", [tarfile.XGLTYPE, tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
    def test_headers_that_add_up(self, tmp_path, kind):
        block = entry_of("x", kind, size=500 << 10).tobuf(tarfile.GNU_FORMAT)
        with gzip.open(tmp_path / "a.tar.gz", "wb") as file:
            for number in range(3):
                records = b"".join(b"20 k%03d%05d=%06d\n" % (number, key, key) for key in range((500 << 10) // 20))
                file.write(block + records)
            file.write(entry_of("fine").tobuf(tarfile.GNU_FORMAT) + bytes(1024))
        refuse(tmp_path / "a.tar.gz", "has more headers than any archive needs")

    def test_headers_for_all_entries_that_add_up(self, tmp_path):
        with gzip.open(tmp_path / "a.tar.gz", "wb") as file:
            for number in range(20):
                file.write(entry_of("x", tarfile.XGLTYPE, size=1024).tobuf(tarfile.GNU_FORMAT))
                file.write((b"1024 k%d=" % number).ljust(1023, b"v") + b"\n")
                file.write(entry_of(f"{number}").tobuf(tarfile.GNU_FORMAT))
            file.write(bytes(1024))
        refuse(tmp_path / "a.tar.gz", "has more headers than any archive needs")

    def test_a_header_of_many_entries(self, tmp_path):
        with tarfile.open(
            tmp_path / "a.tar", "w", format=tarfile.PAX_FORMAT, pax_headers={"comment": "c" * 40}
        ) as archive:
            for number in range(3000):
                archive.addfile(entry_of(f"{'ü' * 110}{number}"))
        unpack_archive(tmp_path / "a.tar", tmp_path / "target")
        assert len(found(tmp_path / "target")) == 3000

    def test_sparse_files_of_old_tools(self, tmp_path):
        block = bytearray(entry_of("x", tarfile.GNUTYPE_SPARSE).tobuf(tarfile.GNU_FORMAT))
        block[482] = 1  # the map goes on in the next block
        block[148:156] = b" " * 8
        block[148:156] = b"%06o\0 " % sum(block[:512])
        more = bytearray(512)
        more[504] = 1
        with gzip.open(tmp_path / "a.tar.gz", "wb") as file:
            file.write(bytes(block) + bytes(more) * 50_000 + bytes(1536))
        refuse(tmp_path / "a.tar.gz", "holds a sparse file")

    @pytest.mark.parametrize(
        "headers",
        [
            {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "9"},
            {"GNU.sparse.map": "0,1", "GNU.sparse.size": "9"},
            {"GNU.sparse.size": "9", "GNU.sparse.numblocks": "1"},
        ],
    )
    def test_sparse_files_of_new_tools(self, tmp_path, headers):
        entry = entry_of("x", size=4 << 20)
        entry.pax_headers = headers
        with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.PAX_FORMAT) as archive:
            archive.addfile(entry, io.BytesIO(b"1000000\n" + b"0\n" * (2 << 20)))
        refuse(tmp_path / "a.tar", "holds a sparse file")

    def test_what_follows_the_end(self, tmp_path):
        with gzip.open(tmp_path / "a.tar.gz", "wb") as file:
            file.write(entry_of("fine").tobuf(tarfile.GNU_FORMAT) + bytes(60 << 20))
        refuse(tmp_path / "a.tar.gz", "unpacks to more than")

    @pytest.mark.parametrize("name", [b"\0aaa", b"a\0aa", b"\0/.."])
    def test_zero_bytes_in_names(self, tmp_path, name):
        archive = make(tmp_path / "a.zip", {"fine": b"1", "wwww": b"2"})
        archive.write_bytes(archive.read_bytes().replace(b"wwww", name))
        refuse(archive, "which is no plain path")

    def test_an_empty_name(self, tmp_path):
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as opened, opened.open(zipfile.ZipInfo(""), "w") as file:
            file.write(b"2")
        refuse(tmp_path / "a.zip", "holds '', which is no plain path")

    def test_endless_headers(self, tmp_path):
        header = entry_of("x", tarfile.XGLTYPE).tobuf(tarfile.GNU_FORMAT)
        (tmp_path / "a.tar").write_bytes(header * 20_000)
        refuse(tmp_path / "a.tar", "is damaged")


class TestDamage:
    @pytest.mark.parametrize("suffix", [".zip", *MODES])
    def test_an_archive_cut_anywhere(self, tmp_path, suffix):
        archive = make(tmp_path / f"set{suffix}", FILES | {"random": os.urandom(5000)})
        whole = archive.read_bytes()
        # Past the block of zeros that ends a tar, there is nothing to miss.
        end = whole.rindex(b"\0" * 1024) - 8000 if suffix == ".tar" else len(whole) - 1
        for length in sorted({*range(0, end, max(1, end // 40)), end}):
            archive.write_bytes(whole[:length])
            refuse(archive, "is damaged")

    @pytest.mark.parametrize("suffix", [".zip", ".tar.gz", ".tar.xz"])
    def test_a_changed_byte(self, tmp_path, suffix):
        archive = make(tmp_path / f"set{suffix}", {"random": os.urandom(5000)})
        content = bytearray(archive.read_bytes())
        content[2500] ^= 1
        archive.write_bytes(content)
        refuse(archive, "is damaged")

    @settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        suffix=st.sampled_from([".zip", ".tar"]), where=st.integers(0, 4000), value=st.binary(min_size=1, max_size=8)
    )
    def test_any_change_ends_in_an_error_or_in_the_folder(self, tmp_path, suffix, where, value):
        archive = make(tmp_path / f"set{suffix}", {"a/b.txt": b"text " * 30, "c.txt": b"", "d": b"1" * 600})
        content = bytearray(archive.read_bytes())
        content[where % len(content) : where % len(content) + len(value)] = value
        archive.write_bytes(content)
        with suppress(StorageError):
            unpack_archive(archive, tmp_path / "target")
        assert {path.name for path in tmp_path.iterdir()} <= {archive.name, "set.zip", "set.tar", "target"}

    def test_what_is_no_archive(self, tmp_path):
        for name in ("a.zip", "a.tar", "a.tar.gz"):
            for content in (b"", b"a,b\n" * 1000):
                (tmp_path / name).write_bytes(content)
                refuse(tmp_path / name, "is damaged, or not the kind of archive that its name says")

    def test_an_encrypted_one(self, tmp_path):
        archive = make(tmp_path / "a.zip", {"a": b"1"})
        content = bytearray(archive.read_bytes())
        content[6] |= 1
        content[content.index(b"PK\1\2") + 8] |= 1
        archive.write_bytes(content)
        refuse(archive, "is encrypted: 'a'")

    def test_a_missing_one(self, tmp_path):
        with pytest.raises(StorageError, match="does not exist"):
            unpack_archive(tmp_path / "none.zip", tmp_path / "target")

    def test_what_was_there_before_stays(self, tmp_path):
        (tmp_path / "target").mkdir()
        (tmp_path / "target" / "before").write_text("1")
        archive = make_tar(tmp_path / "a.tar", entry_of("fine"), entry_of("link", tarfile.SYMTYPE, "x"))
        with pytest.raises(StorageError):
            unpack_archive(archive, tmp_path / "target")
        assert found(tmp_path / "target") == {"before": b"1"}
