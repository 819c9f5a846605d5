"""Which contents of a build are drawn."""

import hashlib
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from embedtune.documents.build import BuildOptions, build_documents
from embedtune.documents.gallery import draw_gallery
from embedtune.documents.leaks import count_leaks
from embedtune.documents.schema import Split
from embedtune.documents.shards.folder import read_manifest
from embedtune.documents.summarise import measure_media, power_histogram
from embedtune.documents.summary import DataSummary, MediaSummary
from embedtune.errors import StorageError
from embedtune.records.layouts import Layout, Modality
from embedtune.records.rows import RowsFormat, open_rows


def image(number: int, size: tuple[int, int] = (20, 10)) -> bytes:
    """A PNG of one colour that tells its number."""
    data = io.BytesIO()
    Image.new("RGB", size, (number % 256, number // 256, 77)).save(data, "PNG")
    return data.getvalue()


def number_of(picture) -> int:
    red, green, _ = picture.tile[48, 48].tolist()
    return red + 256 * green


def write(path: Path, layout: Layout, modalities: tuple[Modality, ...], rows: list[tuple]) -> Path:
    """Write rows of loaded contents; bytes are media."""
    names = layout.contents
    columns: list[list[object]] = [list(range(1, len(rows) + 1))]
    for place, modality in enumerate(modalities):
        contents = [row[place] for row in rows]
        columns.append(contents)
        if modality is not Modality.TEXT:
            columns.append([hashlib.sha256(content).hexdigest() for content in contents])
            columns.append([f"{number}.png" for number in range(len(rows))])
    columns += [[row[place] for row in rows] for place in range(len(names), len(rows[0]))]
    with open_rows(path, RowsFormat(layout, modalities)) as file:
        file.write(columns)
    return path


def built(folder: Path, layout: Layout, modalities: tuple[Modality, ...], rows: list[tuple]) -> DataSummary:
    source = write(folder / "rows.parquet", layout, modalities, rows)
    outputs = folder / "train", folder / "evaluation", folder / "quarantine.csv"
    return build_documents(source, *outputs, BuildOptions())


def labelled(folder: Path, labels: int, per_label: int) -> DataSummary:
    rows = [
        (image(label + labels * number), f"label {label}") for number in range(per_label) for label in range(labels)
    ]
    return built(folder, Layout.LABELLED, (Modality.IMAGE,), rows)


class TestGallery:
    def test_labels_with_their_own_pictures(self, tmp_path):
        summary = labelled(tmp_path, 3, 60)
        gallery = draw_gallery(tmp_path / "train", summary)
        assert gallery is not None
        assert gallery.modality is Modality.IMAGE
        assert [group.title for group in gallery.groups] == ["label 0", "label 1", "label 2"]
        for label, group in enumerate(gallery.groups):
            numbers = [number_of(picture) for picture in group.pictures]
            assert len(set(numbers)) == len(numbers) == 24
            assert {number % 3 for number in numbers} == {label}
            assert all(picture.readable for picture in group.pictures)

    def test_the_same_each_time(self, tmp_path):
        summary = labelled(tmp_path, 3, 60)
        tiles = [
            [picture.tile.tobytes() for group in gallery.groups for picture in group.pictures]
            for gallery in (draw_gallery(tmp_path / "train", summary) for _ in range(2))
        ]
        assert tiles[0] == tiles[1]

    def test_of_very_many_labels_ten_are_shown(self, tmp_path):
        rows = [(image(number), f"label {number // 8}") for number in range(800)]
        gallery = draw_gallery(tmp_path / "train", built(tmp_path, Layout.LABELLED, (Modality.IMAGE,), rows))
        assert len(gallery.groups) == 10
        assert sum(len(group.pictures) for group in gallery.groups) <= 100

    def test_texts_have_none(self, tmp_path):
        rows = [(f"text {number}", f"label {number % 4}") for number in range(80)]
        assert draw_gallery(tmp_path / "train", built(tmp_path, Layout.LABELLED, (Modality.TEXT,), rows)) is None

    def test_an_image_has_its_text_beside_it(self, tmp_path):
        rows = [(f"text {number}" + " and so on" * 100, image(number)) for number in range(80)]
        summary = built(tmp_path, Layout.TEXT_IMAGE, (Modality.TEXT, Modality.IMAGE), rows)
        (group,) = draw_gallery(tmp_path / "train", summary).groups
        assert len(group.pictures) == 24
        for picture in group.pictures:
            assert picture.caption.startswith(f"text {number_of(picture)} and")
            assert len(picture.caption) == 300

    def test_scored_images_are_side_by_side(self, tmp_path):
        rows = [(image(2 * number), image(2 * number + 1), number % 10 / 10) for number in range(200)]
        summary = built(tmp_path, Layout.SCORED, (Modality.IMAGE, Modality.IMAGE), rows)
        groups = draw_gallery(tmp_path / "train", summary).groups
        assert len(groups) == 10
        for group in groups:
            first, second = map(number_of, group.pictures)
            assert second == first + 1
            assert group.title == f"score {first // 2 % 10 / 10:g}"

    def test_pairs_of_images_are_with_their_relatives(self, tmp_path):
        rows = [(image(2 * number), image(2 * number + 1)) for number in range(100)]
        summary = built(tmp_path, Layout.PAIRS, (Modality.IMAGE, Modality.IMAGE), rows)
        groups = draw_gallery(tmp_path / "train", summary).groups
        assert len(groups) == 10
        for group in groups:
            assert group.title == ""
            assert len({number_of(picture) // 2 for picture in group.pictures}) == 1

    def test_meshes(self, tmp_path):
        draw = np.random.default_rng(0)
        rows = [(draw.standard_normal((50, 3)).astype("<f4").tobytes(), f"label {number % 2}") for number in range(60)]
        gallery = draw_gallery(tmp_path / "train", built(tmp_path, Layout.LABELLED, (Modality.MESH,), rows))
        assert gallery.modality is Modality.MESH
        assert [len(group.pictures) for group in gallery.groups] == [4, 4]

    def test_an_image_that_cannot_be_drawn_does_not_break_it(self, tmp_path):
        broken = [(b"\x89PNG\r\n\x1a\n%d" % number, f"label {number % 2}") for number in range(60)]
        summary = built(tmp_path, Layout.LABELLED, (Modality.IMAGE,), broken)
        gallery = draw_gallery(tmp_path / "train", summary)
        assert not any(picture.readable for group in gallery.groups for picture in group.pictures)
        assert [(media.contents, media.unreadable, media.shapes) for media in summary.media] == [(60, 60, ())]

    def test_a_damaged_shard_is_named(self, tmp_path):
        summary = labelled(tmp_path, 2, 20)
        (shard,) = read_manifest(tmp_path / "train").shards
        path = tmp_path / "train" / shard.name
        path.write_bytes(path.read_bytes()[:-50])
        with pytest.raises(StorageError, match=r"train-00000.*was changed or cut off"):
            draw_gallery(tmp_path / "train", summary)

    def test_few_of_many_shards_are_read(self, tmp_path, monkeypatch):
        monkeypatch.setattr("embedtune.documents.shards.writer.MEDIA_BYTES_PER_SHARD", 400)
        summary = labelled(tmp_path, 2, 40)
        shards = [shard for shard in read_manifest(tmp_path / "train").shards if shard.split is Split.TRAIN]
        assert len(shards) > 10
        for shard in shards[1:3]:
            (tmp_path / "train" / shard.name).unlink()
        gallery = draw_gallery(tmp_path / "train", summary)
        assert {group.title for group in gallery.groups} == {"label 0", "label 1"}


class TestSizes:
    def test_each_content_is_measured_once(self, tmp_path):
        big, small = image(1, (300, 200)), image(2, (20, 30))
        rows = [(big, "a"), (small, "a"), (small, "a"), (b"no image", "b")]
        path = write(tmp_path / "rows.parquet", Layout.LABELLED, (Modality.IMAGE,), rows)
        (media,) = measure_media([path, path], 8)
        assert (media.modality, media.contents, media.unreadable) == ("image", 3, 1)
        assert media.shapes == (("20 × 30", 1), ("300 × 200", 1))
        assert media.size_histogram == ((32, 1), (64, 0), (128, 0), (256, 0), (512, 1))
        assert sum(count for _, count in media.bytes_histogram) == 3

    def test_points_of_meshes(self, tmp_path):
        rows = [(bytes(12 * count), "a") for count in (2048, 2048, 100)]
        rows[1] = (b"\1" * 12 * 2048, "a")
        path = write(tmp_path / "rows.parquet", Layout.LABELLED, (Modality.MESH,), rows)
        (media,) = measure_media([path], 3)
        assert media == MediaSummary(
            "mesh",
            3,
            0,
            ((2048, 1), (4096, 0), (8192, 0), (16384, 0), (32768, 2)),
            ((128, 1), (256, 0), (512, 0), (1024, 0), (2048, 2)),
            (("2,048", 2), ("100", 1)),
        )

    def test_sizes_that_loading_wrote_are_taken_as_they_are(self, tmp_path):
        rows_format = RowsFormat(Layout.LABELLED, (Modality.IMAGE,), measured=True)
        with open_rows(tmp_path / "rows.parquet", rows_format) as writer:
            digests = [hashlib.sha256(str(number).encode()).hexdigest() for number in (1, 2, 2)]
            sizes = [(900, 300, 200), (80, 20, 30), (80, 20, 30)]
            writer.write([[1, 2, 3], [b"no image"] * 3, digests, [""] * 3, sizes, ["a"] * 3])
        older = write(tmp_path / "older", Layout.LABELLED, (Modality.IMAGE,), [(image(3, (20, 30)), "a")])
        (media,) = measure_media([tmp_path / "rows.parquet", older], 4)
        assert (media.contents, media.unreadable) == (3, 0)
        assert media.shapes == (("20 × 30", 2), ("300 × 200", 1))
        assert media.bytes_histogram == ((128, 2), (256, 0), (512, 0), (1024, 1))

    def test_texts_have_none(self, tmp_path):
        rows = [(f"text {number}", f"label {number % 4}") for number in range(80)]
        assert built(tmp_path, Layout.LABELLED, (Modality.TEXT,), rows).media == ()

    def test_a_summary_with_sizes_survives_its_file(self, tmp_path):
        summary = labelled(tmp_path, 2, 20)
        assert summary.media[0].contents == 40
        assert DataSummary.load(tmp_path / "evaluation" / "summary.json") == summary

    def test_histogram_by_powers(self):
        assert power_histogram([]) == ()
        assert power_histogram([0, 1]) == ((1, 2),)
        assert power_histogram([5, 8, 9]) == ((8, 2), (16, 1))


class TestLeaks:
    def test_a_build_has_none(self, tmp_path):
        labelled(tmp_path, 4, 20)
        assert count_leaks(tmp_path / "train", tmp_path / "evaluation") == (16, 0)

    def test_other_spellings_of_a_text_count(self, tmp_path):
        for name, texts in (("a", ["One text", "two", "three"]), ("b", ["ONE  text", "four", "three"])):
            (tmp_path / name).mkdir()
            rows = [(f"{text} {number}", f"{number % 4}") for text in texts for number in range(40)]
            built(tmp_path / name, Layout.LABELLED, (Modality.TEXT,), rows)
        compared, shared = count_leaks(tmp_path / "a" / "train", tmp_path / "b" / "evaluation")
        assert compared == 24
        assert 1 <= shared <= 16
