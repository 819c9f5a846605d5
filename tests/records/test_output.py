"""Rows and quarantine files, and the latter in a few lines."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest

from embedtune.errors import InputError, StorageError
from embedtune.records.layouts import Layout, Modality
from embedtune.records.output import (
    SET_OPTIONS,
    Part,
    QuarantineWriter,
    RowsOutput,
    open_output,
    read_reasons,
    without_options,
)
from embedtune.records.rows import RowsFormat, read_rows


def write(path, *rows, several=False):
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = QuarantineWriter(file, several)
        for row in rows:
            writer.add(*row)
    return path


def test_the_most_frequent_comes_first(tmp_path):
    path = write(
        tmp_path / "q.csv", (2, "no label", "a,"), (3, "too many values", "b,c,d"), (7, "too many values", "e,f,g")
    )
    assert read_reasons(path) == (("too many values", 2, "b,c,d"), ("no label", 1, "a,"))


def test_rows_that_differ_only_in_their_own_cells_are_one_reason(tmp_path):
    rows = [(n, f"content: image-{n}.png does not exist", f"image-{n}.png,cat") for n in range(30)]
    assert read_reasons(write(tmp_path / "q.csv", *rows)) == (("content: … does not exist", 30, "image-0.png,cat"),)


def test_a_short_cell_is_left_in_a_reason(tmp_path):
    path = write(tmp_path / "q.csv", (1, "score 2 is not in 0..1", "a,b,2"))
    assert read_reasons(path) == (("score 2 is not in 0..1", 1, "a,b,2"),)


def test_several_sources_quotes_and_line_breaks(tmp_path):
    path = write(tmp_path / "q.csv", (1, "why", '"a\nb",c', "one.csv"), (1, "why", '"open', "two.csv"), several=True)
    assert read_reasons(path) == (("why", 2, '"a\nb",c'),)


def test_a_row_of_megabytes_is_shortened(tmp_path):
    ((reason, rows, first),) = read_reasons(write(tmp_path / "q.csv", (1, "too long", "x" * 3_000_000)))
    assert (reason, rows, len(first)) == ("too long", 1, 200)


def test_none(tmp_path):
    assert read_reasons(write(tmp_path / "q.csv")) == ()


@pytest.mark.parametrize("content", [None, b"a,b\n1,2\n", b"line,reason,row\n\xff\xfe\n"])
def test_another_file_is_refused(tmp_path, content):
    path = tmp_path / "q.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(StorageError, match=r"cannot be read as a quarantine file"):
        read_reasons(path)


def test_what_cannot_be_set_is_not_advised():
    read = InputError(f"Too many. Mend the rows, {SET_OPTIONS}or raise max_bad_share.")
    assert str(without_options(read)) == "Too many. Mend the rows, set the CSV options if the file was read wrongly."
    assert str(without_options(read, SET_OPTIONS)) == "Too many. Mend the rows."
    contradicting = InputError("Too many. Mend the rows, or raise max_bad_share.")
    assert str(without_options(contradicting)) == "Too many. Mend the rows."


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("https://h.example/a.png?sig=S3CRET&x=1,cat", "https://h.example/a.png?…,cat"),
        ("cat,http://joe:hunter2@h.example/a.png", "cat,http://…@h.example/a.png"),
        ('"http://joe@h/a?t=1","b"', '"http://…@h/a?…","b"'),
        ("what is this? a,b@c", "what is this? a,b@c"),
    ],
)
def test_secrets_in_addresses_are_not_printed(
    row: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    writer = QuarantineWriter(io.StringIO())
    writer.add(3, "content: the server answers 403", row)
    with pytest.raises(InputError):
        writer.check_shares([Part("", "here", 1)], 0.5, tmp_path)
    assert writer.first == [f"line 3: content: the server answers 403: {told!r}"]
    assert told in capsys.readouterr().err


def write_output(folder: Path, ending: Callable[[RowsOutput], None]) -> None:
    with open_output(folder / "rows", folder / "bad.csv", max_bad_share=0.5) as output:
        output.begin(RowsFormat(Layout.PLAIN, (Modality.TEXT,)))
        output.add((1, "text"), 4)
        output.reject(2, "why", "row")
        ending(output)


def is_refused(output: RowsOutput) -> None:
    output.finish([Part("", "here", 1)])


def fails_while_it_is_read(_: RowsOutput) -> None:
    raise InputError("cut off")


def fails_afterwards(output: RowsOutput) -> None:
    output.finish([Part("", "here", 2)])
    raise InputError("nothing to learn")


def is_interrupted(output: RowsOutput) -> None:
    output.finish([Part("", "here", 2)])
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("ending", "left"),
    [(is_refused, ["bad.csv"]), (fails_while_it_is_read, []), (fails_afterwards, ["bad.csv"]), (is_interrupted, [])],
)
def test_a_failure_leaves_no_rows_and_what_was_set_aside_once_everything_was_read(
    ending: Callable[[RowsOutput], None], left: list[str], tmp_path: Path
) -> None:
    with pytest.raises((InputError, KeyboardInterrupt)):
        write_output(tmp_path, ending)
    assert [path.name for path in tmp_path.iterdir()] == left
    assert all(read_reasons(tmp_path / name) == (("why", 1, "row"),) for name in left)


def test_rows_are_written_anew(tmp_path: Path) -> None:
    seen: list[object] = []
    with open_output(tmp_path / "rows", tmp_path / "bad.csv") as output:
        output.begin(RowsFormat(Layout.PLAIN, (Modality.IMAGE,), loaded=False, several_sources=True), seen.append)
        output.reject(1, "why", "row", "one.csv")
        for line in (2, 3):
            output.add((line, "one.csv", f"{line}.jpg"), 5)
        with output.rewritten(RowsFormat(Layout.PLAIN, (Modality.TEXT,))) as (earlier, bad):
            assert read_rows(earlier)[1].column("text").to_pylist() == ["2.jpg", "3.jpg"]
            assert (output.rows, dict(bad)) == (0, {"one.csv": 1})
            output.add((3, "three"), 5)
        assert not earlier.exists()
        assert (output.rows, output.bad_rows, output.first) == (1, 1, [])
    assert read_rows(tmp_path / "rows")[1].to_pylist() == [{"line": 3, "text": "three"}]
    assert seen == [[("2.jpg", "3.jpg")]]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.csv", "rows"]
