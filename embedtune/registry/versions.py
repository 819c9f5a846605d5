"""Versions of a registered model: found again or created, described, and given their aliases."""

from typing import TYPE_CHECKING

from embedtune.models.card import ModelCard
from embedtune.registry.champion import CHAMPION, Champion, evaluation_tags, judge_by_champion, read_champion
from embedtune.registry.contents import public_uri
from embedtune.registry.request import Registration, RegistrationRequest
from embedtune.registry.runs import DATA_VERSION_TAG, REGISTRATION_TAG
from embedtune.retrieval.comparison import Comparison
from embedtune.retrieval.metric_names import written_name
from embedtune.retrieval.sides import TUNED, MetricValues
from embedtune.text import shortened

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel
    from mlflow.entities.model_registry import ModelVersion

CHALLENGER = "challenger"
"""Alias of the newest version."""
PREVIOUS = "previous"
"""Alias of the champion before the champion, for a rollback in one step."""

_PROMOTED_FROM = "promoted_from"
_NO_CHAMPION = "none"
_DECISION, _REASON = "decision", "reason"
_ALIASES_SET = "embedtune.aliases_set"
_TEXT_LIMIT = 5000
"""Characters that MLflow 2 servers take as a tag or description."""


def find_version(client: "MlflowClient", name: str, digest: str) -> int | None:
    """Return the version that an earlier attempt at the same registration created."""
    found = client.search_model_versions(f"name = '{name}' and tags.`{REGISTRATION_TAG}` = '{digest}'")
    return min((int(version.version) for version in found), default=None)


def create_version(
    client: "MlflowClient", model: "LoggedModel", request: RegistrationRequest, card: ModelCard, digest: str
) -> int:
    """Create a version, complete with description and tags but without aliases."""
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(request.model_name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    created = client.create_model_version(
        request.model_name,
        model.artifact_location,
        run_id=model.source_run_id,
        model_id=model.model_id,
        tags=version_tags(request, card, digest),
        description=shortened(describe_version(request, card), _TEXT_LIMIT),
    )
    return int(created.version)


def version_tags(request: RegistrationRequest, card: ModelCard, digest: str) -> dict[str, str]:
    """Return a version's tags but for the decision: what that rests on."""
    metric = request.comparison.decision.metric
    values = next(each.values for each in request.comparison.metrics if each.name == metric)
    tags = {
        "base_model": card.backbone,
        "base_model_digest": card.backbone_digest,
        "dimension": str(card.dimension),
        "max_length": str(card.max_length),
        DATA_VERSION_TAG: request.data_version,
        **{f"{metric}_{side}": f"{value:.4f}" for side, value in values.items()},
        **evaluation_tags(request.comparison),
        "parity_max_difference": f"{card.parity_max_difference:.3g}",
        REGISTRATION_TAG: digest,
    }
    return {key: shortened(value, _TEXT_LIMIT) for key, value in tags.items()}


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
        f"Vectors of {card.dimension} components{cut}.{_servers(card)}",
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


def set_aliases(client: "MlflowClient", request: RegistrationRequest, version: int) -> None:
    """Make a version challenger and, if it is better than the base and than the champion, champion.

    A version that was champion once is left alone: a later repetition of the same registration must not undo what newer
    versions or a rollback by hand have changed since. Any other is judged again, by the champion of that moment.
    Interrupted anywhere, it can be repeated.
    """
    name = request.model_name
    tags = client.get_model_version(name, str(version)).tags
    if _ALIASES_SET in tags and _PROMOTED_FROM in tags:
        return
    if _ALIASES_SET not in tags:
        challenger = client.get_registered_model(name).aliases.get(CHALLENGER)
        if challenger is None or int(challenger) < version:
            client.set_registered_model_alias(name, CHALLENGER, str(version))
    _decide(client, request, version, _PROMOTED_FROM in tags)
    client.set_model_version_tag(name, str(version), _ALIASES_SET, "true")


def _decide(client: "MlflowClient", request: RegistrationRequest, version: int, interrupted: bool) -> None:
    name = request.model_name
    # Read right before it is replaced: MLflow moves aliases without comparing, so this keeps the gap short.
    champion = read_champion(client, name)
    if champion is not None and champion.version == version:
        return  # moved here by an attempt that was interrupted right after, or by hand
    promoted, reason = _judge(request, version, champion)
    for key, value in ((_DECISION, _verdict(promoted)), (_REASON, shortened(reason, _TEXT_LIMIT))):
        client.set_model_version_tag(name, str(version), key, value)
    if promoted:
        before = _NO_CHAMPION if champion is None else str(champion.version)
        client.set_model_version_tag(name, str(version), _PROMOTED_FROM, before)
        if champion is not None:
            client.set_registered_model_alias(name, PREVIOUS, before)
        client.set_registered_model_alias(name, CHAMPION, str(version))
    elif interrupted:
        client.delete_model_version_tag(name, str(version), _PROMOTED_FROM)


def _judge(request: RegistrationRequest, version: int, champion: Champion | None) -> tuple[bool, str]:
    """Return whether a version becomes champion, and why or why not."""
    decision = request.comparison.decision
    if champion is None:
        return decision.better, decision.reason
    stays = f"{request.model_name} version {champion.version} stays champion"
    if not decision.better:
        return False, f"{decision.reason} {stays}."
    judgment = judge_by_champion(champion, request.comparison)
    if judgment.better:
        return True, f"{decision.reason} It replaces version {champion.version}: {judgment.reason}."
    if judgment.comparable:
        return False, f"{stays}: {judgment.reason}."
    advice = (
        f"Version {version} is challenger; compare both on the same data, and move the alias by hand if it is better."
    )
    return False, f"{stays}: {judgment.reason}. {decision.reason} {advice}"


def _verdict(promoted: bool) -> str:
    return "promoted" if promoted else "not promoted"


def read_registration(client: "MlflowClient", name: str, version: int) -> Registration:
    """Return the state of a version as the registry has it now."""
    found: ModelVersion = client.get_model_version(name, str(version))
    champion = read_champion(client, name)
    promoted = champion is not None and champion.version == version
    reason = found.tags.get(_REASON, "")
    if found.tags.get(_DECISION) != _verdict(promoted):
        held = "no version" if champion is None else f"version {champion.version}"
        reason = f"{reason} Champion is {held} now; the alias was moved since."
    before = found.tags.get(_PROMOTED_FROM)
    if before is not None:
        previous = None if before == _NO_CHAMPION else int(before)
    else:
        previous = None if champion is None else champion.version
    return Registration(
        name=name,
        version=version,
        aliases=tuple(sorted(found.aliases)),
        run_id=found.run_id or "",
        model_uri=f"models:/{name}@{CHAMPION}" if promoted else f"models:/{name}/{version}",
        previous_champion=previous,
        promoted=promoted,
        reason=reason,
        champion=champion,
    )
