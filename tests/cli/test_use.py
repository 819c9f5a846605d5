"""Using a model: texts to vectors, and search."""

import csv
import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from embedtune.models.card import TRAINING_FILE, ModelCard
from embedtune.steps.ingest_csv import IngestCSVConfig, ingest_csv

TEXTS = ["open the shop", "close the shop", "paint the door", "sell a box", 'the "red" box,\nwith a second line']


@pytest.fixture
def index(tmp_path: Path) -> Path:
    path = tmp_path / "index.csv"
    rows = [f'{number},"{text.replace(chr(34), chr(34) * 2)}"' for number, text in enumerate(TEXTS)]
    path.write_text("\n".join(["id,text", *rows]), encoding="utf-8-sig")
    return path


@pytest.fixture
def vectors(embedtune, index: Path, tiny_model: Path, tmp_path: Path) -> Path:
    path = tmp_path / "new" / "vectors.npy"
    done = embedtune("encode", "--model", tiny_model, "--input", index, "--output", path, "--column", "text")
    assert (done.code, done.out) == (
        0,
        f"5 vectors of 32 components in {path}, what each is of in {path.with_suffix('.names.csv')}\n",
    )
    return path


def test_encode_gives_what_the_model_gives(vectors: Path, tiny_model: Path) -> None:
    from sentence_transformers import SentenceTransformer

    expected = SentenceTransformer(str(tiny_model), device="cpu").encode(TEXTS)
    found = np.load(vectors, allow_pickle=False)
    assert (found.dtype, found.shape) == (np.float32, (5, 32))
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert {path.name for path in vectors.parent.iterdir()} == {"vectors.npy", "vectors.names.csv"}
    with vectors.with_suffix(".names.csv").open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file)) == [["vector", "name"], *([str(row), text] for row, text in enumerate(TEXTS))]


def test_vectors_are_replaced_by_vectors_and_no_other_array_is(
    embedtune, index: Path, vectors: Path, tiny_model: Path, tmp_path: Path
) -> None:
    path = tmp_path / "vectors.npy"
    path.write_bytes(vectors.read_bytes())
    command = ("encode", "--model", tiny_model, "--input", index, "--column", "text", "--output", path)
    assert embedtune(*command).code == 0
    assert path.read_bytes() == vectors.read_bytes()
    np.save(path, np.load(path))
    done = embedtune(*command)
    assert (done.code, "--overwrite to replace it" in done.err) == (1, True)
    assert embedtune(*command, "--overwrite").code == 0
    np.testing.assert_array_equal(np.load(path, mmap_mode="r"), np.load(vectors))


@pytest.mark.parametrize("with_vectors", [False, True])
def test_search_finds_the_text_itself_first(
    with_vectors: bool, embedtune, index: Path, vectors: Path, tiny_model: Path
) -> None:
    given = ("--vectors", vectors) if with_vectors else ()
    words = ("--model", tiny_model, "--index", index, "--column", "2", "--limit", 3, *given)
    done = embedtune("search", "paint the door", *words)
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert lines[0] == "1.000  paint the door"
    scores = [float(line.split("  ")[0]) for line in lines]
    assert len(scores) == 3
    assert scores == sorted(scores, reverse=True)


def test_search_shows_each_text_on_one_line_whatever_is_in_it(embedtune, index: Path, tiny_model: Path) -> None:
    words = ("--model", tiny_model, "--index", index, "--column", "text", "--limit", 99)
    done = embedtune("search", "box [bold]red[/bold]", *words)
    assert len(done.out.splitlines()) == len(TEXTS)
    assert 'the "red" box, with a second line' in done.out


def test_vectors_of_another_index_are_refused(embedtune, index: Path, vectors: Path, tiny_model: Path) -> None:
    index.write_text(index.read_text(encoding="utf-8") + "\n9,one more", encoding="utf-8")
    done = embedtune("search", "x", "--model", tiny_model, "--index", index, "--column", "text", "--vectors", vectors)
    assert done.code == 1
    assert "has the shape (5, 32), the index 6 texts" in done.err


def test_vectors_of_another_model_are_refused(embedtune, index: Path, tiny_model: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "other.npy", np.ones((5, 16), np.float32))
    words = ("--model", tiny_model, "--index", index, "--column", "text", "--vectors", tmp_path / "other.npy")
    done = embedtune("search", "x", *words)
    assert done.code == 1
    assert "holds 16 components a vector, the model makes 32" in done.err


def test_file_that_is_no_array(embedtune, index: Path, tiny_model: Path) -> None:
    done = embedtune("search", "x", "--model", tiny_model, "--index", index, "--column", "text", "--vectors", index)
    assert done.code == 1
    assert "cannot be read" in done.err
    assert "Traceback" not in done.err


def test_output_must_be_an_array_file(embedtune, index: Path, tmp_path: Path) -> None:
    done = embedtune("encode", "--model", "x", "--input", index, "--output", tmp_path / "vectors.csv")
    assert done.code == 1
    assert "ends in .npy" in done.err


def test_model_that_is_not_there(embedtune, index: Path, tmp_path: Path) -> None:
    done = embedtune("encode", "--model", tmp_path / "none", "--input", index, "--output", tmp_path / "v.npy")
    assert done.code == 1
    assert "neither a local folder" in done.err
    assert not (tmp_path / "v.npy").exists()


def test_column_by_number_without_a_header(embedtune, tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "plain.csv").write_text("1,open the shop\n2,paint the door\n", encoding="utf-8")
    options = ("--column", 2, "--csv-options", '{"header": "no"}', "--limit", 1)
    done = embedtune("search", "open the shop", "--model", tiny_model, "--index", tmp_path / "plain.csv", *options)
    assert (done.code, done.out) == (0, "1.000  open the shop\n")
    assert "2 texts of 'column 2' (2 of 2 columns)" in done.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--column", "title"), "has no column 'title'. Its columns: id, text"),
        (("--column", "text", "--csv-options", "{"), "are not JSON"),
    ],
)
def test_what_cannot_be_read_is_one_message_before_a_model_is_loaded(
    options: tuple[str, ...], message: str, embedtune, index: Path, tmp_path: Path
) -> None:
    done = embedtune("encode", "--model", "none", "--input", index, "--output", tmp_path / "v.npy", *options)
    assert done.code == 1
    assert message in done.err
    assert "Traceback" not in done.err


def test_missing_file(embedtune, tmp_path: Path) -> None:
    done = embedtune("search", "x", "--model", "none", "--index", tmp_path / "none.csv")
    assert done.code == 1
    assert "none.csv" in done.err


CARD = ModelCard("tiny", "sha256:00", 32, 64, "pairs", 1, "sha256:11", {}, (), 1.0, 1.0, {}, 0.0)


@pytest.fixture
def trained(tiny_model: Path, tmp_path: Path) -> Callable[..., Path]:
    """A model whose card says that it was trained on this file: `trained(path, csv_options="{...}")`."""

    def train(data: Path, **options: str) -> Path:
        report = ingest_csv(IngestCSVConfig(str(data), **options), tmp_path / "rows", tmp_path / "bad.csv")
        folder = shutil.copytree(tiny_model, tmp_path / "trained")
        dataclasses.replace(CARD, layout=report.layout, reading=report).save(folder)
        return folder

    return train


SHOPS = [("when do you open", "we open at nine"), ("opening hours", "we open at nine"), ("where", "in the high street")]


def rows_of(*columns: str) -> list[str]:
    """Each pair of SHOPS ten times, so that there is enough to read the columns by."""
    rows = [(f"{query} {number}", document) for number in range(10) for query, document in SHOPS]
    return [",".join(columns), *(",".join(row) for row in rows)]


@pytest.mark.parametrize("header", [True, False])
def test_the_documents_of_the_training_data_are_found_once_each(
    header: bool, embedtune, trained: Callable[..., Path], tmp_path: Path
) -> None:
    lines = rows_of("query", "document")
    (tmp_path / "data.csv").write_text("\n".join(lines if header else lines[1:]), encoding="utf-8")
    model = trained(tmp_path / "data.csv", layout="pairs", csv_options="{}" if header else '{"header": "no"}')
    done = embedtune("search", "we open at nine", "--model", model, "--index", tmp_path / "data.csv")
    assert done.code == 0, done.err
    assert [line.split("  ")[1] for line in done.out.splitlines()] == ["we open at nine", "in the high street"]
    assert "data.csv: 2 documents, 0 set aside; layout pairs" in done.err


@pytest.mark.parametrize("text", [None, "{"])
def test_a_model_whose_record_of_the_training_is_lost_is_used_without(
    text: str | None, embedtune, trained: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "data.csv").write_text("\n".join(rows_of("query", "document")), encoding="utf-8")
    model = trained(tmp_path / "data.csv")
    (model / TRAINING_FILE).unlink()
    if text is not None:
        (model / TRAINING_FILE).write_text(text, encoding="utf-8")
    words = ("--model", model, "--index", tmp_path / "data.csv", "--column", "document", "--limit", 1)
    done = embedtune("search", "in the high street", *words)
    assert (done.code, done.out) == (0, "1.000  in the high street\n")
    assert TRAINING_FILE in done.err
    assert "it is not known how its training data were read" in done.err


def test_vectors_of_the_training_data_fit_a_search_in_it(
    embedtune, trained: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "data.csv").write_text("\n".join(rows_of("query", "document")), encoding="utf-8")
    model, vectors = trained(tmp_path / "data.csv"), tmp_path / "vectors.npy"
    done = embedtune("encode", "--model", model, "--input", tmp_path / "data.csv", "--output", vectors)
    assert (
        done.out == f"2 vectors of 32 components in {vectors}, what each is of in {vectors.with_suffix('.names.csv')}\n"
    )
    words = ("--model", model, "--index", tmp_path / "data.csv", "--vectors", vectors, "--limit", 1)
    assert embedtune("search", "in the high street", *words).out == "1.000  in the high street\n"


def test_wrong_answers_and_rows_that_cannot_be_used(embedtune, trained: Callable[..., Path], tmp_path: Path) -> None:
    rows = [f"query {number},answer {number % 3},wrong {number % 2}" for number in range(20)]
    data = tmp_path / "data.csv"
    data.write_text("\n".join(["query,answer,wrong_answer", *rows]), encoding="utf-8")
    model = trained(data)
    data.write_text(data.read_text(encoding="utf-8") + "\nquery,,wrong 0\n", encoding="utf-8")
    done = embedtune("search", "answer", "--model", model, "--index", data)
    assert {line.split("  ")[1] for line in done.out.splitlines()} == {
        *(f"answer {number}" for number in range(3)),
        *(f"wrong {number}" for number in range(2)),
    }
    assert "5 documents, 1 set aside; layout matches" in done.err


def test_another_file_is_read_by_its_first_column(embedtune, trained: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("\n".join(rows_of("query", "document")), encoding="utf-8")
    model = trained(tmp_path / "data.csv")
    (tmp_path / "other.csv").write_text("title,price\nred box,1\nred box,2\nblue box,3\n", encoding="utf-8")
    done = embedtune("search", "red box", "--model", model, "--index", tmp_path / "other.csv")
    assert [line.split("  ")[1] for line in done.out.splitlines()] == ["red box", "blue box"]
    assert "3 texts of 'title' (1 of 2 columns)" in done.err


def test_a_column_that_is_named_wins(embedtune, trained: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("\n".join(rows_of("query", "document")), encoding="utf-8")
    words = ("--model", trained(tmp_path / "data.csv"), "--index", tmp_path / "data.csv", "--column", "query")
    assert embedtune("search", "where 3", *words, "--limit", 1).out == "1.000  where 3\n"


def test_the_corpus_of_a_beir_folder(embedtune, tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "beir" / "qrels").mkdir(parents=True)
    for name, texts in (("queries", ["when", "where"]), ("corpus", ["at nine", "high street", "judged by nobody"])):
        lines = [json.dumps({"_id": str(number), "text": text}) for number, text in enumerate(texts)]
        (tmp_path / "beir" / f"{name}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    (tmp_path / "beir" / "qrels" / "test.tsv").write_text(
        "query-id\tcorpus-id\tscore\n0\t0\t1\n1\t1\t1\n", encoding="utf-8"
    )
    done = embedtune("search", "judged by nobody", "--model", tiny_model, "--index", tmp_path / "beir")
    assert done.out.splitlines()[0] == "1.000  judged by nobody"
    assert len(done.out.splitlines()) == 3
    refused = embedtune("search", "x", "--model", tiny_model, "--index", tmp_path / "beir", "--column", "text")
    assert "means a column of one CSV" in refused.err


@pytest.mark.parametrize("query", ["", "  ", "\t"])
def test_a_blank_query_is_refused(query: str, embedtune, index: Path) -> None:
    done = embedtune("search", query, "--model", "none", "--index", index)
    assert (done.code, done.out) == (1, "")
