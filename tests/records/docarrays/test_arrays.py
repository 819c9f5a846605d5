"""DocumentArrays as docarray makes and saves them become the rows that their author meant."""

import csv
import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from docarray import Document, DocumentArray
from PIL import Image

from embedtune.errors import ConfigError, InputError
from embedtune.records.csv.options import CSVOptions
from embedtune.records.docarrays.ingest import ingest_documents
from embedtune.records.layouts import Layout, Modality
from embedtune.records.output import check_share, open_output
from embedtune.records.rows import IngestReport, RowsFormat, read_rows

TEXT, IMAGE, MESH = Modality


@dataclass
class Outcome:
    report: IngestReport
    format: RowsFormat
    rows: list[tuple[object, ...]]


@dataclass
class Ingest:
    folder: Path

    def __call__(self, documents, share=0.0, protocol="protobuf-array", compress="gzip", **asked) -> Outcome:
        source = self.folder / "train.bin"
        with source.open("wb") as file:
            DocumentArray(documents).save_binary(file, protocol, compress)
        return self.files([source], share, **asked)

    def files(self, files, share=0.0, **asked) -> Outcome:
        with open_output(self.rows, self.bad, share) as output:
            report = ingest_documents(files, "s3://bucket/train", output, CSVOptions(**asked))
        found, table = read_rows(self.rows)
        assert report.rows == len(table)
        assert report.layout == found.layout
        assert report.modalities == found.modalities
        return Outcome(report, found, list(zip(*table.to_pydict().values(), strict=True)))

    def quarantine(self) -> list[tuple[str, ...]]:
        with self.bad.open(encoding="utf-8", newline="") as file:
            return [tuple(row) for row in csv.reader(file)][1:]

    @property
    def rows(self) -> Path:
        return self.folder / "rows.parquet"

    @property
    def bad(self) -> Path:
        return self.folder / "bad.csv"


@pytest.fixture
def ingest(tmp_path):
    return Ingest(tmp_path)


def labelled(label, **fields) -> Document:
    return Document(**fields, tags={"finetuner_label": label})


def pixels(data: bytes) -> np.ndarray:
    image = Image.open(io.BytesIO(data))
    assert (image.format, image.mode) == ("PNG", "RGB")
    return np.asarray(image)


def png(colour: tuple[int, int, int]) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (4, 3), colour).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize("protocol", ["protobuf", "protobuf-array"])
@pytest.mark.parametrize("compress", [None, "gzip", "bz2"])
def test_labelled_texts_in_every_form(ingest, protocol, compress):
    done = ingest(
        [
            labelled("a", text=" one "),
            labelled(1, content="two"),
            labelled(2.5, text="three"),
            labelled(True, text="é"),
        ],
        protocol=protocol,
        compress=compress,
    )
    assert done.format == RowsFormat(Layout.LABELLED, (TEXT,))
    assert done.rows == [(1, "one", "a"), (2, "two", "1"), (3, "three", "2.5"), (4, "é", "True")]
    assert done.report == IngestReport(4, 0, "labelled", ("text",), 1, "DocumentArray, 4 Documents")
    assert ingest.quarantine() == []


def test_texts_without_labels_are_plain(ingest):
    done = ingest([Document(text="one"), Document(content="two")])
    assert done.format == RowsFormat(Layout.PLAIN, (TEXT,))
    assert done.rows == [(1, "one"), (2, "two")]


def test_images_by_blob(ingest):
    red, blue = png((255, 0, 0)), png((0, 0, 255))
    done = ingest([labelled("a", blob=red), labelled("b", blob=blue, uri="pictures/blue.png", mime_type="image/png")])
    assert done.format == RowsFormat(Layout.LABELLED, (IMAGE,))
    assert [(row[0], row[1], row[3:]) for row in done.rows] == [
        (1, red, ("", "a")),
        (2, blue, ("pictures/blue.png", "b")),
    ]
    assert [row[2] for row in done.rows] == [hashlib.sha256(data).hexdigest() for data in (red, blue)]


def test_grey_jpeg_blob_is_brought_into_the_stored_form(ingest):
    file = io.BytesIO()
    Image.new("L", (4, 3), 77).save(file, "JPEG")
    done = ingest([labelled("a", blob=file.getvalue()), labelled("a", blob=png((1, 2, 3)))])
    assert pixels(done.rows[0][1]).tolist() == np.full((3, 4, 3), 77).tolist()


def test_images_by_uri_are_addresses(ingest):
    done = ingest(
        [
            labelled("a", uri="pictures/1.png"),
            labelled("b", uri="https://example.org/photo", modality="image"),
            labelled("c", content="pictures/3.jpg", modality="Image"),
            labelled("d", uri="data:image/png;base64,AAAA"),
        ]
    )
    assert done.format == RowsFormat(Layout.LABELLED, (IMAGE,), loaded=False)
    assert done.rows == [
        (1, "pictures/1.png", "a"),
        (2, "https://example.org/photo", "b"),
        (3, "pictures/3.jpg", "c"),
        (4, "data:image/png;base64,AAAA", "d"),
    ]
    assert done.report.read_as == "DocumentArray, 4 Documents by address"


RGB = np.arange(2 * 5 * 3, dtype=np.uint8).reshape(2, 5, 3) * 8


@pytest.mark.parametrize(
    ("tensor", "expected"),
    [
        (RGB, RGB),
        (RGB.astype(np.int64), RGB),
        (RGB.astype(np.float32), RGB),
        ((RGB / 255).astype(np.float32), RGB),
        ((RGB / 255).astype(">f8"), RGB),
        (np.moveaxis(RGB, 2, 0), RGB),
        (RGB[..., 0], np.repeat(RGB[..., :1], 3, axis=2)),
        (RGB[..., :1], np.repeat(RGB[..., :1], 3, axis=2)),
        (np.moveaxis(RGB[..., :1], 2, 0), np.repeat(RGB[..., :1], 3, axis=2)),
        (RGB[..., 0] > 40, np.repeat((RGB[..., :1] > 40) * 255, 3, axis=2)),
        (np.concatenate([RGB, np.full((2, 5, 1), 255, np.uint8)], axis=2), RGB),
        (np.zeros((2, 5, 4), np.uint8), np.full((2, 5, 3), 255)),
    ],
)
def test_images_by_tensor(ingest, tensor, expected):
    done = ingest([labelled("a", tensor=tensor), labelled("b", content=RGB)])
    assert done.format == RowsFormat(Layout.LABELLED, (IMAGE,))
    assert pixels(done.rows[0][1]).tolist() == np.asarray(expected).tolist()


@pytest.mark.parametrize(
    ("tensor", "reason"),
    [
        (RGB.astype(np.float32) - 9, "no levels of pixels"),
        (RGB.astype(np.float32) * 2, "no levels of pixels"),
        (RGB.astype(np.int16) + 200, "no levels of pixels"),
        (np.full((2, 5, 3), np.nan), "no levels of pixels"),
        (np.zeros((3, 5, 4), np.uint8), "could be the first or the last one"),
        (np.zeros((5, 6, 7), np.uint8), r"is none of (5, 6, 7)"),
        (np.zeros((5,), np.uint8), "a tensor of the shape (5,) is no image and no point cloud"),
        (np.zeros((1, 2, 5, 3), np.uint8), "a tensor of the shape (1, 2, 5, 3) is no image and no point cloud"),
        (np.zeros((2, 5, 3), np.complex64), "the tensor holds '<c8'"),
        (np.zeros((0, 5, 3), np.uint8), "the tensor is sparse or empty"),
    ],
)
def test_tensor_that_is_no_image(ingest, tensor, reason):
    done = ingest([labelled("a", tensor=RGB), labelled("b", tensor=tensor)], share=0.5)
    assert len(done.rows) == 1
    ((line, told, identifier),) = ingest.quarantine()
    assert (line, len(identifier)) == ("2", 32)
    assert reason in told


def test_meshes_by_tensor(ingest):
    points = np.random.default_rng(0).normal(size=(7, 3))
    done = ingest(
        [labelled("a", tensor=points), labelled("b", tensor=points.astype(np.float32), uri="x.off", modality="mesh")]
    )
    assert done.format == RowsFormat(Layout.LABELLED, (MESH,))
    assert done.rows[0][1] == done.rows[1][1] == points.astype("<f4").tobytes()
    assert [row[3] for row in done.rows] == ["", "x.off"]


@pytest.mark.parametrize(
    ("tensor", "reason"),
    [
        (np.full((7, 3), np.inf), "too large or no finite numbers"),
        (np.full((7, 3), 1e300), "too large or no finite numbers"),
        (np.zeros((7, 4)), "a point cloud has the shape (n, 3), the tensor (7, 4)"),
        (np.zeros((8, 3)), "a point cloud has 8 points, the first one 7"),
    ],
)
def test_tensor_that_is_no_point_cloud(ingest, tensor, reason):
    ingest([labelled("a", tensor=np.ones((7, 3))), labelled("b", tensor=tensor, modality="mesh")], share=0.5)
    assert reason in ingest.quarantine()[0][1]


def test_meshes_by_uri_and_by_blob(ingest):
    off = b"OFF\n4 4 0\n0 0 0\n1 0 0\n0 1 0\n0 0 1\n3 0 1 2\n3 0 1 3\n3 0 2 3\n3 1 2 3\n"
    done = ingest([labelled("a", uri="bed/1.off"), labelled("b", uri="b.glb"), labelled("b", uri="c.obj")])
    assert done.format == RowsFormat(Layout.LABELLED, (MESH,), loaded=False)
    meshes = [labelled("a", uri="1.off", blob=off), labelled("b", uri="2.OFF", blob=off)]
    done = ingest(meshes, point_cloud_size=16, seed=3)
    assert done.format == RowsFormat(Layout.LABELLED, (MESH,))
    clouds = [np.frombuffer(row[1], "<f4").reshape(16, 3) for row in done.rows]
    assert (clouds[0] == clouds[1]).all()
    assert clouds[0].min() >= 0
    with pytest.raises(InputError, match="of what kind the mesh in the blob is cannot be told"):
        ingest([labelled("a", blob=off, modality="mesh"), labelled("b", blob=off, modality="mesh")])


def clip(text, image, tags=None, chunk_tags=({}, {})) -> Document:
    return Document(
        chunks=[
            Document(content=text, modality="text", tags=chunk_tags[0]),
            Document(uri=image, modality="image", tags=chunk_tags[1]),
        ],
        tags=tags or {},
    )


@pytest.mark.parametrize(
    ("tags", "chunk_tags"),
    [
        ({}, ({}, {})),
        ({"finetuner_label": 1}, ({}, {})),
        ({}, ({"finetuner_label": 1}, {"finetuner_label": 1})),
    ],
)
def test_text_image_pairs_with_labels_on_root_on_chunks_or_absent(ingest, tags, chunk_tags):
    reverse = clip("pear", "pear.png")
    reverse.chunks = DocumentArray(reversed(reverse.chunks))
    done = ingest([clip("apple", "apple.png", tags, chunk_tags), reverse])
    assert done.format == RowsFormat(Layout.TEXT_IMAGE, (TEXT, IMAGE), loaded=False)
    assert done.rows == [(1, "apple", "apple.png"), (2, "pear", "pear.png")]


def test_text_image_pairs_with_loaded_images(ingest):
    red = png((255, 0, 0))
    parent = Document(chunks=[Document(blob=red, modality="image"), Document(text="red")])
    done = ingest([parent, Document(chunks=[Document(text="grey"), Document(tensor=RGB[..., 0])])])
    assert done.format == RowsFormat(Layout.TEXT_IMAGE, (TEXT, IMAGE))
    assert done.rows[0][:3] == (1, "red", red)
    assert pixels(done.rows[1][2]).shape == (2, 5, 3)


def test_chunks_with_different_labels_are_no_pair(ingest):
    ingest([clip("a", "a.png"), clip("b", "b.png", None, ({"finetuner_label": 1}, {"finetuner_label": 2}))], share=0.5)
    assert ingest.quarantine()[0][1] == "its two chunks have different labels, '1' and '2'"


def two(first, second, tags=None) -> Document:
    return Document(chunks=[Document(text=first), Document(text=second)], tags=tags or {})


def test_two_texts_with_a_score(ingest):
    scores = [0, 1, 0.25, "0.5", " 1e-1 "]
    done = ingest([two(f"a{n}", f"b{n}", {"finetuner_score": score}) for n, score in enumerate(scores)])
    assert done.format == RowsFormat(Layout.SCORED, (TEXT, TEXT))
    assert [row[:3] for row in done.rows] == [(n + 1, f"a{n}", f"b{n}") for n in range(5)]
    assert [row[3] for row in done.rows] == pytest.approx([0, 1, 0.25, 0.5, 0.1])


@pytest.mark.parametrize(
    ("score", "reason"),
    [
        (1.01, "the score '1.01' is no number from 0 to 1"),
        (-0.1, "the score '-0.1' is no number"),
        ("high", "the score 'high' is no number"),
        ("nan", "the score 'nan' is no number"),
        (float("nan"), "the score is neither a text nor a finite number"),
        ("", "the score is empty"),
        ([0.5], "the score is neither a text nor a finite number"),
    ],
)
def test_score_that_is_none(ingest, score, reason):
    good = two("a", "b", {"finetuner_score": 0.5})
    done = ingest([good, two("c", "d", {"finetuner_score": score})], share=0.5, protocol="protobuf")
    assert len(done.rows) == 1
    assert ingest.quarantine()[0][1].startswith(reason)


def test_two_texts_without_a_score_are_pairs(ingest):
    done = ingest([two("a", "b"), two("c", "d", {"finetuner_label": 7})])
    assert done.format == RowsFormat(Layout.PAIRS, (TEXT, TEXT))
    assert done.rows == [(1, "a", "b"), (2, "c", "d")]


def test_two_images_are_pairs(ingest):
    pair = Document(chunks=[Document(uri="a.png"), Document(uri="b.png")])
    done = ingest([pair])
    assert done.format == RowsFormat(Layout.PAIRS, (IMAGE, IMAGE), loaded=False)
    assert done.rows == [(1, "a.png", "b.png")]


def asked(text, matches, session=True) -> Document:
    document = Document(text=text)
    for answer, label in matches:
        tags = {"finetuner": {"label": label}} if session else {"finetuner_label": label}
        document.matches.append(Document(text=answer, tags=tags))
    return document


@pytest.mark.parametrize("session", [True, False])
@pytest.mark.parametrize(
    ("values", "options"),
    [
        ((1, -1), {}),
        (("1", "-1"), {}),
        ((1.0, -1.0), {"pos_value": "1", "neg_value": "-1"}),
        (("yes", "no"), {"pos_value": "yes"}),
        (("yes", "no"), {"neg_value": "no"}),
        ((True, False), {"pos_value": "True", "neg_value": "False"}),
        ((5, 0), {"pos_value": "5"}),
    ],
)
def test_matches(ingest, session, values, options):
    good, bad = values
    done = ingest([asked("q", [("a", good), ("b", bad)], session), asked("r", [("c", good)], session)], **options)
    assert done.format == RowsFormat(Layout.MATCHES, (TEXT, TEXT))
    assert done.rows == [(1, "q", "a", 1.0), (1, "q", "b", 0.0), (2, "r", "c", 1.0)]
    assert done.report.read_as.startswith("DocumentArray, 2 Documents, matches '")


def test_matches_of_images(ingest):
    documents = [Document(tensor=RGB), Document(tensor=RGB + 1)]
    for document in documents:
        document.matches = [Document(tensor=RGB + 2, tags={"finetuner": {"label": 1}})]
    done = ingest(documents)
    assert done.format == RowsFormat(Layout.MATCHES, (IMAGE, IMAGE))
    assert (pixels(done.rows[1][1]) == RGB + 1).all()
    assert (pixels(done.rows[1][4]) == RGB + 2).all()
    assert done.rows[1][7] == 1.0


@pytest.mark.parametrize(
    ("labels", "options", "message"),
    [
        (("yes", "no"), {}, "are 'yes', 'no', expected 1"),
        (("shoe", "hat"), {}, "where matches are search results and no judgments, clear them"),
        (("a", "b", "c"), {"pos_value": "a"}, "with pos_value='a' alone there must be that one and one other"),
        (("a", "b"), {"neg_value": "c"}, "with neg_value='c' alone"),
    ],
)
def test_labels_of_matches_that_cannot_be_told(ingest, labels, options, message):
    with pytest.raises(InputError, match=message):
        ingest([asked("q", [(f"a{label}", label) for label in labels])], **options)


def test_match_with_a_third_label_or_none_sets_its_document_aside(ingest):
    good = asked("q", [("a", 1), ("b", -1)])
    unlabelled = asked("s", [("a", 1)])
    unlabelled.matches.append(Document(text="b"))
    done = ingest([good, asked("r", [("a", 1), ("b", 0)]), unlabelled], share=0.7)
    assert len(done.rows) == 2
    assert [row[1].partition(";")[0] for row in ingest.quarantine()] == [
        "the label '0' of a match is neither '1' (relevant) nor '-1' (not relevant)",
        "a match has neither tags['finetuner']['label'] nor tags['finetuner_label']",
    ]


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (Document(), "it has no content"),
        (Document(text="  "), "it has no content"),
        (labelled("a", text="a\0b"), "the text contains a NUL character"),
        (Document(uri="https://example.org/photo"), "what the uri 'https://example.org/photo' leads to cannot be told"),
        (Document(uri="notes.txt"), "texts are not loaded from a uri"),
        (Document(text="a", modality="video"), "the modality 'video' is none of text, image, mesh"),
        (Document(text="a caption", uri="a.png"), "it has both a text and the uri 'a.png' of modality image"),
        (Document(text="a caption", uri="a.png", modality="image"), "it has both a text and a uri"),
        (Document(text="a", mime_type="image/png"), "it has a text and the mime_type 'image/png'"),
        (Document(blob=b"hello", mime_type="text/plain"), "its text is in the blob"),
        (Document(text="a", chunks=[Document(text="b"), Document(text="c")]), "both chunks and a content of its own"),
        (Document(chunks=[Document(text="b")]), "it has 1 chunks; two are a pair"),
        (
            Document(chunks=[Document(text="b"), Document(uri="c.off")]),
            "modality text and of modality mesh, by address",
        ),
        (Document(chunks=[Document(uri="b.png"), Document(tensor=RGB)]), "the other one an address"),
        (Document(text="a", chunks=[Document()], matches=[Document()]), "both matches and chunks"),
        (Document(text="a", matches=[Document(uri="c.png")]), "it is of modality text, a match of it is of modality"),
        (Document(uri="c.png"), "of modality image without tags['finetuner_label']"),
        (Document(text="a", tags={"finetuner_label": ""}), "the label is empty"),
        (Document(text="a", tags={"finetuner_label": "\u2060"}), "the label is empty"),
        (Document(text="\u2800", tags={"finetuner_label": "b"}), "it has no content"),
        (Document(text="a", tags={"finetuner_label": None}), "the label is neither a text nor a finite number"),
        (Document(text="a"), "it is plain (text), while most Documents are labelled (text)"),
        (labelled("a", tensor=RGB), "it is labelled (image), while most Documents are labelled (text)"),
        (labelled("a", uri="a.png"), "it is labelled (image by address), while most"),
        (two("a", "b"), "it is pairs (text and text), while most"),
    ],
)
def test_document_that_cannot_be_used(ingest, document, reason):
    texts = [labelled("a", text=f"text {n}") for n in range(9)]
    done = ingest([*texts[:4], document, *texts[4:]], share=0.1)
    assert [row[0] for row in done.rows] == [1, 2, 3, 4, 6, 7, 8, 9, 10]
    assert done.report.bad_rows == 1
    ((line, told, _),) = ingest.quarantine()
    assert line == "5"
    assert reason in told


def test_blob_that_is_no_image(ingest):
    good = [labelled("a", blob=png((n, 0, 0))) for n in range(3)]
    done = ingest([*good, labelled("a", blob=b"hello")], share=0.25)
    assert len(done.rows) == 3
    assert "is not a sound image" in ingest.quarantine()[0][1]


def test_mixed_array_is_refused_with_the_first_reasons(ingest, capsys):
    with pytest.raises(
        InputError, match=r"1 of 3 Documents \(33.33%\) cannot be used, max_bad_share allows 0.3.*line 3"
    ):
        ingest([labelled("a", text="one"), labelled("a", text="two"), Document(text="three")], share=0.3)
    assert not ingest.rows.exists()
    assert len(ingest.quarantine()) == 1
    assert "line 3: it is plain" in capsys.readouterr().err


def test_nothing_usable(ingest):
    with pytest.raises(
        InputError, match="none of the 2 Documents can be used; the first one because it has no content"
    ):
        ingest([Document(), Document()], share=1.0)


def test_everything_is_lost_on_loading(ingest):
    with pytest.raises(InputError, match=r"2 of 2 Documents .*nothing is left"):
        ingest([labelled("a", blob=b"x"), labelled("b", blob=b"y")], share=1.0)


@pytest.mark.parametrize("protocol", ["protobuf", "protobuf-array"])
def test_empty_array(ingest, protocol):
    with pytest.raises(InputError, match="holds no Documents"):
        ingest([], protocol=protocol)


def test_several_shards_are_several_sources(ingest):
    for name, labels in (("b.protobuf-array.gzip", "xy"), ("a.protobuf.bz2", "zx")):
        protocol, compress = name.split(".")[1:]
        with (ingest.folder / name).open("wb") as file:
            documents = [labelled(label, text=f"{name[0]}-{label}") for label in labels]
            DocumentArray([*documents, *([Document(text="plain")] * (name[0] == "a"))]).save_binary(
                file, protocol, compress
            )
    (ingest.folder / "README.md").write_text("about")
    (ingest.folder / "manifest.json").write_text("{}")
    done = ingest.files(list(ingest.folder.iterdir()), 0.34)
    assert done.format == RowsFormat(Layout.LABELLED, (TEXT,), several_sources=True)
    assert done.rows == [
        (1, "a.protobuf.bz2", "a-z", "z"),
        (2, "a.protobuf.bz2", "a-x", "x"),
        (1, "b.protobuf-array.gzip", "b-x", "x"),
        (2, "b.protobuf-array.gzip", "b-y", "y"),
    ]
    assert [(row[0], row[3]) for row in ingest.quarantine()] == [("3", "a.protobuf.bz2")]


def test_shards_of_one_name_in_several_folders(ingest):
    files = []
    for part in ("a", "b"):
        (ingest.folder / part).mkdir()
        files.append(ingest.folder / part / "0.da")
        with files[-1].open("wb") as file:
            DocumentArray([labelled("x", text=part)]).save_binary(file, "protobuf-array")
    assert ingest.files(files).rows == [(1, "a/0.da", "a", "x"), (1, "b/0.da", "b", "x")]


def test_folder_without_arrays(ingest):
    files = [ingest.folder / "a.md", ingest.folder / "b.md"]
    with pytest.raises(InputError, match="holds no DocumentArray"):
        ingest.files(files)


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_request_is_checked(share):
    with pytest.raises(ConfigError, match="is not a share"):
        check_share(share)
    with pytest.raises(ConfigError, match="pos_value and neg_value are both '1'"):
        CSVOptions(pos_value=" 1", neg_value="1")
