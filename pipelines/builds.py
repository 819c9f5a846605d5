"""One pipeline, two builds: with outputs for the local runner, with a task that explains a failure for a cluster.

kfp 2.17 refuses a pipeline that has both: what a task inside an exit handler returns cannot be the pipeline's output.
"""

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kfp import dsl
from kfp.dsl.base_component import BaseComponent
from kfp.dsl.pipeline_task import PipelineTask

from components.explain_failure.component import explain_failure
from pipelines.task_options import SMALL, confined, with_webhook


def _check_container(task: PipelineTask) -> None:
    if task.container_spec is None:
        raise ValueError(f"{task.name} is a pipeline: nothing can be set of it, only of its tasks.")


# At each setting of a task kfp 2.17 reads the source of all that is on the stack, for a name in the message of an error
# that does not come: most of the time until a command begins.
PipelineTask._ensure_container_spec_exists = _check_container


@dataclass(frozen=True)
class Definition:
    """A pipeline, from which both builds are made."""

    name: str
    """kfp loads a pipeline that has a component's name as that component."""
    description: str
    """What it does, for people who choose one."""
    body: Callable[..., Any]
    """Adds the tasks; its parameters are the pipeline's, and it returns the pipeline's outputs."""

    def for_this_machine(self) -> BaseComponent:
        """Return the build with outputs, without a task that explains: the local runner tells why a step failed."""
        return dsl.pipeline(name=self.name, description=self.description)(self.body)

    def for_cluster(self) -> BaseComponent:
        """Return the build without outputs, with a last task that says why a run failed, whatever became of it."""

        @functools.wraps(self.body)
        def explained(*parameters: Any) -> None:
            explaining = with_webhook(confined(explain_failure(run_id=dsl.PIPELINE_JOB_ID_PLACEHOLDER), SMALL))
            with dsl.ExitHandler(explaining.set_caching_options(False)):
                self.body(*parameters)

        # kfp reads the signature, and takes what it returns for the outputs.
        signature = inspect.signature(self.body)
        explained.__signature__ = signature.replace(return_annotation=inspect.Signature.empty)  # type: ignore[attr-defined]
        return dsl.pipeline(name=self.name, description=self.description)(explained)
