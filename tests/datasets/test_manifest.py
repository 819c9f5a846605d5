"""What a dataset says of itself, and what of it is not believed."""

import json

import pytest

from embedtune.datasets.manifest import DatasetFile, DatasetManifest, DatasetSchema, parse_manifest
from embedtune.storage.errors import DamagedError

FILE = DatasetFile("documents-00000.protobuf-array.gzip", 74, 5, "a" * 64)
TIMES = "2026-01-02T03:04:05.000006+00:00", "2026-02-03T04:05:06.000007+01:00"
SCHEMA = DatasetSchema(("id", "text"), ("finetuner_label",), ("text",))
MANIFEST = DatasetManifest(5, "b" * 64, *TIMES, True, "labelled", SCHEMA, {"labels": 4}, "c" * 12, (FILE,))


def parsed(content):
    return parse_manifest(content, "b" * 12, "s3://b/alice/train/v")


def changed(**change):
    return json.dumps(json.loads(MANIFEST.to_json()) | change).encode()


def file(**change):
    return {"files": [{"name": "a", "size": 1, "rows": 5, "sha256": "0" * 64} | change]}


def test_it_comes_back_as_it_was():
    assert parsed(MANIFEST.to_json()) == MANIFEST
    assert (MANIFEST.version, MANIFEST.size, MANIFEST.names) == ("b" * 12, 74, {f"{'c' * 12}/{FILE.name}"})
    assert list(json.loads(MANIFEST.to_json()))[:4] == ["format", "version", "rows", "content"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"version": 2},
            "of format 'embedtune.dataset' version 2; .* reads 'embedtune.dataset' version 1.* that pushed",
        ),
        ({"format": "embedtune.documents"}, "of format 'embedtune.documents' version 1"),
        ({"format": "\x1b[2J" * 100_000}, r"of format '\\x1b\[2J.{1,60}… version 1"),
        ({"folder": "../../bob/x"}, r"'\.\./\.\./bob/x' is not of the form"),
        (file(name="../up"), r"'\.\./up' is not of the form"),
        (file(name="/etc/passwd"), "'/etc/passwd' is not of the form"),
        (file(size=-1), "'-1' is no number of something"),
        (file(size=10**400), "'1000.*…' is no number of something"),
        (file(rows=-1), "'-1' is no number of something"),
        (file(sha256="0"), "'0' is not of the form"),
        ({"files": [], "rows": 0}, "it names a file twice, or no Documents"),
        ({"files": file()["files"] * 2, "rows": 10}, "it names a file twice, or no Documents"),
        (file(rows=4), "5 rows are not those of its files"),
        ({"rows": 6}, "6 rows are not those of its files"),
        ({"content": "f" * 64}, "of the version ffffffffffff"),
        ({"content": "b" * 12}, "'bbbbbbbbbbbb' is not of the form"),
        ({"pushed": "2020-01-01T00:00:00"}, "'2020-01-01T00:00:00' has no zone"),
        ({"created": "yesterday"}, "damaged .*yesterday"),
        ({"pushed": "0001-01-01T00:00:00+14:00"}, "lies outside the years 1970 to 9000"),
        ({"schema": []}, r"'schema' is \[\]; "),
        ({"splits": 1}, "the key 'splits' is not known"),
        ({"public": 1}, "'public' is 1; "),
        ({"counts": {"labels": "many"}}, "'counts.labels' is 'many'; "),
        ({"counts": {"labels": 10**4000}}, "'1000.*…' is no number of something"),
    ],
)
def test_what_is_not_believed(change, message):
    with pytest.raises(DamagedError, match=rf"^s3://b/alice/train/v/manifest\.json is .*{message}"):
        parsed(changed(**change))


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe", b"[]", b"null", b'{"format":"embedtune.dataset","version":1}', b"[" * 200_000]
)
def test_what_is_no_manifest(content):
    with pytest.raises(DamagedError, match=r"manifest\.json is (damaged|of format None version None)"):
        parsed(content)


def test_what_it_says_reaches_no_terminal():
    found = parsed(changed(layout="\x1b[2J[red]x", created="2026-01-01\x1b00:00:00+00:00"))
    assert (found.layout, found.created) == ("", "2026-01-01T00:00:00.000000+00:00")
