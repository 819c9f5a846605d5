"""One combination of a sweep: fine-tuning that may fail without ending the run. Imports torch only when it runs."""

from dataclasses import dataclass, replace
from pathlib import Path

from embedtune.errors import ConfigError, SettingsError
from embedtune.progress import note
from embedtune.steps.finetune import checkpoints_of, train_model
from embedtune.steps.pod_settings import check_cpu, check_gpu_type, check_memory
from embedtune.steps.running import OutputFolder, step
from embedtune.storage.atomic import atomic_folder, check_writable
from embedtune.training.candidates import MODEL_FOLDER, Candidate, CandidateSettings


@dataclass(frozen=True)
class FinetuneCandidateConfig:
    """Configuration of the step."""

    settings: str
    """One of the combinations of settings that resolve-data returns for a sweep."""
    gpu_count: str = "0"
    """GPUs to train on, in a process for each, 0 or more; with '0' the CPU will do."""
    gpu_type: str = "nvidia.com/gpu"
    """Resource name of the GPU, which kfp 2.17 hands to a task in a loop only as an argument; for a cluster."""
    cpu: str = "1"
    """Cores of its pod; the same."""
    memory: str = "8Gi"
    """Memory of its pod; the same."""

    def __post_init__(self) -> None:
        self.combination  # noqa: B018 - it checks them
        check_gpu_type(self.gpu_type)
        check_cpu("cpu", self.cpu)
        check_memory("memory", self.memory)

    @property
    def combination(self) -> CandidateSettings:
        """What is trained with."""
        found = CandidateSettings.of_json(self.settings)
        return replace(found, config=replace(found.config, gpu_count=self.gpu_count))


@step
def finetune_candidate(
    config: FinetuneCandidateConfig, documents: Path, candidate: OutputFolder, candidate_uri: str = ""
) -> Candidate:
    """Fine-tune a backbone with one combination of settings, and write the model and its validation.

    Settings that come to no model, such as a learning rate at which the loss is no number, are an outcome as well; what
    has nothing to do with them, such as a GPU that is not there, a process that was killed or a full disk, fails: tried
    again it may go well, and a cache may keep an outcome for good.

    Args:
        config: The configuration.
        documents: Training documents folder.
        candidate: Folder to write to: candidate.json, and the model where there is one.
        candidate_uri: Address at which the pipeline keeps that, '' for where it is written; checkpoints go near it.

    Raises:
        ConfigError: the settings hold no share of the documents out to choose by.
        InputError: nothing can be learned from such documents, or no share of them can be held out.
        ModelError: the backbone cannot be loaded safely.
        TrainingError: the run was told to stop, a GPU that was asked for is not there, or a process was killed.
        StorageError: the documents cannot be read, or an output cannot be written.
    """
    check_writable(candidate)
    settings = config.combination
    if not settings.config.training.validation_share:
        raise ConfigError("train_options: validation_share is 0.0; a candidate needs one above 0 to be chosen by.")
    kept = checkpoints_of(candidate, candidate_uri)
    with atomic_folder(candidate) as folder:
        try:
            card = train_model(settings.config, documents, folder / MODEL_FOLDER, *kept)
        except SettingsError as error:
            outcome = Candidate(settings.tried, None, failure=str(error))
            note(f"This combination came to no model: {error}")
        else:
            outcome = Candidate(settings.tried, card.validation, seconds=card.seconds)
        outcome.save(folder)
    return outcome
