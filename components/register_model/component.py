"""Thin component of `embedtune.steps.register_model`."""

from typing import NamedTuple

from kfp.dsl import HTML, Artifact, Input, Markdown, Model, Output

from components.images import data_component


@data_component
def register_model(
    model: Input[Model],
    scores: Input[Artifact],
    report: Input[HTML],
    summary: Input[Markdown],
    registration: Output[Markdown],
    model_name: str,
    experiment: str = "embedtune",
    data_uri: str = "",
    data_version: str = "",
    csv_options: str = "{}",
    max_bad_share: float = 0.01,
    pipeline_run: str = "",
    started: str = "",
) -> NamedTuple(
    "Registered",
    [("name", str), ("version", int), ("aliases", str), ("reason", str), ("run_id", str), ("champion", dict)],
):
    """Register the model in MLflow; it becomes champion only if it is better than the base, and than the champion.

    Where MLflow is comes from the environment: MLFLOW_TRACKING_URI.

    Args:
        model: Tuned model.
        scores: Scores of the evaluation.
        report: Report to keep with the MLflow run.
        summary: Markdown report to keep with the MLflow run.
        registration: What was registered, and which version is champion.
        model_name: Name of the registered model.
        experiment: MLflow experiment of the run.
        data_uri: Where the training data came from, for the record.
        data_version: Version of the training data, for the record.
        csv_options: CSV options that the data were read with, for the record.
        max_bad_share: Share of rows that could not be used and was accepted, for the record.
        pipeline_run: Id of the pipeline's run, for the record; '' if that is not known.
        started: When the run began, in ISO 8601 with its time zone, for the record; '' if that is not known.

    Returns:
        name: Name of the registered model.
        version: The version that was made, or found where the same registration had been made before.
        aliases: The version's aliases, sorted and separated by ', '; '' where a newer version took them all.
        reason: Why it is champion or is not, in a sentence or two.
        run_id: The MLflow run that holds parameters, metrics and reports.
        champion: The champion now: version, metric, value, queries and evaluation_digest; {} where there is none.
    """
    from pathlib import Path

    from embedtune.steps.last_words import leave_last_words
    from embedtune.steps.register_model import RegisterModelConfig, registration_page
    from embedtune.steps.register_model import register_model as step

    leave_last_words("register_model")
    config = RegisterModelConfig(
        model_name=model_name,
        experiment=experiment,
        data_uri=data_uri,
        data_version=data_version,
        csv_options=csv_options,
        max_bad_share=max_bad_share,
        pipeline_run=pipeline_run,
        started=started,
    )
    made = step(config, Path(model.path), Path(scores.path), (Path(report.path), Path(summary.path)))
    Path(registration.path).write_text(registration_page(made, pipeline_run), encoding="utf-8")
    return made.name, made.version, ", ".join(made.aliases), made.reason, made.run_id, made.champion_facts()
