"""Where the shards of a split begin and end."""

import numpy as np
import pytest

from embedtune.documents import tables
from embedtune.documents.tables import shard_bounds


def test_shards_are_bound_by_documents_and_by_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "DOCUMENTS_PER_SHARD", 3)
    monkeypatch.setattr(tables, "BYTES_PER_SHARD", 10)
    sizes = np.array([1, 1, 1, 1, 4, 6, 10, 11, 1, 9, 1])
    assert list(shard_bounds(sizes)) == [(0, 3), (3, 5), (5, 6), (6, 7), (7, 8), (8, 10), (10, 11)]
    assert list(shard_bounds(np.array([], np.int64))) == []
