from pathlib import Path

import pytest

from embedtune.errors import InputError
from embedtune.records.csv.ingest import ingest_csv
from embedtune.records.csv.options import CSVOptions, CSVSource, IngestRequest
from embedtune.records.output import open_output
from embedtune.records.rows import read_rows

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"

needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data beside the repository is absent")


def ingest(source, tmp_path, **options):
    request = IngestRequest(options=CSVOptions(**options))
    with open_output(tmp_path / "rows", tmp_path / "quarantine", max_bad_share=0) as output:
        report = ingest_csv([CSVSource(source, source.name)], output, request)
    rows = [tuple(row.values()) for row in read_rows(tmp_path / "rows")[1].to_pylist()]
    assert (report.bad_rows, report.rows) == (0, len(rows))
    return report, rows


@needs_data
@pytest.mark.parametrize("options", [{}, {"is_labeled": True}])
def test_labelled_greetings_as_printed(options, tmp_path):
    report, rows = ingest(DATA / "finetuner-docs/greetings-labelled.csv", tmp_path, **options)
    assert (report.layout, report.modalities) == ("labelled", ("text",))
    assert rows == [
        (1, "Hello!", "greeting-english"),
        (2, "Hi there.", "greeting-english"),
        (3, "Good morning.", "greeting-english"),
        (4, "I'm (…) sorry!", "apologize-english"),
        (5, "I'm sorry to have…", "apologize-english"),
        (6, "Please ... forgive me!", "apologize-english"),
    ]


@needs_data
@pytest.mark.parametrize("options", [{}, {"is_labeled": False}])
def test_pairs_of_dishes_as_printed(options, tmp_path):
    report, rows = ingest(DATA / "finetuner-docs/dishes-pairs.csv", tmp_path, **options)
    assert report.layout == "pairs"
    assert rows[0] == (1, "Rice dishes", "Chicken curry")
    assert [row[2] for row in rows] == ["Chicken curry", "Ristto", "Spaghetti bolognese", "Ratitouille"]


@needs_data
def test_labelled_images_as_printed(tmp_path):
    source = DATA / "finetuner-docs/images-labelled.csv"
    with pytest.raises(InputError, match=r"labelled images or pairs of image and text.*is_labeled"):
        ingest(source, tmp_path)
    report, rows = ingest(source, tmp_path, is_labeled=True)
    assert (report.layout, report.modalities, len(rows)) == ("labelled", ("image",), 5)
    assert rows[2] == (3, "https://example.com/apple-styling.jpg", "picture of apple")


@needs_data
@pytest.mark.parametrize("options", [{}, {"task": "text-to-image"}])
def test_text_and_image_as_printed(options, tmp_path):
    report, rows = ingest(DATA / "finetuner-docs/text-image.csv", tmp_path, **options)
    assert (report.layout, report.modalities) == ("text-image", ("text", "image"))
    assert rows == [
        (1, "This is a photo of an apple.", "apple.jpg"),
        (2, "This is a black-white photo of an organge.", "orange.jpg"),
    ]


@needs_data
@pytest.mark.parametrize(("name", "apostrophe"), [("quoted-scores", "'"), ("quoted-scores-curly", "’")])
def test_quoted_scores_as_printed(name, apostrophe, tmp_path):
    report, rows = ingest(DATA / f"finetuner-docs/{name}.csv", tmp_path)
    assert (report.layout, report.csv.delimiter) == ("scored", ",")
    expected = [
        (1, "If we're ordering lunch, we should get pizza", "I want to order pizza for lunch", 0.8),
        (
            2,
            "If you're headed out, can you take out the garbage?",
            "I'm going to have to take the trash out myself, aren't I?",
            0.1,
        ),
    ]
    for row, (line, first, second, score) in zip(rows, expected, strict=True):
        texts = (first.replace("'", apostrophe), second.replace("'", apostrophe))
        assert row == (line, *texts, pytest.approx(score))


@needs_data
def test_plain_scores_as_printed(tmp_path):
    report, rows = ingest(DATA / "finetuner-docs/weather-scores.csv", tmp_path)
    assert report.layout == "scored"
    assert rows[0] == (1, "The weather is nice", "The weather is beautiful", pytest.approx(0.9))
    assert rows[1] == (2, "The weather is nice", "The weather is bad", 0.0)


@needs_data
def test_example_pairs_of_images(tmp_path):
    report, rows = ingest(DATA / "finetuner-examples/image-image.csv", tmp_path)
    assert (report.layout, report.modalities, len(rows)) == ("pairs", ("image", "image"), 200)
    assert all(address.startswith("https://") for row in rows for address in row[1:])


@needs_data
def test_example_pairs_of_image_and_text(tmp_path):
    source = DATA / "finetuner-examples/text-image.csv"
    with pytest.raises(InputError, match="68% of 199 different rows share their text"):
        ingest(source, tmp_path)
    for options in ({"task": "text-to-image"}, {"is_labeled": False}):
        report, rows = ingest(source, tmp_path, **options)
        assert (report.layout, report.modalities, len(rows)) == ("text-image", ("text", "image"), 200)
        assert report.csv.columns_used == ("column 2", "column 1")
        assert (rows[0][1], rows[8][1]) == ("micro sd", "funkgeräte & zubehör")


@needs_data
@pytest.mark.parametrize(
    ("name", "dialect"),
    [("headlines-train.csv", "excel"), ("headlines-eval.csv", "excel"), ("images-train.tsv", "excel-tab")],
)
def test_semeval(name, dialect, tmp_path):
    for options in ({}, {"dialect": dialect}):
        report, rows = ingest(DATA / "sts" / name, tmp_path, **options)
        assert (report.layout, report.csv.dialect, report.csv.header, len(rows)) == ("scored", dialect, False, 750)
        assert {0.0, 1.0} <= {row[3] for row in rows}
    if dialect == "excel-tab":
        assert rows[0][1:3] == (
            "A cat standing on tree branches.",
            "A black and white cat is high up on tree branches.",
        )


@needs_data
@pytest.mark.parametrize("options", [{}, {"is_labeled": True}])
def test_quora(options, tmp_path):
    report, rows = ingest(DATA / "quora/questions.csv", tmp_path, **options)
    assert (report.layout, report.csv.header, len(rows)) == ("labelled", False, 2000)
    assert rows[2][2] == rows[3][2] == "13778"


@needs_data
def test_covid_qa(tmp_path):
    report, rows = ingest(DATA / "covid-qa/dataset.csv", tmp_path)
    assert (report.layout, report.csv.header, len(rows)) == ("matches", True, 418)
    assert report.csv.columns_used == ("question", "answer", "wrong_answer")
    assert [row[3] for row in rows] == [1.0, 0.0] * 209
    assert all(one[1] == other[1] and one[2] != other[2] for one, other in zip(rows[::2], rows[1::2], strict=True))


@pytest.mark.parametrize(
    ("name", "layout", "used"),
    [
        ("support_tickets.csv", "labelled", ("text", "label")),
        ("recipes_pairs.csv", "pairs", ("query", "document")),
    ],
)
def test_the_examples(name, layout, used, tmp_path):
    source = ROOT / "examples" / name
    report, _ = ingest(source, tmp_path)
    assert (report.layout, report.csv.header, report.csv.columns_used) == (layout, True, used)
    assert report.rows > 100
