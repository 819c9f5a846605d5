import gzip
import hashlib

import numpy as np
import pytest
from docarray import Document, DocumentArray
from docarray.proto.docarray_pb2 import DocumentProto
from hypothesis import given, settings
from hypothesis import strategies as st

from embedtune.datasets import inventory, packing
from embedtune.datasets.packing import pack, take
from embedtune.errors import InputError, StorageError
from embedtune.progress import silent
from embedtune.records.docarrays.wire import iter_array


def messages(contents):
    return [DocumentProto(id=f"{number}", text=content) for number, content in enumerate(contents)]


def read(packed):
    return [document for path in packed.paths for document in iter_array(path, "it", silent)]


@settings(max_examples=60, deadline=None)
@given(contents=st.lists(st.text(max_size=300), min_size=1, max_size=30), shard_bytes=st.integers(1, 2000))
def test_any_documents_in_shards_of_any_size(tmp_path_factory, contents, shard_bytes):
    folder, documents = tmp_path_factory.mktemp("shards"), messages(contents)
    whole = pack(documents, folder, "it")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packing, "SHARD_BYTES", shard_bytes)
        (folder / "parts").mkdir()
        parts = pack(iter(documents), folder / "parts", "it")
    assert read(whole) == read(parts) == documents
    assert parts.contents == whole.contents
    assert [file.name for file in parts.files] == [path.name for path in parts.paths]
    assert sum(file.rows for file in parts.files) == len(documents)
    for file, path in zip(parts.files, parts.paths, strict=True):
        data = path.read_bytes()
        assert (file.size, file.sha256) == (len(data), hashlib.sha256(data).hexdigest())


def test_another_order_id_or_end_is_another_content(tmp_path):
    def content(documents):
        return pack(documents, tmp_path, "it").contents.content

    first = messages(["a", "b"])
    different = [first, first[::-1], first[:1], messages(["ab", ""]), [DocumentProto(id="2", text="a"), first[1]]]
    assert len({content(documents) for documents in different}) == len(different)
    assert content(messages(["a", "b"])) == content(first)


def test_equal_bytes_for_equal_documents_and_what_is_noise_is_not_compressed(tmp_path):
    noise = [DocumentProto(id="n", blob=np.random.default_rng(0).bytes(3 << 20))]
    words = messages(["the same words again"] * 10_000)
    (noisy,), (wordy,) = pack(noise, tmp_path, "it").files, pack(words, tmp_path, "it").files
    assert 3 << 20 < noisy.size < (3 << 20) + 2000
    assert wordy.size < 60_000
    assert pack(words, tmp_path, "it").files == (wordy,)


def test_a_file_is_taken_as_it_is(tmp_path):
    array = DocumentArray([Document(id=f"{number}", text=f"text {number}") for number in range(9)])
    array.save_binary(str(tmp_path / "a.protobuf-array.gzip"))
    packed = pack([document.to_protobuf() for document in array], tmp_path, "it")
    taken = take(tmp_path / "a.protobuf-array.gzip", "it", silent)
    assert taken.paths == (tmp_path / "a.protobuf-array.gzip",)
    assert taken.contents == packed.contents
    assert [(file.name, file.rows) for file in taken.files] == [("documents-00000.protobuf-array.gzip", 9)]
    with pytest.raises(StorageError, match="cannot be read"):
        take(tmp_path / "missing", "it", silent)
    (tmp_path / "empty.gz").write_bytes(gzip.compress(b""))
    with pytest.raises(InputError, match="it holds no Documents"):
        take(tmp_path / "empty.gz", "it", silent)


def test_schema_and_counts(tmp_path):
    pair = Document(chunks=[Document(text="a"), Document(blob=b"b", modality="image")], tags={"finetuner_label": 1.0})
    query = Document(
        text="q",
        tags={"finetuner_label": "x", "year": 2020.0},
        matches=[Document(text="m", tags={"finetuner_label": -1.0}), Document(uri="u", tags={"finetuner_label": 1.0})],
    )
    contents = pack([document.to_protobuf() for document in (pair, query, query, query)], tmp_path, "it").contents
    assert contents.counts == {"chunks": 2, "matches": 6, "labels": 2}
    assert contents.schema.tags == ("finetuner_label", "year")
    assert {"id", "chunks", "matches", "text", "tags", "chunks.text", "chunks.blob", "matches.uri"} <= set(
        contents.schema.fields
    )


def test_documents_that_become_no_rows_have_no_layout(tmp_path):
    contents = pack([DocumentProto(id="a", weight=1.0)], tmp_path, "it").contents
    assert (contents.layout, contents.schema.modalities) == ("", ())
    assert contents.schema.fields == ("id", "weight")


def test_what_could_not_be_read_back_is_not_stored(tmp_path, monkeypatch):
    crowded = DocumentProto(id="a", text="x" * (1 << 20))
    for _ in range(100_001):
        crowded.chunks.add()
    with pytest.raises(InputError, match="it, Document 1 could not be read back: it has more than 100000 chunks"):
        pack([DocumentProto(id="b"), crowded], tmp_path, "it", live=True)
    with pytest.raises(InputError, match=r"it, Document 0: of no use. Mend or remove it, then push again"):
        pack(["of no use"], tmp_path, "it")
    with pytest.raises(InputError, match="it holds no Documents"):
        pack([], tmp_path, "it")
    monkeypatch.setattr(inventory, "MAX_DOCUMENT_BYTES", 100)
    with pytest.raises(InputError, match=r"it, Document 0 has 1\d\d bytes; at most 100 can be read back"):
        pack(messages(["x" * 100]), tmp_path, "it")
