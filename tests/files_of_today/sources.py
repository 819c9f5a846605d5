"""Small sources of every kind, with the quirks that decide what becomes of a row. Equal bytes on every machine."""

import csv
import json
import struct
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from docarray import Document, DocumentArray

VERBS = ("open", "close", "sell", "paint")


def write_sources(folder: Path) -> None:
    """Write every source into an empty folder."""
    _labelled(folder / "labelled.csv")
    _table(folder / "pairs.csv", ("question", "answer"), _pairs(30))
    _table(folder / "matches.csv", ("query", "answer", "wrong_answer_1", "wrong_answer_2"), _matches())
    _table(folder / "scored.csv", ("sentence1", "sentence2", "score"), _scored())
    _table(folder / "plain.csv", ("text",), [(f"a text, no. {n % 18}",) for n in range(20)])
    few = [(f"text {n} of {verb}", verb) for number, verb in enumerate(VERBS) for n in range(3 + number)]
    _table(folder / "few.csv", ("text", "label"), few)
    _captions(folder / "captions")
    _shapes(folder / "shapes")
    _beir(folder / "beir")
    _array(folder / "array.protobuf-array")
    for name, rows in (("a.csv", _pairs(20)), ("b.csv", [("question 3", "answer 40"), *_pairs(32)[18:]])):
        _table(folder / "several" / name, ("question", "answer"), rows)


def _table(path: Path, names: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    path.parent.mkdir(exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([names, *rows])


def _labelled(path: Path) -> None:
    """Write a CSV of another dialect and encoding, with bad, repeated and contradictory rows."""
    things = ("{} die Tür {}", "Straße: {} {}", '"{} the ""A"" {}"', '"{}\nin two lines {}"')
    lines = ["Text;Label;Notiz"]
    for verb in VERBS:
        lines += [f"{things[number % 4].format(verb, number)};{verb};x" for number in range(12)]
    # A second label for the first text, a text twice, another spelling, no label, and no label of what a spreadsheet
    # would take for a formula.
    lines += ["open die Tür 0;paint;", "Straße: sell 1;sell;", "STRASSE:  sell 5;sell;", "no label;;", "=1+1;;"]
    lines += ["", "  a blank ; open ;"]
    path.write_text("\n".join(lines) + "\n", encoding="cp1252", newline="")


def _pairs(count: int) -> list[tuple[str, str]]:
    """Return questions that share answers by twos, some in other spellings."""
    rows = [(f"question {n}", f"answer {n // 2}") for n in range(count)]
    return [*rows, ("QUESTION 1", "Answer 0"), ("question 3", "another answer"), rows[4]]


def _matches() -> list[tuple[str, ...]]:
    return [(f"query {n}", f"answer {n}", f"wrong {n}", f"answer {(n + 1) % 30}") for n in range(30)]


def _scored() -> list[tuple[str, str, str]]:
    return [*((f"one {n}", f"other {n % 27}", f"{n / 30:.2f}") for n in range(30)), ("One 3", "other 3", "0.1")]


def _captions(folder: Path) -> None:
    rows = [(f"a picture of {n}", f"images/{n % 28}.png") for n in range(30)]
    _table(folder / "captions.csv", ("caption", "image"), [*rows, ("a picture of nothing", "images/missing.png")])
    (folder / "images").mkdir()
    for number in range(28):
        (folder / "images" / f"{number}.png").write_bytes(_png(number))


def _png(number: int) -> bytes:
    """Return a picture of 3 x 2 pixels in RGB, which is kept as it is; nothing in it is compressed."""
    pixels = b"".join(b"\0" + bytes((number, 7 * number, 255 - number)) * 3 for _ in range(2))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in (
            (b"IHDR", struct.pack(">IIBBBBB", 3, 2, 8, 2, 0, 0, 0)),
            (b"IDAT", zlib.compress(pixels, level=0)),
            (b"IEND", b""),
        )
    )


def _shapes(folder: Path) -> None:
    """Write boxes, whose areas and sums of areas are whole numbers, so that the points do not depend on rounding."""
    sides = ["0 1 2", "0 2 3", "4 5 6", "4 6 7", "0 1 5", "0 5 4", "2 3 7", "2 7 6", "1 2 6", "1 6 5", "0 3 7", "0 7 4"]
    faces = "".join(f"3 {side}\n" for side in sides)
    for name, height in (("plate", 2), ("rod", 16)):
        (folder / name).mkdir(parents=True)
        for number in range(8):
            corners = ((0, 0), (4 + number, 0), (4 + number, 4), (0, 4))
            points = "".join(f"{x} {y} {z}\n" for z in (0, height) for x, y in corners)
            (folder / name / f"{number}.off").write_text(f"OFF\n8 12 0\n{points}{faces}", newline="")


def _beir(folder: Path) -> None:
    (folder / "qrels").mkdir(parents=True)
    for name, count in (("corpus", 36), ("queries", 30)):
        lines = [{"_id": f"{name[0]}{n}", "title": f"no. {n % 3}", "text": f"{name} text {n}"} for n in range(count)]
        (folder / f"{name}.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines), newline="")
    for split, numbers in (("train", range(16)), ("dev", range(16, 20)), ("test", range(20, 30))):
        judged = "".join(f"q{n}\tc{n}\t{n % 3 + 1}\nq{n}\tc{(n + 1) % 30}\t0\n" for n in numbers)
        text = f"query-id\tcorpus-id\tscore\n{judged}"
        (folder / "qrels" / f"{split}.tsv").write_text(text, newline="")


def _array(path: Path) -> None:
    documents = DocumentArray(
        [Document(id=f"{n:032x}", text=f"text {n}", tags={"finetuner_label": VERBS[n % 3]}) for n in range(30)]
    )
    documents.append(Document(id="f" * 32, text="", tags={"finetuner_label": "open"}))
    documents.save_binary(str(path), protocol="protobuf-array", compress=None)
