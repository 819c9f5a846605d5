"""Files come out as they always did, and those that older versions wrote can be read.

`tests/files_of_today` holds the facts and the files; `renew.py` there says when these may change: never for a
refactoring. Versions `etag:<etag>-<size>` of objects and web servers stand in `tests/storage/web/test_files.py` and
`test_client.py`, the store that is no folder in `tests/s3`.
"""

import json
from pathlib import Path

import pytest

from tests.files_of_today.facts import BYTES, COLUMN, facts_of, writers
from tests.files_of_today.reading import kept_digests, read_facts, rebuild
from tests.files_of_today.renew import KEPT, TODAY, all_facts

TOLD = json.loads(TODAY.read_text(encoding="utf-8"))


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have it restored what the making of datasets sets."""
    for name in ("EMBEDTUNE_DATASETS", "EMBEDTUNE_USER"):
        monkeypatch.setenv(name, "")


def different(today: dict[str, str], found: dict[str, str]) -> list[str]:
    """Return the names of the facts that are not as they were; a rows file may have further columns."""
    told = {name: value for name, value in today.items() if not name.endswith(BYTES) or TOLD["writers"] == writers()}
    more = {name for name in found if name not in today and COLUMN not in name}
    return sorted(more | {name for name, value in told.items() if found.get(name) != value})


def test_nothing_of_what_is_written_changed(tmp_path: Path) -> None:
    found = {kind: different(TOLD[kind], facts) for kind, facts in all_facts(tmp_path).items()}
    assert found == {"versions": [], "made": [], "read": []}


def test_files_of_today_are_read_as_they_were(tmp_path: Path) -> None:
    assert different(TOLD["read"], read_facts(KEPT, tmp_path)) == []
    assert kept_digests(KEPT) == TOLD["kept"]


def test_the_same_is_built_of_files_of_today(tmp_path: Path) -> None:
    rebuild(KEPT, tmp_path)
    found = facts_of(tmp_path)
    assert {name.split("/")[0] for name in found} == {"labelled", "text-image", "sharded"}
    assert different({name: TOLD["made"].get(name, "") for name in found}, found) == []
