"""Versions of a registered model: found again or created, described, and given their aliases."""

import json
from importlib.metadata import version as version_of
from typing import TYPE_CHECKING

from embedtune.models.card import ModelCard
from embedtune.models.catalogue import known_model
from embedtune.registry.aliases import DECISION, REASON, decision_word
from embedtune.registry.champion import CHAMPION
from embedtune.registry.contents import public_uri
from embedtune.registry.evidence import COST_TAGS, NONE, TAG_LIMIT, cost_tags, evidence_tags
from embedtune.registry.missing import unless_missing, unless_there
from embedtune.registry.packaging import serving_facts
from embedtune.registry.request import Registration, RegistrationRequest
from embedtune.registry.runs import DATA_VERSION_TAG, PIPELINE_RUN_TAG, log_files
from embedtune.registry.state import REGISTRATION_TAG, read_state
from embedtune.retrieval.comparison import Comparison
from embedtune.retrieval.metric_names import written_name
from embedtune.retrieval.sides import TUNED, MetricValues
from embedtune.text import shortened

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel, Run


def create_version(
    client: "MlflowClient",
    run: "Run",
    model: "LoggedModel",
    request: RegistrationRequest,
    card: ModelCard,
    digest: str,
) -> None:
    """Create a version, complete with description and tags but without aliases."""
    unless_there(lambda: client.create_registered_model(request.model_name))
    client.create_model_version(
        request.model_name,
        model.artifact_location,
        run_id=run.info.run_id,
        model_id=model.model_id,
        tags=version_tags(request, card, digest),
        description=shortened(describe_version(request, card), TAG_LIMIT),
    )


def renew_evidence(client: "MlflowClient", request: RegistrationRequest, version: int) -> None:
    """Write what the same model was compared with this time, unless the version was champion on what it had before.

    The files of its run come first: while tags are still to be written, a repetition writes them too.
    """
    state = read_state(client, request.model_name)
    if version not in state.tags or state.promotion(version) is not None:
        return
    tags, name = state.tags[version], request.model_name
    outdated = {key: NONE for key in COST_TAGS if key in tags}
    found = {**outdated, **evidence_tags(request.comparison), **cost_tags(request.comparison)}
    changed = {key: value for key, value in found.items() if tags.get(key) != value}
    if changed:
        run_id = str(client.get_model_version(name, str(version)).run_id)
        run = unless_missing(lambda: client.get_run(run_id))
        if run is not None:
            log_files(client, run, request)
    for key, value in changed.items():
        client.set_model_version_tag(name, str(version), key, value)


def version_tags(request: RegistrationRequest, card: ModelCard, digest: str) -> dict[str, str]:
    """Return a version's tags but for the decision: what that rests on."""
    metric = request.comparison.decision.metric
    values = next(each.values for each in request.comparison.metrics if each.name == metric)
    facts = serving_facts(request.model_folder, card)
    origin = {"base_model_licence": _licence(card), PIPELINE_RUN_TAG: request.pipeline_run, "image": card.image}
    tags = {
        "base_model": card.backbone,
        "base_model_digest": card.backbone_digest,
        **{name: json.dumps(facts[name]) for name in ("contents", "normalized", "prompts", "similarity")},
        "layout": card.layout,
        "embedtune_version": version_of("embedtune"),
        "dimension": str(card.dimension),
        "max_length": str(card.max_length),
        "pooling": str(facts["pooling"]),
        DATA_VERSION_TAG: request.data_version,
        "data_digest": card.data_digest,
        **{key: value for key, value in origin.items() if value},
        **{f"{metric}_{side}": f"{value:.4f}" for side, value in values.items()},
        **evidence_tags(request.comparison),
        **cost_tags(request.comparison),
        "parity_max_difference": f"{card.parity_max_difference:.3g}",
        REGISTRATION_TAG: digest,
    }
    return {key: shortened(value, TAG_LIMIT) for key, value in tags.items()}


def _licence(card: ModelCard) -> str:
    """Return the licence of the model that was started from, '' where the catalogue does not know it."""
    known = known_model(card.backbone)
    return "" if known is None else known.licence


def describe_version(request: RegistrationRequest, card: ModelCard) -> str:
    """Return a short model card in Markdown."""
    comparison = request.comparison
    percent = f"{comparison.confidence:.0%}"
    sides = [side.name for side in comparison.sides]
    others = [side for side in sides if side != TUNED]
    from_other = ["difference"] if len(others) == 1 else [f"from {side}" for side in others]
    heads = ["metric", *sides, *(head for each in from_other for head in (each, f"{percent} interval"))]
    rows = [heads, ["---"] * len(heads), *(_metric_cells(comparison, metric) for metric in comparison.metrics)]
    cut = f"; texts are cut after {card.max_length} tokens" if card.max_length else ""
    pairs = f"Correlations over {comparison.pairs} held-out pairs with scores. " if comparison.pairs else ""
    lines = [
        f"Embedding model: {_code(card.backbone)} fine-tuned on {card.train_documents} documents{_source(request)}.",
        f"Vectors of {card.dimension} components{cut}.{_servers(card)}{_licence_line(card)}",
        f"Compared with the base{' and the champion' if len(others) > 1 else ''}: {comparison.decision.reason}",
        "\n".join(f"| {' | '.join(cells)} |" for cells in rows),
        f"{pairs}Means over {comparison.queries} held-out queries against {comparison.index_documents} documents. "
        "Vectors of another model or version do not compare with these: encode the whole index again.",
    ]
    return "\n\n".join(lines)


def _metric_cells(comparison: Comparison, metric: MetricValues) -> list[str]:
    """Return a metric's name, the values of all sides, and differences and intervals of the tuned model."""
    values = [f"{metric.values[side.name]:.4f}" if side.name in metric.values else "" for side in comparison.sides]
    found = [each for each in comparison.differences if each.metric == metric.name]
    differences = [cell for each in found for cell in (f"{each.value:+.4f}", f"{each.lower:+.4f} to {each.upper:+.4f}")]
    return [written_name(metric.name), *values, *differences]


def _licence_line(card: ModelCard) -> str:
    licence = _licence(card)
    return f" Licence of the model that it was tuned from: {licence}." if licence else ""


def _servers(card: ModelCard) -> str:
    told = [f"{name} {'can' if not reason else f'cannot: {reason}'}" for name, reason in card.servers.items()]
    return f" MLflow can serve it. Of servers of embeddings, {'; '.join(told)}." if told else ""


def _source(request: RegistrationRequest) -> str:
    if not request.data_uri:
        return ""
    version = f" ({_code(request.data_version)})" if request.data_version else ""
    return f" of {_code(public_uri(request.data_uri))}{version}"


def _code(text: str) -> str:
    """Return a text as Markdown code; its own backticks, which would end that, become a look-alike."""
    line = " ".join(text.replace("`", "\N{MODIFIER LETTER GRAVE ACCENT}").split())
    return f"`{line}`"


def read_registration(client: "MlflowClient", name: str, version: int) -> Registration:
    """Return the state of a version as the registry has it now."""
    found, state = client.get_model_version(name, str(version)), read_state(client, name)
    promoted = state.champion == version
    reason = found.tags.get(REASON, "")
    if found.tags.get(DECISION) != decision_word(promoted):
        held = "no version" if state.champion is None else f"version {state.champion}"
        reason = f"{reason} Champion is {held} now; the alias was moved since."
    promotion, champion = state.promotion(version), state.evidence(state.champion)
    return Registration(
        name=name,
        version=version,
        aliases=tuple(sorted(alias for alias, held in state.aliases.items() if held == version)),
        run_id=found.run_id or "",
        model_uri=f"models:/{name}@{CHAMPION}" if promoted else f"models:/{name}/{version}",
        previous_champion=state.champion if promotion is None else promotion.replaced,
        promoted=promoted,
        reason=reason,
        champion=None if champion is None else champion.as_champion(),
    )
