"""Files that were made to do harm, or that something happened to."""

import bz2
import gzip
import lzma
import pickle
import resource
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from docarray import Document, DocumentArray
from docarray.proto.docarray_pb2 import DocumentArrayProto, DocumentProto

from embedtune.errors import InputError, StorageError
from embedtune.records.csv.options import CSVOptions
from embedtune.records.docarrays import ingest as array_ingest
from embedtune.records.docarrays import limits as array_limits
from embedtune.records.docarrays import wire as array_wire
from embedtune.records.docarrays.ingest import ingest_documents
from embedtune.records.output import open_output

DOCUMENTS = [Document(text=f"text {n}", tags={"finetuner_label": str(n % 2)}) for n in range(20)]


class Evil:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


@pytest.fixture
def ingest(tmp_path):
    def run(data: bytes, name: str = "train.protobuf-array.gzip", share: float = 0.0):
        source = tmp_path / name
        source.write_bytes(data)
        with open_output(tmp_path / "rows", tmp_path / "bad.csv", share) as output:
            return ingest_documents([source], "s3://bucket/a", output, CSVOptions())

    return run


def saved(protocol: str, compress: str | None, tmp_path: Path, documents=DOCUMENTS) -> bytes:
    path = tmp_path / "made"
    with path.open("wb") as file:
        DocumentArray(documents).save_binary(file, protocol, compress)
    return path.read_bytes()


NAMES = ["train.protobuf-array.gzip", "train.pickle-array", "train.pickle.gzip", "train.da", "train.csv"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress])
def test_pickle_is_never_run(ingest, tmp_path, name, protocol, pack):
    proof = tmp_path / "proof"
    data = pickle.dumps(Evil(proof), protocol)
    with pytest.raises(InputError, match=r"pickles|is not a DocumentArray in protobuf"):
        ingest(pack(data), name)
    assert not proof.exists()
    pickle.loads(data)
    assert proof.exists()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress])
def test_stream_of_pickles_is_never_run(ingest, tmp_path, name, pack):
    proof = tmp_path / "proof"
    data = pack(pickle.dumps(Evil(proof)))
    stream = b"\x01" + (2).to_bytes(8, "big") + (len(data).to_bytes(4, "big") + data) * 2
    with pytest.raises(InputError, match="holds pickles, which are never loaded because unpickling runs code"):
        ingest(stream, name)
    assert not proof.exists()


@pytest.mark.parametrize("protocol", ["pickle", "pickle-array"])
@pytest.mark.parametrize("compress", [None, "gzip", "bz2"])
def test_pickled_array_of_docarray_is_refused(ingest, tmp_path, protocol, compress):
    with pytest.raises(InputError, match=r"^s3://bucket/a holds pickles.*save_binary\(file, protocol='protobuf-array'"):
        ingest(saved(protocol, compress, tmp_path))


@pytest.mark.parametrize("name", NAMES)
def test_array_is_read_by_its_bytes_whatever_its_name(ingest, tmp_path, name):
    assert ingest(saved("protobuf-array", "gzip", tmp_path), name).rows == 20
    assert ingest(saved("protobuf", None, tmp_path), name).rows == 20


@pytest.mark.parametrize(
    ("data", "compression"),
    [
        (lzma.compress(b"x" * 99), "lzma"),
        (zlib.compress(b"x" * 99), "zlib"),
        (b"\x04\x22\x4d\x18" + b"x" * 99, "lz4"),
        (b"\x28\xb5\x2f\xfd" + b"x" * 99, "zstd"),
    ],
)
def test_other_compressions_are_named(ingest, data, compression):
    stream = b"\x01" + (1).to_bytes(8, "big") + len(data).to_bytes(4, "big") + data
    for content in (data, stream):
        with pytest.raises(InputError, match=f"is compressed with {compression}, only gzip and bz2 are read"):
            ingest(content)


@pytest.mark.parametrize("text", ["text,label\n", "\n\n\n", "\x01,label\n", "<html>", "\x7fELF", "PK\x03\x04"])
def test_something_else(ingest, text):
    with pytest.raises(InputError, match=r"DocumentArray in protobuf|damaged or cut off"):
        ingest(text.encode() * 50)


@pytest.mark.parametrize("compress", [None, "gzip", "bz2"])
@pytest.mark.parametrize("protocol", ["protobuf", "protobuf-array"])
def test_cut_off_anywhere(ingest, tmp_path, protocol, compress):
    data = saved(protocol, compress, tmp_path)
    ends = {0}
    if protocol == "protobuf-array" and compress is None:
        for document in DocumentArrayProto.FromString(data).docs:
            length = document.ByteSize()
            ends.add(max(ends) + length + 1 + (2 if length > 127 else 1))
    for length in sorted({*range(0, len(data), 17), *range(12), len(data) - 1, len(data) - 2} - ends):
        with pytest.raises(InputError):
            ingest(data[:length])


def test_changed_bytes_are_refused_or_read(ingest, tmp_path):
    data = saved("protobuf-array", None, tmp_path)
    generator = np.random.default_rng(0)
    for position in generator.integers(0, len(data), 100):
        changed = bytearray(data)
        changed[position] ^= int(generator.integers(1, 256))
        try:
            ingest(bytes(changed), share=1.0)
        except InputError as error:
            assert str(error)  # noqa: PT017


@pytest.mark.parametrize("count", [2, 2**63])
def test_stream_that_announces_more_or_fewer_documents(ingest, tmp_path, count):
    data = saved("protobuf", None, tmp_path)
    with pytest.raises(InputError, match=r"goes on after the 2 Documents|is damaged or cut off"):
        ingest(data[:1] + count.to_bytes(8, "big") + data[9:])


@pytest.mark.parametrize(
    "data",
    [
        b"\x0a\xff\xff\xff\xff\x07",
        b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
        b"\x0a" + b"\xff" * 10,
        b"\x01" + (1).to_bytes(8, "big") + b"\xff\xff\xff\xff",
    ],
)
def test_length_that_nothing_has_costs_no_memory(ingest, data):
    tracemalloc.start()
    with pytest.raises(InputError, match=r"no DocumentArray in protobuf, or holds a Document of \d+ bytes"):
        ingest(data + b"x" * 99)
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()


def bomb(document: bytes, count: int) -> bytes:
    length, size = b"", len(document)
    while size > 0x7F:
        length += bytes([size & 0x7F | 0x80])
        size >>= 7
    return (b"\x0a" + length + bytes([size]) + document) * count


def test_bomb_ends_at_the_limit(ingest, monkeypatch):
    monkeypatch.setattr(array_wire, "FREE_BYTES", 4 << 20)
    data = gzip.compress(bomb(DocumentProto(text="x" * 100_000).SerializeToString(), 100))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError, match="unpacks to more than 0 GiB and 200 times its size"):
        ingest(data)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress])
def test_bomb_in_one_document_of_a_stream(ingest, monkeypatch, pack):
    monkeypatch.setattr(array_wire, "MAX_DOCUMENT_BYTES", 1 << 20)
    data = pack(DocumentProto(text="x" * (4 << 20)).SerializeToString())
    stream = b"\x01" + (1).to_bytes(8, "big") + len(data).to_bytes(4, "big") + data
    with pytest.raises(InputError, match="cut off or unpacks to more than 1048576 bytes"):
        ingest(stream)
    with pytest.raises(InputError, match="cut off or unpacks to more than 1048576 bytes"):
        ingest(b"\x01" + (1).to_bytes(8, "big") + (20).to_bytes(4, "big") + data[:20])


def good() -> DocumentProto:
    document = DocumentProto(id="1", text="good")
    document.tags.fields["finetuner_label"].string_value = "x"
    return document


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (b"\x72\x00" * 600_000, "it has more than 100000 chunks and matches"),
        (b"\x7a\x00" * 600_000, "it has more than 100000 chunks and matches"),
        (b"\x8a\x01\x80\x80\x80\x03" + b"\x0a\x00" * 3_145_728, "it has more than 1 MiB besides its contents"),
        (b"\x1a\x80\x80\x80\x03" + b"\x22\x00" * 3_145_728, "it has more than 1 MiB besides its contents"),
        (b"\x1a\x85\x80\x80\x03\x0a\x80\x80\x80\x03" + b"\x12\x00" * 3_145_728, "more than 1 MiB besides its contents"),
        (b"\x4a\x80\x80\x80\x03" + b"u" * 6_291_456, "it has more than 1 MiB besides its contents"),
        (b"\xff" * 2_000_000, "its bytes are no Document in protobuf"),
        (b"\x73" * 2_000_000, "its bytes are no Document in protobuf"),
        (b"\x72\xff\xff\xff\x7f" + b"x" * 2_000_000, "its bytes are no Document in protobuf"),
    ],
)
def test_document_that_would_become_many_objects(monkeypatch, document, reason):
    monkeypatch.setattr(array_limits, "MAX_OTHER_BYTES", 1 << 20)
    with pytest.raises(InputError, match=reason):
        array_limits.check_parts(document)


def test_deep_nesting(ingest):
    inner = b"\x22" + b"\x80\x80\x60" + b"x" * (96 << 14)
    for _ in range(30):
        length, size = b"", len(inner)
        while size > 0x7F:
            length += bytes([size & 0x7F | 0x80])
            size >>= 7
        inner = b"\x72" + length + bytes([size]) + inner
    with pytest.raises(InputError, match="nested more than 16 deep"):
        array_limits.check_parts(inner)
    small = b""
    for _ in range(2_000):
        size = len(small)
        small = b"\x72" + (bytes([size]) if size < 128 else bytes([size & 0x7F | 0x80, size >> 7 & 0x7F])) + small
    report = ingest(bomb(small[-10_000:], 1) + bomb(good().SerializeToString(), 9), share=0.1)
    assert (report.rows, report.bad_rows) == (9, 1)


def test_large_honest_documents_pass(ingest, tmp_path):
    tensor = np.zeros((700, 700, 3), np.uint8)
    large = [Document(tensor=tensor, embedding=np.zeros(200_000), tags={"finetuner_label": "x"})]
    many = Document(
        text="q" * 100_000,
        embedding=np.zeros(200_000),
        matches=[Document(text=f"m{n}", tags={"finetuner_label": 1}) for n in range(999)],
    )
    assert ingest(saved("protobuf-array", None, tmp_path, large)).rows == 1
    assert ingest(saved("protobuf", None, tmp_path, [many])).rows == 999


def test_query_beside_each_of_many_matches_is_bounded(ingest, tmp_path, monkeypatch):
    monkeypatch.setattr(array_ingest, "_MAX_ROW_BYTES", 10 << 20)
    matches = [Document(text=f"m{n}", tags={"finetuner_label": 1}) for n in range(100)]
    documents = [Document(text="q" * size, matches=matches) for size in (100_000, 110_000)]
    report = ingest(saved("protobuf-array", None, tmp_path, documents), share=0.5)
    assert (report.rows, report.bad_rows) == (100, 1)
    assert "its 100 rows, each with the query, take more than 10 MiB" in (tmp_path / "bad.csv").read_text()


@pytest.mark.parametrize(
    ("dtype", "shape", "reason"),
    [
        ("O", [2], "are no numbers that images or meshes have"),
        ("f4,f4", [2], "are no numbers"),
        ("(1000000000,)f4", [2], "are no numbers"),
        ("__import__('os')", [2], "are no numbers"),
        ("<f4", [10**9, 10**9, 3], "the tensor is damaged"),
        ("<f8", [3, 3, 3], "the tensor is damaged"),
        ("<u1", [0, 16, 3], "the tensor is damaged"),
    ],
)
def test_hostile_tensor(ingest, tmp_path, dtype, shape, reason):
    documents = []
    for hostile in (False, True):
        document = DocumentProto(modality="image")
        document.tensor.dense.buffer = bytes(48)
        document.tensor.dense.shape.extend([n % 2**32 for n in shape] if hostile else [2, 8, 3])
        document.tensor.dense.dtype = dtype if hostile else "|u1"
        document.tags.fields["finetuner_label"].string_value = "x"
        documents.append(bomb(document.SerializeToString(), 1))
    assert ingest(b"".join(documents), share=0.5).bad_rows == 1
    assert reason in (tmp_path / "bad.csv").read_text()


def test_document_that_is_no_protobuf_among_others(ingest):
    assert ingest(bomb(good().SerializeToString(), 9) + bomb(b"\xff\xff\xff", 1), share=0.1).bad_rows == 1


def test_array_gone_or_a_folder(ingest, tmp_path):
    outputs = (tmp_path / "rows", tmp_path / "bad.csv")
    for path in (tmp_path / "gone.da", tmp_path):
        with pytest.raises(StorageError, match="cannot be read"), open_output(*outputs) as output:
            ingest_documents([path], "s3://bucket/a", output, CSVOptions())


def test_memory_does_not_grow_with_the_array(ingest, tmp_path):
    document = DocumentProto(id="1", text="word " * 20_000)
    document.tags.fields["finetuner_label"].string_value = "x"
    path = tmp_path / "large.da"
    path.write_bytes(bomb(document.SerializeToString(), 2_000))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with open_output(tmp_path / "rows", tmp_path / "bad.csv") as output:
        report = ingest_documents([path], "a", output, CSVOptions())
    assert report.rows == 2_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 150 << 10
