"""What a content is encoded as, and the prompt that a model wants before it. Imports no torch."""

from enum import StrEnum
from typing import Protocol


class EncodingRole(StrEnum):
    """What a content is in a search."""

    QUERY = "query"
    DOCUMENT = "document"


class HasPrompts(Protocol):
    """A model of sentence-transformers, as to its prompts."""

    prompts: dict[str, str | None]
    default_prompt_name: str | None


_NAMES = {EncodingRole.QUERY: ("query",), EncodingRole.DOCUMENT: ("document", "passage", "corpus")}
"""Keys of a model's prompts for each role; the first that is there counts, as in sentence-transformers 6."""


def prompt_of(model: HasPrompts, role: EncodingRole) -> str:
    """Return what a model wants before a text of a role: the prompt of the role, else its default prompt, else ''."""
    for name in _NAMES[role]:
        prompt = model.prompts.get(name)
        if prompt:
            return prompt
    default = model.prompts.get(model.default_prompt_name) if model.default_prompt_name else None
    return default if default is not None else ""
