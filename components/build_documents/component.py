"""Thin component of `embedtune.steps.build_documents`."""

from kfp.dsl import HTML, Dataset, Input, Markdown, Metrics, Output

from components.images import data_component


@data_component
def build_documents(
    rows: Input[Dataset],
    rejected: Input[Dataset],
    train: Output[Dataset],
    evaluation: Output[Dataset],
    quarantine: Output[Dataset],
    counts: Output[Metrics],
    data_page: Output[HTML],
    data_summary: Output[Markdown],
    eval_share: float = 0.2,
    split: str = "auto",
    seed: int = 42,
    max_bad_share: float = 0.01,
):
    """Group rows into Documents, split them into train and evaluation without a leak, and describe them.

    Args:
        rows: Validated rows.
        rejected: Rows that ingest_csv set aside; the page tells why.
        train: Training documents (DocumentArray shards).
        evaluation: Queries and index (DocumentArray shards).
        quarantine: Rows that contradict each other (CSV: line, reason, row).
        counts: Numbers of documents.
        data_page: Data summary for the Visualization tab.
        data_summary: The same as Markdown.
        eval_share: Share of the documents to hold out for evaluation, above 0 and below 1.
        split: 'auto', 'stratified' (new rows of known labels) or 'group' (whole labels or connected pairs).
        seed: Seed of the split.
        max_bad_share: Largest accepted share of rows that contradict each other, 0 to 1.
    """
    from pathlib import Path

    from embedtune.documents.build import BuildOptions
    from embedtune.steps.build_documents import build_documents as step
    from embedtune.steps.last_words import leave_last_words

    leave_last_words("build_documents")
    config = BuildOptions(eval_share=eval_share, split=split, seed=seed, max_bad_share=max_bad_share)
    folders = Path(train.path), Path(evaluation.path), Path(quarantine.path)
    summary = step(
        config, Path(rows.path), *folders, Path(data_page.path), Path(data_summary.path), (Path(rejected.path),)
    )
    for name in ("train", "query", "index"):
        counts.log_metric(f"{name}_documents", float(getattr(summary, name).documents))
