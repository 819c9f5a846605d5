"""What the Documents of a split look like as arrow columns."""

from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa

from embedtune.documents.schema import RELEVANCE_COLUMNS, Split
from embedtune.records.layouts import SPLIT_COLUMN, Layout, Modality
from embedtune.records.rows import RowsFormat

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
