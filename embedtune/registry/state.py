"""What the registry holds of one model: versions, aliases, and the record that each promotion leaves on its version."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from embedtune.errors import RegistryError
from embedtune.registry.champion import CHAMPION
from embedtune.registry.evidence import TAG_LIMIT, Evidence, read_evidence
from embedtune.text import shortened

if TYPE_CHECKING:
    from mlflow import MlflowClient

CHALLENGER = "challenger"
"""Alias of the newest version."""
PREVIOUS = "previous"
"""Alias of the champion before the champion, for a rollback in one step."""

PROMOTED, ROLLED_BACK = "promote", "rollback"
"""Who promoted, in the record of a version that a person made champion."""
PROMOTION = "promotion"
"""Tag with the record of a version's latest promotion."""
SETTLED = "embedtune.aliases_set"
"""Tag of versions whose registration has moved the aliases as far as it wanted to."""
REGISTRATION_TAG = "embedtune.registration"
"""Tag of runs, logged models and model versions with the registration's digest."""

_PROMOTED_FROM = "promoted_from"
"""Tag that embedtune 0.1 left on versions that it promoted."""
_MOST_READS = 100
"""More than any number of registrations at a time needs."""
_REASON_LIMIT = TAG_LIMIT - 500
"""Leaves room for the rest of the record."""


@dataclass(frozen=True)
class Promotion:
    """How a version became champion."""

    number: int
    """Promotions of a model count up; 0 for one of embedtune 0.1, which did not count."""
    replaced: int | None
    """The champion before, None where there was none."""
    by: str
    """'registration', 'promote' or 'rollback'; '' where that is not known."""
    at: str
    """When, in ISO 8601 and UTC; '' where that is not known."""
    reason: str
    """Why, in a sentence or two."""
    pending: bool = False
    """Of a person's promotion: announced, and the aliases perhaps not moved yet."""

    def previous(self, version: int) -> int | None:
        """Return what the alias `previous` names once a version was promoted by this; a rollback leaves it there."""
        return version if self.by == ROLLED_BACK else self.replaced

    def to_tag(self) -> str:
        """Return the value of the tag: one, so that it is there as a whole or not at all."""
        facts = {"number": self.number, "replaced": self.replaced, "by": self.by, "at": self.at}
        if self.pending:
            facts["pending"] = True
        return json.dumps({**facts, "reason": shortened(self.reason, _REASON_LIMIT)}, ensure_ascii=False)

    @classmethod
    def of_tags(cls, tags: Mapping[str, str]) -> "Promotion | None":
        """Return a version's record, None where it never was champion, or a record that cannot be read says so."""
        try:
            return cls(**json.loads(tags[PROMOTION]))
        except (KeyError, ValueError, TypeError):
            before = tags.get(_PROMOTED_FROM)
        if before is None:
            return None
        return cls(0, int(before) if before.isdecimal() else None, "registration", "", "")


@dataclass(frozen=True)
class RegistryState:
    """A registered model at one moment."""

    name: str
    """Of the registered model."""
    aliases: Mapping[str, int]
    """Of versions that are there."""
    tags: Mapping[int, Mapping[str, str]]
    """By version, in ascending order."""

    @property
    def champion(self) -> int | None:
        """The version with that alias."""
        return self.aliases.get(CHAMPION)

    def evidence(self, version: int | None) -> Evidence | None:
        """Return what is known about how good a version is; None for None."""
        return None if version is None else read_evidence(version, self.tags[version])

    def promotion(self, version: int | None) -> Promotion | None:
        """Return how a version became champion, None for None or one that never did."""
        return None if version is None else Promotion.of_tags(self.tags[version])

    def promotions(self) -> Iterator[tuple[int, Promotion]]:
        """Yield versions that have a record, with it."""
        for version in self.tags:
            found = self.promotion(version)
            if found is not None:
                yield version, found

    def is_settled(self, version: int) -> bool:
        """Tell whether no registration is working on a version's aliases, or was interrupted at it."""
        return SETTLED in self.tags[version] or REGISTRATION_TAG not in self.tags[version]

    def registrations(self) -> list[int]:
        """Return in ascending order what registrations made: of one that was made twice at once, the one that stays."""
        first: dict[str, int] = {}
        for version, tags in self.tags.items():
            if REGISTRATION_TAG in tags:
                first.setdefault(tags[REGISTRATION_TAG], version)
        return list(first.values())

    def next_promotion(self, by: str, reason: str, pending: bool = False) -> Promotion:
        """Return the record of a promotion that replaces the champion of this moment.

        Its number is above all that are settled, and the same for all who would write it at this moment. A person's
        that is only announced counts for other persons: who has not seen it come about must not seem to have come
        after it, but of two persons the later one has the say.

        Args:
            by: Who promotes.
            reason: Why.
            pending: Whether it is a person's, and to be announced.
        """
        counted = [
            found.number
            for version, found in self.promotions()
            if (pending or not found.pending) and (found.pending or self.is_settled(version))
        ]
        champion = self.promotion(self.champion)
        number = 1 + max(counted, default=0) if champion is None else 1 + max([*counted, champion.number])
        at = datetime.now(UTC).isoformat(timespec="seconds")
        return Promotion(number, self.champion, by, at, reason, pending)


def read_state(client: "MlflowClient", name: str) -> RegistryState:
    """Return a registered model as the registry has it now, aliases and tags of the same moment.

    Raises:
        RegistryError: the aliases are moved all the time.
        MlflowException: there is no model of that name, or MLflow cannot be asked.
    """
    aliases = client.get_registered_model(name).aliases
    for _ in range(_MOST_READS):
        tags = dict(_read_tags(client, name))
        before, aliases = aliases, client.get_registered_model(name).aliases
        if before == aliases:
            held = {alias: int(version) for alias, version in aliases.items() if int(version) in tags}
            return RegistryState(name, held, dict(sorted(tags.items())))
    raise RegistryError(
        f"The aliases of {name!r} changed {_MOST_READS} times while they were read, so something keeps moving them. "
        "Stop that and repeat the step: it goes on where it stopped."
    )


def _read_tags(client: "MlflowClient", name: str) -> Iterator[tuple[int, Mapping[str, str]]]:
    token = None
    while True:
        page = client.search_model_versions(f"name = '{name}'", page_token=token)
        yield from ((int(found.version), found.tags) for found in page)
        token = page.token
        if not token:
            return
