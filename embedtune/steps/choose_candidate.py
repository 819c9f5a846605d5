"""The best of a sweep's combinations, by the training documents that none of them was trained on."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from embedtune.errors import ConfigError
from embedtune.progress import note
from embedtune.reports.sweep import SweepReport, sweep_html, sweep_markdown, sweep_sentence
from embedtune.steps.finetune import checkpoint_root
from embedtune.steps.running import OutputFile, OutputFolder, step
from embedtune.storage.atomic import atomic_folder, check_writable, link_or_copy, write_text_whole
from embedtune.training.candidates import MODEL_FOLDER, SWEEP_FILE, Candidate, Sweep, choose
from embedtune.training.checkpoints import forget_finished


@dataclass(frozen=True)
class ChooseCandidateConfig:
    """Configuration of the step."""

    title: str = "embeddings"
    """What the model is for, as the page's heading says it."""

    def __post_init__(self) -> None:
        if not self.title.strip():
            raise ConfigError("title is blank; say what the model is for, such as embeddings.")


@step
def choose_candidate(
    config: ChooseCandidateConfig,
    candidates: tuple[Path, ...],
    model: OutputFolder,
    sweep: OutputFolder,
    html: OutputFile,
    markdown: OutputFile,
    candidate_uris: tuple[str, ...] = (),
) -> Sweep:
    """Choose the combination whose model is best on the validation documents; of equal ones the first.

    Nothing that is held out for the evaluation is looked at: what is chosen by it would be judged by it.

    Args:
        config: The configuration.
        candidates: Folders of the finetune_candidate step, in the order of the grid.
        model: Folder to write the chosen model to.
        sweep: Folder to write the record of all combinations to.
        html: Page with all combinations to write.
        markdown: The same as Markdown.
        candidate_uris: Addresses at which the pipeline keeps the candidates, none for where they are; see
            `checkpoints.forget_finished`.

    Raises:
        ConfigError: there is no candidate.
        InputError: a folder holds none, or they were measured differently.
        TrainingError: none of them came to a model.
        StorageError: an output cannot be written.
    """
    check_writable(model, sweep, html, markdown)
    if not candidates:
        raise ConfigError("There are no candidates to choose from. Give the folders of the finetune_candidate step.")
    found = choose(tuple(map(Candidate.load, candidates)))
    note(sweep_sentence(found))
    with atomic_folder(model) as folder:
        shutil.copytree(candidates[found.chosen] / MODEL_FOLDER, folder, copy_function=link_or_copy, dirs_exist_ok=True)
    with atomic_folder(sweep) as folder:
        found.save(folder / SWEEP_FILE)
        report = SweepReport(config.title, found)
        write_text_whole(html, sweep_html(report))
        write_text_whole(markdown, sweep_markdown(report))
    for uri, folder in zip(candidate_uris, candidates, strict=True) if candidate_uris else ():
        if (folder / MODEL_FOLDER).is_dir():
            forget_finished(checkpoint_root(uri), folder / MODEL_FOLDER)
    return found
