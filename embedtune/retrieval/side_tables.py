"""The compared models on further data, each a table beside the comparison that decides."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from embedtune.errors import InputError
from embedtune.models.digests import Digests
from embedtune.retrieval.comparison import SideTable
from embedtune.retrieval.evaluation_set import EvaluationSet
from embedtune.retrieval.held_out import HeldOut
from embedtune.retrieval.known_texts import find_known
from embedtune.retrieval.measuring import Contestant, measure_sides
from embedtune.retrieval.metric_names import Metric
from embedtune.retrieval.scoring import USUAL_METRICS


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
) -> SideTable:
    """Measure all sides on further data; what one of them was trained on is counted and stays.

    Args:
        further: N queries and M index documents.
        contestants: The sides, with what they made of these.
        trained: Name of a side -> what it was trained on, None where that is not known.
        metrics: What to measure.
        seed: Seed of the bootstrap.

    Raises:
        InputError: no query has a relevant document, or vectors are not finite.
    """
    data, documents = further.data, further.data.documents
    found = measure_sides(documents, contestants, metrics=metrics, seed=seed)
    queries = len(found.judged.query_ids)
    known = {
        one.name: find_known(documents, data.queries, data.index, trained[one.name], whole_groups=False)
        for one in contestants
        if trained[one.name] is not None
    }
    return SideTable(
        name=further.name,
        source=further.source,
        metrics=found.metrics,
        differences=found.differences,
        queries=queries,
        queries_without_relevant=len(documents.query_ids) - queries,
        index_documents=len(documents.index_ids),
        query_kind=documents.query_kind.value,
        index_kind=documents.index_kind.value,
        pairs=0 if documents.scored is None else documents.scored.scores.size,
        trained_queries={side: each.queries for side, each in known.items()},
        trained_index={side: each.index for side, each in known.items()},
    )
