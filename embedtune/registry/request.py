"""What a registration needs and what comes out of it."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from embedtune.documents.summary import DataSummary
from embedtune.registry.champion import Champion
from embedtune.retrieval.comparison import Comparison


@dataclass(frozen=True)
class RegistrationRequest:
    """A tuned model, what is known about it, and where it goes."""

    model_folder: Path
    """The sentence-transformers folder with its `embedtune.json`."""
    comparison: Comparison
    """Base versus tuned; a model that it does not call better never becomes champion."""
    model_name: str
    """Name of the registered model: letters, digits, space, and . _ -"""
    data_uri: str
    """Where the training data came from, '' if unknown; credentials and query strings are left out of the record."""
    data_version: str
    """Hash or etag of the data source."""
    data: DataSummary | None = None
    """What the data were made into, None where the evaluation did not keep it."""
    csv_options: str = "{}"
    """CSV options that the data were read with, as JSON."""
    max_bad_share: float = 0.01
    """Share of rows that could not be used and was accepted, 0..1."""
    started: datetime | None = None
    """When the pipeline's run began, None where that is not known."""
    pipeline_run: str = ""
    """Id of the pipeline's run, '' where that is not known."""
    experiment: str = "embedtune"
    """Experiment of the run. Not used where MLFLOW_RUN_ID names a run to go on with."""
    reports: tuple[Path, ...] = ()
    """Files to keep with the run: the HTML and Markdown reports, TREC runs and relevance judgments.

    A file without an ending, as pipelines name them, is kept as report.html or report.md, which MLflow can show.
    """


@dataclass(frozen=True)
class Registration:
    """The model version that was made, or found where the same registration had been made before."""

    name: str
    version: int
    aliases: tuple[str, ...]
    """The version's aliases now, sorted; 'challenger' and, where it was promoted, 'champion'."""
    run_id: str
    """The MLflow run that holds parameters, metrics and reports."""
    model_uri: str
    """What to load: `models:/NAME@champion` while this version is it, else `models:/NAME/VERSION`."""
    previous_champion: int | None
    """The champion's version before this registration, or None where there was none."""
    promoted: bool
    """Whether this version is champion."""
    reason: str
    """Why it is or is not, in a sentence or two."""
    champion: Champion | None
    """The champion now, which may be this version; None where there is none."""

    def champion_facts(self) -> dict[str, object]:
        """Return the champion's fields, none where there is none."""
        return {} if self.champion is None else dataclasses.asdict(self.champion)

    def to_markdown(self, pages: Mapping[str, str]) -> str:
        """Return what Kubeflow shows of the registration.

        Args:
            pages: Name and address of pages to link to.
        """
        champion = "none" if self.champion is None else self.champion.told()
        aliases = ", ".join(self.aliases) if self.aliases else "none; newer versions have them"
        return (
            f"# {self.name}, version {self.version}: {'promoted' if self.promoted else 'not promoted'}\n\n"
            f"{self.reason}\n\n- Champion: {champion}\n- Aliases of version {self.version}: {aliases}\n"
            f"- Load it: `{self.model_uri}`\n- MLflow run: `{self.run_id}`\n"
            + "".join(f"- [{name}]({address})\n" for name, address in pages.items())
        )
