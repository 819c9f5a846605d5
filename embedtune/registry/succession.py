"""Who is champion by right: a function of what the registry holds, the same for every step that reads it.

MLflow moves an alias without comparing, so two registrations can read one champion and both replace it. What holds
instead: versions are numbered in the order in which MLflow made them, each carries its whole evidence from the moment
it is there, and promotions are judged in that order, whoever carries them out. A step that finds a version which waits
for its own step carries out its promotion first. Whoever wrote reads again, and repairs what came too late.
"""

from dataclasses import dataclass

from embedtune.registry.evidence import Evidence, Verdict, may_replace, read_evidence
from embedtune.registry.state import PREVIOUS, Promotion, RegistryState


@dataclass(frozen=True)
class Move:
    """The next thing to write: a version becomes champion."""

    version: int
    promotion: Promotion
    """Its record."""
    is_new: bool
    """Whether the record is still to be written; else the version is champion by right, and its alias was lost."""


def next_move(state: RegistryState, written: int | None) -> Move | None:
    """Return what is to be written next, None where the champion is the one by right.

    Args:
        state: The registry now.
        written: Number of the latest promotion that counted when the caller last moved an alias, None if it did not.
    """
    champion = rightful_champion(state, written)
    promotion = state.promotion(champion)
    if champion is not None and promotion is not None and is_lost(state, champion, promotion, written):
        return Move(champion, promotion, is_new=False)
    for version in waiting(state):
        if version != champion:
            verdict = may_replace(_known(state, version), state.evidence(champion), state.name)
            if verdict.replaces:
                return Move(version, state.next_promotion("registration", verdict.reason), is_new=True)
    return None


def rightful_champion(state: RegistryState, written: int | None) -> int | None:
    """Return the version that has the alias, or the one from which a promotion took it that came too late.

    Or the one that a person has chosen, though the alias is not moved yet, and that nobody has replaced since.

    A promotion came too late if another one was finished since the state that it was decided on: then its number is not
    above that one's. This is certain of a version whose registration has not ended, of a person's command that has not
    ended, and of an alias that the caller itself moved. Any other alias was moved by a person, who may.
    """
    holder, latest = state.champion, latest_promotion(state)
    promotion = state.promotion(holder)
    if latest is not None and latest[1].pending and successor(state, latest[0]) is None:
        return latest[0]
    if holder is None or promotion is None or latest is None or promotion.number > latest[1].number:
        return holder
    moved_late = written is not None and latest[1].number > written
    return latest[0] if moved_late or promotion.pending or not state.is_settled(holder) else holder


def latest_promotion(state: RegistryState) -> tuple[int, Promotion] | None:
    """Return the version that was promoted last, of those whose registration has ended or a person has chosen.

    Of two with one number that is the one that came about; of two that are pending the lower version.
    """
    found = [
        entry
        for entry in state.promotions()
        if entry[1].number > 0 and (state.is_settled(entry[0]) or entry[1].pending)
    ]
    return max(found, key=lambda entry: (entry[1].number, not entry[1].pending), default=None)


def waiting(state: RegistryState) -> list[int]:
    """Return versions in ascending order whose registration has not ended and that have not been champion yet."""
    return [
        version
        for version in state.registrations()
        if not state.is_settled(version) and not was_replaced(state, version)
    ]


def was_replaced(state: RegistryState, version: int) -> bool:
    """Tell whether another version has replaced this one as champion."""
    return any(promotion.replaced == version for _, promotion in state.promotions())


def successor(state: RegistryState, version: int) -> int | None:
    """Return the version that says of itself that it has replaced this one since its latest promotion."""
    own = state.promotion(version)
    found = [
        (promotion.number, other)
        for other, promotion in state.promotions()
        if own is not None and promotion.replaced == version and promotion.number > own.number
    ]
    return max(found)[1] if found else None


def verdict_on(state: RegistryState, version: int) -> Verdict:
    """Return whether a version was promoted, once there is nothing left to be written."""
    promotion = state.promotion(version)
    if state.champion == version or (promotion is not None and was_replaced(state, version)):
        return Verdict(True, _known(state, version).reason if promotion is None else promotion.reason)
    return may_replace(_known(state, version), state.evidence(state.champion), state.name)


def _known(state: RegistryState, version: int) -> Evidence:
    return read_evidence(version, state.tags[version])


def is_lost(state: RegistryState, champion: int, promotion: Promotion, written: int | None) -> bool:
    """Tell whether an alias was moved too late; a person may move 'previous', so it is looked at by who wrote it."""
    previous = promotion.previous(champion)
    return champion != state.champion or (
        written is not None and previous in state.tags and state.aliases.get(PREVIOUS) != previous
    )
