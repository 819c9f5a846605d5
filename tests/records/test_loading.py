import csv
import hashlib
import io
import os
import signal
import socket
import threading
import time
from collections import namedtuple
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import trimesh
from PIL import Image

from embedtune.errors import InputError
from embedtune.media.limits import ImageLimits
from embedtune.media.points import read_mesh
from embedtune.records import loader, loading
from embedtune.records.csv.options import CSVOptions
from embedtune.records.layouts import Layout, Modality
from embedtune.records.loader import ContentKey, Loaded
from embedtune.records.loading import _Ahead, _workers_for, load_contents
from embedtune.records.output import open_output
from embedtune.records.rows import RowsFormat, read_rows

DATA = Path(__file__).parents[3] / "shared" / "data" / "finetuner-examples"
Outcome = namedtuple("Outcome", "rows bad_rows first warnings")
IMAGE, TEXT, MESH = Modality.IMAGE, Modality.TEXT, Modality.MESH


def jpeg(number=0):
    pixels = np.random.default_rng(number).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG")
    return file.getvalue()


@pytest.fixture
def images(tmp_path):
    """Five images beside the source; returns their bytes by name."""
    (tmp_path / "images").mkdir()
    contents = {f"images/{number}.jpg": jpeg(number) for number in range(5)}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    return contents


@pytest.fixture
def load(tmp_path):
    """Write rows, given as one list for each column, and load their contents."""

    def run(rows_format, columns, options=None, origins=None, share=1.0, before=()):
        source = str(tmp_path / "source.csv") if origins is None else origins
        with open_output(tmp_path / "loaded", tmp_path / "quarantine.csv", share) as output:
            output.begin(rows_format)
            for row in zip(*columns, strict=True):
                output.add(row, 0)
            for bad in before:
                output.reject(*bad)
            warnings = load_contents(output, source, options or CSVOptions())
        return Outcome(output.rows, output.bad_rows, output.first, warnings)

    return run


def labelled(modality=IMAGE, several=False):
    return RowsFormat(Layout.LABELLED, (modality,), loaded=False, several_sources=several)


def by_line(names, labels=None):
    return [list(range(1, len(names) + 1)), names, labels or ["x"] * len(names)]


def loaded(tmp_path):
    return read_rows(tmp_path / "loaded")[1].to_pylist()


def quarantined(tmp_path):
    with (tmp_path / "quarantine.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_images_become_contents_with_digest_and_address(images, load, tmp_path):
    report = load(labelled(), by_line(list(images), list("abcde")))
    assert report == Outcome(5, 0, [], ())
    rows_format, table = read_rows(tmp_path / "loaded")
    assert rows_format == RowsFormat(Layout.LABELLED, (IMAGE,))
    assert table.schema.field("content").type == pa.large_binary()
    assert table.to_pylist() == [
        {
            "line": line,
            "content": content,
            "content_digest": hashlib.sha256(content).hexdigest(),
            "content_uri": name,
            "content_size": [len(content), 8, 8],
            "label": label,
        }
        for line, (name, content), label in zip(range(1, 6), images.items(), "abcde", strict=True)
    ]
    assert quarantined(tmp_path) == [["line", "reason", "row"]]


def test_the_text_of_text_image_rows_passes_through(images, load, tmp_path):
    names = list(images)[:2]
    load(RowsFormat(Layout.TEXT_IMAGE, (TEXT, IMAGE), loaded=False), [[2, 3], ["=one", "two\nlines"], names])
    rows = loaded(tmp_path)
    assert [row["text"] for row in rows] == ["=one", "two\nlines"]
    assert [row["image"] for row in rows] == [images[name] for name in names]
    assert set(rows[0]) == {"line", "text", "image", "image_digest", "image_uri", "image_size"}


def test_pairs_and_scores(images, load, tmp_path):
    names = list(images)
    load(RowsFormat(Layout.PAIRS, (IMAGE, IMAGE), loaded=False), [[1, 2], names[:2], names[2:4]])
    rows = loaded(tmp_path)
    assert [(row["query_uri"], row["document_uri"]) for row in rows] == list(zip(names[:2], names[2:4], strict=True))
    assert rows[1]["document"] == images[names[3]]
    load(RowsFormat(Layout.SCORED, (IMAGE, IMAGE), loaded=False), [[1], names[:1], names[1:2], [0.25]])
    assert loaded(tmp_path)[0]["score"] == 0.25
    assert loaded(tmp_path)[0]["second"] == images[names[1]]


def test_meshes_become_points(load, tmp_path):
    data = trimesh.creation.box().export(file_type="ply")
    (tmp_path / "box.PLY").write_bytes(data)
    load(labelled(MESH), by_line(["box.PLY"]), CSVOptions(point_cloud_size=100, seed=7))
    row = loaded(tmp_path)[0]
    points = np.frombuffer(row["content"], "<f4").reshape(100, 3)
    assert np.array_equal(points, read_mesh(data, ".ply", 100, 7))
    assert row["content_digest"] == hashlib.sha256(data).hexdigest()
    assert row["content_size"] == [1200, 100]


def test_what_is_stored_has_the_digest_when_an_image_is_written_anew(load, tmp_path):
    Image.new("L", (3, 2), 9).save(tmp_path / "grey.png")
    load(labelled(), by_line(["grey.png"]))
    row = loaded(tmp_path)[0]
    assert Image.open(io.BytesIO(row["content"])).mode == "RGB"
    assert row["content_digest"] == hashlib.sha256(row["content"]).hexdigest()
    assert row["content_size"] == [len(row["content"]), 3, 2]


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif"])
def test_the_size_is_that_of_the_upright_image_that_is_stored(load, tmp_path, name):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 24), "red").save(tmp_path / name, exif=exif)
    Image.new("RGB", (40, 24), "red").save(tmp_path / f"plain-{name}")
    load(labelled(), by_line([name, f"plain-{name}"]))
    for row, shape in zip(loaded(tmp_path), ([24, 40], [40, 24]), strict=True):
        assert list(Image.open(io.BytesIO(row["content"])).size) == shape
        assert row["content_size"] == [len(row["content"]), *shape]


def test_every_failure_is_set_aside_with_its_reason(images, load, tmp_path, monkeypatch):
    (tmp_path / "broken.jpg").write_bytes(images["images/0.jpg"][:-10])
    (tmp_path / "page.jpg").write_bytes(b"<html>")
    (tmp_path / "large.jpg").write_bytes(bytes(2000))
    (tmp_path / "link.jpg").symlink_to("/etc/hostname")
    Image.new("RGB", (100, 100)).save(tmp_path / "wide.png")
    bad = [
        "broken.jpg",
        "page.jpg",
        "large.jpg",
        "wide.png",
        "link.jpg",
        "missing.jpg",
        "/etc/passwd",
        "http://x.org/a",
    ]
    names = ["images/0.jpg", *bad, "images/1.jpg"]
    monkeypatch.setattr(loader, "DEFAULT_IMAGE_LIMITS", ImageLimits(max_bytes=1999, max_pixels=9999))
    report = load(labelled(), by_line(names, [f"=label, {number}" for number in range(10)]))
    assert (report.rows, report.bad_rows) == (2, 8)
    assert report.first[0].startswith("line 2: content: the image cannot be decoded: image file is truncated")
    header, *rows = quarantined(tmp_path)
    assert header == ["line", "reason", "row"]
    reasons = [
        "decoded",
        "known format",
        "1999",
        "100 x 100 pixels",
        "not below",
        "does not exist",
        "not below",
        "not all",
    ]
    assert [int(line) for line, _, _ in rows] == list(range(2, 10))
    for (_, reason, row), expected, name in zip(rows, reasons, bad, strict=True):
        assert expected in reason
        assert next(csv.reader([row]))[0] == name
    assert [row["content_uri"] for row in loaded(tmp_path)] == ["images/0.jpg", "images/1.jpg"]


def test_one_bad_side_of_a_pair_sets_the_row_aside(images, load, tmp_path):
    columns = [[5, 6], ["images/0.jpg", "images/1.jpg"], ["images/2.jpg", "gone.jpg"]]
    assert load(RowsFormat(Layout.PAIRS, (IMAGE, IMAGE), loaded=False), columns).bad_rows == 1
    line, reason, row = quarantined(tmp_path)[1]
    assert (line, row) == ("6", "images/1.jpg,gone.jpg")
    assert reason.startswith("document: ")


def test_rows_that_were_set_aside_before_stay_and_count(images, load, tmp_path):
    before = [(1, 'a "quoted"\nreason', "=a\r\nrow"), (2, "plain", '"')]
    names = [*images, "gone.jpg"]
    assert load(labelled(), by_line(names), share=3 / 8, before=before).bad_rows == 3
    assert quarantined(tmp_path)[1:3] == [["1", 'a "quoted"\nreason', "'=a\r\nrow"], ["2", "plain", '"']]
    assert len(quarantined(tmp_path)) == 4
    with pytest.raises(
        InputError,
        match=r"^Loading images \(2 rows were set aside before\): 3 of 8 rows \(37.50%\) .*allows 0.37[.] .*: line 6: ",
    ):
        load(labelled(), by_line(names), share=0.37, before=before)
    assert len(quarantined(tmp_path)) == 4


def test_too_many_bad_rows_leave_a_quarantine_file_but_no_rows(images, load, tmp_path, capsys):
    with pytest.raises(InputError, match=r"1 of 6 rows \(16.67%\) cannot be used, max_bad_share allows 0.01. First"):
        load(labelled(), by_line([*images, "gone.jpg"]), share=0.01)
    assert not (tmp_path / "loaded").exists()
    assert len(quarantined(tmp_path)) == 2
    assert "line 6: content: " in capsys.readouterr().err


def test_labels_of_which_nothing_is_left_are_told(images, load, tmp_path):
    names = ["images/0.jpg", "images/1.jpg", *(f"missing/{n}.jpg" for n in range(6))]
    report = load(labelled(), by_line(names, ["a", "b", "a", "c", "d", "e", "f", "c"]))
    assert report.warnings == ("4 labels are lost, since none of their images can be used: 'c', 'd', 'e' and 1 more.",)


def test_no_row_left(load, tmp_path):
    with pytest.raises(InputError, match=r"2 of 2 rows \(100.00%\) cannot be used, nothing is left"):
        load(labelled(), by_line(["a.jpg", "b.jpg"]))


def test_an_address_that_repeats_is_read_once(images, load, tmp_path, monkeypatch):
    reads = []
    read = loading.ContentLoader.load
    monkeypatch.setattr(loading.ContentLoader, "load", lambda self, key: reads.append(key.cell) or read(self, key))
    names = ["images/0.jpg", "images/1.jpg", "gone.jpg"] * 500
    load(labelled(), by_line(names))
    assert sorted(reads) == ["gone.jpg", "images/0.jpg", "images/1.jpg"]
    assert [row["line"] for row in loaded(tmp_path)] == [line for line in range(1, 1501) if line % 3]


def test_addresses_start_from_their_own_source(tmp_path, load):
    for source, number in (("one", 1), ("two", 2)):
        (tmp_path / source).mkdir()
        (tmp_path / source / "image.jpg").write_bytes(jpeg(number))
    origins = {f"{name}.csv": str(tmp_path / name / f"{name}.csv") for name in ("one", "two")}
    columns = [[1, 1, 2], ["one.csv", "two.csv", "two.csv"], ["image.jpg", "image.jpg", "../one/image.jpg"], ["a"] * 3]
    assert load(labelled(several=True), columns, origins=origins).bad_rows == 1
    rows = loaded(tmp_path)
    assert [(row["source"], row["content"]) for row in rows] == [("one.csv", jpeg(1)), ("two.csv", jpeg(2))]
    header, row = quarantined(tmp_path)
    assert header[-1] == "source"
    assert (row[0], row[1].startswith("content: "), row[-1]) == ("2", True, "two.csv")


def test_many_images_hide_no_file_whose_images_are_lost(images, load, tmp_path):
    origins = {name: str(tmp_path / name) for name in ("one.csv", "two.csv")}
    names = [*list(images) * 40, "gone.jpg", "lost.jpg"]
    columns = [list(range(len(names))), ["one.csv"] * (len(names) - 2) + ["two.csv"] * 2, names, ["a"] * len(names)]
    message = r"^two.csv, loading images: 2 of 2 rows \(100.00%\) cannot be used, nothing is left.*csv line 200: con"
    with pytest.raises(InputError, match=message):
        load(labelled(several=True), columns, origins=origins)
    columns[2][-1] = names[0]
    message = r"^two.csv, loading images \(1 rows were set aside before\): 2 of 3 rows .*allows 0.5"
    before = [(1, "of before", "row", "two.csv")]
    with pytest.raises(InputError, match=message):
        load(labelled(several=True), columns, origins=origins, share=0.5, before=before)


def test_a_given_root_may_be_opened_too(images, load, tmp_path, monkeypatch):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    names = [str(tmp_path / name) for name in images]
    origin = str(elsewhere / "source.csv")
    with pytest.raises(
        InputError, match=r"none of 5 images can be loaded, since each of them may not be opened.*DATA_ROOT"
    ):
        load(labelled(), by_line(names), origins=origin)
    monkeypatch.setenv("EMBEDTUNE_DATA_ROOT", str(tmp_path))
    assert load(labelled(), by_line(names), origins=origin).rows == 5


def test_order_is_kept_and_memory_bounded_when_batches_are_small(images, load, tmp_path, monkeypatch):
    monkeypatch.setattr(loading, "_WINDOW_BYTES", 1500)
    monkeypatch.setattr(loading, "_BATCH_ROWS", 7)
    names = [f"images/{number % 5}.jpg" for number in range(100)]
    load(labelled(), by_line(names))
    assert [row["content_uri"] for row in loaded(tmp_path)] == names


def test_a_data_address_keeps_only_its_head(load, tmp_path):
    import base64

    address = "data:image/jpeg;base64," + base64.b64encode(jpeg()).decode()
    load(labelled(), by_line([address]))
    assert loaded(tmp_path)[0]["content"] == jpeg()
    assert loaded(tmp_path)[0]["content_uri"] == "data:image/jpeg;base64"


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        found = self.path.endswith(".jpg")
        self.send_response(200 if found else 404)
        content = jpeg() if found else b"<html>not here</html>"
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@pytest.fixture
def web():
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


def test_images_of_an_allowed_host(web, load, tmp_path, monkeypatch):
    monkeypatch.setenv("EMBEDTUNE_ALLOWED_HOSTS", web)
    names = [f"http://{web}/{number}.jpg" for number in range(40)]
    report = load(labelled(), by_line([*names, f"http://{web}/gone"]))
    assert (report.rows, report.bad_rows) == (40, 1)
    assert "404" in report.first[0]
    assert [row["content_uri"] for row in loaded(tmp_path)] == names


def test_a_server_that_is_not_there_ends_the_work_soon(load, tmp_path, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        host = f"127.0.0.1:{listener.getsockname()[1]}"
    monkeypatch.setenv("EMBEDTUNE_ALLOWED_HOSTS", host)
    names = [f"http://{host}/{number}.jpg" for number in range(5000)]
    started = time.monotonic()
    with pytest.raises(
        InputError, match="none of the first 200 images can be loaded, since each of them cannot be reached"
    ):
        load(labelled(), by_line(names))
    assert time.monotonic() - started < 8
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data beside the repository is absent")
@pytest.mark.parametrize("name", ["image-image", "text-image"])
@pytest.mark.parametrize("hosts", ["", "images-na.ssl-images-amazon.com"])
def test_the_examples_of_finetuner_end_soon(name, hosts, load, monkeypatch):
    monkeypatch.setenv("EMBEDTUNE_ALLOWED_HOSTS", hosts)
    with (DATA / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        first, second = zip(*csv.reader(file), strict=True)
    rows_format = RowsFormat(Layout.PAIRS, (IMAGE, IMAGE), loaded=False)
    if name == "text-image":
        rows_format, first, second = RowsFormat(Layout.TEXT_IMAGE, (TEXT, IMAGE), loaded=False), second, first
    started = time.monotonic()
    with pytest.raises(InputError, match="can be loaded, since each of them " + ("cannot" if hosts else "may not")):
        load(rows_format, [list(range(1, 201)), list(first), list(second)], origins=str(DATA / f"{name}.csv"))
    assert time.monotonic() - started < 30


def test_an_interrupt_ends_the_work_at_once(load, tmp_path, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host = f"127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setenv("EMBEDTUNE_ALLOWED_HOSTS", host)
        threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
        started = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            load(labelled(), by_line([f"http://{host}/{number}.jpg" for number in range(100)]))
        assert time.monotonic() - started < 3
    assert os.listdir(tmp_path) == []


def test_no_more_is_held_than_fits_in_memory(monkeypatch):
    monkeypatch.setattr(loading, "_WINDOW_BYTES", 10_000)
    loaded = []

    def slow(key):
        time.sleep(0.2 if key.cell == "0" else 0)
        loaded.append(int(key.cell))
        return Loaded(bytes(1000), "", (1000, 1, 1))

    with _Ahead(slow, 4) as ahead:
        asked = [ahead.ask(ContentKey(IMAGE, "", str(number))) for number in range(200)]
        for number, each in enumerate(asked):
            assert ahead.take(each) == Loaded(bytes(1000), "", (1000, 1, 1))
            assert len(loaded) - number <= 10 + 4 + 1
    assert sorted(loaded) == list(range(200))
    assert (ahead._asked, ahead._held_bytes) == ({}, 0)


def test_many_are_waited_for_at_a_time_and_a_bug_among_them_is_not(monkeypatch):
    monkeypatch.setattr(threading, "excepthook", lambda _: None)

    def load(key):
        if key.cell == "2500":
            raise ZeroDivisionError
        return Loaded(b"", "", (0, 1, 1))

    with _Ahead(load, 2) as ahead:
        asked = [ahead.ask(ContentKey(IMAGE, "", str(number))) for number in range(5000)]
        for each in asked[:2500]:
            ahead.take(each)
        with pytest.raises(ZeroDivisionError):
            ahead.take(asked[2500])


def test_a_bug_in_a_thread_surfaces(monkeypatch):
    told = []
    monkeypatch.setattr(threading, "excepthook", told.append)

    def fail(key):
        raise ZeroDivisionError

    with _Ahead(fail, 2) as ahead, pytest.raises(ZeroDivisionError):
        ahead.take(ahead.ask(ContentKey(IMAGE, "", "a")))
    for thread in ahead._threads:
        thread.join(5)
    assert [arguments.exc_type for arguments in told] == [ZeroDivisionError]


def test_more_threads_where_servers_are_waited_for():
    local = ["/data/rows.csv", "images/a.jpg", "data:image/png;base64,", "file:///data/b.png"]
    few = _workers_for(local)
    for address in ("s3://data/a.png", "minio://data/a.png", "HTTP://host/a.png", "https://host/a.png"):
        assert _workers_for([*local, address]) == 16 > few > 1
