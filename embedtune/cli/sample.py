"""`embedtune sample`: public and synthetic data to try things on."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from embedtune.errors import ConfigError
from embedtune.samples.fetch import Mirror

app = typer.Typer(
    help="Write sample data to try things on: public sets, downloaded once and verified, and synthetic meshes.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


class Format(StrEnum):
    """What is written."""

    CSV = "csv"
    DOCUMENTS = "documents"


class Part(StrEnum):
    """Which part of a set."""

    ALL = "all"
    TRAIN = "train"
    TEST = "test"


class FashionPartName(StrEnum):
    """Which part of Fashion-MNIST, whose parts are separate files."""

    TRAIN = "train"
    TEST = "test"


Output = Annotated[Path, typer.Option(help="Folder to make; it must not exist or be empty.")]
WrittenAs = Annotated[
    Format, typer.Option("--format", help="A CSV file, or a DocumentArray in docarray's protobuf form.")
]
NumTotal = Annotated[int | None, typer.Option(min=1, help="How many to write, the first ones. All without it.")]
NumNeg = Annotated[int, typer.Option(min=0, help="Documents only: negative matches of each.")]
Seed = Annotated[int, typer.Option(min=0, help="Draws the matches; equal seeds give equal files.")]
Checksums = Annotated[
    Path | None,
    typer.Option(help="File with the sha256 of other files than the published ones, as sha256sum writes it."),
]


def _base_url(variable: str) -> object:
    return typer.Option(
        envvar=variable,
        help="Address of a folder with the same files. They must have the published checksums, if there are any, or "
        "those of --checksums.",
    )


@app.command("fashion-mnist")
def fashion_mnist(  # noqa: PLR0913 - a command's options
    output: Output,
    written_as: WrittenAs = Format.CSV,
    part: Annotated[
        FashionPartName, typer.Option(help="60,000 images to train on, or 10,000 to test with.")
    ] = FashionPartName.TRAIN,
    num_total: NumTotal = None,
    num_pos: Annotated[int, typer.Option(min=0, help="Documents only: matches of the same class of each.")] = 0,
    num_neg: NumNeg = 0,
    seed: Seed = 0,
    base_url: Annotated[str, _base_url("EMBEDTUNE_FASHION_MNIST_URL")] = "",
    checksums: Checksums = None,
) -> None:
    """Fashion-MNIST: photos of clothes in 10 classes, 28 x 28 pixels.

    As CSV file: images and their labels, `content,label`. As Documents: labelled, or with matches where num-pos or
    num-neg asks for some.
    """
    # docarray and Pillow take half a second to import; `embedtune --help` must not.
    from embedtune.samples.fashion_mnist import fashion_mnist as generate
    from embedtune.samples.fashion_mnist import read_fashion_mnist, write_fashion_mnist
    from embedtune.samples.matches import check_num_total
    from embedtune.samples.writing import check_new_folder, write_documents

    check_new_folder(output)
    mirror, is_testset = Mirror(base_url, checksums), part is FashionPartName.TEST
    if written_as is Format.CSV:
        _refuse_matches(num_pos, num_neg)
        images = read_fashion_mnist(is_testset, mirror)
        total = check_num_total(num_total, len(images.labels), f"the {part} part of Fashion-MNIST")
        path = write_fashion_mnist(output, images, total)
        typer.echo(f"{total} images, their labels in {path}")
        return
    documents = generate(num_total, num_pos=num_pos, num_neg=num_neg, is_testset=is_testset, seed=seed, mirror=mirror)
    _echo_documents(*write_documents(output, documents, f"fashion-mnist-{part}"))


@app.command("covid-qa")
def covid_qa(
    output: Output,
    written_as: WrittenAs = Format.CSV,
    part: Annotated[Part, typer.Option(help="Every second row is for tests, beginning with the first.")] = Part.ALL,
    num_total: NumTotal = None,
    num_neg: Annotated[
        int, typer.Option(min=0, help="Documents only: negative matches of each; the wrong answer is always one.")
    ] = 0,
    seed: Seed = 0,
    base_url: Annotated[str, _base_url("EMBEDTUNE_COVID_QA_URL")] = "",
    checksums: Checksums = None,
) -> None:
    """Covid QA: questions about Covid-19, each with its answer and a wrong one.

    As CSV file: `question,answer,wrong_answer`. As Documents: questions with their answers as matches.
    """
    from embedtune.samples.covid_qa import covid_qa as generate
    from embedtune.samples.covid_qa import read_covid_qa, rows_of_part, write_covid_qa
    from embedtune.samples.matches import check_num_total
    from embedtune.samples.writing import check_new_folder, write_documents

    check_new_folder(output)
    mirror, is_testset = Mirror(base_url, checksums), {Part.TEST: True, Part.TRAIN: False}.get(part)
    name = "covid-qa" if part is Part.ALL else f"covid-qa-{part}"
    if written_as is Format.CSV:
        _refuse_matches(0, num_neg)
        rows = rows_of_part(read_covid_qa(mirror), is_testset)
        total = check_num_total(num_total, len(rows), "this part of Covid QA")
        path = write_covid_qa(output, rows[:total], f"{name}.csv")
        typer.echo(f"{total} questions in {path}")
        return
    documents = generate(num_total, num_neg, is_testset=is_testset, seed=seed, mirror=mirror)
    _echo_documents(*write_documents(output, documents, name))


@app.command()
def meshes(
    output: Output,
    num_train: Annotated[int, typer.Option(min=1, help="Meshes of each class to train on.")] = 20,
    num_test: Annotated[int, typer.Option(min=0, help="Meshes of each class to test with.")] = 5,
    seed: Annotated[int, typer.Option(min=0, help="Draws shapes and orientations; equal seeds give equal files.")] = 0,
) -> None:
    """Synthetic meshes laid out like ModelNet: box, sphere, cylinder, cone, torus and tube, as .off files."""
    from embedtune.samples.meshes import CLASSES, write_meshes

    count = write_meshes(output, num_train, num_test, seed)
    typer.echo(f"{count} meshes of {len(CLASSES)} classes in {output}")


def _refuse_matches(num_pos: int, num_neg: int) -> None:
    if num_pos or num_neg:
        raise ConfigError(
            "A CSV file has no matches, so --num-pos and --num-neg need --format documents. Leave them out, or add it."
        )


def _echo_documents(path: Path, count: int) -> None:
    typer.echo(f"{count} Documents in {path}")
