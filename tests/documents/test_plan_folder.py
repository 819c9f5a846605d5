"""What a plan reads of rows files."""

import pyarrow.parquet as pq
import pytest

from embedtune.documents.build import BuildOptions, plan_documents
from embedtune.documents.plan_folder import rows_fingerprint
from embedtune.records.layouts import Layout, Modality


class TestRowsFingerprint:
    def test_differs_with_the_contents(self, write_rows, tmp_path):
        found = {
            rows_fingerprint(write_rows(tmp_path / "rows", Layout.PAIRS, [("a", text)])) for text in ("b", "c", "bb")
        }
        assert len(found) == 3

    @pytest.mark.parametrize("content", [b"", b"PAR1", b"\xff" * 100])
    def test_of_something_else(self, tmp_path, content):
        (tmp_path / "x").write_bytes(content)
        assert len(rows_fingerprint(tmp_path / "x")) == 64


def test_the_bytes_of_images_are_not_read_for_a_plan(write_rows, tmp_path, monkeypatch):
    images = [(f"{label}-{number}.png", f"label {label}") for label in range(12) for number in range(9)]
    rows = write_rows(tmp_path / "rows", Layout.LABELLED, images, (Modality.IMAGE,))
    read = []
    whole = pq.ParquetFile.read

    def noted(self, columns=None, **options):
        read.append(columns)
        return whole(self, columns, **options)

    monkeypatch.setattr(pq.ParquetFile, "read", noted)
    plan_documents([rows], tmp_path / "plan", tmp_path / "q", BuildOptions())
    assert ["line", "content_digest", "content_uri", "label"] in read
    assert all("content" not in columns for columns in read if columns is not None)
