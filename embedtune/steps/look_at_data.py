"""Look at data without keeping anything: what the steps of a run would find in them."""

import json
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from embedtune.documents.build import BuildOptions, write_documents
from embedtune.documents.gallery import draw_gallery
from embedtune.documents.leaks import count_leaks
from embedtune.documents.plan import make_plan, make_trial_plan
from embedtune.documents.shards.folder import FORMAT, MANIFEST_NAME, read_manifest
from embedtune.documents.summary import SUMMARY_FILE, DataSummary
from embedtune.errors import ConfigError, InputError, StorageError
from embedtune.records.layouts import Layout, Modality
from embedtune.records.output import read_reasons, without_place
from embedtune.records.rows import is_rows_file
from embedtune.reports.data import DataReport
from embedtune.steps.ingest_csv import IngestCSVConfig, read_source
from embedtune.storage.locations import Scheme, parse_location
from embedtune.training.fits import untrainable

_ALL = 1.0
"""Share of rows that may be set aside: someone who looks at data wants to see what is wrong with them."""

_REJECTED = "quarantine.csv"


@dataclass(frozen=True)
class LookConfig:
    """What to look at, and how a run would read it."""

    data: str
    """File, folder, pattern, address, `dataset://` or the name of a dataset; a rows file; a folder of documents."""
    layout: str = "auto"
    """A row of a CSV: see `IngestCSVConfig.layout`."""
    csv_options: str = "{}"
    """JSON object with fields of CSVOptions."""
    split: str = "auto"
    """See `BuildOptions.split`."""
    eval_share: float = 0.2
    """Share of the documents to hold out in the trial."""
    seed: int = 42
    """Seed of the split and of the choice of pictures."""
    max_bad_share: float = 0.01
    """Largest share of rows that a run may set aside, 0 to 1."""

    def build_options(self) -> BuildOptions:
        """Return how to put the documents together.

        Raises:
            ConfigError: a value is not accepted.
        """
        return BuildOptions(self.eval_share, self.split, self.seed, self.max_bad_share)


def look_at_data(config: LookConfig) -> DataReport:
    """Describe data by the steps of a run: they are read and divided as a run would, in a temporary folder.

    What a run refuses is shown as far as it can be, and `DataReport.refusal` is the run's own error. A folder of
    documents that has been built is described as it is, with the other one of training and evaluation where that lies
    beside it.

    Raises:
        InputError: a run refuses the data, and nothing of them can be shown.
        ConfigError: a value is not accepted.
        StorageError: there are no such data, they cannot be reached, or they are damaged.
    """
    options = config.build_options()
    built = _built_folders(config.data)
    if built is not None:
        report = _look_at_built(*built)
    else:
        with tempfile.TemporaryDirectory(prefix="embedtune-") as scratch:
            rows, refusal = _read_rows(config, Path(scratch))
            report = _look_at_rows(rows, refusal, Path(scratch), options)
    if report.refusal is not None:
        return report
    modalities = [Modality(name) for name in report.summary.modalities]
    loaded = bool(report.summary.media)  # of texts alone there are none, and they are always there
    return replace(report, refusal=untrainable(config.data, Layout(report.summary.layout), modalities, loaded))


def _built_folders(data: str) -> tuple[Path | None, Path] | None:
    """Return the training folder, None where it is not at hand, and the evaluation folder of a build.

    Either of them was given, or the folder that holds both.
    """
    given = Path(data)
    if not given.is_dir():
        return None
    try:
        near = sorted((given.parent if _is_built(given) else given).iterdir())
    except OSError:
        return None  # reading it as a source says what is wrong
    built = {folder.resolve(): read_manifest(folder) for folder in near if _is_built(folder)}
    trained = {manifest.digest: folder for folder, manifest in built.items() if not manifest.train_digest}
    for evaluation, manifest in built.items():
        train = trained.get(manifest.train_digest)
        if manifest.train_digest and given.resolve() in (train, evaluation, evaluation.parent):
            return train, evaluation
    return None


def _is_built(folder: Path) -> bool:
    try:
        return bool(json.loads((folder / MANIFEST_NAME).read_bytes())["format"] == FORMAT)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _look_at_built(train: Path | None, evaluation: Path) -> DataReport:
    summary = DataSummary.load(evaluation / SUMMARY_FILE)
    if train is None:
        return DataReport(summary)
    compared, shared = count_leaks(train, evaluation)
    summary = replace(summary, compared_contents=compared, shared_contents=shared)
    return DataReport(summary, draw_gallery(train, summary))


def _read_rows(config: LookConfig, scratch: Path) -> tuple[Path, InputError | None]:
    """Return the rows file, and why a run would refuse to read the source."""
    address = _address(config.data)
    location = parse_location(address)
    if location.scheme is Scheme.FILE and is_rows_file(location.path):
        return location.path, None
    rows, rejected = scratch / "rows.parquet", scratch / _REJECTED
    read = IngestCSVConfig(address, "", config.layout, config.csv_options, config.max_bad_share)
    try:
        read_source(read, rows, rejected, _tell_nobody)
        return rows, None
    except InputError as error:
        refusal = without_place(error, rejected)
    try:
        read_source(replace(read, max_bad_share=_ALL, whole=False), rows, rejected, _tell_nobody)
    except InputError as error:
        raise refusal from error
    return rows, refusal


def _tell_nobody(_: str) -> None:
    """Take a sentence that stands in the report as well."""


def _address(data: str) -> str:
    """Return where data are that were named by a path, an address, or a dataset's name."""
    location = parse_location(data)
    if location.scheme is not Scheme.FILE or location.path.exists() or location.pattern_start is not None:
        return data
    # The catalogue imports the client of the object store, which other data need not wait for.
    from embedtune.datasets.catalogue import locate

    try:
        return f"dataset://{locate(data).reference}"
    except (ConfigError, StorageError) as error:
        raise StorageError(
            f"{data!r} is neither a file or folder here nor a dataset that can be read: {error}"
        ) from error


def _look_at_rows(rows: Path, refusal: InputError | None, scratch: Path, options: BuildOptions) -> DataReport:
    aside, rejected = scratch / "set-aside.csv", scratch / _REJECTED
    try:
        plan = make_plan([rows], aside, options)
    except InputError as error:
        refusal = without_place(error, aside) if refusal is None else refusal
        try:
            plan = make_trial_plan(rows, aside, replace(options, max_bad_share=_ALL))
        except InputError as worse:
            raise refusal from worse
    gallery = None
    if plan.summary.media:
        write_documents(rows, plan, scratch / "train", scratch / "evaluation")
        gallery = draw_gallery(scratch / "train", plan.summary)
    reasons = read_reasons(rejected) if rejected.exists() else ()
    return DataReport(plan.summary, gallery, reasons, is_trial=True, refusal=refusal)
