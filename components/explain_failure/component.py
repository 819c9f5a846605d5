"""Thin component of `embedtune.steps.explain_failure`."""

from kfp.dsl import Markdown, Output, PipelineTaskFinalStatus

from components.images import data_component


@data_component
def explain_failure(status: PipelineTaskFinalStatus, explanation: Output[Markdown], run_id: str):
    """Say which step of the run failed, why, and what to do.

    Runs at the end of every run on a cluster, and never fails one: where it may not see the pods, it says so.

    Args:
        status: How the other tasks ended; Kubeflow fills it in.
        explanation: Which step failed, why, and what to do.
        run_id: The run's id in Kubeflow.
    """
    from pathlib import Path

    from embedtune.steps.explain_failure import ExplainFailureConfig
    from embedtune.steps.explain_failure import explain_failure as step
    from embedtune.steps.last_words import leave_last_words

    leave_last_words("explain_failure")
    step(ExplainFailureConfig(run_id=run_id), Path(explanation.path), status.state)
