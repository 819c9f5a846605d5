"""The column names that say what a column holds."""

import re
from enum import StrEnum


class Role(StrEnum):
    """What a column holds."""

    TEXT = "text"
    LABEL = "label"
    QUERY = "query"
    DOCUMENT = "document"


ROLE_NAMES: dict[Role, tuple[str, ...]] = {
    Role.TEXT: ("text", "sentence", "content", "utterance", "phrase", "message", "body", "title", "comment", "review"),
    Role.LABEL: (
        "label", "class", "category", "code", "intent", "target", "tag", "topic", "group", "cluster", "label_id",
        "class_id", "category_id", "finetuner_label",
    ),
    Role.QUERY: ("query", "question", "anchor", "search", "search_term", "keyword", "keywords", "prompt"),
    Role.DOCUMENT: ("document", "answer", "passage", "positive", "doc", "response", "result"),
}  # fmt: skip
"""Known names of each role; upper and lower case, blanks, '-' and '_' make no difference."""

_ROLES = {name: role for role, names in ROLE_NAMES.items() for name in names}


def role_of(name: str) -> Role | None:
    """Return what a column of this name holds, or None where the name is not known."""
    return _ROLES.get(re.sub(r"[\s_-]+", "_", name.strip().casefold()))
