"""Thin component of `embedtune.steps.plan_documents`."""

from typing import Dict, List

from kfp.dsl import Dataset, Input, Output

from components.images import data_component


@data_component
def plan_documents(
    rows: Input[List[Dataset]],
    plan: Output[Dataset],
    quarantine: Output[Dataset],
    eval_share: float = 0.2,
    split: str = "auto",
    seed: int = 42,
    max_bad_share: float = 0.01,
) -> List[Dict[str, str]]:
    """Decide over the rows of all files which Documents there are and on which side of the split.

    Args:
        rows: Validated rows of each file.
        plan: Which Documents each of the files becomes.
        quarantine: Rows that contradict each other (CSV: line, reason, row).
        eval_share: Share of the documents to hold out for evaluation, above 0 and below 1.
        split: 'auto', 'stratified' (new rows of known labels) or 'group' (whole labels or connected pairs).
        seed: Seed of the split.
        max_bad_share: Largest accepted share of rows that contradict each other, 0 to 1.

    Returns:
        Output: The number and rows_uri of each file, for build_shard.
    """
    from pathlib import Path

    from embedtune.documents.build import BuildOptions
    from embedtune.steps.last_words import leave_last_words
    from embedtune.steps.plan_documents import plan_documents as step

    leave_last_words("plan_documents")
    config = BuildOptions(eval_share=eval_share, split=split, seed=seed, max_bad_share=max_bad_share)
    step(config, tuple(Path(part.path) for part in rows), Path(plan.path), Path(quarantine.path))
    return [{"number": str(number), "rows_uri": part.uri} for number, part in enumerate(rows)]
