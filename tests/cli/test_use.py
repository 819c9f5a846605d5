"""Using a model: texts to vectors, and search."""

from pathlib import Path

import numpy as np
import pytest

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
    assert (done.code, done.out) == (0, f"5 vectors of 32 components in {path}\n")
    return path


def test_encode_gives_what_the_model_gives(vectors: Path, tiny_model: Path) -> None:
    from sentence_transformers import SentenceTransformer

    expected = SentenceTransformer(str(tiny_model), device="cpu").encode(TEXTS)
    found = np.load(vectors, allow_pickle=False)
    assert (found.dtype, found.shape) == (np.float32, (5, 32))
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert [path.name for path in vectors.parent.iterdir()] == ["vectors.npy"]


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
