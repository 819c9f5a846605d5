"""The contract between the steps: what a folder of Documents holds and what its readers may rely on.

`train/` and `evaluation/` are separate folders, so that the fine-tuning step cannot see what it is judged on.
Each is written by `documents.shards.tables` and holds `manifest.json`, the shards of its splits or the addresses of
these, and, where the rows judge which contents belong together, `relevance.parquet`. Which columns a split has when it
is read says `SplitColumns`. The tags of labels and scores are those of `records.layouts`. Promises for every layout:

- The id of a content is `content_id` of it: equal content has the equal id, in every split and every run.
- `text` is a non-empty string; an image is the `blob` of a JPEG or PNG file, a mesh the `tensor` of a point cloud,
  float32 (n, 3); `uri` is where these came from. Where contents were not loaded, `uri` is all there is.
- `tags[LABEL_TAG]` is a non-empty string (protobuf would turn an int into a float).
- No content of the training folder, up to case, Unicode form and white space of texts, occurs in the evaluation
  folder; only the index of beir may hold contents of training documents, since all queries search one corpus.
- Every query has at least one document in the index that is relevant to it.

And by layout:

- labelled: equal labels are relevant to each other; a Document is never relevant to itself.
- pairs, matches, beir: `relevance.parquet` (RELEVANCE_COLUMNS) holds the judged pairs whose two ends are in this
  folder. A gain above 0 means relevant, 0 means judged and not relevant; a pair that is not there was not judged. Texts
  that differ only in case, Unicode form and white space are one Document here, with the id and text of the spelling
  whose id is smallest. The label is the connected component, which is what label-based losses train on. A held-out
  text that is both query and document is in the query split and in the index with the same id.
- scored, text-image: a training Document is a parent with two chunks, one for each content of a row, and for scored
  `tags[SCORE_TAG]`, 0..1 as number. The label is the connected component. In the evaluation folder the first contents
  are the queries and the second ones the index (texts and images), with judged pairs as above; the gain is the score.
  The training folder has no `relevance.parquet`: the parents are its pairs.
- plain: the training folder holds texts without labels in the split CORPUS, the evaluation folder no shards.
"""

import hashlib
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from functools import cached_property

import pyarrow as pa

from embedtune.errors import ConfigError
from embedtune.records.layouts import SPLIT_COLUMN, Layout, Modality
from embedtune.records.rows import RowsFormat

ROLE_TAG = "embedtune_role"
"""Tag of training Documents of pairs, matches and beir: a Role."""

CHUNK_NAME_TAG = "name"
"""Tag of a chunk: 'first', 'second', or 'text', 'image'. docarray's `display` of a parent needs a tag of this name."""

RELEVANCE_COLUMNS = ("query_id", "document_id", "relevance")
"""Columns of `relevance.parquet`: string, string, float32 gain of 0 or more. Where nothing is held out of a source that
divides its judgments itself, `records.layouts.SPLIT_COLUMN` follows (string)."""

_ID_CHARACTERS = 32


class Split(StrEnum):
    """The parts a folder may hold."""

    TRAIN = "train"
    QUERY = "query"
    INDEX = "index"
    CORPUS = "corpus"
    """Texts without labels or pairs, in the training folder of plain rows."""


class Role(StrEnum):
    """What a training Document of pairs, matches or beir is in its pairs."""

    QUERY = "query"
    DOCUMENT = "document"
    BOTH = "both"


class Side(IntEnum):
    """Which contents of a row become a Document."""

    FIRST = 0
    SECOND = 1
    PARENT = 2
    """Both, as the chunks of one Document."""


class SplitRule(StrEnum):
    """How rows are held out for evaluation."""

    AUTO = "auto"
    """Stratified where labels have enough texts, by group otherwise and for pairs."""

    STRATIFIED = "stratified"
    """Hold out a share of the texts of each label: new texts for known labels."""

    GROUP = "group"
    """Hold out whole groups of connected rows: labels or queries the model never saw."""


OFFICIAL_RULE = "official"
"""Rule of beir sources that divide their judgments themselves."""


def content_id(content: bytes) -> str:
    """Return the id of a text in UTF-8, a stored image or mesh, or an address: 128 bits of its SHA-256, hexadecimal."""
    return hashlib.sha256(content).hexdigest()[:_ID_CHARACTERS]


_MAX_SEED = 2**63 - 1


@dataclass(frozen=True)
class BuildOptions:
    """How rows become documents."""

    eval_share: float = 0.2
    """Share of the documents to hold out for evaluation, above 0 and below 1."""
    split: str = "auto"
    """'auto' (the split of the source where it has one), 'stratified' (new rows of known labels) or 'group' (whole
    labels or groups of connected pairs)."""
    seed: int = 42
    """Seed of the split, 0..2**63-1."""
    max_bad_share: float = 0.01
    """Largest share of rows to set aside before the build fails, 0..1."""

    def __post_init__(self) -> None:
        """Check the ranges, with a ConfigError."""
        if not 0 < self.eval_share < 1:
            raise ConfigError(f"eval_share={self.eval_share!r}; give a share above 0 and below 1, such as 0.2.")
        if self.split not in tuple(SplitRule):
            raise ConfigError(f"split={self.split!r}; give one of {', '.join(map(repr, map(str, SplitRule)))}.")
        if not 0 <= self.seed <= _MAX_SEED:
            raise ConfigError(f"seed={self.seed!r}; give a whole number from 0 to {_MAX_SEED}.")
        if not 0 <= self.max_bad_share <= 1:
            raise ConfigError(f"max_bad_share={self.max_bad_share!r}; give a share from 0 to 1, such as 0.01.")


RELEVANCE_SCHEMA = pa.schema(zip(RELEVANCE_COLUMNS, (pa.string(), pa.string(), pa.float32()), strict=True))
DIVIDED_SCHEMA = RELEVANCE_SCHEMA.append(pa.field(SPLIT_COLUMN, pa.string()))
"""The same where each judged pair has the split that its source gives it."""

ASSIGNMENT_SCHEMA = pa.schema(
    [
        ("split", pa.string()),
        ("row", pa.int64()),
        ("side", pa.int8()),
        ("id", pa.string()),
        ("label", pa.string()),
        ("role", pa.string()),
    ]
)
"""Which contents of a rows file become Documents, sorted by split, row and side: Split, 0-based number of the row,
Side, id of the Document, label (null for plain) and Role (null but for the training split of pairs, matches, beir)."""

ID_COLUMN = "id"
LABEL_COLUMN = "label"
SCORE_COLUMN = "score"
ROLE_COLUMN = "role"


@dataclass(frozen=True)
class ContentColumns:
    """A content of a Document and the columns that hold it."""

    column: str
    """text: the text (large_string); image, mesh: the stored bytes (large_binary), no column where not loaded."""
    modality: Modality
    loaded: bool
    """Whether the content itself is there, and not only its address."""
    id_column: str
    uri_column: str
    """image, mesh: where the content came from (large_string), '' where it is not known."""

    @property
    def columns(self) -> dict[str, pa.DataType]:
        """The arrow columns besides the id."""
        if self.modality is Modality.TEXT:
            return {self.column: pa.large_string()}
        content = {self.column: pa.large_binary()} if self.loaded else {}
        return {**content, self.uri_column: pa.large_string()}


@dataclass(frozen=True)
class SplitColumns:
    """What the Documents of one split hold."""

    rows_format: RowsFormat
    """Of the rows that they were made from."""
    split: Split

    @property
    def is_parent(self) -> bool:
        """Whether each Document has two chunks, which hold the contents."""
        return self.split is Split.TRAIN and self.rows_format.layout.has_parents

    @property
    def has_role(self) -> bool:
        """Whether each Document has a Role."""
        return self.split is Split.TRAIN and self.rows_format.layout.has_roles

    @property
    def has_label(self) -> bool:
        """Whether each Document has a label."""
        return self.split is not Split.CORPUS

    @property
    def has_score(self) -> bool:
        """Whether each Document has a score."""
        return self.is_parent and self.rows_format.layout.has_scores

    @cached_property
    def contents(self) -> tuple[ContentColumns, ...]:
        """The content of each Document, or the two of its chunks."""
        modalities = self.rows_format.modalities
        if self.is_parent:
            return tuple(
                self._content(name, modality, f"{name}_id", f"{name}_uri")
                for name, modality in zip(("first", "second"), modalities, strict=True)
            )
        modality = modalities[-1] if self.split is Split.INDEX else modalities[0]
        return (self._content(modality.value, modality, ID_COLUMN, "uri"),)

    def _content(self, column: str, modality: Modality, id_column: str, uri_column: str) -> ContentColumns:
        loaded = self.rows_format.loaded or modality is Modality.TEXT
        return ContentColumns(column, modality, loaded, id_column, uri_column)

    @property
    def marks_text(self) -> bool:
        """Whether a text says that it is one, as Finetuner expects of the chunks of text-image pairs."""
        return self.is_parent and self.rows_format.layout is Layout.TEXT_IMAGE

    @property
    def chunk_names(self) -> tuple[str, ...]:
        """What the two contents of a parent are called in their rows."""
        return self.rows_format.layout.contents

    @cached_property
    def schema(self) -> pa.Schema:
        """The columns of the split.

        Of Documents with one content: id, content named by its modality, uri, label, role. Of parents: id, first_id,
        first, first_uri, second_id, second, second_uri, label, score. Those that the form does not have are left out;
        all but contents and score are large_string.
        """
        text = pa.large_string()
        columns = {ID_COLUMN: text}
        for content in self.contents:
            columns |= {content.id_column: text, **content.columns}
        if self.has_label:
            columns[LABEL_COLUMN] = text
        if self.has_score:
            columns[SCORE_COLUMN] = pa.float32()
        if self.has_role:
            columns[ROLE_COLUMN] = text
        return pa.schema(list(columns.items()))
