"""Thin component of `embedtune.steps.evaluate_retrieval`."""

from kfp.dsl import HTML, Artifact, Dataset, Input, Markdown, Metrics, Model, Output

from components.images import train_component


@train_component
def evaluate_retrieval(
    model: Input[Model],
    evaluation: Input[Dataset],
    train: Input[Dataset],
    scores: Output[Artifact],
    metrics: Output[Metrics],
    report: Output[HTML],
    summary: Output[Markdown],
    title: str = "embeddings",
    metric: str = "ndcg_at_10",
    min_gain: float = 0.0,
    min_lower_bound: float = 0.0,
    eval_options: str = "{}",
    evaluation_versions: str = "{}",
    champion: str = "",
    seed: int = 42,
):
    """Compare the tuned model with its backbone and the champion on held-out queries, with confidence intervals.

    Args:
        model: Tuned model.
        evaluation: Queries and index.
        train: Training documents, looked through for wrong labels, and searched in if eval_options say whole_corpus.
        scores: Comparison (JSON), TREC runs and qrels, the scores of each query, labels that seem to be wrong.
        metrics: Mean metrics of all models, the gain in the one that decides, and the decision, for Compare Runs.
        report: Report for the Visualization tab.
        summary: The same as Markdown.
        title: What the model is for, as the report's heading says it.
        metric: Metric that decides, such as ndcg_at_10 or map_at_20.
        min_gain: Least gain of that metric, 0 to 1, for a promotion.
        min_lower_bound: Bound, 0 to 1, that the gain's interval must lie above, for a promotion.
        eval_options: JSON object with any of the fields of EvalOptions, such as cutoffs, distance or batch_size.
        evaluation_versions: Versions of the evaluations in eval_options, as resolve_data returns them.
        champion: Registered version to compare with as well, as resolve_data returns it; '' for none.
        seed: Seed of the bootstrap.
    """
    from pathlib import Path

    from embedtune.retrieval.figures import figures_of
    from embedtune.steps.evaluate_retrieval import EvaluateRetrievalConfig
    from embedtune.steps.evaluate_retrieval import evaluate_retrieval as step
    from embedtune.steps.last_words import leave_last_words

    leave_last_words("evaluate_retrieval")
    config = EvaluateRetrievalConfig(
        title=title,
        metric=metric,
        min_gain=min_gain,
        min_lower_bound=min_lower_bound,
        eval_options=eval_options,
        evaluation_versions=evaluation_versions,
        champion=champion,
        seed=seed,
    )
    pages = Path(report.path), Path(summary.path)
    outputs = Path(scores.path), *pages
    comparison = step(config, Path(model.path), Path(evaluation.path), *outputs, Path(train.path), model.uri)
    for name, value in figures_of(comparison).items():
        metrics.log_metric(name, value)
