"""What the data steps read: files, several of them, datasets by name, and other kinds of sources."""

import json
import re
import warnings
import zipfile
from pathlib import Path

import pytest
from docarray import Document, DocumentArray
from PIL import Image

from embedtune import push
from embedtune.documents.build import BuildOptions
from embedtune.documents.schema import Split
from embedtune.documents.shards.folder import BuiltFolder
from embedtune.errors import ConfigError, InputError, StorageError
from embedtune.models.catalogue import POINT_MODEL
from embedtune.records.rows import read_format, read_rows
from embedtune.steps.build_documents import build_documents
from embedtune.steps.ingest_csv import IngestCSVConfig, ingest_csv
from embedtune.steps.list_sources import ListSourcesConfig, list_sources
from embedtune.steps.resolve_data import resolve_data
from embedtune.steps.run_parameters import RunParameters
from embedtune.steps.sources import sources_of

VERBS = ("open", "close", "sell", "paint")


def texts(per_verb: int) -> list[tuple[str, str]]:
    return [(f"how to {verb} thing {number}", verb) for verb in VERBS for number in range(per_verb)]


def array(per_verb: int) -> DocumentArray:
    return DocumentArray(
        Document(id=f"{number:04}", text=text, tags={"finetuner_label": label})
        for number, (text, label) in enumerate(texts(per_verb))
    )


def csv_file(path: Path, rows: list[tuple[str, str]]) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in rows), encoding="utf-8")
    return path


def contents_of(rows: Path) -> list[str]:
    return read_rows(rows)[1]["content"].to_pylist()


@pytest.fixture
def datasets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EMBEDTUNE_DATASETS", str(tmp_path / "datasets"))
    monkeypatch.setenv("EMBEDTUNE_USER", "ada")
    return tmp_path / "datasets"


def test_a_dataset_by_name_is_read_and_built(datasets: Path, tmp_path: Path) -> None:
    pushed = push(array(12), "verbs")
    version = resolve_data(RunParameters("dataset://ada/verbs", model_backbone=POINT_MODEL)).data_version
    assert version == f"dataset:{pushed.version}"
    report = ingest_csv(IngestCSVConfig("dataset://ada/verbs", version), tmp_path / "rows", tmp_path / "bad.csv")
    assert (report.rows, report.bad_rows, report.layout) == (48, 0, "labelled")
    assert contents_of(tmp_path / "rows") == [text for text, _ in texts(12)]
    outputs = [tmp_path / name for name in ("train", "evaluation", "set-aside.csv", "data.html", "data.md")]
    build_documents(BuildOptions(), tmp_path / "rows", *outputs)
    assert len(BuiltFolder.open(tmp_path / "train").table(Split.TRAIN)) > 30


def test_a_dataset_is_read_in_the_version_that_was_found_though_a_newer_one_was_pushed(
    datasets: Path, tmp_path: Path
) -> None:
    push(array(5), "verbs")
    version = resolve_data(RunParameters("dataset://ada/verbs", model_backbone=POINT_MODEL)).data_version
    newer = push(array(6), "verbs")
    assert (
        resolve_data(RunParameters("dataset://ada/verbs", model_backbone=POINT_MODEL)).data_version
        == f"dataset:{newer.version}"
        != version
    )
    ingest_csv(IngestCSVConfig("dataset://ada/verbs", version), tmp_path / "rows", tmp_path / "bad.csv")
    assert len(contents_of(tmp_path / "rows")) == 20
    (source,) = list_sources(ListSourcesConfig("dataset://ada/verbs", version))
    assert (source.uri, source.version) == ("dataset://ada/verbs", version)


def test_a_dataset_of_another_version_than_asked_for_is_refused(datasets: Path, tmp_path: Path) -> None:
    pushed = push(array(5), "verbs")
    config = IngestCSVConfig(f"dataset://{pushed.reference}", "dataset:000000000000")
    with pytest.raises(StorageError, match="changed"):
        ingest_csv(config, tmp_path / "rows", tmp_path / "bad.csv")
    with pytest.raises(StorageError, match="no dataset ada/nothing"):
        resolve_data(RunParameters("dataset://ada/nothing", model_backbone=POINT_MODEL))


def test_a_folder_of_csvs_is_one_source_of_rows_and_several_to_read_one_by_one(tmp_path: Path) -> None:
    rows = texts(6)
    for number in range(3):
        csv_file(tmp_path / "parts" / f"{number}.csv", rows[number::3])
    (tmp_path / "parts" / "README.md").write_text("not data", encoding="utf-8")
    uri = f"{tmp_path}/parts/"
    version = resolve_data(RunParameters(uri, model_backbone=POINT_MODEL)).data_version
    report = ingest_csv(IngestCSVConfig(uri, version), tmp_path / "rows", tmp_path / "bad.csv")
    assert (report.rows, report.sources) == (24, 3)
    sources = list_sources(ListSourcesConfig(uri, version))
    assert [Path(source.uri).name for source in sources] == ["0.csv", "1.csv", "2.csv"]
    found = []
    for number, source in enumerate(sources):
        config = IngestCSVConfig(source.uri, source.version, whole=False)
        ingest_csv(config, tmp_path / f"rows-{number}", tmp_path / "bad.csv")
        found += contents_of(tmp_path / f"rows-{number}")
    assert found == contents_of(tmp_path / "rows")
    csv_file(tmp_path / "parts" / "3.csv", rows)
    for step in (
        lambda: list_sources(ListSourcesConfig(uri, version)),
        lambda: ingest_csv(IngestCSVConfig(uri, version), tmp_path / "again", tmp_path / "bad.csv"),
    ):
        with pytest.raises(StorageError, match="changed"):
            step()


def image_folder(path: Path) -> Path:
    for red, color in enumerate(("red", "blue", "green")):
        (path / color).mkdir(parents=True)
        for number in range(4):
            Image.new("RGB", (8 + number, 8), (red * 80, number * 20, 7)).save(path / color / f"{number}.png")
    return path


def test_a_folder_per_class_is_loaded(tmp_path: Path) -> None:
    folder = image_folder(tmp_path / "colors")
    report = ingest_csv(IngestCSVConfig(f"{folder}/"), tmp_path / "rows", tmp_path / "bad.csv")
    assert (report.rows, report.modalities) == (12, ("image",))
    rows_format, table = read_rows(tmp_path / "rows")
    assert rows_format.loaded
    assert table["content"][0].as_py() == (folder / "blue" / "0.png").read_bytes()
    assert list_sources(ListSourcesConfig(f"{folder}/"))[0].uri == f"{folder}/"


def test_what_is_set_for_other_data_is_told(tmp_path: Path) -> None:
    def notes(uri: Path, **settings: str) -> tuple[str, ...]:
        return ingest_csv(IngestCSVConfig(str(uri), **settings), tmp_path / "rows.parquet", tmp_path / "bad.csv").notes

    array_file = tmp_path / "train.protobuf-array.gzip"
    array(2).save_binary(str(array_file), protocol="protobuf-array", compress="gzip")
    table = csv_file(tmp_path / "a.csv", texts(4))
    of_tables, of_arrays = '{"size": 3, "columns": [2, 1], "seed": 7}', '{"pos_value": "yes"}'
    told = "Not used, since such data are read without it"
    for uri in (image_folder(tmp_path / "classes"), array_file):
        found = notes(uri, layout="pairs", csv_options=of_tables)
        assert found == (f"{told}: layout='pairs', size=3, columns=(2, 1).",)
        assert notes(uri, layout="labelled", csv_options='{"convert_to_blob": false}') == ()
    assert notes(tmp_path / "classes", csv_options=of_arrays) == (f"{told}: pos_value='yes'.",)
    assert notes(table, csv_options=of_arrays) == (f"{told}: pos_value='yes'.",)
    assert notes(array_file, csv_options=of_arrays) == notes(table, layout="labelled") == ()


@pytest.mark.parametrize(("option", "loaded"), [("{}", True), ('{"convert_to_blob": false}', False)])
def test_images_of_a_csv_are_loaded_unless_only_their_addresses_are_wanted(
    tmp_path: Path, option: str, loaded: bool
) -> None:
    folder = image_folder(tmp_path / "colors")
    rows = [(f"{color}/{number}.png", color) for color in ("red", "blue", "green") for number in range(4)]
    source = csv_file(folder / "images.csv", rows)
    config = IngestCSVConfig(str(source), layout="labelled", csv_options=option)
    report = ingest_csv(config, tmp_path / "rows", tmp_path / "bad.csv")
    assert (report.rows, report.bad_rows) == (12, 0)
    assert read_format(tmp_path / "rows").loaded is loaded
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_content_that_cannot_be_loaded_is_set_aside_and_too_much_of_it_refused(tmp_path: Path) -> None:
    folder = image_folder(tmp_path / "colors")
    (folder / "red" / "0.png").write_bytes(b"no image")
    source = csv_file(folder / "images.csv", [(f"{c}/{n}.png", c) for c in ("red", "blue") for n in range(4)])
    bad = tmp_path / "bad.csv"
    with pytest.raises(InputError, match="1 of 8 rows"):
        ingest_csv(IngestCSVConfig(str(source), layout="labelled"), tmp_path / "rows", bad)
    assert not (tmp_path / "rows").exists()
    assert bad.read_text(encoding="utf-8").splitlines()[1].startswith('2,"content: the file is not a sound image')
    lenient = IngestCSVConfig(str(source), layout="labelled", max_bad_share=0.2)
    report = ingest_csv(lenient, tmp_path / "rows", bad)
    assert (report.rows, report.bad_rows) == (7, 1)


@pytest.mark.parametrize("several", [False, True])
def test_rows_set_aside_before_their_contents_are_loaded_count_among_all(several: bool, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    for number in range(9):
        Image.new("RGB", (2, 2), (number, 0, 0)).save(folder / f"{number}.png")
    rows = "".join(f"{number}.png,{'ab'[number % 2]}\n" for number in range(9))
    for name in ("one.csv", "two.csv")[: 1 + several]:
        (folder / name).write_text(f"image,label\n0.png,\n{rows}gone.png,a\n")
    outputs = tmp_path / "rows", tmp_path / "bad.csv"
    uri = str(folder / ("*.csv" if several else "one.csv"))
    files = 1 + several
    report = ingest_csv(IngestCSVConfig(uri, max_bad_share=2 / 11), *outputs)
    assert (report.rows, report.bad_rows) == (9 * files, 2 * files)
    begin = "one.csv, loading" if several else "Loading"
    told = (
        rf"^{begin} images \(1 rows were set aside before\): 2 of 11 rows \(18.18%\).*First ones: (one.csv )?line 12: "
    )
    with pytest.raises(InputError, match=told):
        ingest_csv(IngestCSVConfig(uri, max_bad_share=0.18), *outputs)


def test_labels_of_matches_can_be_named(tmp_path: Path) -> None:
    documents = DocumentArray(
        Document(
            text=f"question {number}",
            matches=[
                Document(text=f"answer {number}", tags={"finetuner_label": "good"}),
                Document(text=f"answer {number + 1}", tags={"finetuner_label": "bad"}),
            ],
        )
        for number in range(6)
    )
    path = tmp_path / "session.da"
    path.write_bytes(documents.to_bytes(protocol="protobuf-array", compress="gzip"))
    with pytest.raises(InputError, match="pos_value and neg_value"):
        ingest_csv(IngestCSVConfig(str(path)), tmp_path / "rows", tmp_path / "bad.csv")
    config = IngestCSVConfig(str(path), csv_options=json.dumps({"pos_value": "good"}))
    ingest_csv(config, tmp_path / "rows", tmp_path / "bad.csv")
    assert read_rows(tmp_path / "rows")[1]["relevance"].to_pylist() == [1.0, 0.0] * 6
    with pytest.raises(ConfigError, match="pos_value and neg_value are both"):
        IngestCSVConfig(str(path), csv_options='{"pos_value": "a", "neg_value": "a"}')


def test_addresses_in_several_arrays_start_from_the_folder_of_each(tmp_path: Path) -> None:
    for folder, red in (("a", 10), ("b", 200)):
        (tmp_path / folder).mkdir()
        documents = DocumentArray()
        for number in range(4):
            Image.new("RGB", (8, 8), (red, number, 7)).save(tmp_path / folder / f"{number}.png")
            label = ("even", "odd")[number % 2]
            documents.append(Document(uri=f"{number}.png", modality="image", tags={"finetuner_label": label}))
        saved = documents.to_bytes(protocol="protobuf-array", compress="gzip")
        (tmp_path / folder / "x.protobuf-array.gzip").write_bytes(saved)
    config = IngestCSVConfig(f"{tmp_path}/*/x.protobuf-array.gzip")
    report = ingest_csv(config, tmp_path / "rows", tmp_path / "bad.csv")
    assert (report.rows, report.bad_rows) == (8, 0)
    expected = [(tmp_path / folder / f"{number}.png").read_bytes() for folder in "ab" for number in range(4)]
    assert contents_of(tmp_path / "rows") == expected


def test_a_zip_is_named_in_messages_and_texts_beside_tables_are_passed_over(tmp_path):
    archive = tmp_path / "data.zip"
    good = "text,label\n" + "".join(f"text {i},label {i % 5}\n" for i in range(20))

    def read(*tables):
        with zipfile.ZipFile(archive, "w") as file:
            for name, text in zip(("a/train.csv", "a/test.csv"), tables, strict=True):
                file.writestr(name, text)
            file.writestr("a/labels.txt", "label 0\nlabel 1\n")
        return ingest_csv(IngestCSVConfig(str(archive)), tmp_path / "rows", tmp_path / "bad.csv")

    report = read(good, good)
    assert (report.rows, report.sources) == (40, 2)
    assert report.notes == (
        "Not read, for they are no tables by their names: labels.txt. To read one, give it by itself.",
    )
    with pytest.raises(InputError, match=re.escape(f"{archive}/a/test.csv has text,label, but {archive}/a/train.csv")):
        read("label,text\n" + good.partition("\n")[2], good)
    with pytest.raises(InputError, match=re.escape(f"{archive}/a/train.csv, read as excel") + ".*1 of 21 rows"):
        read(good + ",x\n", good)
    archive.write_bytes(archive.read_bytes()[:200])
    with pytest.raises(StorageError, match=re.escape(f"{archive} is damaged, or not")):
        ingest_csv(IngestCSVConfig(str(archive)), tmp_path / "rows", tmp_path / "bad.csv")


def test_a_file_that_is_twice_in_a_zip(tmp_path):
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(2):
            file.writestr("a.csv", "x")
    with pytest.raises(StorageError, match=r"data.zip has two entries for one file: a.csv, and"):
        ingest_csv(IngestCSVConfig(str(tmp_path / "data.zip")), tmp_path / "rows", tmp_path / "bad.csv")


def test_a_broken_link_is_a_warning(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "a.csv").write_text("text,label\n" + "".join(f"text {i},label {i % 5}\n" for i in range(20)))
    (folder / "b.csv").symlink_to(tmp_path / "none")
    report = ingest_csv(IngestCSVConfig(str(folder)), tmp_path / "rows", tmp_path / "bad.csv")
    assert report.rows == 20
    assert report.warnings == ("Not read, for they are broken links or no regular files: b.csv.",)


def test_empty_tables_are_no_sources_of_their_own(tmp_path):
    for name, text in {"a.csv": "", "b.csv": "x,y\n", "c.csv": "x,y\n", "d.txt": "z"}.items():
        (tmp_path / name).write_text(text)
    assert [Path(source.uri).name for source in sources_of(f"{tmp_path}/", "")] == ["b.csv", "c.csv"]
    (tmp_path / "b.csv").write_text("")
    (tmp_path / "c.csv").write_text("")
    assert len(sources_of(f"{tmp_path}/", "")) == 3
