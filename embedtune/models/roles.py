"""What a content is encoded as, and the prompt that a model wants before it. Imports no torch."""

from enum import StrEnum
from typing import Protocol

from embedtune.records.layouts import Layout


class EncodingRole(StrEnum):
    """What a content is in a search."""

    QUERY = "query"
    DOCUMENT = "document"


def index_role(layout: str) -> EncodingRole:
    """Return what the contents that are searched in are encoded as.

    Where contents are alike (labels, scored pairs) all are encoded as queries, as the authors of models with prompts
    ask for symmetric tasks (https://huggingface.co/intfloat/e5-base-v2, FAQ 1).

    Args:
        layout: Of the data that a model was trained on, '' for a model as it was published.
    """
    return EncodingRole.QUERY if layout in (Layout.LABELLED, Layout.SCORED) else EncodingRole.DOCUMENT


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
