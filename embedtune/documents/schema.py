"""The contract between the steps: what a folder of Documents holds and what its readers may rely on.

`train/` and `evaluation/` are separate folders, so that the fine-tuning step cannot see what it is judged on.
Each is written by `documents.shards` and holds `manifest.json`, the shards of its splits, and for the pairs layout
`relevance.parquet`. Promises for every layout:

- A Document's `id` is derived from its content: equal content has the equal id, in every split and every run.
- `text` is a non-empty string; `tags[LABEL_TAG]` is a non-empty string (protobuf would turn an int into a float).
- No content of the training folder, up to case, Unicode form and white space, occurs in the evaluation folder.
- labelled: equal labels are relevant to each other; a Document is never relevant to itself.
- pairs: `relevance.parquet` (RELEVANCE_COLUMNS) holds the judged pairs whose two ends are in this folder, which is
  every pair of the source exactly once. Texts that differ only in case, Unicode form and white space are one Document
  here, with the id and text of the spelling whose id is smallest. The label is the connected component, which is what
  label-based losses train on. A held-out text that is both query and document is in the query split and in the index
  with the same id.
- Every query has at least one relevant Document in the index.
"""

from enum import StrEnum

LABEL_TAG = "finetuner_label"
"""Tag that holds the label; the name Jina Finetuner gave it, so that its users' DocumentArrays work."""

ROLE_TAG = "embedtune_role"
"""Tag of training Documents of the pairs layout: a Role."""

TABLE_COLUMNS = ("id", "text", "label")
"""String columns of a split read as an arrow table."""

ROLE_COLUMN = "role"
"""Further column of the training split of the pairs layout: a Role."""

RELEVANCE_COLUMNS = ("query_id", "document_id", "relevance")
"""Columns of `relevance.parquet`: string, string, float32 gain above 0."""


class Split(StrEnum):
    """The parts a folder may hold."""

    TRAIN = "train"
    QUERY = "query"
    INDEX = "index"


class Role(StrEnum):
    """What a Document of the pairs layout is in its pairs."""

    QUERY = "query"
    DOCUMENT = "document"
    BOTH = "both"


class SplitRule(StrEnum):
    """How rows are held out for evaluation."""

    AUTO = "auto"
    """Stratified where labels have enough texts, by group otherwise and for pairs."""

    STRATIFIED = "stratified"
    """Hold out a share of the texts of each label: new texts for known labels."""

    GROUP = "group"
    """Hold out whole groups of connected rows: labels or queries the model never saw."""
