"""Our names of metrics and trec_eval's, whose reciprocal rank looks at all of a run, here ten results."""

TREC_NAMES = {
    "ndcg_at_10": "ndcg_cut_10",
    "mrr_at_10": "recip_rank",
    "map_at_10": "map_cut_10",
    "recall_at_10": "recall_10",
    "precision_at_10": "P_10",
    "hit_at_10": "success_10",
}
