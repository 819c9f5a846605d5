"""What one row of the source means: the facts of each layout, and the columns of its validated rows."""

import re
from enum import StrEnum

LINE_COLUMN = "line"
"""First column of every file of validated rows: the 1-based line of the source on which the row starts (int64)."""

SOURCE_COLUMN = "source"
"""Second column where the rows come from several files: the name of the row's file (string)."""

LABEL_COLUMN = "label"
"""The label (string)."""

SCORE_COLUMN = "score"
"""Similarity, 0..1 (float32)."""

RELEVANCE_COLUMN = "relevance"
"""Gain of the document for the query (float32, finite, 0 or more); 0 is judged not relevant."""

SPLIT_COLUMN = "split"
"""'train', 'dev' or 'test' where the source divides its judgments, '' otherwise (string)."""

NUMBER_COLUMNS = frozenset({SCORE_COLUMN, RELEVANCE_COLUMN})
"""Value columns that are float32; the others are strings."""

_JUDGED = ("query", "document")


class Layout(StrEnum):
    """What one row of the source means, with what all else about a layout follows from."""

    contents: tuple[str, ...]
    """The columns that hold contents, in order; they follow the line and the source."""
    values: tuple[str, ...]
    """The columns that follow the contents, in order."""
    needs: tuple[str, ...]
    """What rows must show so that something can be learned from them; see `csv.ingest`."""

    def __new__(
        cls, name: str, contents: tuple[str, ...] = (), values: tuple[str, ...] = (), needs: tuple[str, ...] = ()
    ) -> "Layout":
        """Make a member of its name and its facts."""
        member = str.__new__(cls, name)
        member._value_ = name
        member.contents, member.values, member.needs = contents, values, needs
        return member

    LABELLED = "labelled", ("content",), (LABEL_COLUMN,), ("values differ", "a label repeats")
    """`content,label`: contents with the same label are relevant to each other."""

    PAIRS = "pairs", _JUDGED, (), ("queries differ", "documents differ", "sides differ")
    """`query,document` of one modality: the document is relevant to the query; a query may have several rows."""

    TEXT_IMAGE = "text-image", ("text", "image"), (), ("queries differ", "documents differ")
    """`text,image`: the text describes the image."""

    SCORED = "scored", ("first", "second"), (SCORE_COLUMN,), ("values differ", "sides differ")
    """`first,second,score`: how similar the two are, 0..1."""

    MATCHES = "matches", _JUDGED, (RELEVANCE_COLUMN,), ("values differ",)
    """`query,document,relevance`: judged documents of a query, relevant (1) or not (0)."""

    BEIR = "beir", _JUDGED, (RELEVANCE_COLUMN, SPLIT_COLUMN)
    """Queries, a corpus and graded judgments, perhaps divided into train and test already."""

    PLAIN = "plain", ("text",)
    """`text`: texts without labels or pairs, to synthesise training data from."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of contents and values, in order."""
        return self.contents + self.values

    @property
    def has_labels(self) -> bool:
        """Whether a row is a content with its label."""
        return LABEL_COLUMN in self.values

    @property
    def has_roles(self) -> bool:
        """Whether a row is a query with a document: training Documents have a Role, and judgments beside them."""
        return self.contents == _JUDGED

    @property
    def has_parents(self) -> bool:
        """Whether a row is of two other contents, such as a first and a second: a training Document holds both."""
        return len(self.contents) == len(_JUDGED) and not self.has_roles

    @property
    def has_scores(self) -> bool:
        """Whether a row says how similar its contents are."""
        return SCORE_COLUMN in self.values

    @property
    def is_ranked(self) -> bool:
        """Whether some documents are judged not to be relevant."""
        return RELEVANCE_COLUMN in self.values

    @property
    def has_splits(self) -> bool:
        """Whether the source may divide its judgments itself, and hold documents that nobody judged."""
        return SPLIT_COLUMN in self.values

    @property
    def is_trainable(self) -> bool:
        """Whether rows say what belongs together: there is something to learn, to hold out, and to measure."""
        return len(self.columns) > 1


class Modality(StrEnum):
    """What a content is."""

    TEXT = "text"
    IMAGE = "image"
    MESH = "mesh"

    @property
    def plural(self) -> str:
        """The word for several contents."""
        return {Modality.TEXT: "texts", Modality.IMAGE: "images", Modality.MESH: "meshes"}[self]


MEDIA_SUFFIXES: dict[Modality, tuple[str, ...]] = {
    Modality.IMAGE: (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".bmp", ".webp", ".tif", ".tiff"),
    Modality.MESH: (".off", ".obj", ".stl", ".ply", ".glb"),
}
"""Endings of the files of each modality, in lower case."""

_SUFFIXES = {suffix: modality for modality, suffixes in MEDIA_SUFFIXES.items() for suffix in suffixes}
_DATA_IMAGE = re.compile(r"data:image/", re.IGNORECASE)


def media_suffix(value: str) -> Modality | None:
    """Return the modality that the ending of a path or URL tells, None where it tells none."""
    if _DATA_IMAGE.match(value):
        return Modality.IMAGE
    if "://" in value:
        value = re.split(r"[?#]", value, maxsplit=1)[0]
    dot = value.rfind(".")
    return _SUFFIXES.get(value[dot:].lower()) if dot >= 0 else None


LABEL_TAG = "finetuner_label"
"""Tag of a Document that holds the label; the name Jina Finetuner gave it, so that its users' DocumentArrays work."""

SCORE_TAG = "finetuner_score"
"""Tag of a scored parent: how similar its two chunks are, a number from 0 to 1; Finetuner's name, too."""
