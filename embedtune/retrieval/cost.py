"""What a promotion costs: documents to embed again, and how far the old index still serves until then."""

from dataclasses import dataclass

from embedtune.retrieval.metric_names import written_name

_FLOAT_BYTES = 4
_SECONDS_PER_HOUR = 3600


@dataclass(frozen=True)
class Agreement:
    """How well queries find in an index of the champion's vectors, beside what each model finds in its own."""

    metric: str
    """Key of the metric, a recall."""
    queries: int
    """Queries that all means are over: those that count for tuned model and champion."""
    champion: float
    """Mean of the champion's queries in the champion's index, 0..1."""
    tuned: float
    """Of the tuned model's queries in its own index."""
    as_it_is: float | None
    """Of the tuned model's queries in the champion's index; None where the two differ in dimension."""
    mapped: float
    """The same through an orthogonal map, learned without the documents that are relevant to the query."""

    @property
    def written(self) -> str:
        """How people write the metric."""
        return written_name(self.metric)


@dataclass(frozen=True)
class Migration:
    """What it takes to replace the champion by the tuned model."""

    documents: int
    """Documents to embed again."""
    is_known: bool
    """Whether the number was given; else it is that of the held-out index, which is a lower bound."""
    per_second: float
    """Documents embedded per second, as measured on the held-out index."""
    device: str
    """What they were embedded on."""
    dimension: int
    """Components of the new vectors."""
    agreement: Agreement | None = None
    """None where too little is held out to learn from what is not also asked for."""

    @property
    def hours(self) -> float:
        """Hours to embed the documents on such a device."""
        return self.documents / self.per_second / _SECONDS_PER_HOUR

    @property
    def index_bytes(self) -> int:
        """Bytes of the new vectors in float32, without what an index adds."""
        return self.documents * self.dimension * _FLOAT_BYTES
