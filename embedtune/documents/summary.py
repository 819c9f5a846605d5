"""What a person should know about the documents before training on them."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from embedtune.documents.schema import SplitRule
from embedtune.errors import InputError
from embedtune.manifests import checked_as
from embedtune.records.rows import IngestReport

SUMMARY_FILE = "summary.json"
"""The data summary inside the evaluation folder, for the evaluation report."""

READING_FILE = "reading.json"
"""How the rows were read, inside the training folder, for the model's card; no part of the documents' digest."""

SPLIT_FILE = "split.json"
"""By which rule the evaluation was held out, inside the training folder, so that a validation is held out by the same;
no part of the documents' digest."""

READ_WORDS = 128
"""Words above which a text is certainly cut by a model that reads 128 tokens, as `model_max_length` is set by default:
a word is one token or more."""

CUT_SHARE = 0.05
"""Share of cut texts above which a person is warned: a limit is commonly set so that 95 % of the texts fit."""

ALIKE_SHARE = 0.01
"""Share of texts that are alike above which a person is warned: the share of contradictory rows that a run accepts."""


@dataclass(frozen=True)
class SplitSummary:
    """One split in numbers."""

    documents: int
    labels: int
    """Distinct labels (labelled) or connected components (layouts with two contents); 0 for plain."""
    words_median: int
    """Median length of the texts in white-space separated words; 0 where there are none."""
    words_p95: int
    """95th percentile of the length in words; 0 where there are none."""


@dataclass(frozen=True)
class MediaSummary:
    """The different images or meshes of the rows in numbers."""

    modality: str
    contents: int
    unreadable: int
    """How many of them are no image that can be opened."""
    bytes_histogram: tuple[tuple[int, int], ...]
    """Greatest number of bytes (a power of two), and how many are at most that, but more than half of it."""
    size_histogram: tuple[tuple[int, int], ...]
    """The same for the longer side of images in pixels, or for the number of points."""
    shapes: tuple[tuple[str, int], ...]
    """The most frequent '224 × 224' in pixels, or '2,048' points, and how many have it; at most 5."""


@dataclass(frozen=True)
class DataSummary:
    """The outcome of building documents; also the page a person reads."""

    layout: str
    rows: int
    """Validated rows read."""
    quarantined: int
    """Rows set aside here: a content with several labels, a query that is its own document, contradictory judgments."""
    duplicates: int
    """Rows merged into an earlier one with the same content (labelled, plain) or the same pair up to spelling."""
    split_rule: str
    """The rule that was applied: 'stratified', 'group', 'official' or, where nothing is held out, 'none'."""
    split_reason: str
    """Why this rule, in one sentence."""
    eval_share: float
    seed: int
    train: SplitSummary
    """The training folder; for scored and text-image, a document is a pair of contents."""
    query: SplitSummary
    index: SplitSummary
    relevant_per_query: float
    """Mean number of relevant index documents per query; 0 where there are no queries."""
    largest_group_share: float
    """Share of all documents in the largest group of connected rows, 0..1."""
    label_histogram: tuple[tuple[str, int], ...]
    """The most frequent labels with their number of documents (labelled), at most 20; empty for other layouts."""
    examples: tuple[tuple[str, str], ...]
    """The first few rows: two contents, content and label, or text and '' (plain)."""
    warnings: tuple[str, ...]
    """What a person should look at, one sentence each."""
    modalities: tuple[str, ...] = ("text",)
    """Of the contents of a row, in their order."""
    length_histogram: tuple[tuple[int, int], ...] = ()
    """Greatest number of words (1, 2, 4, 8, ...) and how many texts have at most that many, but more than the last."""
    largest_groups: tuple[tuple[str, int], ...] = ()
    """The largest groups of connected rows: what joins them, and their number of documents; at most 5."""
    compared_contents: int = 0
    """Different contents of the evaluation that were looked for in the training folder."""
    shared_contents: int = 0
    """How many of them are there: 0, but for the corpus of an official split."""
    gain_histogram: tuple[tuple[float, int], ...] = ()
    """Gain (scored: score rounded to tenths) of the judged pairs that are used, and how many; the 20 most frequent."""
    torn_judgments: int = 0
    """Judged pairs that were left out because one end is in training and the other is held out."""
    unanswered_queries: int = 0
    """Queries that were left out because no document is relevant to them."""
    overlapping_judgments: int = 0
    """Official training judgments that were left out because one end is a query of the evaluation."""
    other_judgments: int = 0
    """Official judgments of splits that are used for neither training nor evaluation."""
    set_aside: tuple[tuple[str, int, str], ...] = ()
    """Why rows were set aside: the reason, how many rows, and the cells of the first; the most frequent first."""
    media: tuple[MediaSummary, ...] = ()
    """The images and meshes; empty where there are none or they are not loaded."""
    long_texts: int = 0
    """Texts of more than READ_WORDS words."""
    alike_texts: int = 0
    """Those of them that begin like another one for so many words."""
    reading: IngestReport | None = None
    """How the rows were read; None where the rows do not say. Its warnings are among `warnings`."""

    def save(self, path: Path) -> None:
        """Write as JSON."""
        path.write_text(json.dumps(dataclasses.asdict(self), indent=2, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "DataSummary":
        """Read what `save` wrote.

        Raises:
            InputError: there is no such file, it is damaged, or another version wrote it.
        """
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            reading = data.pop("reading", None)
            found = checked_as(cls, data)
            return found if reading is None else dataclasses.replace(found, reading=IngestReport.of_json(reading))
        except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
            raise InputError(
                f"{path} cannot be read as a data summary of this version ({error}). Build the documents again."
            ) from error


def save_reading(folder: Path, reading: IngestReport | None) -> None:
    """Write into a training folder how its rows were read, without what is said of single files."""
    if reading is not None:
        facts = dataclasses.asdict(dataclasses.replace(reading, files=()))
        (folder / READING_FILE).write_text(json.dumps(facts, ensure_ascii=False), encoding="utf-8")


def load_reading(folder: Path) -> IngestReport | None:
    """Read what `save_reading` wrote; None where there is nothing, as in folders of embedtune 0.1.

    Raises:
        InputError: the file is damaged.
    """
    path = folder / READING_FILE
    try:
        return IngestReport.of_json(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise InputError(f"{path} is damaged. Build the documents again.") from error


def save_split_rule(folder: Path, rule: str) -> None:
    """Write into a training folder by which rule the evaluation was held out of the same rows."""
    (folder / SPLIT_FILE).write_text(json.dumps({"rule": rule}), encoding="utf-8")


def load_split_rule(folder: Path) -> SplitRule:
    """Read what `save_split_rule` wrote; AUTO where that is nothing that documents can be held out by again.

    That is so in folders of embedtune 0.1, and of a split that the source made.

    Raises:
        InputError: the file is damaged.
    """
    path = folder / SPLIT_FILE
    try:
        rule = json.loads(path.read_text(encoding="utf-8"))["rule"]
    except FileNotFoundError:
        return SplitRule.AUTO
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path} is damaged. Build the documents again.") from error
    return SplitRule(rule) if rule in tuple(SplitRule) else SplitRule.AUTO
