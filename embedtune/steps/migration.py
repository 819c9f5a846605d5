"""What it takes to replace the champion by the tuned model, measured on the held-out data."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from embedtune.retrieval.compare import Evaluation
from embedtune.retrieval.cost import Migration
from embedtune.retrieval.evaluation_set import EvaluationSet, Vectors
from embedtune.retrieval.metric_names import cutoff_of
from embedtune.retrieval.migration import learn_map, measure_agreement
from embedtune.retrieval.score_files import MAP_FILE
from embedtune.retrieval.sides import CHAMPION, TUNED

if TYPE_CHECKING:
    from embedtune.models.comparing import Encoded

_USUAL_K = 10

_USE = (
    "Queries of the new model, times this matrix (new components, champion's components), search an index of the "
    "champion's vectors, compared as that index compares them. For the time until all documents are embedded again."
)


def with_migration(
    outcome: Evaluation, documents: EvaluationSet, vectors: Mapping[str, Vectors], tuned: "Encoded", asked: int
) -> Evaluation:
    """Add what a promotion costs, where a champion was scored; without one nothing is served yet that it replaces.

    Args:
        outcome: The comparison.
        documents: All held-out queries and index documents.
        vectors: Of each side for these.
        tuned: What the tuned model made of them, and how fast.
        asked: Documents to embed again, 0 where that is not known.
    """
    if CHAMPION not in vectors:
        return outcome
    judged, place = outcome.judged, {identifier: row for row, identifier in enumerate(documents.query_ids)}
    counted = np.flatnonzero(outcome.counted[CHAMPION])
    rows = np.array([place[judged.query_ids[row]] for row in counted.tolist()], np.int64)
    k = cutoff_of(outcome.comparison.decision.metric) or _USUAL_K
    migration = Migration(
        documents=asked if asked else len(documents.index_ids),
        is_known=asked > 0,
        per_second=tuned.index_per_second,
        device=tuned.device,
        dimension=vectors[TUNED].index.shape[1],
        agreement=measure_agreement(judged.select(counted), vectors[TUNED].of(rows), vectors[CHAMPION].of(rows), k),
    )
    return replace(outcome, comparison=replace(outcome.comparison, migration=migration))


def write_map(folder: Path, vectors: Mapping[str, Vectors], version: str) -> None:
    """Write the map from the tuned model's vectors to the champion's, learned on all held-out index documents.

    Args:
        folder: Folder of the scores.
        vectors: Of each side.
        version: The champion's.
    """
    if CHAMPION not in vectors:
        return
    from safetensors.numpy import save_file  # comes with the models' libraries, which other steps do without

    champion = vectors[CHAMPION]
    found = learn_map(vectors[TUNED].index, champion.index, champion.distance)
    facts = {"champion_version": version, "distance": champion.distance, "use": _USE}
    save_file({"map": np.ascontiguousarray(found)}, folder / MAP_FILE, metadata=facts)
