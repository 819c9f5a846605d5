"""The column names that say what a column holds."""

import re
from enum import StrEnum


class Role(StrEnum):
    """What a column holds."""

    TEXT = "text"
    LABEL = "label"
    QUERY = "query"
    DOCUMENT = "document"
    NEGATIVE = "wrong answer"
    SCORE = "score"
    FIRST = "first"
    SECOND = "second"
    MEDIA = "image or mesh"


ROLE_NAMES: dict[Role, tuple[str, ...]] = {
    Role.TEXT: (
        "text", "sentence", "content", "utterance", "phrase", "message", "body", "title", "comment", "review",
        "caption", "description",
    ),
    Role.LABEL: (
        "label", "class", "category", "code", "intent", "target", "tag", "topic", "group", "cluster", "label_id",
        "class_id", "category_id", "finetuner_label",
    ),
    Role.QUERY: ("query", "question", "anchor", "search", "search_term", "keyword", "keywords", "prompt"),
    Role.DOCUMENT: ("document", "answer", "passage", "positive", "doc", "response", "result"),
    Role.NEGATIVE: (
        "wrong_answer", "negative", "hard_negative", "incorrect_answer", "negative_document", "negative_passage",
    ),
    Role.SCORE: (
        "score", "similarity", "similarity_score", "relatedness", "relatedness_score", "relevance", "finetuner_score",
    ),
    Role.FIRST: ("first", "sentence1", "sentence_1", "sentence_a", "text1", "text_1", "text_a"),
    Role.SECOND: ("second", "sentence2", "sentence_2", "sentence_b", "text2", "text_2", "text_b"),
    Role.MEDIA: (
        "image", "image_uri", "image_url", "image_path", "image_file", "img", "picture", "photo", "mesh", "mesh_uri",
        "mesh_url", "mesh_path", "uri", "url", "path", "file", "filename", "file_name",
    ),
}  # fmt: skip
"""Known names of each role; upper and lower case, blanks, '-' and '_' make no difference. Those of a wrong answer may
end with a number: `wrong_answer_1`, `negative2`."""

_NAMES_OF_ANY_ADDRESS = frozenset({"uri", "url", "path", "file", "filename", "file_name"})

_ROLES = {name: role for role, names in ROLE_NAMES.items() for name in names}


def role_of(name: str) -> Role | None:
    """Return what a column of this name holds, or None where the name is not known."""
    plain = _plain(name)
    role = _ROLES.get(plain)
    if role is None and _ROLES.get(re.sub(r"_?\d+$", "", plain)) is Role.NEGATIVE:
        return Role.NEGATIVE
    return role


def names_any_address(name: str) -> bool:
    """Whether a known name of an image or mesh, such as `url`, may be that of a page or a document as well."""
    return _plain(name) in _NAMES_OF_ANY_ADDRESS


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]+", "_", name.strip().casefold())
