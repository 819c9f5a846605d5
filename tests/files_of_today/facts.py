"""What must stay of files: digests of their contents, by their names.

Two libraries have a say in the bytes: zlib in those of a shard, pyarrow in those of a parquet file, and so both in the
checksums that a manifest holds of them. Of these files the facts are digests of what is in them; their bytes are facts
too, which hold where zlib and pyarrow are those that wrote today's (`writers`). What is masked:

- in manifests, checksum and size of each file become the digest of what is in it, after a check that they are right;
- in evaluation folders, the digest of the training folder becomes TRAIN, after a check that it is that of its manifest
  without the places of shards;
- the name of a dataset's folder, made of these checksums, becomes FOLDER, after a check, too; times become TIME;
- in a plan, the fingerprints of rows files, which are digests of parquet footers, are checked and become FINGERPRINT;
- the folder of the files becomes ROOT, the one above it ABOVE.
"""

import gzip
import hashlib
import json
import platform
import re
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

BYTES = " bytes"
"""Ends the names of facts that hold for the same writers only."""

COLUMN = " column "
"""Stands before a column's name in the name of a fact of a parquet file."""

_FOLDER_LENGTH = 12
_SHARD = ".protobuf-array.gzip"
_COMPRESSED = (_SHARD, ".parquet")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+\+00:00")
_PLACE = re.compile(rb'("uri": )"[^"]*"')
_OUR_KEYS = b"embedtune."


def writers() -> dict[str, str]:
    """Return what the bytes of compressed files depend on."""
    return {
        "zlib": zlib.ZLIB_RUNTIME_VERSION,
        "pyarrow": pa.__version__,
        "machine": f"{sys.platform} {platform.machine()}",
    }


def facts_of(folder: Path) -> dict[str, str]:
    """Return the facts of every file in a folder, sorted by name."""
    places = _dataset_folders(folder)
    found = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        for place in places:
            name = name.replace(place, "FOLDER")
        found |= {f"{name}{fact}": value for fact, value in _facts(path, folder, places)}
    return dict(sorted(found.items()))


def digest(data: bytes) -> str:
    """Return the SHA-256 in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def table_digest(table: pa.Table) -> str:
    """Return a digest of names, types and values."""
    columns = [[field.name, *_column(table, field)] for field in table.schema]
    return digest(json.dumps(columns).encode())


def _facts(path: Path, root: Path, places: list[str]) -> Iterator[tuple[str, str]]:
    if path.name == "rows.parquet":
        yield from _rows_facts(path)
        return
    yield "", _content(path, root, places)
    if path.name.endswith(_COMPRESSED):
        yield BYTES, digest(path.read_bytes())


def _rows_facts(path: Path) -> Iterator[tuple[str, str]]:
    """Yield a fact for each column and each thing that the file says of itself, so that more may come."""
    with pq.ParquetFile(path) as file:
        table, metadata = file.read(), file.metadata.metadata
    for field in table.schema:
        yield f"{COLUMN}{field.name}", digest(json.dumps(_column(table, field)).encode())
    for key, value in sorted(metadata.items()):
        if key.startswith(_OUR_KEYS):
            yield f" {key.decode()}", digest(value) if len(value) > 20 else value.decode()


def _column(table: pa.Table, field: pa.Field) -> list[object]:
    values = [value.hex() if isinstance(value, bytes) else value for value in table[field.name].to_pylist()]
    return [str(field.type), field.nullable, values]


def _content(path: Path, root: Path, places: list[str]) -> str:
    """Return a digest of what is in a file, whatever library compressed it."""
    if path.suffix == ".parquet":
        return table_digest(pq.read_table(path))
    data = path.read_bytes()
    if path.name.endswith(_SHARD):
        return digest(gzip.decompress(data))
    data = data.replace(bytes(root), b"ROOT").replace(bytes(root.parent), b"ABOVE")
    if path.suffix == ".json":
        text = data.decode()
        for place in places:
            text = text.replace(place, "FOLDER")
        data = _masked(text, path, root, places).encode()
    return digest(data)


def _masked(text: str, path: Path, root: Path, places: list[str]) -> str:
    """Return the text of a JSON file without what compression decides on; its form stays."""
    data = json.loads(text)
    if path.name == "plan.json":
        prints = [entry["fingerprint"] for entry in data["files"]]
        assert prints == [_footer(root / "sharded" / f"read-{n}" / "rows.parquet") for n in range(len(prints))]
        for each in prints:
            text = text.replace(each, "FINGERPRINT")
        return text
    if data.get("format") == "embedtune.dataset":
        text = _TIME.sub("TIME", text)
    digests = {}
    for entry in _entries(data):
        file = _file_of(path, entry, data, root)
        assert entry["sha256"] == digest(file.read_bytes())
        digests[entry["sha256"]] = _content(file, root, places)
        if "size" in entry and file.name.endswith(_COMPRESSED):
            assert entry["size"] == file.stat().st_size
            text = text.replace(f'"size": {entry["size"]},', '"size": SIZE,')
    if data.get("train_digest"):
        train = (path.parents[1] / "train" / path.name).read_bytes()
        assert data["train_digest"] == "sha256:" + digest(_PLACE.sub(rb'\1""', train))
        digests[data["train_digest"]] = "TRAIN"
    for one, other in digests.items():
        text = text.replace(one, other)
    return text


def _entries(data: dict[str, object]) -> list[dict[str, object]]:
    """Return what a manifest of any kind says of files."""
    found = [*data.get("shards", []), *data.get("files", []), data.get("relevance")]
    return [entry for entry in found if entry is not None]


def _file_of(manifest: Path, entry: dict[str, object], data: dict[str, object], root: Path) -> Path:
    """Return where a file is that a manifest names."""
    if entry.get("uri"):
        return Path(str(entry["uri"]).replace("ROOT", str(root)))
    if data.get("format") == "embedtune.dataset":
        return next(manifest.parent.glob(f"*/{entry['name']}"))
    return manifest.parent / str(data.get("digest", "")) / str(entry["name"])


def _dataset_folders(root: Path) -> list[str]:
    """Return the names of the folders of datasets' files."""
    found = []
    for path in sorted(root.rglob("manifest.json")):
        data = json.loads(path.read_text())
        if data.get("format") == "embedtune.dataset":
            told = "\n".join(f"{file['name']} {file['sha256']}" for file in data["files"])
            assert data["folder"] == digest(told.encode())[:_FOLDER_LENGTH]
            found.append(data["folder"])
    return found


def _footer(path: Path) -> str:
    """Return the SHA-256 of a parquet file's footer with its length and magic."""
    data = path.read_bytes()
    return digest(data[-8 - int.from_bytes(data[-8:-4], "little") :])
