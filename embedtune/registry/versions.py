"""Versions of a registered model: found again or created, described, and given their aliases."""

from typing import TYPE_CHECKING

from embedtune.models.card import ModelCard
from embedtune.registry.contents import public_uri
from embedtune.registry.request import Registration, RegistrationRequest
from embedtune.registry.runs import REGISTRATION_TAG
from embedtune.retrieval.comparison import METRIC_NAMES, Decision
from embedtune.text import shortened

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel
    from mlflow.entities.model_registry import ModelVersion

CHALLENGER = "challenger"
"""Alias of the newest version."""
CHAMPION = "champion"
"""Alias of the version to serve."""
PREVIOUS = "previous"
"""Alias of the champion before the champion, for a rollback in one step."""

_PROMOTED_FROM = "promoted_from"
_NO_CHAMPION = "none"
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
    """Return a version's tags: the decision and what it rests on."""
    decision = request.comparison.decision
    judged = request.comparison.metric(decision.metric)
    tags = {
        "decision": "promoted" if decision.promoted else "not promoted",
        "reason": decision.reason,
        "base_model": card.backbone,
        "base_model_digest": card.backbone_digest,
        "dimension": str(card.dimension),
        "max_length": str(card.max_length),
        "data_version": request.data_version,
        f"{decision.metric}_base": f"{judged.base:.4f}",
        f"{decision.metric}_tuned": f"{judged.tuned:.4f}",
        "parity_max_difference": f"{card.parity_max_difference:.3g}",
        REGISTRATION_TAG: digest,
    }
    return {key: shortened(value, _TEXT_LIMIT) for key, value in tags.items()}


def describe_version(request: RegistrationRequest, card: ModelCard) -> str:
    """Return a short model card in Markdown."""
    comparison = request.comparison
    percent = f"{comparison.confidence:.0%}"
    rows = [
        f"| {METRIC_NAMES[metric.name]} | {metric.base:.4f} | {metric.tuned:.4f} | "
        f"{metric.difference:+.4f} | {metric.lower:+.4f} to {metric.upper:+.4f} |"
        for metric in comparison.metrics
    ]
    verdict = "Promoted" if comparison.decision.promoted else "Not promoted"
    lines = [
        f"Embedding model: {_code(card.backbone)} fine-tuned on {card.train_documents} documents{_source(request)}.",
        f"Vectors of {card.dimension} components; texts are cut after {card.max_length} tokens.",
        f"{verdict}: {comparison.decision.reason}",
        f"| metric | base | tuned | difference | {percent} interval |\n|---|---|---|---|---|\n" + "\n".join(rows),
        f"Means over {comparison.queries} held-out queries against {comparison.index_documents} documents. "
        "Vectors of another model or version do not compare with these: encode the whole index again.",
    ]
    return "\n\n".join(lines)


def _source(request: RegistrationRequest) -> str:
    if not request.data_uri:
        return ""
    version = f" ({_code(request.data_version)})" if request.data_version else ""
    return f" of {_code(public_uri(request.data_uri))}{version}"


def _code(text: str) -> str:
    """Return a text as Markdown code; its own backticks, which would end that, become a look-alike."""
    line = " ".join(text.replace("`", "\N{MODIFIER LETTER GRAVE ACCENT}").split())
    return f"`{line}`"


def set_aliases(client: "MlflowClient", name: str, version: int, decision: Decision) -> None:
    """Make a version challenger and, if the decision says so, champion.

    Done once for each version: a later repetition of the same registration must not undo what newer versions or a
    rollback by hand have changed since. Interrupted anywhere, it can be repeated.
    """
    if _ALIASES_SET in client.get_model_version(name, str(version)).tags:
        return
    challenger = _holder(client, name, CHALLENGER)
    if challenger is None or challenger < version:
        client.set_registered_model_alias(name, CHALLENGER, str(version))
    if decision.promoted:
        _promote(client, name, version)
    client.set_model_version_tag(name, str(version), _ALIASES_SET, "true")


def _promote(client: "MlflowClient", name: str, version: int) -> None:
    # Read right before it is replaced: MLflow moves aliases without comparing, so this keeps the gap short.
    champion = _holder(client, name, CHAMPION)
    if champion is not None and champion >= version:
        return
    before = _NO_CHAMPION if champion is None else str(champion)
    client.set_model_version_tag(name, str(version), _PROMOTED_FROM, before)
    if champion is not None:
        client.set_registered_model_alias(name, PREVIOUS, str(champion))
    client.set_registered_model_alias(name, CHAMPION, str(version))


def _holder(client: "MlflowClient", name: str, alias: str) -> int | None:
    version = client.get_registered_model(name).aliases.get(alias)
    return None if version is None else int(version)


def read_registration(client: "MlflowClient", name: str, version: int, decision: Decision) -> Registration:
    """Return the state of a version as the registry has it now."""
    found: ModelVersion = client.get_model_version(name, str(version))
    champion = _holder(client, name, CHAMPION)
    promoted_from = found.tags.get(_PROMOTED_FROM)
    promoted = CHAMPION in found.aliases
    reason = decision.reason
    if decision.promoted and not promoted:
        reason = f"{reason} Champion is {'no version' if champion is None else f'version {champion}'} now."
    if promoted_from is not None:
        champion = None if promoted_from == _NO_CHAMPION else int(promoted_from)
    return Registration(
        name=name,
        version=version,
        aliases=tuple(sorted(found.aliases)),
        run_id=found.run_id or "",
        model_uri=f"models:/{name}@{CHAMPION}" if CHAMPION in found.aliases else f"models:/{name}/{version}",
        previous_champion=champion,
        promoted=promoted,
        reason=reason,
    )
