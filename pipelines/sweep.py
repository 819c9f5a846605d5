"""The pipeline of a sweep: several combinations of settings, of which the best is judged once and registered."""

from typing import Any, Dict, NamedTuple

from kfp import dsl
from kfp.dsl import HTML, Artifact, Markdown, Model

from components.choose_candidate.component import choose_candidate
from components.finetune_candidate.component import finetune_candidate
from embedtune.steps.run_parameters import RunParameters
from embedtune.steps.sweep_grid import candidates_of
from pipelines.builds import Definition
from pipelines.finetune import PROMISE, build_at_once, build_with, judge, resolve, with_model
from pipelines.form import GRID, GRID_TEXT, with_form
from pipelines.task_options import DATA, on_cluster

MOST_AT_ONCE = 4
"""Combinations that are trained at the same time on a cluster; on one machine it is one after the other."""


def check_sweep(arguments: Dict[str, Any]) -> None:
    """Check the arguments as the first task will, each combination as a run with these parameters.

    Args:
        arguments: Every parameter of the pipeline.

    Raises:
        ConfigError: a value or a combination is not accepted.
        InputError: nothing can be learned from such data, or not with this loss or these options.
        StorageError: an address is none, or carries credentials.
    """
    candidates_of(RunParameters(**arguments, sweep=True))


class Outputs(NamedTuple):
    """What the pipeline hands to its caller."""

    model: Model
    report: HTML
    scores: Artifact
    data_page: HTML
    name: str
    version: int
    aliases: str
    reason: str
    run_id: str
    champion: dict
    data_version: str
    sweep: Artifact
    sweep_page: HTML
    sweep_summary: Markdown


def _add_tasks(given: Dict[str, Any]) -> Outputs:
    resolved = resolve(given, by_file=False, sweep=True)
    documents = build_with(build_at_once, given, resolved.outputs["data_version"])
    with dsl.ParallelFor(items=resolved.outputs["Output"], parallelism=MOST_AT_ONCE) as item:
        tuned = finetune_candidate(
            documents=documents.train,
            settings=item.settings,
            gpu_count=given["gpu_count"],
            gpu_type=given["gpu_type"],
            cpu=given["train_cpu"],
            memory=given["train_memory"],
        )
        with_model(tuned, given, resolved, given["gpu_count"])
    candidates = dsl.Collected(tuned.outputs["candidate"])
    chosen = on_cluster(choose_candidate(candidates=candidates, title=given["register_model_name"]), DATA).outputs
    pages = {name: chosen[name] for name in ("sweep", "sweep_page", "sweep_summary")}
    return Outputs(**judge(given, resolved, documents, chosen["model"]), **pages)


sweep = Definition(
    "embedtune-sweep",
    "Fine-tune with several combinations of settings, choose the best by a share of the training documents that is "
    f"held out for that, judge it once, and register it. {PROMISE}",
    with_form(_add_tasks, Outputs, (GRID, GRID_TEXT)),
)
