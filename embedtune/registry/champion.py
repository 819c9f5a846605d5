"""The champion, as steps, pages and files tell of it."""

from dataclasses import dataclass

from embedtune.retrieval.metric_names import written_name

CHAMPION = "champion"
"""Alias of the version to serve."""


@dataclass(frozen=True)
class Champion:
    """The version to serve, as its tags tell."""

    version: int
    metric: str
    """Key of the metric that it was judged by, '' where its tags do not say."""
    value: float | None
    """The mean of that metric, None where its tags do not say."""
    queries: str
    """How many queries the mean is over, '' where its tags do not say."""
    evaluation_digest: str
    """What it is over (`EvaluationSet.digest`), '' where its tags do not say."""

    def told(self) -> str:
        """Return the version with its metric, as a person reads it."""
        if self.value is None or not self.metric:
            return f"version {self.version} (its tags do not say how good it is)"
        over = f" over {self.queries} queries" if self.queries else ""
        return f"version {self.version} ({written_name(self.metric)} {self.value:.4f}{over})"
