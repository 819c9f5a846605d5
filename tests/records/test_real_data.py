from pathlib import Path

import pytest

from embedtune.errors import InputError
from embedtune.records.csv_options import CSVOptions
from embedtune.records.ingest import ingest_csv

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"
USED = ("column 1", "column 2")

needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data beside the repository is absent")


def ingest(source, tmp_path, layout="auto"):
    return ingest_csv(source, tmp_path / "rows", tmp_path / "quarantine", layout, CSVOptions(), 0.0)


@needs_data
@pytest.mark.parametrize(
    ("name", "layout", "rows", "header", "used"),
    [
        ("quora/questions.csv", "labelled", 2000, False, USED),
        ("covid-qa/dataset.csv", "pairs", 209, True, ("question", "answer")),
        ("finetuner-docs/greetings-labelled.csv", "labelled", 6, False, USED),
        ("finetuner-docs/images-labelled.csv", "labelled", 5, False, USED),
        ("finetuner-docs/dishes-pairs.csv", "pairs", 4, False, USED),
        ("finetuner-examples/image-image.csv", "pairs", 200, False, USED),
    ],
)
def test_two_column_files(name, layout, rows, header, used, tmp_path):
    report = ingest(DATA / name, tmp_path)
    assert (report.layout, report.rows, report.bad_rows) == (layout, rows, 0)
    assert (report.header, report.columns_used, report.dialect) == (header, used, "excel")


@needs_data
@pytest.mark.parametrize(
    ("name", "dialect"),
    [
        ("sts/headlines-train.csv", "excel with delimiter ','"),
        ("sts/images-train.tsv", "excel-tab with delimiter"),
        ("finetuner-docs/quoted-scores.csv", "blanks before an opening quote skipped"),
    ],
)
def test_scored_files_are_refused_for_their_columns(name, dialect, tmp_path):
    with pytest.raises(InputError, match=f"{dialect}.*3 columns without a known header"):
        ingest(DATA / name, tmp_path)


@pytest.mark.parametrize(
    ("name", "layout", "used"),
    [
        ("support_tickets.csv", "labelled", ("text", "label")),
        ("recipes_pairs.csv", "pairs", ("query", "document")),
    ],
)
def test_the_examples(name, layout, used, tmp_path):
    source = ROOT / "examples" / name
    report = ingest(source, tmp_path)
    assert (report.layout, report.header, report.columns_used, report.bad_rows) == (layout, True, used, 0)
    assert report.rows > 100
