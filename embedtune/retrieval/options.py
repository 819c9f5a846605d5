"""How models are evaluated beside what most people tune: the fields of `eval_options`."""

import re
from dataclasses import dataclass, field

from embedtune.errors import ConfigError
from embedtune.names import similar_names
from embedtune.options import Options
from embedtune.retrieval.distances import DISTANCES
from embedtune.retrieval.finetuner_metrics import LIMIT
from embedtune.retrieval.metric_names import MAX_CUTOFF, NAMES, USUAL_NAMES, Metric, parse_metric
from embedtune.storage.locations import parse_location

FINETUNER = "finetuner"

METRIC_SETS = ("trec", FINETUNER)
"""Whose definitions there is a table of: trec_eval's always; Jina Finetuner's beside them where that is asked for."""

PROBE_DROP = 0.05
"""Drop of a probe's metric that is accepted unless told otherwise: what some 130 queries show, see `judge_probe`."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}", re.ASCII)
_NAMED = "NAME=ADDRESS, with a name of at most 40 letters, digits, '-' and '_' that begins with a letter or digit"


@dataclass(frozen=True)
class EvalOptions(Options):
    """What is measured beside the metric that decides, and how fast."""

    parameter = "eval_options"

    batch_size: int = 64
    """Contents encoded at a time, 1 or more."""
    cutoffs: tuple[int, ...] = (10,)
    """Ranks that the metrics look at, one or several, 1 to 1000 each; the metric that decides has its own."""
    metrics: tuple[str, ...] = USUAL_NAMES
    """Names of the metrics that are measured at each of these, of those that eval_metric may have."""
    metric_set: str = field(default="trec", metadata={"choices": METRIC_SETS})
    """'finetuner' adds a file of Jina Finetuner's metrics by its definitions; 'trec' does not."""
    distance: str = field(default="", metadata={"choices": ("", *DISTANCES)})
    """What documents are ranked by: cosine, dot or euclidean; '' takes what each model names as its own."""
    evaluations: tuple[str, ...] = ()
    """Further data to measure all models on, each as NAME=ADDRESS: what data_uri takes, or an evaluation folder."""
    probe: str = ""
    """Name of the one of these that shows what was forgotten; '' for none."""
    probe_drop: float = PROBE_DROP
    """Largest accepted drop of its deciding metric against the base, 0 to 1; the whole interval has to show it."""
    whole_corpus: bool = False
    """Whether held-out queries search all documents of the data too, those of the training among them, which each model
    encodes for that."""
    documents: int = 0
    """Documents that a new champion has to embed again, by which the report tells hours and bytes; 0: not known."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ConfigError: one is not accepted.
            StorageError: what should be an address is none, or carries credentials.
        """
        self._check(self.batch_size >= 1, "batch_size", self.batch_size, "1 or more contents")
        few = len(self.cutoffs) > 0 and all(1 <= k <= MAX_CUTOFF for k in self.cutoffs)
        self._check(few, "cutoffs", list(self.cutoffs), f"one or more whole numbers from 1 to {MAX_CUTOFF}")
        known = len(self.metrics) > 0 and all(name in NAMES for name in self.metrics)
        self._check(known, "metrics", list(self.metrics), f"one or more of {', '.join(NAMES)}")
        self._check(self.metric_set in METRIC_SETS, "metric_set", self.metric_set, f"one of {', '.join(METRIC_SETS)}")
        near = f"one of {', '.join(DISTANCES)}, or '' for the model's own"
        self._check(self.distance in ("", *DISTANCES), "distance", self.distance, near)
        self._check(self.documents >= 0, "documents", self.documents, "0 or more documents")
        self._check_evaluations()
        self._check_probe()

    @property
    def addresses(self) -> dict[str, str]:
        """Names of the further data and where these are, in order."""
        return {name: address for name, _, address in (each.partition("=") for each in self.evaluations)}

    @property
    def depth(self) -> int:
        """Ranks that are looked at beside those of the metrics."""
        return LIMIT if self.metric_set == FINETUNER else 1

    def measured(self, deciding: str) -> tuple[Metric, ...]:
        """Return what is measured: by cutoff, then by name, with what is needed where it is not among these.

        Args:
            deciding: Key of the metric that decides.
        """
        asked = [Metric(name, k) for k in dict.fromkeys(self.cutoffs) for name in dict.fromkeys(self.metrics)]
        # Examples are chosen by nDCG@10, whatever else is asked for.
        return tuple(dict.fromkeys([*asked, parse_metric(deciding), Metric("ndcg", 10)]))

    def distance_of(self, model: str, own: str) -> str:
        """Return what a model's vectors are compared by.

        Args:
            model: What people call the model.
            own: What it names itself.

        Raises:
            ConfigError: nothing else was asked for, and nothing here ranks by that.
        """
        if self.distance:
            return self.distance
        if own not in DISTANCES:
            raise ConfigError(
                f"{self.parameter}: {model} compares its vectors by {own}, by which nothing is ranked here; set "
                f"distance to one of {', '.join(DISTANCES)} to rank by that."
            )
        return own

    def _check_evaluations(self) -> None:
        names: set[str] = set()
        for each in self.evaluations:
            name, _, address = each.partition("=")
            is_named = bool(_NAME.fullmatch(name) and address)
            parse_location(address if is_named else each)  # first: an address with a password in it is not repeated
            self._check(is_named, "evaluations", list(self.evaluations), _NAMED)
            once = f"each name once; {name} is there twice"
            self._check(name not in names, "evaluations", list(self.evaluations), once)
            names.add(name)

    def _check_probe(self) -> None:
        names = list(self.addresses)
        near = [name for name in similar_names(self.probe, names) if self.probe]
        meant = f"; perhaps {near[0]!r} is meant" if near else ""
        accepted = f"the name of one of the evaluations ({', '.join(names) or 'there are none'}), or '' for none{meant}"
        self._check(self.probe in ("", *names), "probe", self.probe, accepted)
        self._check(0.0 <= self.probe_drop <= 1.0, "probe_drop", self.probe_drop, "0 to 1")
        used = bool(self.probe) or self.probe_drop == PROBE_DROP
        self._check(
            used, "probe_drop", self.probe_drop, "a drop beside probe, the name of the evaluation that may drop"
        )
