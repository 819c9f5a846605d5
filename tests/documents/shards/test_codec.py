"""Documents of every layout and modality are what plain docarray reads, and come back as they were."""

import gzip
import hashlib
import io
import pickle

import numpy as np
import pyarrow as pa
import pytest
from docarray import Document, DocumentArray
from docarray.proto.docarray_pb2 import DocumentArrayProto
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from embedtune.documents.schema import ROLE_TAG, Split, SplitColumns
from embedtune.documents.shards.codec import decode_documents, encode_documents
from embedtune.errors import InputError, StorageError
from embedtune.records.layouts import LABEL_TAG, SCORE_TAG, Layout, Modality
from embedtune.records.rows import RowsFormat

TEXT, IMAGE, MESH = Modality.TEXT, Modality.IMAGE, Modality.MESH
unicode_text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


def image(number: int, kind: str) -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (20, 10), (number, 0, 255 - number)).save(data, kind)
    return data.getvalue()


PNG, JPEG = image(1, "PNG"), image(2, "JPEG")
POINTS = np.random.default_rng(0).standard_normal((2048, 3)).astype("<f4")
VALUES = {TEXT: ["tëxt 文", "b"], IMAGE: [PNG, JPEG], MESH: [POINTS.tobytes(), POINTS[:5].tobytes()]}
URIS = {IMAGE: ["s3://bucket/a.png", ""], MESH: ["meshes/a.off", "meshes/b.off"]}


def form_of(layout: Layout, modalities: tuple[Modality, ...], split: Split, loaded: bool = True) -> SplitColumns:
    return SplitColumns(RowsFormat(layout, modalities, loaded), split)


def example(form: SplitColumns) -> pa.Table:
    """Two Documents with everything that the form has."""
    columns = {"id": ["1" * 32, "2" * 32], "label": ["l", "m"], "role": ["query", "both"], "score": [0.0, 0.25]}
    for place, content in enumerate(form.contents):
        if content.id_column != "id":
            columns[content.id_column] = [f"{place}a" * 16, f"{place}b" * 16]
        columns[content.column] = VALUES[content.modality]
        if content.modality is not TEXT:
            addresses = [uri if uri else "b.png" for uri in URIS[content.modality]]
            columns[content.uri_column] = URIS[content.modality] if content.loaded else addresses
    return pa.table([pa.array(columns[field.name], field.type) for field in form.schema], schema=form.schema)


def load(table: pa.Table, form: SplitColumns) -> DocumentArray:
    data = gzip.compress(encode_documents(table, form))
    return DocumentArray.load_binary(data, protocol="protobuf-array", compress="gzip")


def messages(documents: DocumentArray) -> DocumentArrayProto:
    """What docarray would save, whose bytes differ in the order of tags only."""
    saved = DocumentArrayProto.FromString(documents.to_bytes(protocol="protobuf-array"))
    for document in saved.docs:
        for one in (document, *document.chunks):
            if one.uri and not one.blob:
                one.mime_type = ""  # docarray guesses it from the ending of the address
    return saved


FORMS = [
    form_of(layout, modalities, split, loaded)
    for layout, choices in (
        (Layout.LABELLED, [(TEXT,), (IMAGE,), (MESH,)]),
        (Layout.PAIRS, [(TEXT, TEXT), (IMAGE, IMAGE), (MESH, MESH)]),
        (Layout.MATCHES, [(TEXT, TEXT), (IMAGE, IMAGE)]),
        (Layout.BEIR, [(TEXT, TEXT)]),
        (Layout.SCORED, [(TEXT, TEXT), (IMAGE, IMAGE), (MESH, MESH)]),
        (Layout.TEXT_IMAGE, [(TEXT, IMAGE)]),
    )
    for modalities in choices
    for split in (Split.TRAIN, Split.QUERY, Split.INDEX)
    for loaded in ((True,) if set(modalities) == {TEXT} else (True, False))
] + [form_of(Layout.PLAIN, (TEXT,), Split.CORPUS)]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: f"{'-'.join(form.rows_format.modalities)}-{form.split}")
class TestEveryForm:
    def test_comes_back(self, form):
        table = example(form)
        data = gzip.compress(encode_documents(table, form))
        assert decode_documents(data, form, "shard").equals(table)

    def test_messages_are_those_of_docarray(self, form):
        encoded = encode_documents(example(form), form)
        assert messages(load(example(form), form)) == DocumentArrayProto.FromString(encoded)

    def test_bytes_of_parts_make_the_whole(self, form):
        table = example(form)
        parts = encode_documents(table.slice(0, 1), form) + encode_documents(table.slice(1), form)
        assert parts == encode_documents(table, form)

    def test_summary(self, form, capsys):
        documents = load(example(form), form)
        documents.summary()
        for document in documents:
            document.summary()
        printed = capsys.readouterr().out
        assert "Documents Summary" in printed
        assert "2" * 32 in printed


class TestColumns:
    @pytest.mark.parametrize(
        ("form", "names"),
        [
            (form_of(Layout.LABELLED, (TEXT,), Split.TRAIN), "id text label"),
            (form_of(Layout.LABELLED, (IMAGE,), Split.INDEX), "id image uri label"),
            (form_of(Layout.LABELLED, (MESH,), Split.TRAIN, loaded=False), "id uri label"),
            (form_of(Layout.PAIRS, (TEXT, TEXT), Split.TRAIN), "id text label role"),
            (form_of(Layout.BEIR, (TEXT, TEXT), Split.QUERY), "id text label"),
            (form_of(Layout.MATCHES, (IMAGE, IMAGE), Split.TRAIN), "id image uri label role"),
            (form_of(Layout.SCORED, (TEXT, TEXT), Split.TRAIN), "id first_id first second_id second label score"),
            (form_of(Layout.SCORED, (TEXT, TEXT), Split.QUERY), "id text label"),
            (
                form_of(Layout.TEXT_IMAGE, (TEXT, IMAGE), Split.TRAIN),
                "id first_id first second_id second second_uri label",
            ),
            (form_of(Layout.TEXT_IMAGE, (TEXT, IMAGE), Split.QUERY), "id text label"),
            (form_of(Layout.TEXT_IMAGE, (TEXT, IMAGE), Split.INDEX), "id image uri label"),
            (
                form_of(Layout.TEXT_IMAGE, (TEXT, IMAGE), Split.TRAIN, loaded=False),
                "id first_id first second_id second_uri label",
            ),
            (form_of(Layout.PLAIN, (TEXT,), Split.CORPUS), "id text"),
        ],
    )
    def test_names(self, form, names):
        assert form.schema.names == names.split()


class TestDocarray:
    """Our Documents beside the same ones made with docarray."""

    def same(self, form: SplitColumns, documents: list[Document]) -> bool:
        return messages(DocumentArray(documents)) == DocumentArrayProto.FromString(
            encode_documents(example(form), form)
        )

    def test_text(self):
        documents = [
            Document(id="1" * 32, text="tëxt 文", tags={LABEL_TAG: "l", ROLE_TAG: "query"}),
            Document(id="2" * 32, text="b", tags={LABEL_TAG: "m", ROLE_TAG: "both"}),
        ]
        assert self.same(form_of(Layout.PAIRS, (TEXT, TEXT), Split.TRAIN), documents)

    def test_corpus(self):
        documents = [Document(id="1" * 32, text="tëxt 文"), Document(id="2" * 32, text="b")]
        assert self.same(form_of(Layout.PLAIN, (TEXT,), Split.CORPUS), documents)

    def test_image(self):
        documents = [
            Document(
                id="1" * 32,
                blob=PNG,
                uri="s3://bucket/a.png",
                mime_type="image/png",
                modality="image",
                tags={LABEL_TAG: "l"},
            ),
            Document(id="2" * 32, blob=JPEG, mime_type="image/jpeg", modality="image", tags={LABEL_TAG: "m"}),
        ]
        assert self.same(form_of(Layout.LABELLED, (IMAGE,), Split.TRAIN), documents)

    def test_bytes_of_one_tag(self):
        form = form_of(Layout.LABELLED, (IMAGE,), Split.TRAIN)
        saved = load(example(form), form).to_bytes(protocol="protobuf-array")
        assert saved == encode_documents(example(form), form)

    def test_an_image_stored_in_another_form_than_its_address_says(self):
        form = form_of(Layout.LABELLED, (IMAGE,), Split.TRAIN)
        uris = pa.array(["a.gif", "photo"], pa.large_string())
        documents = load(example(form).set_column(2, "uri", uris), form)
        assert documents[:, "mime_type"] == ["image/png", "image/jpeg"]
        assert documents[:, "blob"] == [PNG, JPEG]

    def test_mesh(self):
        documents = [
            Document(id="1" * 32, tensor=POINTS, uri="meshes/a.off", modality="mesh", tags={LABEL_TAG: "l"}),
            Document(id="2" * 32, tensor=POINTS[:5], uri="meshes/b.off", modality="mesh", tags={LABEL_TAG: "m"}),
        ]
        form = form_of(Layout.LABELLED, (MESH,), Split.TRAIN)
        assert self.same(form, documents)
        tensor = load(example(form), form)[0].tensor
        assert (tensor.shape, tensor.dtype) == ((2048, 3), np.float32)
        np.testing.assert_array_equal(tensor, POINTS)

    def test_address_alone(self):
        documents = [
            Document(id="1" * 32, uri="s3://bucket/a.png", modality="image", tags={LABEL_TAG: "l"}),
            Document(id="2" * 32, uri="b.png", modality="image", tags={LABEL_TAG: "m"}),
        ]
        assert self.same(form_of(Layout.LABELLED, (IMAGE,), Split.TRAIN, loaded=False), documents)

    def test_text_image(self):
        form = form_of(Layout.TEXT_IMAGE, (TEXT, IMAGE), Split.TRAIN)
        parent = Document(id="1" * 32, tags={LABEL_TAG: "l"})
        parent.chunks.append(Document(id="0a" * 16, text="tëxt 文", modality="text", tags={"name": "text"}))
        parent.chunks.append(
            Document(
                id="1a" * 16,
                blob=PNG,
                uri="s3://bucket/a.png",
                mime_type="image/png",
                modality="image",
                tags={"name": "image"},
            )
        )
        encoded = encode_documents(example(form).slice(0, 1), form)
        assert messages(DocumentArray([parent])) == DocumentArrayProto.FromString(encoded)
        chunks = load(example(form), form)["@c"]
        assert chunks[:, "modality"] == ["text", "image"] * 2
        assert set(chunks[:, "parent_id"]) == {"1" * 32, "2" * 32}

    def test_scores_are_numbers(self):
        form = form_of(Layout.SCORED, (TEXT, TEXT), Split.TRAIN)
        documents = load(example(form), form)
        assert documents[:, f"tags__{SCORE_TAG}"] == [0.0, 0.25]
        assert all(isinstance(document.tags[SCORE_TAG], float) for document in documents)
        assert documents["@c"][:, "text"] == ["tëxt 文", "tëxt 文", "b", "b"]


class TestText:
    @settings(max_examples=50, deadline=None)
    @given(st.lists(st.tuples(unicode_text, unicode_text, unicode_text, unicode_text), min_size=1, max_size=8))
    def test_arbitrary_unicode(self, rows):
        form = form_of(Layout.PAIRS, (TEXT, TEXT), Split.TRAIN)
        table = pa.table([pa.array(column, pa.large_string()) for column in zip(*rows, strict=True)], form.schema)
        data = gzip.compress(encode_documents(table, form))
        assert decode_documents(data, form, "shard").equals(table)
        loaded = DocumentArray.load_binary(data, protocol="protobuf-array", compress="gzip")
        expected = [(identifier, text, {LABEL_TAG: label, ROLE_TAG: role}) for identifier, text, label, role in rows]
        assert [(document.id, document.text, document.tags) for document in loaded] == expected

    def test_more_documents_than_are_built_at_a_time(self):
        form = form_of(Layout.PLAIN, (TEXT,), Split.CORPUS)
        ids = [f"{number:032x}" for number in range(2_501)]
        table = pa.table([pa.array(ids, pa.large_string())] * 2, schema=form.schema)
        assert load(table, form)[:, "text"] == ids


def test_exact_bytes():
    form = form_of(Layout.LABELLED, (TEXT,), Split.TRAIN)
    data = encode_documents(example(form), form)
    assert hashlib.sha256(data).hexdigest() == "83c75b3a47b97780e6fcc5f2e603286858ec3796767a7dc9c5da131761f31797"


class TestRefused:
    def test_an_image_of_another_kind(self):
        form = form_of(Layout.LABELLED, (IMAGE,), Split.TRAIN)
        table = example(form).set_column(1, "image", pa.array([PNG, image(3, "GIF")], pa.large_binary()))
        with pytest.raises(InputError, match=r"starts with b'GIF8.*neither JPEG nor PNG"):
            encode_documents(table, form)

    @pytest.mark.parametrize("data", [b"", b"0" * 13])
    def test_a_mesh_that_is_no_array_of_points(self, data):
        form = form_of(Layout.LABELLED, (MESH,), Split.TRAIN)
        table = example(form).set_column(1, "mesh", pa.array([data, data], pa.large_binary()))
        with pytest.raises(InputError, match=f"'meshes/a.off' has {len(data)} bytes, which is no array of points"):
            encode_documents(table, form)

    def decode(self, documents: list[Document], form: SplitColumns) -> pa.Table:
        return decode_documents(gzip.compress(DocumentArray(documents).to_bytes("protobuf-array")), form, "shard")

    @pytest.mark.parametrize(
        "tensor",
        [POINTS.astype(np.float64), POINTS.reshape(-1), POINTS.reshape(1024, 6), POINTS.astype(">f4"), POINTS[:0]],
    )
    def test_another_tensor(self, tensor):
        form = form_of(Layout.LABELLED, (MESH,), Split.TRAIN)
        with pytest.raises(StorageError, match=r"tensor of dtype .* expected float32 and|has no mesh"):
            self.decode([Document(id="a", tensor=tensor, tags={LABEL_TAG: "l"})], form)

    @pytest.mark.parametrize(
        ("form", "document", "message"),
        [
            (form_of(Layout.LABELLED, (TEXT,), Split.TRAIN), Document(text="a"), "Document 0 of shard has no label"),
            (
                form_of(Layout.LABELLED, (TEXT,), Split.TRAIN),
                Document(text="a", tags={LABEL_TAG: 1}),
                "Document 0 of shard has no label",
            ),
            (
                form_of(Layout.LABELLED, (IMAGE,), Split.TRAIN),
                Document(uri="a.png", tags={LABEL_TAG: "l"}),
                "Document 0 of shard has no image",
            ),
            (
                form_of(Layout.LABELLED, (IMAGE,), Split.TRAIN, loaded=False),
                Document(blob=PNG, tags={LABEL_TAG: "l"}),
                "Document 0 of shard has no uri",
            ),
            (
                form_of(Layout.TEXT_IMAGE, (TEXT, IMAGE), Split.TRAIN),
                Document(chunks=[Document(text="a")], tags={LABEL_TAG: "l"}),
                "without its two chunks",
            ),
            (
                form_of(Layout.SCORED, (TEXT, TEXT), Split.TRAIN),
                Document(chunks=[Document(text="a"), Document(text="b")], tags={LABEL_TAG: "l", SCORE_TAG: "0.5"}),
                "has no number in tags",
            ),
        ],
    )
    def test_what_a_document_lacks(self, form, document, message):
        with pytest.raises(StorageError, match=message):
            self.decode([document], form)

    def test_pickles_are_never_loaded(self, tmp_path):
        form = form_of(Layout.LABELLED, (TEXT,), Split.TRAIN)
        marker = tmp_path / "executed"
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            pickled = pickle.dumps(_TouchesWhenLoaded(marker), protocol)
            with pytest.raises(StorageError, match="pickled DocumentArrays are refused"):
                decode_documents(gzip.compress(pickled), form, "shard")
            with pytest.raises(StorageError, match="is not a complete gzip file"):
                decode_documents(pickled, form, "shard")
        assert not marker.exists()

    def test_other_protobuf(self):
        form = form_of(Layout.LABELLED, (TEXT,), Split.TRAIN)
        with pytest.raises(StorageError, match="is no DocumentArray in protobuf"):
            decode_documents(gzip.compress(b"\x0a\xff\xff\xff\xff\x0f"), form, "shard")


class _TouchesWhenLoaded:
    """A pickle that creates a file when it is loaded."""

    def __init__(self, path):
        self._path = path

    def __reduce__(self):
        return type(self._path).touch, (self._path,)
