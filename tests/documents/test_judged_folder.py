"""Folders of documents that were built here are sources, too."""

import dataclasses
import hashlib
import io
import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from embedtune.documents.build import BuildOptions, build_documents
from embedtune.documents.judged_folder import ingest_judged_folder, is_judged_folder
from embedtune.documents.schema import Split
from embedtune.documents.shards.folder import MANIFEST_NAME, BuiltFolder, read_manifest
from embedtune.errors import InputError, StorageError
from embedtune.records.csv.options import CSVOptions
from embedtune.records.docarrays.ingest import ingest_documents
from embedtune.records.layouts import Layout, Modality
from embedtune.records.output import open_output
from embedtune.records.rows import RowsFormat, open_rows, read_rows

TEXT, IMAGE, MESH = Modality
COUNT = 40


def cells(modality, loaded, number, side):
    """The columns of one content: equal numbers and sides are equal contents."""
    if modality is TEXT:
        return (f"{side} text {number}",)
    address = f"{side}/{number}.png"
    if not loaded:
        return (address,)
    if modality is IMAGE:
        file = io.BytesIO()
        Image.new("RGB", (3, 2), (number, len(side), 0)).save(file, "PNG")
        content = file.getvalue()
    else:
        content = np.full((5, 3), number + 1000 * len(side), "<f4").tobytes()
    return content, hashlib.sha256(content).hexdigest(), address


VALUES = {
    Layout.LABELLED: lambda n: (f"label {n % 4}",),
    Layout.SCORED: lambda n: (n % 5 / 4,),
    Layout.MATCHES: lambda n: (float(n % 2),),
    Layout.BEIR: lambda n: (float(n % 3), ("train", "test")[n // 2 % 5 == 1]),
}


def make(folder, layout, modalities, loaded=True):
    """Build documents of rows; every query has two rows."""
    found = RowsFormat(layout, modalities, loaded)
    sides = ("query", "document")
    rows = []
    for number in range(COUNT):
        contents = [
            cell
            for side, modality, key in zip(sides, modalities, (number // 2, number), strict=False)
            for cell in cells(modality, loaded, number if layout is Layout.LABELLED else key, side)
        ]
        rows.append((number + 1, *contents, *VALUES.get(layout, lambda n: ())(number)))
    if layout is Layout.BEIR:
        rows += [(COUNT + n, None, f"unjudged {n}", 0.0, "") for n in range(5)]
    with open_rows(folder / "source", found) as writer:
        writer.write(list(zip(*rows, strict=True)))
    options = BuildOptions(eval_share=0.25, max_bad_share=0.5)
    build_documents(folder / "source", folder / "train", folder / "evaluation", folder / "bad", options)
    return rows


def read_folder(files, *places):
    """Read a folder as the step does."""
    origin, rows, bad = places
    with open_output(rows, bad, max_bad_share=0) as output:
        if is_judged_folder(files):
            return ingest_judged_folder(files, origin, output)
        return ingest_documents(files, origin, output, CSVOptions())


def read_back(folder, part):
    files = [path for path in (folder / part).iterdir() if path.is_file()]
    report = read_folder(files, f"s3://bucket/{part}", folder / "rows", folder / "out.csv")
    found, table = read_rows(folder / "rows")
    assert report.rows == len(table) > 0
    assert report.bad_rows == 0
    return found, table


def contents_of(table, found):
    names = [*found.layout.columns]
    return {tuple(row[name] for name in names) for row in table.select(names).to_pylist()}


def expected_of(rows, found):
    """Contents and values of source rows, digests and addresses left out."""
    width = {True: 3, False: 1}
    result = set()
    for row in rows:
        kept, position = [], 1
        for modality in found.modalities:
            kept.append(row[position])
            position += width[found.loaded and modality is not TEXT]
        result.add((*kept, *row[position:]))
    return result


@pytest.mark.parametrize(
    ("layout", "modalities", "loaded"),
    [
        (Layout.LABELLED, (TEXT,), True),
        (Layout.LABELLED, (IMAGE,), True),
        (Layout.LABELLED, (IMAGE,), False),
        (Layout.LABELLED, (MESH,), True),
        (Layout.PAIRS, (TEXT, TEXT), True),
        (Layout.PAIRS, (IMAGE, IMAGE), True),
        (Layout.PAIRS, (MESH, MESH), True),
        (Layout.PAIRS, (IMAGE, IMAGE), False),
        (Layout.MATCHES, (TEXT, TEXT), True),
        (Layout.SCORED, (TEXT, TEXT), True),
        (Layout.TEXT_IMAGE, (TEXT, IMAGE), True),
        (Layout.TEXT_IMAGE, (TEXT, IMAGE), False),
        (Layout.BEIR, (TEXT, TEXT), True),
    ],
)
def test_training_and_evaluation_folder_give_rows_of_the_source(tmp_path, layout, modalities, loaded):
    rows = make(tmp_path, layout, modalities, loaded)
    read = set()
    for part in ("train", "evaluation"):
        found, table = read_back(tmp_path, part)
        assert (found.layout, found.modalities, found.loaded) == (layout, modalities, loaded)
        read |= contents_of(table, found)
    expected = expected_of(rows, found)
    if layout is Layout.BEIR:
        # The folders are the split now, and the index of the evaluation folder holds the whole corpus.
        judged = {row[:3] for row in read if row[0] is not None}
        assert judged <= {row[:3] for row in expected}
        assert judged >= {row[:3] for row in expected if row[0] is not None and row[2] > 0}
        assert {row[1] for row in read if row[0] is None} >= {f"unjudged {n}" for n in range(5)}
        assert {row[3] for row in read} == {""}
    else:
        assert read <= expected
        assert len(read) >= 0.8 * len(expected)


def test_addresses_and_digests_are_kept(tmp_path):
    make(tmp_path, Layout.PAIRS, (IMAGE, IMAGE))
    row = read_back(tmp_path, "train")[1].to_pylist()[0]
    assert row["line"] == 1
    for side in ("query", "document"):
        assert row[f"{side}_digest"] == hashlib.sha256(row[side]).hexdigest()
        assert row[f"{side}_uri"].startswith(f"{side}/")


def test_rows_of_texts_come_in_batches(tmp_path, monkeypatch):
    monkeypatch.setattr("embedtune.documents.judged_folder._BATCH_ROWS", {True: 7, False: 7})
    make(tmp_path, Layout.PAIRS, (TEXT, TEXT))
    table = read_back(tmp_path, "train")[1]
    judged = BuiltFolder.open(tmp_path / "train").relevance()
    assert table.column("line").to_pylist() == list(range(1, len(judged) + 1))
    text = dict(
        zip(
            *BuiltFolder.open(tmp_path / "train").table(Split.TRAIN).select(["id", "text"]).to_pydict().values(),
            strict=True,
        )
    )
    pairs = zip(judged["query_id"].to_pylist(), judged["document_id"].to_pylist(), strict=True)
    assert [(text[query], text[document]) for query, document in pairs] == list(
        zip(table["query"].to_pylist(), table["document"].to_pylist(), strict=True)
    )


def rewrite(folder, **changes):
    manifest = dataclasses.replace(read_manifest(folder), **changes)
    manifest.save(folder)


def test_shards_in_other_places_are_not_opened(tmp_path):
    make(tmp_path, Layout.PAIRS, (TEXT, TEXT))
    train = tmp_path / "train"
    (tmp_path / "elsewhere").mkdir()
    shards = read_manifest(train).shards
    for shard in shards:
        (train / shard.name).rename(tmp_path / "elsewhere" / shard.name)
    rewrite(
        train,
        shards=tuple(dataclasses.replace(shard, uri=str(tmp_path / "elsewhere" / shard.name)) for shard in shards),
    )
    with pytest.raises(InputError, match="names shards in other places"):
        read_back(tmp_path, "train")


def test_pair_of_a_document_that_is_not_there(tmp_path):
    make(tmp_path, Layout.PAIRS, (TEXT, TEXT))
    train = tmp_path / "train"
    judged = BuiltFolder.open(train).relevance()
    query = judged.column_names.index("query_id")
    pq.write_table(
        judged.set_column(query, judged.schema.field(query), [["unknown"] * len(judged)]), train / "relevance.parquet"
    )
    data = (train / "relevance.parquet").read_bytes()
    entry = dataclasses.replace(read_manifest(train).relevance, sha256=hashlib.sha256(data).hexdigest())
    rewrite(train, relevance=entry)
    with pytest.raises(InputError, match="judges the Document 'unknown', which it does not hold"):
        read_back(tmp_path, "train")
    assert not (tmp_path / "rows").exists()


def test_damaged_folder(tmp_path):
    make(tmp_path, Layout.PAIRS, (TEXT, TEXT))
    train = tmp_path / "train"
    shard = train / read_manifest(train).shards[0].name
    shard.write_bytes(shard.read_bytes()[:-9])
    with pytest.raises(StorageError, match="was changed or cut off"):
        read_back(tmp_path, "train")
    (train / MANIFEST_NAME).write_text(json.dumps({"format": "another"}))
    with pytest.raises(StorageError, match="is of format 'another'"):
        read_back(tmp_path, "train")


@pytest.mark.parametrize("layout", [Layout.LABELLED, Layout.PAIRS])
def test_training_and_evaluation_folder_are_not_read_as_one(tmp_path, layout):
    make(tmp_path, layout, (TEXT,) * len(layout.contents))
    files = [path for part in ("train", "evaluation") for path in (tmp_path / part).iterdir()]
    with pytest.raises(InputError, match="There are 2 folders of documents"):
        read_folder(files, "s3://bucket", tmp_path / "rows", tmp_path / "out.csv")
