"""The last step on a cluster, whatever became of the others: which failed, why, and what to do. Never fails a run."""

import os
import re
from dataclasses import dataclass

from embedtune.cluster.api import namespace_here, pods_of_run
from embedtune.cluster.explanation import Explanation, succeeded_markdown
from embedtune.cluster.failures import failures_of, lost_step
from embedtune.cluster.links import kubeflow_run
from embedtune.cluster.webhook import WEBHOOK_VARIABLE, send
from embedtune.errors import ClusterError, ConfigError
from embedtune.progress import note
from embedtune.steps.running import OutputFile, step
from embedtune.storage.atomic import write_text_whole

SUCCEEDED = "SUCCEEDED"
"""What Kubeflow calls the state of a run that did not fail."""
_RUN_ID = re.compile(r"[\w.-]{1,63}")


@dataclass(frozen=True)
class ExplainFailureConfig:
    """Configuration of the step. The cluster is the one that it runs in, or that the kubeconfig names."""

    run_id: str
    """The run's id in Kubeflow."""

    def __post_init__(self) -> None:
        if not _RUN_ID.fullmatch(self.run_id):
            raise ConfigError(
                f"run_id is {self.run_id!r}; accepted: the id of a run in Kubeflow, such as "
                "028a0a7f-b0a6-4045-afb6-0394f34dfe56."
            )


@step
def explain_failure(config: ExplainFailureConfig, explanation: OutputFile, state: str = "") -> str:
    """Say which step of a run failed or waits, why, and what to do; and tell a chat, where the environment names one.

    Args:
        config: The configuration.
        explanation: Markdown page to write.
        state: How the run ended by Kubeflow, such as SUCCEEDED; '' asks its pods in any case.

    Returns:
        The page.

    Raises:
        StorageError: the page cannot be written.
    """
    page = succeeded_markdown() if state == SUCCEEDED else _told(_explained(config.run_id))
    write_text_whole(explanation, page)
    return page


def _told(explained: Explanation) -> str:
    """Return the page, once the chat was told."""
    webhook = os.environ.get(WEBHOOK_VARIABLE, "").strip()
    untold = send(webhook, explained.to_message()) if webhook else ""
    if untold:
        note(untold)
    return explained.to_markdown(untold)


def _explained(run_id: str) -> Explanation:
    namespace = ""
    link = kubeflow_run(run_id)
    try:
        namespace = namespace_here()
        pods = pods_of_run(run_id, namespace)
    except ClusterError as error:
        return Explanation(run_id, namespace, (), str(error), link)
    failures = failures_of(pods)
    if not failures and (lost := lost_step(pods)) is not None:
        failures = (lost,)
    return Explanation(run_id, namespace, failures, link=link)
