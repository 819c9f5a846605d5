"""Thin component of `embedtune.steps.merge_documents`."""

from typing import List

from kfp.dsl import HTML, Dataset, Input, Markdown, Metrics, Output

from components.images import data_component


@data_component
def merge_documents(
    plan: Input[Dataset],
    rejected: Input[List[Dataset]],
    train: Output[Dataset],
    evaluation: Output[Dataset],
    counts: Output[Metrics],
    data_page: Output[HTML],
    data_summary: Output[Markdown],
    train_parts: List[str],
    evaluation_parts: List[str],
):
    """Make one set of Documents of all shards, by manifest and without copying them, and describe it.

    Args:
        plan: Which Documents each of the files became.
        rejected: Rows of each file that ingest_csv set aside; the page tells why.
        train: Training documents (manifest).
        evaluation: Queries and index (manifest).
        counts: Numbers of documents.
        data_page: Data summary for the Visualization tab.
        data_summary: The same as Markdown.
        train_parts: Where the training documents of each file are, in the order of the files.
        evaluation_parts: Where the queries and index documents of each file are, in the same order.
    """
    from pathlib import Path

    from embedtune.steps.last_words import leave_last_words
    from embedtune.steps.merge_documents import MergeDocumentsConfig
    from embedtune.steps.merge_documents import merge_documents as step

    leave_last_words("merge_documents")
    config = MergeDocumentsConfig(train_parts=tuple(train_parts), evaluation_parts=tuple(evaluation_parts))
    folders = Path(plan.path), Path(train.path), Path(evaluation.path)
    aside = tuple(Path(part.path) for part in rejected)
    summary = step(config, *folders, Path(data_page.path), Path(data_summary.path), aside)
    for name in ("train", "query", "index"):
        counts.log_metric(f"{name}_documents", float(getattr(summary, name).documents))
