"""What a person is told at the end of a run: a page of Markdown, and one message without anything of theirs."""

from collections.abc import Sequence
from dataclasses import dataclass

from embedtune.cluster.failures import Failure
from embedtune.reports.text import escape_markdown

_MOST = 10
"""Failures that the page tells one by one; of a run over many files many fail alike."""


@dataclass(frozen=True)
class Explanation:
    """How a run ended, and why."""

    run_id: str
    namespace: str
    """'' where it is not known."""
    failures: tuple[Failure, ...]
    unseen: str = ""
    """Why the cluster could not be asked, '' where it was."""
    link: str = ""
    """The run's page in Kubeflow, '' where its address is not known."""

    @property
    def headline(self) -> str:
        """In which step the run failed."""
        if not self.failures:
            return "The run failed"
        names = list(dict.fromkeys(failure.step for failure in self.failures))
        return f"The run failed in {_listed(names)}"

    def to_markdown(self, untold: str = "") -> str:
        """Return the page.

        Args:
            untold: Why the chat was not told, '' if it was or there is none.
        """
        shown = self.failures[:_MOST]
        parts = [f"# {escape_markdown(self.headline)}", *(self._section(failure, len(shown) > 1) for failure in shown)]
        if len(self.failures) > _MOST:
            parts.append(f"{len(self.failures) - _MOST} more failed.")
        if not self.failures:
            parts.append(escape_markdown(self.unseen if self.unseen else _NOTHING_LEFT))
        if untold:
            parts.append(f"The chat was not told: {escape_markdown(untold)}")
        parts.append(f"Run: {f'[{self.run_id}]({self.link})' if self.link else f'`{self.run_id}`'}")
        return "\n\n".join(parts) + "\n"

    def _section(self, failure: Failure, named: bool) -> str:
        what = f"{failure.step} {failure.cause}."
        lines = [
            f"## {escape_markdown(what)}" if named else f"**{escape_markdown(what)}**",
            escape_markdown(failure.reason),
        ]
        if failure.advice:
            lines.append(f"**What to do:** {escape_markdown(failure.advice)}")
        if failure.pod:
            tried = "" if failure.attempts == 1 else f", the last of {failure.attempts}"
            lines.append(
                f"- Pod: `{failure.pod}`{tried}\n"
                f"- Its log: `kubectl --namespace {self.namespace} logs {failure.pod} --container main`, "
                "or in Kubeflow the step's tab Logs"
            )
        return "\n\n".join(lines)

    def to_message(self) -> str:
        """Return what a chat is told: steps and causes in our words, no value of a parameter and nothing of the data.

        What a step said of its failure may quote both, so it is only on the run's page.
        """
        causes = dict.fromkeys(f"{failure.step} {failure.cause}." for failure in self.failures[:_MOST])
        where = f"<{self.link}|Open the run>" if self.link else f"Run {self.run_id}."
        return " ".join(["embedtune: a run failed.", *causes, where])


_NOTHING_LEFT = (
    "No pod of it says why: those of a finished run are deleted after a while, and the namespace may not have admitted "
    "one at all (a quota, Pod Security). What Argo says: kubectl describe workflow."
)


def succeeded_markdown() -> str:
    """Return the page of a run that did not fail."""
    return "# The run succeeded\n\nThere is nothing to explain.\n"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
