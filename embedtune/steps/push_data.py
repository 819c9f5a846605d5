"""Store data under a name: Documents as they are, of anything else that a run reads all rows."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from embedtune.datasets.catalogue import Dataset
from embedtune.datasets.push import push as push_documents
from embedtune.documents.build import BuildOptions, collect_documents
from embedtune.errors import InputError
from embedtune.progress import note
from embedtune.records.output import read_reasons, without_place
from embedtune.steps.ingest_csv import IngestCSVConfig, read_opened
from embedtune.storage.opening import LocalSource

if TYPE_CHECKING:
    from docarray import DocumentArray


def push(
    documents: "DocumentArray | Path | str",
    name: str,
    public: bool = False,
    user: str = "",
    layout: str = "auto",
    csv_options: str = "{}",
    max_bad_share: float = 0.01,
) -> Dataset:
    """Store data as a version of a dataset; it appears whole or not at all.

    The version is made of the Documents, ids included, whatever files they came from: what is there already is not
    stored again, but becomes the latest version. After an interruption the same push goes on where it stopped.

    Args:
        documents: A DocumentArray; the path or address of a saved one in a protobuf form, or of a folder of these; a
            folder of documents as the build-documents step writes it, which is stored as it is; or anything else that a
            run reads, such as a CSV, of which all rows are stored and nothing is held out: as `dataset://user/name`, a
            run finds the rows of the same layout in it. Nothing is unpickled.
        name: Name of the dataset.
        public: Whether everyone may read exactly this version, without credentials. False leaves a version that is
            public already as it is; only `delete` takes that back.
        user: Whose dataset it is; '' for EMBEDTUNE_USER or the login name.
        layout: What a row of a CSV is, see `IngestCSVConfig`.
        csv_options: JSON object with fields of CSVOptions, of a CSV.
        max_bad_share: Largest accepted share of rows that cannot be used, 0 to 1.

    Returns:
        The version. Where `created` is not `pushed`, it was there before.

    Raises:
        ConfigError: a name or option is not accepted, or a public dataset is asked for where the datasets are in a
            folder.
        InputError: the data cannot be used, or one of the Documents cannot be stored.
        StorageError: something cannot be read, access is denied, or the store fails; no other version is touched.
    """
    uri = str(documents) if isinstance(documents, Path | str) else "."
    config = IngestCSVConfig(uri, "", layout, csv_options, max_bad_share, whole=False)
    return push_documents(documents, name, public, user, partial(_collect, config))


def _collect(config: IngestCSVConfig, source: LocalSource, folder: Path) -> Path:
    """Make a folder of documents of all rows of a source."""
    folder.mkdir()
    options = BuildOptions(max_bad_share=config.max_bad_share)
    rows, bad, contradicting = folder / "rows.parquet", folder / "bad.csv", folder / "contradicting.csv"
    try:
        report = read_opened(source, config, rows, bad, note)
        summary = collect_documents(rows, folder / "documents", contradicting, options)
    except InputError as error:
        # These files are gone when it is read.
        raise without_place(error, bad, contradicting) from error
    left_out = read_reasons(bad)
    total = report.rows + sum(count for _, count, _ in left_out)
    for reason, count, first in (*left_out, *read_reasons(contradicting)):
        note(f"{count} of {total} rows are left out: {reason}; the first one: {first}")
    if summary.duplicates:
        note(f"{summary.duplicates} rows are stored once with an earlier one of the same content")
    return folder / "documents"
