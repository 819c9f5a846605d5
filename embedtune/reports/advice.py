"""What to do after an evaluation, in a few sentences that name the options."""

from collections.abc import Iterator

from embedtune.retrieval.comparison import COLLAPSE_COSINE, MIN_QUERIES, ROUNDING, Comparison
from embedtune.retrieval.metric_names import written_name
from embedtune.retrieval.sides import BASE, CHAMPION, TUNED


def next_steps(comparison: Comparison, model_name: str) -> tuple[str, ...]:
    """Return what a person can do now, the most promising first.

    Args:
        comparison: The outcome of the evaluation.
        model_name: What the model is called in the registry.
    """
    return tuple(_after_gain(model_name, comparison) if comparison.decision.better else _after_none(comparison))


def _after_gain(model_name: str, comparison: Comparison) -> Iterator[str]:
    are_texts = comparison.query_kind == comparison.index_kind == "text"
    if are_texts:
        yield 'Try it on queries of your own: embedtune search --model MODEL --index DATA "a query".'
    yield f"Look up in MLflow which version of {model_name} this became, and whether it is the champion."
    readers = "sentence-transformers, text-embeddings-inference and vLLM" if are_texts else "MLflow"
    what = "the model folder" if are_texts else "the registered model"
    yield f"Serve it: {what} is read by {readers}, and the champion is models:/{model_name}@champion."


def _after_none(comparison: Comparison) -> Iterator[str]:
    decision = comparison.decision
    base_cosine, tuned_cosine = (comparison.side(side).mean_cosine for side in (BASE, TUNED))
    if tuned_cosine is not None and tuned_cosine > COLLAPSE_COSINE:
        if base_cosine is not None and base_cosine > COLLAPSE_COSINE:
            yield (
                "Let the model read what tells the texts apart: raise model_max_length, remove what they have in "
                "common, or choose another model_backbone."
            )
        else:
            yield "Train again with a lower train_learning_rate or fewer train_epochs."
        return
    forgotten = {reason for table in comparison.side_tables if table.probe for reason in table.probe.reasons}
    if forgotten:
        yield (
            "Forget less: train with fewer train_epochs or a lower train_learning_rate, or mix rows of the kind that "
            "the probe holds into the data. Or accept more: raise probe_drop of eval_options."
        )
    if decision.better_than_base:
        if not forgotten or set(decision.reasons) - forgotten:
            yield from _after_champion(comparison)
        return
    yield from _after_no_gain(comparison)


def _after_no_gain(comparison: Comparison) -> Iterator[str]:
    decision = comparison.decision
    metric, name = comparison.difference(decision.metric), written_name(decision.metric)
    if metric.value < 0:
        yield (
            "Read the examples under Worse: if what is marked relevant there is not, mend the labels or pairs, since "
            "contradictory rows teach a model to mix things up."
        )
        yield "Train more gently, with fewer train_epochs or a lower train_learning_rate, or on more rows."
    elif metric.value == 0 and metric.of_against >= 1 - ROUNDING:
        yield (
            f"Hold out what is harder to find: the base has the highest {name} that there is, so nothing can be gained "
            "on these queries. Bring more documents that resemble each other, or queries as people ask them."
        )
    elif metric.value == 0:
        yield "Train longer, with more train_epochs, or with a higher train_learning_rate."
    elif metric.units < MIN_QUERIES or metric.lower <= 0:
        yield (
            "Measure more exactly: four times as many queries make the interval half as wide. Bring more rows, or "
            "raise eval_share."
        )
        yield "Gain more: train on more rows, or with more train_epochs."
    else:
        asked = "register_min_gain"
        if metric.value >= decision.min_gain - ROUNDING:
            asked = "register_min_lower_bound"
        yield f"Lower {asked}, if this gain in {name} is worth a new version, or train on more rows to gain more."


def _after_champion(comparison: Comparison) -> Iterator[str]:
    if comparison.has(CHAMPION):
        yield (
            "The champion goes on serving, and nothing needs to be done. To come past it: read in the examples what it "
            "finds and the tuned model does not, and train on more rows or with more train_epochs."
        )
    else:
        yield (
            "Mend what keeps the champion from being scored, and run again with another batch_size of eval_options: "
            "with the same one, this outcome is taken from the cache. Or move the alias by hand."
        )
