"""Nothing of the user's is replaced, no input, and no output by another one."""

import os
from pathlib import Path

import pytest

from embedtune.errors import ConfigError, StorageError
from embedtune.storage.atomic import atomic_folder
from embedtune.storage.outputs import Output, check_outputs, check_run_folder
from embedtune.storage.ownership import GZIP_END, OUTPUT_MARKER, VECTORS_START, is_our_file

HEAD = b'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
POLICY = b"""<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">"""
NOT_OURS = "where there is something that embedtune did not write: "


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(name: str, content: bytes = b"mine") -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def write_ours(name: str, *files: str) -> Path:
    with atomic_folder(Path(name)) as folder:
        for file in files:
            write(str(folder / file))
    return Path(name)


def check(path: str, reads: str = "", is_folder: bool = False, overwrite: bool = False) -> None:
    check_outputs([Output("--out", Path(path), is_folder)], [("--in", reads)] if reads else [], overwrite)


def check_run(output: Path, data: str, overwrite: bool) -> None:
    places = {"model": True, "scores": True, "report.html": False, "data.html": False, "summary.json": False}
    results = [Output("--output", output / name, is_folder) for name, is_folder in places.items()]
    check_run_folder(output, results, data, overwrite)


class TestWhoseItIs:
    @pytest.mark.parametrize(
        "content",
        [
            b"",
            HEAD + b'<meta name="generator" content="embedtune">\n',
            HEAD + POLICY,
            b"line,reason,row\n3,empty,x\n",
            b"line,reason,row,source\n",
            b"vector,name\r\n0,a.png\r\n",
            b"# Data\n\n[//]: # (embedtune)\n",
            b"PAR1" + b"\0" * 99 + b"embedtune.layout\0labelled\0\0\0\0PAR1",
            VECTORS_START + b"{'descr'",
            b"\x1f\x8b..." + GZIP_END,
            b"components:\npipelineInfo:\n  description: d\n  name: embedtune-finetune\n",
            b'{"decision": {}, "metrics": {}, "registered": {}, "parameters": {}, "more": 1}',
        ],
    )
    def test_files_of_ours(self, content):
        assert is_our_file(write("file", content))
        check("file")

    @pytest.mark.parametrize(
        "content",
        [
            b"text,label\n",
            HEAD + b"<title>Thesis</title>",
            b'<html><meta name="generator" content="embedtune">',
            b"line,reason,row,more\n",
            b"vector,name,more\r\n",
            b"# Notes on embedtune\n",
            b"PAR1" + b"\0" * 99 + b"pandas\0PAR1",
            b"\x93NUMPY\x01\x00\x76\x00{'descr'",
            b"\x1f\x8b...",
            b'{"decision": "buy"}',
            b"[" * 100_000,
            b"{" * 100_000,
        ],
    )
    def test_files_of_others(self, content):
        assert not is_our_file(write("file", content))
        with pytest.raises(StorageError, match=f"--out is file, {NOT_OURS}file. Give another path, or --overwrite"):
            check("file")
        check("file", overwrite=True)

    def test_folders(self):
        check("new/folder", is_folder=True)
        Path("empty").mkdir()
        write("empty/.DS_Store")
        check("empty", is_folder=True)
        check(str(write_ours("ours", "a", "b/c")), is_folder=True)
        write("ours/b/notes.txt")
        with pytest.raises(StorageError, match=f"{NOT_OURS}ours/b/notes.txt. Give"):
            check("ours", is_folder=True)
        for name in "dabce":
            write(f"theirs/{name}")
        with pytest.raises(StorageError, match=f"{NOT_OURS}theirs/a, theirs/b, theirs/c and 2 more. Give"):
            check("theirs", is_folder=True)
        check("theirs", is_folder=True, overwrite=True)

    @pytest.mark.parametrize(
        ("files", "foreign"),
        [
            (
                {
                    "embedtune.json": b'{"backbone_digest": ""}',
                    "model.safetensors": b"",
                    "1_Pooling/config.json": b"",
                    "vocab.txt": b"",
                    "README.md": b"",
                },
                "thesis.txt",
            ),
            ({"comparison.json": b'{"queries_without_relevant": 0}', "queries.csv": b"", "base.run": b""}, "mine.csv"),
            (
                {
                    "manifest.json": b'{"format": "embedtune.documents"}',
                    "summary.json": b"",
                    "index-00000.protobuf-array.gzip": b"",
                    "relevance.parquet": b"",
                },
                "mine.parquet",
            ),
            ({"plan.json": b'{"format": "embedtune.plan"}', "assignment-00000.parquet": b""}, "plan.txt"),
        ],
    )
    def test_folders_of_version_0_1(self, files, foreign):
        for name, content in files.items():
            write(f"old/{name}", content)
        check("old", is_folder=True)
        write(f"old/{foreign}")
        with pytest.raises(StorageError, match=f"{NOT_OURS}old/{foreign}. Give"):
            check("old", is_folder=True)

    def test_a_name_of_ours_does_not_make_a_folder_ours(self):
        write("site/manifest.json", b'{"name": "app"}')
        with pytest.raises(StorageError, match=NOT_OURS):
            check("site", is_folder=True)

    def test_a_folder_in_a_files_place_and_the_other_way_round(self):
        Path("folder").mkdir()
        for overwrite in (False, True):
            with pytest.raises(ConfigError, match="--out is folder, which is a folder or a device"):
                check("folder", overwrite=overwrite)
            with pytest.raises(ConfigError, match="--out is /dev/null, which is a folder or a device"):
                check("/dev/null", overwrite=overwrite)
        write("file", b"")
        with pytest.raises(StorageError, match=f"{NOT_OURS}file"):
            check("file", is_folder=True)

    def test_links(self):
        write_ours("ours", "a")
        write("theirs/thesis.txt")
        for name in ("ours", "theirs", "nothing"):
            Path(f"to-{name}").symlink_to(name)
        check("to-ours", is_folder=True)
        for name in ("to-theirs", "to-nothing"):
            with pytest.raises(StorageError, match=NOT_OURS):
                check(name, is_folder=True)

    @pytest.mark.parametrize("path", [".", "", "..", "/", "sub/.."])
    def test_the_present_folder_is_never_replaced(self, path):
        for overwrite in (False, True):
            with pytest.raises(ConfigError, match="which is or holds the present folder"):
                check(path, is_folder=True, overwrite=overwrite)

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may look into every folder")
    def test_what_cannot_be_looked_into(self):
        write("closed/a").parent.chmod(0)
        with pytest.raises(StorageError, match=r"closed cannot be looked into: .*Permission denied"):
            check("closed", is_folder=True)
        Path("closed").chmod(0o700)


class TestInputs:
    @pytest.mark.parametrize("reads", ["d.csv", "./d.csv", "sub/../d.csv", "link", "hard", "*.csv", "{here}/d.csv"])
    @pytest.mark.parametrize("overwrite", [False, True])
    def test_an_output_is_no_input(self, here, reads, overwrite):
        Path("sub").mkdir()
        write("d.csv", b"line,reason,row\n")
        Path("link").symlink_to("d.csv")
        Path("hard").hardlink_to("d.csv")
        for out in ("d.csv", "link", "hard"):
            with pytest.raises(ConfigError, match=f"--out is {out}, which would replace what --in reads"):
                check(out, reads.format(here=here), overwrite=overwrite)
        with pytest.raises(ConfigError, match=r"--out is d.csv, which would replace"):
            check("d.csv", f"file://{here}/d.csv", overwrite=overwrite)

    @pytest.mark.parametrize("overwrite", [False, True])
    def test_nor_holds_one(self, overwrite):
        write("project/data/d.csv")
        for reads in ("project/data/d.csv", "project/data", "project/data/*.csv"):
            with pytest.raises(ConfigError, match="--out is project, which would replace what --in reads"):
                check("project", reads, is_folder=True, overwrite=overwrite)

    def test_an_output_in_an_input_folder(self):
        write("data/d.csv")
        write("data/old.csv", b"line,reason,row\n")
        check("data/new.csv", "data")
        check("data/old.csv", "data")
        with pytest.raises(ConfigError, match=r"--out is data/d.csv, which would replace what --in reads: data"):
            check("data/d.csv", "data", overwrite=True)
        write_ours("documents", "manifest.json")
        write("documents/manifest.json", b"line,reason,row\n")
        with pytest.raises(ConfigError, match="which would replace what --in reads: documents"):
            check("documents/manifest.json", "documents")

    @pytest.mark.parametrize("reads", ["s3://bucket/d.csv", "dataset://d.csv", "https://a/d.csv", "ftp://d.csv", " "])
    def test_what_is_not_here_is_not_replaced(self, reads):
        check("d.csv", reads)

    @pytest.mark.parametrize(("one", "other"), [("a", "a"), ("a", "./a"), ("a", "a/b"), ("a/b", "a"), ("a", "link")])
    def test_two_outputs_have_two_places(self, one, other):
        Path("link").symlink_to("a")
        outputs = [Output("--train", Path(one), True), Output("--evaluation", Path(other), True)]
        with pytest.raises(ConfigError, match=f"--train is {one} and --evaluation is .*: one would replace the other"):
            check_outputs(outputs, [], overwrite=True)
        check_outputs([Output("--train", Path("a"), True), Output("--evaluation", Path("ab"), True)], [], False)


class TestRunFolder:
    def test_places_where_a_run_may_write(self):
        check_run(Path("new"), "d.csv", overwrite=False)
        Path("empty").mkdir()
        check_run(Path("empty"), ".", overwrite=False)
        write("marked/" + OUTPUT_MARKER, b"")
        write("marked/my-notes.txt")
        check_run(Path("marked"), "marked/my-notes.txt", overwrite=False)

    @pytest.mark.parametrize("name", ["model/thesis.txt", "report.html", "thesis.txt"])
    def test_a_folder_that_no_run_has_written(self, name):
        write(f"mine/{name}")
        with pytest.raises(StorageError, match=f"--output is mine, {NOT_OURS}mine/{name.partition('/')[0]}"):
            check_run(Path("mine"), "d.csv", overwrite=False)
        os.chdir("mine")
        with pytest.raises(StorageError, match=NOT_OURS):
            check_run(Path(), "d.csv", overwrite=False)
        check_run(Path(), "d.csv", overwrite=True)

    @pytest.mark.parametrize("sign", [OUTPUT_MARKER, "runs/request.json"])
    @pytest.mark.parametrize("name", ["model/notes.txt", "scores/more/mine.csv", "report.html", "summary.json"])
    def test_what_was_added_to_the_folder_of_a_run(self, sign, name):
        write(f"out/{sign}", b"")
        write_ours("out/model", "config.json")
        write_ours("out/scores", "queries.csv")
        check_run(Path("out"), "d.csv", overwrite=False)
        write(f"out/{name}")
        with pytest.raises(
            StorageError, match=f"--output is out, {NOT_OURS}out/{name}. Give another folder, or --over"
        ):
            check_run(Path("out"), "d.csv", overwrite=False)
        check_run(Path("out"), "d.csv", overwrite=True)

    @pytest.mark.parametrize("data", ["out", "out/", "./out", "out/model", "out/scores/q.csv", "out/report.html"])
    def test_data_where_the_run_would_write(self, data):
        write("out/" + OUTPUT_MARKER, b"")
        write_ours("out/model", "config.json")
        write_ours("out/scores", "q.csv")
        for overwrite in (False, True):
            with pytest.raises(ConfigError, match=r"--output is out and --data-uri is .*: the run would write where"):
                check_run(Path("out"), data, overwrite)

    def test_a_file(self):
        write("file", b"")
        with pytest.raises(StorageError, match=r"--output is file, which is a file. Give a folder"):
            check_run(Path("file"), "d.csv", overwrite=False)
