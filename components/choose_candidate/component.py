"""Thin component of `embedtune.steps.choose_candidate`."""

from typing import List

from kfp.dsl import HTML, Artifact, Input, Markdown, Model, Output

from components.images import data_component


@data_component
def choose_candidate(
    candidates: Input[List[Artifact]],
    model: Output[Model],
    sweep: Output[Artifact],
    sweep_page: Output[HTML],
    sweep_summary: Output[Markdown],
    title: str = "embeddings",
):
    """Choose the combination of a sweep whose model is best on the training documents that were held out for that.

    Args:
        candidates: What came of each combination, in the order of the grid.
        model: The chosen model.
        sweep: All combinations (JSON).
        sweep_page: All combinations for the Visualization tab.
        sweep_summary: The same as Markdown.
        title: What the model is for, as the page's heading says it.
    """
    from pathlib import Path

    from embedtune.steps.choose_candidate import ChooseCandidateConfig
    from embedtune.steps.choose_candidate import choose_candidate as step
    from embedtune.steps.last_words import leave_last_words

    leave_last_words("choose_candidate")
    folders = tuple(Path(each.path) for each in candidates)
    pages = Path(sweep_page.path), Path(sweep_summary.path)
    uris = tuple(each.uri for each in candidates)
    step(ChooseCandidateConfig(title=title), folders, Path(model.path), Path(sweep.path), *pages, uris)
    model.metadata.update({"framework": "sentence-transformers"})
