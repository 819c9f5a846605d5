"""The compared models on further data, each a table beside the comparison that decides."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from embedtune.errors import InputError
from embedtune.models.digests import Digests
from embedtune.retrieval.comparison import Probe, SideTable
from embedtune.retrieval.evaluation_set import EvaluationSet
from embedtune.retrieval.gate import judge_probe
from embedtune.retrieval.held_out import HeldOut
from embedtune.retrieval.known_texts import Known, find_known
from embedtune.retrieval.measuring import Contestant, measure_sides
from embedtune.retrieval.metric_names import DECIDING_CORRELATION, Metric
from embedtune.retrieval.scoring import USUAL_METRICS
from embedtune.retrieval.sides import BASE, TUNED


@dataclass(frozen=True, eq=False)
class FurtherData:
    """Queries and an index that somebody named to have the models measured on."""

    name: str
    source: str
    """Where they are, with the version that was read."""
    data: HeldOut

    @property
    def contents(self) -> int:
        """How many contents each model encodes for it."""
        return len(self.data.queries) + len(self.data.index)

    def check_fits(self, held_out: EvaluationSet) -> None:
        """Refuse what the compared models cannot be measured on.

        Args:
            held_out: What the comparison that decides is over.

        Raises:
            InputError: it holds contents of a kind that the held-out data lack, or nothing relevant to find.
        """
        found = self.data.documents
        kinds, known = ({each.query_kind, each.index_kind} for each in (found, held_out))
        if not kinds <= known:
            given, accepted = (" and ".join(sorted(each.value for each in part)) for part in (kinds, known))
            raise InputError(
                f"Evaluation {self.name!r} ({self.source}) holds contents of the kind {given}, but the models are "
                f"compared on {accepted}. Name data of that kind in evaluations, or leave this one out."
            )
        if found.scored is None and not found.judgments.relevant_counts().any():
            raise InputError(
                f"Evaluation {self.name!r} ({self.source}): none of its {len(found.query_ids)} queries has a relevant "
                f"document among the {len(found.index_ids)} of its index. Build it with judgments of these."
            )


def measure(
    further: FurtherData,
    contestants: Sequence[Contestant],
    trained: Mapping[str, Digests | None],
    *,
    metrics: Sequence[Metric] = USUAL_METRICS,
    seed: int,
    probe: Probe | None = None,
) -> SideTable:
    """Measure all sides on further data; what one of them was trained on is counted and stays.

    Of a probe the queries that the tuned model was trained on, and its base was not, are left out for all sides: what
    was just learned by heart does not tell what was forgotten.

    Args:
        further: N queries and M index documents.
        contestants: The sides, with what they made of these.
        trained: Name of a side -> what it was trained on, None where that is not known.
        metrics: What to measure.
        seed: Seed of the bootstrap.
        probe: What is accepted by the metric that decides where the data have no scores; None: they decide nothing.

    Raises:
        InputError: no query has a relevant document, or vectors are not finite.
    """
    documents = further.data.documents
    known = {one.name: _known(further, trained[one.name]) for one in contestants if trained[one.name] is not None}
    kept = np.ones(len(documents.query_ids), np.bool_) if probe is None else ~_learned(known, len(documents.query_ids))
    found = measure_sides(documents, [replace(one, new=kept) for one in contestants], metrics=metrics, seed=seed)
    queries, counted = len(found.judged.query_ids), int(found.counted[TUNED].sum())
    if probe is not None:
        metric = probe.metric if documents.scored is None else DECIDING_CORRELATION
        asked = replace(probe, metric=metric, left_out=queries - counted)
        probe = judge_probe(further.name, asked, found.differences)
    return SideTable(
        name=further.name,
        source=further.source,
        metrics=found.metrics,
        differences=found.differences,
        queries=counted,
        queries_without_relevant=len(documents.query_ids) - queries,
        index_documents=len(documents.index_ids),
        query_kind=documents.query_kind.value,
        index_kind=documents.index_kind.value,
        pairs=0 if documents.scored is None else int(kept[documents.scored.queries].sum()),
        trained_queries={side: int((~each.new & kept).sum()) for side, each in known.items()},
        trained_index={side: each.index for side, each in known.items()},
        probe=probe,
    )


def _known(further: FurtherData, trained: Digests | None) -> Known:
    data = further.data
    return find_known(data.documents, data.queries, data.index, trained, whole_groups=False)


def _learned(known: Mapping[str, Known], queries: int) -> NDArray[np.bool_]:
    """Return which of N queries the tuned model was trained on and its base was not, as far as is known (N,)."""
    new = {side: known[side].new if side in known else np.ones(queries, np.bool_) for side in (BASE, TUNED)}
    return new[BASE] & ~new[TUNED]
