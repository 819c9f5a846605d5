"""From a text CSV to grouped, split DocumentArray shards, beside bare docarray, which only constructs and saves.

Each measurement is a process of its own, so that its peak memory is its own. Ours reads, checks, groups, splits and
writes; docarray is given the same texts and labels in lists, makes Documents of them and saves them in the same form.
"""

import argparse
import csv
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks import ROOT
from benchmarks.memory import peak_mib

_SEED = 7
_WORDS = 4_000
_FILES = 8
_AIMS = "aims: 30,000 rows/s at 100 thousand and no slower at 1 million; below 1 GiB labelled, 1.5 GiB pairs, at 1 M"


def main() -> None:
    """Print rows per second and peak memory of both sides."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        _run_child(options.child[0], Path(options.child[1]))
        return
    print(_AIMS, flush=True)
    for rows in options.rows:
        for layout in ("labelled", "pairs"):
            with tempfile.TemporaryDirectory() as folder:
                source = Path(folder) / f"{layout}.csv"
                _write(source, layout, rows)
                _report(f"{rows} rows, {layout}", source, rows, ("ours", "docarray"))
    with tempfile.TemporaryDirectory() as folder:
        for number, part in enumerate(_parts(options.rows[-1])):
            with (Path(folder) / f"part-{number}.csv").open("w", encoding="utf-8", newline="") as file:
                csv.writer(file).writerows([("text", "label"), *part])
        _report(f"{options.rows[-1]} rows, labelled, {_FILES} files planned and built one by one", Path(folder),
                options.rows[-1], ("by file",))  # fmt: skip


def _report(title: str, source: Path, rows: int, sides: tuple[str, ...]) -> None:
    print(title, flush=True)
    for side in sides:
        command = [sys.executable, "-m", "benchmarks.documents", "--child", side, str(source)]
        done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
        found = json.loads(done.stdout.splitlines()[-1])
        seconds = found["seconds"]
        print(f"  {side:<9}{seconds:7.1f} s {rows / seconds:10,.0f} rows/s {found['peak_mib']:7.0f} MiB", flush=True)


def _run_child(side: str, source: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        seconds = {"ours": _ours, "docarray": _docarray, "by file": _by_file}[side](source, Path(folder))
    print(json.dumps({"seconds": seconds, "peak_mib": peak_mib()}))


def _ours(source: Path, folder: Path) -> float:
    from embedtune.documents.build import BuildOptions, build_documents
    from embedtune.steps.ingest_csv import IngestCSVConfig, ingest_csv

    started = time.perf_counter()
    ingest_csv(IngestCSVConfig(str(source)), folder / "rows", folder / "bad.csv")
    build_documents(folder / "rows", folder / "train", folder / "evaluation", folder / "set-aside.csv", BuildOptions())
    return time.perf_counter() - started


def _by_file(source: Path, folder: Path) -> float:
    from embedtune.documents.build import BuildOptions, build_shard, merge_documents, plan_documents
    from embedtune.steps.ingest_csv import IngestCSVConfig, ingest_csv

    started = time.perf_counter()
    rows = []
    for number, part in enumerate(sorted(source.iterdir())):
        rows.append(folder / f"rows-{number}")
        ingest_csv(IngestCSVConfig(str(part), whole=False), rows[-1], folder / "bad.csv")
    plan_documents(rows, folder / "plan", folder / "set-aside.csv", BuildOptions())
    trains, evaluations = ([folder / f"{side}-{number}" for number in range(len(rows))] for side in ("train", "eval"))
    for number, path in enumerate(rows):
        build_shard(path, folder / "plan", number, trains[number], evaluations[number])
    parts = [str(path) for path in trains], [str(path) for path in evaluations]
    merge_documents(folder / "plan", *parts, folder / "train", folder / "evaluation")
    return time.perf_counter() - started


def _docarray(source: Path, folder: Path) -> float:
    from docarray import Document, DocumentArray

    with source.open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file)
        names = next(reader)
        rows = list(reader)
    texts = [(text, label) for text, label in rows] if names == ["text", "label"] else _distinct(rows)
    started = time.perf_counter()
    array = DocumentArray(Document(text=text, tags={"finetuner_label": label}) for text, label in texts)
    array.save_binary(folder / "array.protobuf-array.gzip", protocol="protobuf-array", compress="gzip")
    return time.perf_counter() - started


def _distinct(rows: list[list[str]]) -> list[tuple[str, str]]:
    """Return each text of the pairs once, with the number of its first row."""
    return [(text, str(row)) for text, row in {text: row for row, pair in enumerate(rows) for text in pair}.items()]


def _write(path: Path, layout: str, rows: int) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        if layout == "labelled":
            writer.writerow(("text", "label"))
            writer.writerows(_labelled(rows))
        else:
            writer.writerow(("query", "document"))
            writer.writerows(_pairs(rows))


def _labelled(rows: int) -> Iterator[tuple[str, str]]:
    draw, words = random.Random(_SEED), _vocabulary()
    for _ in range(rows):
        yield " ".join(draw.choices(words, k=draw.randint(6, 18))), f"label {draw.randrange(max(50, rows // 100))}"


def _pairs(rows: int) -> Iterator[tuple[str, str]]:
    draw, words = random.Random(_SEED), _vocabulary()
    for number in range(rows // 2):
        query = f"{' '.join(draw.choices(words, k=6))} {number}"
        for _ in range(2):
            yield query, " ".join(draw.choices(words, k=draw.randint(8, 24)))


def _parts(rows: int) -> Iterator[list[tuple[str, str]]]:
    everything = _labelled(rows)
    for number in range(_FILES):
        size = rows * (number + 1) // _FILES - rows * number // _FILES
        yield [next(everything) for _ in range(size)]


def _vocabulary() -> list[str]:
    draw = random.Random(_SEED)
    return ["".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=draw.randint(3, 9))) for _ in range(_WORDS)]


if __name__ == "__main__":
    main()
