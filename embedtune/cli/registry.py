"""`embedtune champion`, `promote` and `rollback`: what serves of a registered model, and its change by hand."""

import json
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from embedtune.registry.by_hand import Change, Serving

Name = Annotated[str, typer.Argument(help="Name of the registered model, as given as --register-model-name.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]
Reason = Annotated[str, typer.Option(help="Why, for the record in MLflow.")]


def champion(
    name: Name,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Say which version of a model serves, since when, and on what evidence.

    MLflow is where MLFLOW_TRACKING_URI says: a server, or sqlite:///out/mlflow.db of a local run.
    """
    from embedtune.registry.by_hand import serving

    found = serving(name)
    typer.echo(json.dumps(found.to_json(), ensure_ascii=False) if as_json else "\n".join(_lines(found)))


def promote(
    name: Name,
    version: Annotated[int, typer.Argument(min=1, help="Number of the version.")],
    reason: Reason = "",
    dry_run: DryRun = False,
) -> None:
    """Make a version champion on your own word, whatever its evaluation says.

    The champion of now becomes `previous`, to which `embedtune rollback` goes back. The next run compares with the
    version that you have chosen. Vectors of two versions do not compare: encode the index again. MLflow is where
    MLFLOW_TRACKING_URI says.
    """
    from embedtune.registry.by_hand import promote as make_champion

    typer.echo(_told(make_champion(name, version, reason, dry_run), dry_run, "is 'previous' then"))


def rollback(name: Name, reason: Reason = "", dry_run: DryRun = False) -> None:
    """Make the champion before the champion champion again.

    That is the version with the alias `previous`, which keeps it: done twice, it goes back once. A registration does
    not promote the version that you went back from again. Vectors of two versions do not compare: encode the index
    again, or keep the old one. MLflow is where MLFLOW_TRACKING_URI says.
    """
    from embedtune.registry.by_hand import rollback as go_back

    typer.echo(_told(go_back(name, reason, dry_run), dry_run, "stays registered"))


def _told(change: "Change", dry_run: bool, fate: str) -> str:
    version = f"{change.version} of {change.name}"
    if not change.needed:
        return f"Version {version} is champion already; nothing {'would be' if dry_run else 'was'} changed."
    instead = "" if change.replaced is None else f" in place of version {change.replaced}, which {fate}"
    if dry_run:
        return f"Would make version {version} champion{instead}. Nothing was changed."
    return (
        f"Version {version} is champion now{instead}. It loads as models:/{change.name}@champion; encode the "
        "index again with it."
    )


def _lines(found: "Serving") -> list[str]:
    from embedtune.registry.champion import Champion

    others = [
        f"{alias}: {'none' if version is None else f'version {version}'}"
        for alias, version in (("previous", found.previous), ("challenger", found.challenger))
    ]
    versions = f"versions: {', '.join(map(str, found.versions)) if found.versions else 'none'}"
    ends = [*_unfinished(found), *others, versions]
    if found.version is None:
        return [f"{found.name}: no version is champion.", *ends]
    told = Champion(found.version, found.metric, found.value, found.queries, found.evaluation_digest).told()
    facts = {
        "champion": told,
        "since": f"{found.since}, by {found.by}" if found.since else "not known; embedtune did not move the alias here",
        "reason": found.reason,
        "held-out data": found.evaluation_digest,
        "trained on": found.data_version,
        "in place of": "" if found.replaced is None else f"version {found.replaced}",
        "load it": found.model_uri,
    }
    return [f"{key}: {value}" for key, value in facts.items() if value] + ends


def _unfinished(found: "Serving") -> list[str]:
    if found.announced is None:
        return []
    version, by, name = found.announced.version, found.announced.by, quote(found.name)
    command = f"rollback {name}" if by == "rollback" else f"promote {name} {version}"
    return [
        f"not finished: {by} chose version {version} at {found.announced.at}, and the alias is not moved yet. If that "
        f"runs no more, repeat it: embedtune {command} (the next registration would carry it out, too)"
    ]
