"""What one row of the source means, and the columns of the validated rows that each layout becomes."""

from enum import StrEnum


class Layout(StrEnum):
    """What one row of the source means."""

    LABELLED = "labelled"
    """`content,label`: contents with the same label are relevant to each other."""

    PAIRS = "pairs"
    """`query,document` of one modality: the document is relevant to the query; a query may have several rows."""

    TEXT_IMAGE = "text-image"
    """`text,image`: the text describes the image."""

    SCORED = "scored"
    """`first,second,score`: how similar the two are, 0..1."""

    MATCHES = "matches"
    """`query,document,relevance`: judged documents of a query, relevant (1) or not (0)."""

    BEIR = "beir"
    """Queries, a corpus and graded judgments, perhaps divided into train and test already."""

    PLAIN = "plain"
    """`text`: texts without labels or pairs, to synthesise training data from."""


class Modality(StrEnum):
    """What a content is."""

    TEXT = "text"
    IMAGE = "image"
    MESH = "mesh"

    @property
    def plural(self) -> str:
        """The word for several contents."""
        return {Modality.TEXT: "texts", Modality.IMAGE: "images", Modality.MESH: "meshes"}[self]


LINE_COLUMN = "line"
"""First column of every file of validated rows: the 1-based line of the source on which the row starts (int64)."""

SOURCE_COLUMN = "source"
"""Second column where the rows come from several files: the name of the row's file (string)."""

CONTENT_COLUMNS: dict[Layout, tuple[str, ...]] = {
    Layout.LABELLED: ("content",),
    Layout.PAIRS: ("query", "document"),
    Layout.TEXT_IMAGE: ("text", "image"),
    Layout.SCORED: ("first", "second"),
    Layout.MATCHES: ("query", "document"),
    Layout.BEIR: ("query", "document"),
    Layout.PLAIN: ("text",),
}
"""The columns that hold contents, in order."""

LABEL_COLUMN = "label"
"""labelled: the label (string)."""

SCORE_COLUMN = "score"
"""scored: similarity, 0..1 (float32)."""

RELEVANCE_COLUMN = "relevance"
"""matches, beir: gain of the document for the query (float32, finite, 0 or more); 0 is judged not relevant."""

SPLIT_COLUMN = "split"
"""beir: 'train', 'dev' or 'test' where the source divides its judgments, '' otherwise (string)."""

VALUE_COLUMNS: dict[Layout, tuple[str, ...]] = {
    Layout.LABELLED: (LABEL_COLUMN,),
    Layout.PAIRS: (),
    Layout.TEXT_IMAGE: (),
    Layout.SCORED: (SCORE_COLUMN,),
    Layout.MATCHES: (RELEVANCE_COLUMN,),
    Layout.BEIR: (RELEVANCE_COLUMN, SPLIT_COLUMN),
    Layout.PLAIN: (),
}
"""The columns that follow the contents, in order."""

NUMBER_COLUMNS = frozenset({SCORE_COLUMN, RELEVANCE_COLUMN})
"""Value columns that are float32; the others are strings."""

LABEL_TAG = "finetuner_label"
"""Tag of a Document that holds the label; the name Jina Finetuner gave it, so that its users' DocumentArrays work."""

SCORE_TAG = "finetuner_score"
"""Tag of a scored parent: how similar its two chunks are, a number from 0 to 1; Finetuner's name, too."""
