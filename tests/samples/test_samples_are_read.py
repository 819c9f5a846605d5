"""What the samples write is what the pipeline's own readers take it for."""

import pytest

from embedtune.records.class_folders import ingest_class_folders
from embedtune.records.csv.ingest import CSVSource, IngestRequest, ingest_csv
from embedtune.records.csv.options import CSVOptions
from embedtune.records.docarrays.ingest import ingest_documents
from embedtune.records.output import open_output
from embedtune.samples.covid_qa import covid_qa, read_covid_qa, write_covid_qa
from embedtune.samples.fashion_mnist import fashion_mnist, read_fashion_mnist, write_fashion_mnist
from embedtune.samples.meshes import write_meshes
from embedtune.samples.writing import write_documents


def facts(report):
    return report.rows, report.bad_rows, str(report.layout), tuple(map(str, report.modalities))


@pytest.fixture
def output(tmp_path):
    with open_output(tmp_path / "rows", tmp_path / "quarantine") as output:
        yield output


def test_fashion_mnist_as_csv(tiny, tmp_path, output):
    path = write_fashion_mnist(tmp_path / "out", read_fashion_mnist(False, tiny), 40)
    report = ingest_csv([CSVSource(path, str(path))], output, IngestRequest())
    assert facts(report) == (40, 0, "labelled", ("image",))


def test_covid_qa_as_csv(tiny, tmp_path, output):
    path = write_covid_qa(tmp_path / "out", read_covid_qa(tiny), "covid-qa.csv")
    report = ingest_csv([CSVSource(path, str(path))], output, IngestRequest())
    assert facts(report) == (10, 0, "matches", ("text", "text"))


@pytest.mark.parametrize(
    ("num_pos", "num_neg", "expected"),
    [(0, 0, (40, 0, "labelled", ("image",))), (2, 3, (200, 0, "matches", ("image", "image")))],
)
def test_fashion_mnist_documents(num_pos, num_neg, expected, tiny, tmp_path, output):
    documents = fashion_mnist(num_pos=num_pos, num_neg=num_neg, mirror=tiny)
    path, count = write_documents(tmp_path / "out", documents, "fashion")
    assert count == 40
    assert facts(ingest_documents([path], str(path), output, CSVOptions())) == expected


def test_covid_qa_documents(tiny, tmp_path, output):
    path, _ = write_documents(tmp_path / "out", covid_qa(num_neg=3, mirror=tiny), "covid-qa")
    report = ingest_documents([path], str(path), output, CSVOptions())
    assert facts(report) == (20, 0, "matches", ("text", "text"))


def test_meshes(tmp_path, output):
    write_meshes(tmp_path / "out", 2, 1, 0)
    names = sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.off"))
    report = ingest_class_folders(names, str(tmp_path / "out"), output)
    assert facts(report) == (18, 0, "labelled", ("mesh",))
