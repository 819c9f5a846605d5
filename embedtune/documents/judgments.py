"""The distinct judged pairs of all rows, and which documents they connect."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from embedtune.documents.distinct_contents import DistinctContents
from embedtune.documents.fingerprints import Codes, Fingerprints, Flags, Numbers, connected_components
from embedtune.documents.row_uses import Use
from embedtune.documents.schema import content_id
from embedtune.records.layouts import Layout


@dataclass(frozen=True, eq=False)
class Judgments:
    """P distinct judged pairs of the D documents of a corpus."""

    pairs: Numbers
    """Number of the query and of the document, 0..D-1 (P, 2)."""
    gains: npt.NDArray[np.float32]
    """How relevant the document is, 0 or more; similarity for scored (P,)."""
    uses: Codes
    """Use.OPEN for all, or Use.TRAIN and Use.EVALUATION where the source divides them (P,)."""
    rows: Numbers
    """Row that a pair is written from where a Document holds both contents, else the first one that judges it (P,)."""
    ids: pa.Array
    """Id of the Document that holds both contents (P,); none where each is a Document of its own."""

    @property
    def official(self) -> bool:
        """Whether the source divides training from evaluation."""
        return bool(np.any(self.uses != Use.OPEN))

    @classmethod
    def none(cls) -> "Judgments":
        """Return those of rows with one content."""
        nothing = np.empty(0, np.int64)
        uses, gains = nothing.astype(np.int8), nothing.astype(np.float32)
        return cls(np.empty((0, 2), np.int64), gains, uses, nothing, pa.array([], pa.string()))


def collect_judgments(contents: DistinctContents, prints: Fingerprints, uses: Codes, documents: Numbers) -> Judgments:
    """Merge rows (R,) that judge the same pair, up to spelling; `documents` numbers the one of each content (T,)."""
    rows = np.flatnonzero(uses >= Use.OPEN)
    queries, answers = documents[contents.first[rows]], documents[contents.second[rows]]
    codes = (queries * (int(answers.max(initial=0)) + 1) + answers) * len(Use) + uses[rows]
    firsts, numbers = np.unique(codes, return_index=True, return_inverse=True)[1:]
    ids = pa.array([], pa.string())
    chosen = rows[firsts]
    if contents.layout.has_parents:
        chosen, ids = _smallest_parents(contents, prints, rows, numbers)
    in_order = np.argsort(firsts, kind="stable")
    firsts = firsts[in_order]
    return Judgments(
        pairs=np.stack([queries[firsts], answers[firsts]], axis=1),
        gains=contents.gains()[rows[firsts]],
        uses=uses[rows[firsts]],
        rows=chosen[in_order],
        ids=ids.take(pa.array(in_order)) if len(ids) else ids,
    )


def _smallest_parents(
    contents: DistinctContents, prints: Fingerprints, rows: Numbers, numbers: Numbers
) -> tuple[Numbers, pa.Array]:
    """Return of each pair the row whose Document has the smallest id, which no row order changes, and that id.

    The rows to choose from (J,) have each the number of their pair, 0..P-1 (J,).
    """
    first, second = (prints.ids.take(pa.array(side[rows])).to_pylist() for side in (contents.first, contents.second))
    ids = pa.array([content_id((one + other).encode()) for one, other in zip(first, second, strict=True)], pa.string())
    smallest = smallest_members(ids, numbers)
    return rows[smallest], ids.take(pa.array(smallest))


def smallest_members(ids: pa.Array, numbers: Numbers) -> Numbers:
    """Return the position of the smallest of the ids (D,) with each number 0..N-1 (N,); of equal ids the first."""
    counts = np.bincount(numbers)
    smallest = np.empty(len(counts), np.int64)
    smallest[numbers] = np.arange(len(numbers))
    several = np.flatnonzero(counts[numbers] > 1)
    table = pa.table({"number": numbers[several], "id": ids.take(pa.array(several))})
    order = pc.sort_indices(table, sort_keys=[("number", "ascending"), ("id", "ascending")]).to_numpy()
    ordered = several[order]
    starts = np.flatnonzero(np.diff(numbers[ordered], prepend=-1))
    smallest[numbers[ordered[starts]]] = ordered[starts]
    return smallest


def connecting(judgments: Judgments, layout: Layout) -> Flags:
    """Tell which judged pairs are of related documents (P,); see `connect`."""
    binding: Flags = judgments.uses != Use.EVALUATION
    return binding & (judgments.gains > 0) if layout.is_ranked else binding


def connect(judgments: Judgments, layout: Layout, draws: npt.NDArray[np.uint64]) -> tuple[Numbers, Numbers]:
    """Find which documents are related and which are to be held out together.

    Related are the connected components over the judgments. In matches and beir only documents that are relevant
    connect: a wrong answer is often the right one of another query, and would join everything. Official evaluation
    judgments connect nothing, so that no training label tells of them.

    Held out together are related documents, and with them those that are relevant to no query: each goes with the one
    of its queries that has the smallest draw (D,), so that most queries keep their wrong answers.

    Returns:
        The smallest number of each document's related ones (D,), and of those held out with it (D,).
    """
    bound = judgments.pairs[connecting(judgments, layout)]
    related = connected_components(bound[:, 0], bound[:, 1], len(draws))
    alone = np.ones(len(draws), np.bool_)
    alone[bound] = False
    loose = judgments.pairs[alone[judgments.pairs[:, 1]] & (judgments.uses != Use.EVALUATION)]
    if not loose.size:
        return related, related
    loose = loose[np.lexsort((draws[loose[:, 0]], loose[:, 1]))]
    leaves, places = np.unique(loose[:, 1], return_index=True)
    together = related.copy()
    together[leaves] = related[loose[places, 0]]
    return related, together
