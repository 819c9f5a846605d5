"""A person makes a version champion, goes back to the one before, or asks what serves and on what evidence."""

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from embedtune.errors import ConfigError, RegistryError
from embedtune.mlflow.connection import connect, resolve_tracking_uri, translated_errors
from embedtune.names import similar_names
from embedtune.registry.aliases import MOST_MOVES, apply_move, finish_promotion
from embedtune.registry.champion import CHAMPION
from embedtune.registry.contents import check_model_name
from embedtune.registry.missing import unless_missing
from embedtune.registry.state import (
    CHALLENGER,
    PREVIOUS,
    PROMOTED,
    PROMOTION,
    ROLLED_BACK,
    Promotion,
    RegistryState,
    read_state,
)
from embedtune.registry.succession import Move, is_lost, rightful_champion, successor

if TYPE_CHECKING:
    from mlflow import MlflowClient

_MOST_SHOWN = 20
_MOST_ASKED = 1000
"""What every MLflow server answers at once."""


@dataclass(frozen=True)
class Change:
    """What a command does to the aliases of a model."""

    name: str
    version: int
    """The version that is champion after it."""
    replaced: int | None
    """The champion before, None where there was none."""
    needed: bool
    """Whether anything is to be written; False where it is as asked already."""


@dataclass(frozen=True)
class Announced:
    """A promotion whose alias is not moved: one that is made at this moment, or that was interrupted."""

    version: int
    by: str
    """'registration', 'promote' or 'rollback'."""
    at: str
    """When it was announced, in ISO 8601."""
    reason: str


@dataclass(frozen=True)
class Serving:
    """The champion of a model: what serves, since when, on what evidence."""

    name: str
    model_uri: str
    version: int | None
    """None where no version is champion; the fields below are empty then."""
    since: str
    """When it became champion, in ISO 8601; '' where its tags do not say: embedtune did not move the alias."""
    by: str
    """'registration', 'promote' or 'rollback'; '' where its tags do not say."""
    reason: str
    metric: str
    value: float | None
    queries: str
    evaluation_digest: str
    data_version: str
    replaced: int | None
    """The champion before it."""
    previous: int | None
    """What `embedtune rollback` goes back to."""
    challenger: int | None
    announced: Announced | None
    """The promotion that is to make another version champion, None where there is none."""
    versions: tuple[int, ...]

    def to_json(self) -> dict[str, object]:
        """Return the fields."""
        return dataclasses.asdict(self)


def promote(name: str, version: int, reason: str, dry_run: bool) -> Change:
    """Make a version champion on a person's word.

    Args:
        name: Of the registered model.
        version: Which.
        reason: Why, for the record.
        dry_run: Write nothing.

    Raises:
        ConfigError: there is no such model or version.
        RegistryError: MLflow cannot be reached or refuses, or the champion was moved meanwhile.
    """
    with _opened() as client:
        state = _state(client, name)
        if version not in state.tags:
            raise ConfigError(f"{name!r} has no version {version}; {_listed(state)}.")
        return _make_champion(client, state, version, PROMOTED, reason, dry_run)


def rollback(name: str, reason: str, dry_run: bool) -> Change:
    """Make the champion before the champion champion again. Done twice, it goes back once.

    Args:
        name: Of the registered model.
        reason: Why, for the record.
        dry_run: Write nothing.

    Raises:
        ConfigError: there is no such model, or none to go back to.
        RegistryError: MLflow cannot be reached or refuses, or the champion was moved meanwhile.
    """
    with _opened() as client:
        state = _state(client, name)
        previous = state.aliases.get(PREVIOUS)
        if previous is None:
            raise ConfigError(
                f"{name!r} has no version with the alias {PREVIOUS!r}, so there is nothing to go back to: no promotion "
                f"has replaced a champion, or that version was deleted. {_listed(state).capitalize()}; make one "
                "champion with `embedtune promote`."
            )
        return _make_champion(client, _arrived(state), previous, ROLLED_BACK, reason, dry_run)


def _arrived(state: RegistryState) -> RegistryState:
    """Return a model as a registration leaves it that has moved `previous` and is about to move the champion."""
    coming = None if state.champion is None else successor(state, state.champion)
    if coming is None or state.is_settled(coming) or state.aliases.get(PREVIOUS) != state.champion:
        return state
    return dataclasses.replace(state, aliases={**state.aliases, CHAMPION: coming})


def serving(name: str) -> Serving:
    """Return what serves.

    Raises:
        ConfigError: there is no such model.
        RegistryError: MLflow cannot be reached or refuses.
    """
    with _opened() as client:
        state = _state(client, name)
    evidence, promotion = state.evidence(state.champion), state.promotion(state.champion)
    if promotion is not None and not _is_in_force(state, promotion):
        promotion = None
    return Serving(
        name=name,
        model_uri=f"models:/{name}@{CHAMPION}",
        version=state.champion,
        since="" if promotion is None else promotion.at,
        by="" if promotion is None else promotion.by,
        reason="" if promotion is None else promotion.reason,
        metric="" if evidence is None else evidence.metric,
        value=None if evidence is None else evidence.value,
        queries="" if evidence is None else evidence.queries,
        evaluation_digest="" if evidence is None else evidence.digest,
        data_version="" if state.champion is None else state.tags[state.champion].get("data_version", ""),
        replaced=None if promotion is None else promotion.replaced,
        previous=state.aliases.get(PREVIOUS),
        challenger=state.aliases.get(CHALLENGER),
        announced=_announced(state),
        versions=tuple(state.tags),
    )


def _announced(state: RegistryState) -> Announced | None:
    right = rightful_champion(state, written=None)
    promotion = state.promotion(right)
    if right is None or right == state.champion or promotion is None:
        return None
    return Announced(right, promotion.by, promotion.at, promotion.reason)


def _make_champion(
    client: "MlflowClient", state: RegistryState, version: int, by: str, reason: str, dry_run: bool
) -> Change:
    change = Change(state.name, version, state.champion, needed=state.champion != version)
    if dry_run:
        return change
    own, before = state.promotion(version), state.tags[version].get(PROMOTION)
    killed = own is not None and own.pending  # a command like this one, before its end
    if not change.needed and not (killed and successor(state, version) is not None):
        finish_promotion(client, state, version)
        return change
    state = _move(client, _announce(client, state, version, by, reason), version)
    if state.champion == version or successor(state, version) is not None:
        finish_promotion(client, state, version)
    else:
        _withdraw(client, state, version, before)
    state = read_state(client, state.name)  # whoever came in between since is to be told of
    promotion = state.promotion(version)
    if state.champion != version or promotion is None:
        raise RegistryError(
            f"Champion of {state.name!r} is {_named(state.champion)} now, not version {version}: another promotion "
            "came in between. Look with `embedtune champion`, and repeat the command if it is to be so."
        )
    return Change(state.name, version, promotion.replaced, needed=True)


def _announce(client: "MlflowClient", state: RegistryState, version: int, by: str, reason: str) -> RegistryState:
    """Write a promotion's record, and again where a registration has moved the champion before it could see it.

    From then on, a registration that moves the champion knows that it came too late, and takes that back.
    """
    for _ in range(MOST_MOVES):
        promotion = state.next_promotion(by, reason, pending=True)
        if state.champion == version:
            promotion = dataclasses.replace(promotion, replaced=successor(state, version))
        client.set_model_version_tag(state.name, str(version), PROMOTION, promotion.to_tag())
        state = read_state(client, state.name)
        if state.champion in (promotion.replaced, version) or successor(state, version) is not None:
            return state
    raise _unsteady(state)


def _withdraw(client: "MlflowClient", state: RegistryState, version: int, before: str | None) -> None:
    """Give a version the record back that it had, of a promotion that did not come about."""
    if before is None:
        client.delete_model_version_tag(state.name, str(version), PROMOTION)
    else:
        client.set_model_version_tag(state.name, str(version), PROMOTION, before)


def _move(client: "MlflowClient", state: RegistryState, version: int) -> RegistryState:
    """Move the aliases as the record says, and take it back where a registration has replaced the version meanwhile."""
    announced = state.promotion(version)
    written = 0 if announced is None else announced.number
    for _ in range(MOST_MOVES):
        later = successor(state, version)
        right = rightful_champion(state, written) if later is None else later
        promotion = state.promotion(right)
        if right is None or promotion is None or not is_lost(state, right, promotion, written):
            return state
        apply_move(client, state, Move(right, promotion, is_new=False))
        state = read_state(client, state.name)
    raise _unsteady(state)


def _unsteady(state: RegistryState) -> RegistryError:
    return RegistryError(
        f"The aliases of {state.name!r} were moved {MOST_MOVES} times and are still not what they should be, so "
        "something else keeps moving them. Stop that and repeat the command."
    )


def _is_in_force(state: RegistryState, promotion: Promotion) -> bool:
    """Tell whether a record is why the champion is champion: nothing that was recorded has replaced it since."""
    later = (found for _, found in state.promotions() if found.number > promotion.number)
    return all(found.replaced != state.champion for found in later)


@contextmanager
def _opened() -> Iterator["MlflowClient"]:
    tracking_uri = resolve_tracking_uri()
    client = connect(tracking_uri)
    with translated_errors(tracking_uri):
        yield client


def _state(client: "MlflowClient", name: str) -> RegistryState:
    check_model_name(name)
    state = unless_missing(lambda: read_state(client, name))
    if state is None:
        names = [model.name for model in client.search_registered_models(max_results=_MOST_ASKED)]
        near = similar_names(name, names)
        shown = ", ".join(map(repr, (near if near else names)[:_MOST_SHOWN]))
        what = f"Perhaps {shown}?" if near else f"There are {shown}." if names else "There is none at all yet."
        raise ConfigError(f"There is no registered model {name!r}. {what}")
    return state


def _listed(state: RegistryState) -> str:
    versions = ", ".join(map(str, list(state.tags)[-_MOST_SHOWN:]))
    there = f"there {'is version' if len(state.tags) == 1 else 'are versions'} {versions}"
    return f"{there}, champion is {_named(state.champion)}"


def _named(version: int | None) -> str:
    return "none" if version is None else f"version {version}"
