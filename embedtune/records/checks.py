"""Whether rows hold anything that a model could learn from."""

from embedtune.errors import InputError
from embedtune.records.layouts import CONTENT_COLUMNS, Layout
from embedtune.text import excerpt


class LearnableCheck:
    """Watches the rows of one file go by and refuses those that nothing can be learned from.

    Labelled rows need two labels, one of them on two rows. Pairs need two queries, two documents, and a pair of
    different ones. Only what is still missing is looked for, so the memory needed does not grow with the rows.
    """

    def __init__(self, layout: Layout) -> None:
        """Begin with no rows seen."""
        self._layout = layout
        self._first: tuple[str, str] | None = None
        self._labels: set[str] = set()
        self._missing = (
            {"labels differ", "a label repeats"}
            if layout is Layout.LABELLED
            else {"queries differ", "documents differ", "sides differ"}
        )

    def watch(self, first: list[str], second: list[str]) -> None:
        """Look at the two columns of a batch, in the order of CONTENT_COLUMNS; it is not empty."""
        if not self._missing:
            return
        if self._first is None:
            self._first = (first[0], second[0])
        if self._layout is Layout.LABELLED:
            self._watch_labels(second)
        else:
            self._watch_pairs(first, second, self._first)

    def finish(self, source: str) -> None:
        """Judge what was seen.

        Args:
            source: The file's name, for the message.

        Raises:
            InputError: the rows hold nothing to learn from.
        """
        problems = {
            "labels differ": "all rows have the same label {1}, so no texts are told apart. Give two labels or more.",
            "a label repeats": "every label occurs once, so no two texts belong together. Give labels that several "
            "texts share, or set the layout to 'pairs' if the second column is a document.",
            "queries differ": "all rows have the same query {0}. Give two queries or more.",
            "documents differ": "all rows have the same document {1}. Give two documents or more.",
            "sides differ": "in every row the query is the document itself. Give documents that answer the queries.",
        }
        for requirement, problem in problems.items():
            if requirement in self._missing and self._first is not None:
                column = CONTENT_COLUMNS[self._layout]
                raise InputError(
                    f"{source}, read as {column[0]},{column[1]}: {problem.format(*map(excerpt, self._first))}"
                )

    def _watch_labels(self, labels: list[str]) -> None:
        before = len(self._labels)
        self._labels.update(labels)
        if len(self._labels) > 1:
            self._missing.discard("labels differ")
        if len(self._labels) < before + len(labels):
            self._missing.discard("a label repeats")
        if not self._missing:
            self._labels.clear()

    def _watch_pairs(self, queries: list[str], documents: list[str], seen: tuple[str, str]) -> None:
        if any(query != seen[0] for query in queries):
            self._missing.discard("queries differ")
        if any(document != seen[1] for document in documents):
            self._missing.discard("documents differ")
        if any(query != document for query, document in zip(queries, documents, strict=True)):
            self._missing.discard("sides differ")
