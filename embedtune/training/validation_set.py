"""A share of the training documents that a model is measured on while it is trained. Imports no torch.

The evaluation's documents are never seen here: whoever chooses by them would judge by what was chosen.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from embedtune.documents.schema import LABEL_COLUMN, ContentColumns, Split, SplitColumns
from embedtune.documents.shards.folder import BuiltFolder
from embedtune.documents.summary import load_split_rule
from embedtune.documents.validation_split import split_training
from embedtune.models.contents import Indices, rows_of, spool_split
from embedtune.models.roles import EncodingRole, index_role
from embedtune.progress import note
from embedtune.retrieval.comparison import MIN_QUERIES
from embedtune.retrieval.held_out import HeldOut, held_out_of
from embedtune.retrieval.measuring import deciding_key
from embedtune.retrieval.metric_names import Metric, parse_metric
from embedtune.training.config import FinetuneConfig
from embedtune.training.examples import TrainingSet


@dataclass(frozen=True, eq=False)
class ValidationSet:
    """What a model is measured on while it is trained."""

    held_out: HeldOut
    metric: Metric
    """What is measured, where no scores say how similar two contents are."""
    index_role: EncodingRole
    """What the contents that are searched in are encoded as."""

    @property
    def key(self) -> str:
        """What is measured, as `metric_names` calls it."""
        return deciding_key(self.held_out.documents, self.metric)


def read_examples(folder: Path, scratch: Path, config: FinetuneConfig) -> tuple[TrainingSet, ValidationSet | None]:
    """Read a folder of training documents, and hold a share of them out where that is asked for.

    Args:
        folder: Folder of training documents.
        scratch: Folder for copies in one file each, which must outlive the sets.
        config: How to fine-tune.

    Returns:
        What is trained on, and what is measured on; None where no share was asked for.

    Raises:
        InputError: only the addresses of the contents are there, or they do not allow such a split.
        StorageError: the folder cannot be read.
    """
    share = config.training.validation_share
    if not share:
        return TrainingSet.read(folder, scratch), None
    built = BuiltFolder.open(folder)
    form, documents = built.columns(Split.TRAIN), spool_split(built, Split.TRAIN, scratch)
    split = split_training(documents, form, built.relevance(), load_split_rule(folder), share, config.seed)
    kept = _spooled(documents, _among(documents["id"], split.train), scratch / "kept.arrow")
    queries = _side(documents, form, split.queries, Split.QUERY)
    index = _side(documents, form, split.index, Split.INDEX)
    held_out = held_out_of(queries, index, split.relevance, form.rows_format, split.rule)
    metric = parse_metric(config.training.validation_metric)
    examples = TrainingSet.from_table(kept, form, split.train_relevance)
    validation = ValidationSet(held_out, metric, index_role(form.rows_format.layout))
    _tell(validation, len(examples.contents))
    return examples, validation


def _tell(validation: ValidationSet, left: int) -> None:
    queries, documents = len(validation.held_out.queries), len(validation.held_out.index)
    note(
        f"Validation: {queries:,} queries search {documents:,} documents, which are not trained on; {left:,} training "
        "contents are left."
    )
    if queries < MIN_QUERIES:
        note(
            f"Look here: {queries} validation queries are fewer than {MIN_QUERIES}, so chance decides which epoch "
            "seems to be best. Raise validation_share, or bring more data."
        )


def _among(ids: pa.ChunkedArray, wanted: pa.Array) -> pa.ChunkedArray:
    """Tell which ids are among those wanted (N,)."""
    return pc.is_in(ids, value_set=wanted.cast(ids.type))


def _spooled(documents: pa.Table, members: pa.ChunkedArray, path: Path) -> pa.Table:
    """Copy some documents into one arrow file, a batch at a time, and map it into memory."""
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, documents.schema) as writer:
        start = 0
        for batch in documents.to_batches():
            part = members.slice(start, len(batch)).combine_chunks()
            writer.write_batch(batch.filter(part))
            start += len(batch)
    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()


def _side(documents: pa.Table, form: SplitColumns, ids: pa.Array, split: Split) -> pa.Table:
    """Return contents of training documents, each once, with the columns of another split; they stay on disk."""
    target = SplitColumns(form.rows_format, split)
    (wanted,) = target.contents
    sources = [content for content in form.contents if content.modality is wanted.modality]
    pool = pa.concat_tables([_renamed(documents, content, wanted) for content in sources])
    found = np.flatnonzero(_among(pool[wanted.id_column], ids).to_numpy())
    names = pool[wanted.id_column].take(pa.array(found)).to_numpy()
    rows: Indices = np.sort(found[np.unique(names, return_index=True)[1]])
    return pa.table({name: rows_of(pool[name], rows) for name in target.schema.names})


def _renamed(documents: pa.Table, content: ContentColumns, target: ContentColumns) -> pa.Table:
    """Return one content of each document under the names of another form, and the label."""
    names = dict(zip(target.columns, content.columns, strict=True))
    names |= {target.id_column: content.id_column, LABEL_COLUMN: LABEL_COLUMN}
    return pa.table({name: documents[source] for name, source in names.items()})
