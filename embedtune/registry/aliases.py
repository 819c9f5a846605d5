"""The aliases of a registered model are moved: by a registration, as far as its evidence goes."""

import dataclasses
from typing import TYPE_CHECKING

from embedtune.errors import RegistryError
from embedtune.registry.champion import CHAMPION
from embedtune.registry.evidence import TAG_LIMIT
from embedtune.registry.state import (
    CHALLENGER,
    PREVIOUS,
    PROMOTION,
    SETTLED,
    RegistryState,
    read_state,
)
from embedtune.registry.succession import Move, latest_promotion, next_move, verdict_on
from embedtune.text import shortened

if TYPE_CHECKING:
    from mlflow import MlflowClient

DECISION, REASON = "decision", "reason"
"""Tags with what the registration of a version came to, and why."""

MOST_MOVES = 100
"""More than any number of registrations at a time needs."""


def settle_aliases(client: "MlflowClient", name: str, version: int) -> None:
    """Make a version challenger and, if its evidence lets it replace the champion, champion.

    A version that was champion once is left alone: a later repetition of the same registration must not undo what newer
    versions or a rollback have changed since. Any other is judged again, by the champion of that moment. Interrupted
    anywhere, it can be repeated; what an interrupted registration of another version had left to do is done too.

    Raises:
        RegistryError: somebody else keeps moving the aliases.
        MlflowException: MLflow cannot be asked.
    """
    state = read_state(client, name)
    again = state.is_settled(version)
    if again and (state.promotion(version) is not None or state.champion == version):
        return
    if again:
        client.delete_model_version_tag(name, str(version), SETTLED)
    begun = state.promotion(version)
    state = _carry_out(client, name, None if begun is None else begun.number - 1, newest_first=not again)
    _conclude(client, state, version)


def _carry_out(client: "MlflowClient", name: str, written: int | None, newest_first: bool) -> RegistryState:
    """Write until the aliases are what they should be, and return the state in which they are."""
    for _ in range(MOST_MOVES):
        state = read_state(client, name)
        newest = state.registrations()[-1]
        if newest_first and state.aliases.get(CHALLENGER) != newest:
            client.set_registered_model_alias(name, CHALLENGER, str(newest))
            continue
        move = next_move(state, written)
        if move is None:
            finish_promotion(client, state, state.champion)
            return state
        latest = latest_promotion(state)
        written = 0 if latest is None else latest[1].number
        apply_move(client, state, move)
    raise RegistryError(
        f"The aliases of {name!r} were moved {MOST_MOVES} times and are still not what they should be, so something "
        "else keeps moving them. Stop that and repeat the step: it goes on where it stopped."
    )


def apply_move(client: "MlflowClient", state: RegistryState, move: Move) -> None:
    """Make a version champion: its record first, for whoever reads meanwhile, the alias that counts last."""
    if move.is_new:
        client.set_model_version_tag(state.name, str(move.version), PROMOTION, move.promotion.to_tag())
    previous = move.promotion.previous(move.version)
    if previous in state.tags and state.aliases.get(PREVIOUS) != previous:
        client.set_registered_model_alias(state.name, PREVIOUS, str(previous))
    if state.champion != move.version:
        client.set_registered_model_alias(state.name, CHAMPION, str(move.version))


def finish_promotion(client: "MlflowClient", state: RegistryState, version: int | None) -> None:
    """Write that a person's promotion has come about, where its record does not say so yet."""
    promotion = state.promotion(version)
    if promotion is not None and promotion.pending:
        record = dataclasses.replace(promotion, pending=False).to_tag()
        client.set_model_version_tag(state.name, str(version), PROMOTION, record)


def _conclude(client: "MlflowClient", state: RegistryState, version: int) -> None:
    """Write what a registration came to on its version."""
    name, verdict = state.name, verdict_on(state, version)
    if not verdict.replaces and PROMOTION in state.tags[version]:
        client.delete_model_version_tag(name, str(version), PROMOTION)  # it was announced and did not come about
    facts = {DECISION: decision_word(verdict.replaces), REASON: shortened(verdict.reason, TAG_LIMIT), SETTLED: "true"}
    for key, value in facts.items():
        client.set_model_version_tag(name, str(version), key, value)


def decision_word(promoted: bool) -> str:
    """Return the value of the tag with the decision."""
    return "promoted" if promoted else "not promoted"
