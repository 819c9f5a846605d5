"""Run and qrels files of TREC, so that anyone can check our numbers with trec_eval.

Formats: https://github.com/usnistgov/trec_eval, section "Format" of its README.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from embedtune.errors import InputError
from embedtune.retrieval.judgments import Judgments
from embedtune.retrieval.ranking import Ranking


def write_run(path: Path, ranking: Ranking, query_ids: Sequence[str], index_ids: Sequence[str], tag: str) -> None:
    """Write `query Q0 document rank score tag`, one line per result.

    trec_eval ignores the rank, sorts by score (as float32) and breaks ties by descending id, the reverse of our order.
    Therefore a score that is not below the previous one of its query is written as the previous one less a unit of the
    last decimal, which is 0.000001 for cosines. Scores of Euclidean distances are negative, so that they descend.

    Args:
        path: File to write.
        ranking: Results of N queries.
        query_ids: N ids.
        index_ids: M ids.
        tag: Name of the run, such as 'tuned'.

    Raises:
        InputError: an id is empty or holds white space.
    """
    _check_ids((*query_ids, *index_ids, tag))
    units = _decreasing_units(ranking)
    with path.open("w", encoding="utf-8") as file:
        for query_id, rows, row_units, decimals in zip(
            query_ids, ranking.indices, units, ranking.decimals.tolist(), strict=True
        ):
            for place, (row, unit) in enumerate(zip(rows, row_units, strict=True), start=1):
                if row >= 0:
                    score = f"{unit / 10.0**decimals:.{max(decimals, 0)}f}"
                    file.write(f"{query_id} Q0 {index_ids[row]} {place} {score} {tag}\n")


def write_qrels(path: Path, query_ids: Sequence[str], index_ids: Sequence[str], judgments: Judgments) -> None:
    """Write `query 0 document gain`, one line per relevant document.

    There are `judgments.relevant_counts().sum()` lines: with large labels that is a large file.

    Args:
        path: File to write.
        query_ids: N ids.
        index_ids: M ids.
        judgments: Relevance for the N queries.

    Raises:
        InputError: an id is empty or holds white space, or a gain is not a whole number, which the format requires.
    """
    _check_ids((*query_ids, *index_ids))
    fractional = judgments.key_gains[judgments.key_gains % 1 != 0]
    if fractional.size:
        raise InputError(
            f"{fractional.size} gains are not whole numbers (first: {fractional[0]}); a qrels file holds whole numbers "
            "only. Scale the gains, which leaves nDCG as it is."
        )
    with path.open("w", encoding="utf-8") as file:
        for query, query_id in enumerate(query_ids):
            rows, gains = judgments.relevant(query)
            file.writelines(
                f"{query_id} 0 {index_ids[row]} {gain:.0f}\n" for row, gain in zip(rows, gains, strict=True)
            )


def has_whole_gains(judgments: Judgments) -> bool:
    """Return whether all gains are whole numbers, as a qrels file needs them."""
    return not np.any(judgments.key_gains % 1)


def _check_ids(ids: Sequence[str]) -> None:
    for one in ids:
        if len(one.split()) != 1 or one != one.strip():
            raise InputError(
                f"The id {one!r} cannot stand in a TREC file, whose columns are split at white space. "
                "Use ids without white space."
            )


def _decreasing_units(ranking: Ranking) -> NDArray[np.float64]:
    """Return scores (N, k) in units of their last decimal, made strictly decreasing along each row."""
    places = np.arange(ranking.scores.shape[1])
    units = np.round(ranking.scores * 10.0 ** ranking.decimals[:, np.newaxis])
    return np.minimum.accumulate(units + places, axis=1) - places
