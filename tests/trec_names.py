"""Our names of metrics and trec_eval's, whose reciprocal rank, F and R-precision look at all of a run."""

_AT_CUTOFFS = {
    "ndcg": "ndcg_cut_{k}",
    "map": "map_cut_{k}",
    "recall": "recall_{k}",
    "precision": "P_{k}",
    "hit": "success_{k}",
}

_OF_WHOLE_RUNS = {"mrr": "recip_rank", "f1": "set_F", "r_precision": "Rprec"}


def trec_names(k: int, *, whole_runs: bool = True) -> dict[str, str]:
    """Return our keys and trec_eval's measures at a cutoff.

    Args:
        k: The cutoff.
        whole_runs: Whether runs end there, so that measures of whole runs are at that cutoff, too.
    """
    names = {f"{name}_at_{k}": measure.format(k=k) for name, measure in _AT_CUTOFFS.items()}
    return names | ({f"{name}_at_{k}": measure for name, measure in _OF_WHOLE_RUNS.items()} if whole_runs else {})
