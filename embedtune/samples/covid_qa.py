"""Covid QA: its file, as CSV, and as Documents: a question with its answer and wrong answers as matches."""

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from docarray import Document

from embedtune.errors import InputError
from embedtune.samples.fetch import Mirror, PublicSource, fetch_file
from embedtune.samples.matches import check_num_total, check_range, check_seed, check_values, collected, match_tags
from embedtune.samples.writing import new_folder
from embedtune.text import excerpt

SOURCE = PublicSource(
    "covid-qa",
    "https://static.jina.ai/chatbot/",
    "EMBEDTUNE_COVID_QA_URL",
    32 << 20,
    "The host from which Jina Finetuner took the Covid QA file has been shut down. Give an address that has a "
    "dataset.csv with the columns question, answer and wrong_answer as --base-url, or in the variable "
    "EMBEDTUNE_COVID_QA_URL.",
)

_FILE = "dataset.csv"
_COLUMNS = ("question", "answer", "wrong_answer")
_WORD = re.compile(r"\w+|[^\w\s]")
_TOKENS = 100
"""Of one text as token ids, as the first Finetuner gave them by default."""

_Text = tuple[str, str]
"""Id and text of a Document."""


@dataclass(frozen=True, slots=True)
class QuestionRow:
    """One row of Covid QA."""

    number: int
    """Position in the file, from 0."""
    question: str
    answer: str
    wrong_answer: str


def covid_qa(
    num_total: int | None = None,
    num_neg: int = 0,
    pos_value: int = 1,
    neg_value: int = -1,
    to_ndarray: bool = False,
    is_testset: bool | None = None,
    seed: int = 0,
    mirror: Mirror = Mirror(),  # noqa: B008 - frozen
) -> Iterator[Document]:
    """Give questions, each with matches: first its answer, then the wrong answer, then answers to other questions.

    The file comes from the cache or is downloaded now. A Document holds its text as `text`, or as token ids in
    `tensor` with the text in tags['text'], because a Document of docarray has one content. Its id names the row and the
    column, also as a match. The token ids are those that the first Finetuner fed to small recurrent models: words are
    runs of letters, digits and underscores, without regard to case; every other character that is not white space is a
    word of its own. They are numbered through the whole file, from 1.

    Args:
        num_total: Documents to give, the first ones in the order of the file; None gives all.
        num_neg: Negative matches per Document. The wrong answer is always one, so 0 and 1 give the same; the others
            are drawn at random from the answers of the same part, never one that reads like the right answer, none
            twice.
        pos_value: `tags['finetuner']['label']` of the answer.
        neg_value: The same of the negatives.
        to_ndarray: Whether to give token ids instead of texts: 100, longer texts cut, shorter ones filled up with 0.
        is_testset: True gives the 1st, 3rd, 5th … row of the file, False the 2nd, 4th, 6th …, None both.
        seed: Equal seeds give equal matches.
        mirror: Where to take the file from.

    Raises:
        ConfigError: an option is out of range, or there are fewer rows than asked for.
        InputError: the file is damaged or another one.
        StorageError: it cannot be downloaded.
    """
    check_values(pos_value, neg_value)
    check_seed(seed)
    everything = read_covid_qa(mirror)
    rows = rows_of_part(everything, is_testset)
    total = check_num_total(num_total, len(rows), "this part of Covid QA")
    # The answers of a question's own texts are not drawn: at most two.
    most = len({row.answer for row in rows}) - 1
    check_range("num_neg", num_neg, 0, most, f"this part of Covid QA has {most + 1} different answers")
    vocabulary = _vocabulary(everything) if to_ndarray else None
    values = [pos_value, *[neg_value] * max(1, num_neg)]
    drawn = _draw(rows, total, num_neg - 1, np.random.default_rng(seed))
    return (_document(texts, values, vocabulary) for texts in drawn)


covid_qa_documents = collected(covid_qa)
"""The same Documents as one DocumentArray; the options are those of `covid_qa`."""


def read_covid_qa(mirror: Mirror) -> list[QuestionRow]:
    """Return the rows of Covid QA, downloaded if they are not in the cache.

    Raises:
        InputError: the file is no CSV file in UTF-8 with the three columns, or a cell is missing or blank.
        StorageError: it cannot be downloaded.
    """
    # No checksum of it was ever published; its columns and rows are checked instead.
    path = fetch_file(SOURCE, _FILE, "", mirror, _check_rows)
    return _read_rows(path, str(path), "Remove it to fetch it again.")


def rows_of_part(rows: list[QuestionRow], is_testset: bool | None) -> list[QuestionRow]:
    """Return the rows of a part, as Finetuner 0.4 divided them; None gives all.

    The test part is the 1st, 3rd, 5th … row, the training part the 2nd, 4th ….
    """
    return rows if is_testset is None else rows[0 if is_testset else 1 :: 2]


def write_covid_qa(output: Path, rows: Sequence[QuestionRow], name: str) -> Path:
    """Write a CSV file with the columns question, answer and wrong_answer, the texts as they are in the source.

    Args:
        output: Folder to make; it must not exist or be empty.
        rows: The rows.
        name: Name of the file.

    Returns:
        The CSV file.

    Raises:
        StorageError: the folder is not empty or cannot be written.
    """
    with new_folder(output) as folder, (folder / name).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["question", "answer", "wrong_answer"])
        writer.writerows([row.question, row.answer, row.wrong_answer] for row in rows)
    return output / name


def _check_rows(path: Path) -> None:
    # It does not have its name in the cache yet.
    _read_rows(path, _FILE, "It is cut short or another file; check the address.")


def _read_rows(path: Path, name: str, advice: str) -> list[QuestionRow]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            header, table = list(reader.fieldnames or ()), list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{name} is not a complete CSV file in UTF-8: {error}. {advice}") from error
    if any(header.count(column) != 1 for column in _COLUMNS):
        raise InputError(
            f"{name} starts with {excerpt(','.join(header))}; a header with question, answer and wrong_answer, each "
            f"once, is expected. {advice}"
        )
    if not table:
        raise InputError(f"{name} has a header and no rows. {advice}")
    for number, cells in enumerate(table, start=1):
        # csv gives None for a cell that is missing, and None as the name of those that are too many.
        if None in cells or any(not (cells[column] or "").strip() for column in _COLUMNS):
            raise InputError(
                f"Row {number} of {name} has more cells than the header, or none for question, answer or wrong_answer: "
                f"{excerpt(str(list(cells.values())))}. {advice}"
            )
    return [QuestionRow(number, *(cells[column] for column in _COLUMNS)) for number, cells in enumerate(table)]


def _token_ids(text: str, vocabulary: dict[str, int]) -> np.ndarray:
    """Return a text as the numbers of its words, int64 (_TOKENS,); words without one are left out."""
    numbers = [vocabulary[word] for word in _words(text) if word in vocabulary][:_TOKENS]
    return np.pad(np.array(numbers, np.int64), (0, _TOKENS - len(numbers)))


def _vocabulary(rows: list[QuestionRow]) -> dict[str, int]:
    """Number the words of the whole file as they come, so that its training and test parts agree."""
    vocabulary: dict[str, int] = {}
    for row in rows:
        for text in (row.question, row.answer, row.wrong_answer):
            for word in _words(text):
                vocabulary.setdefault(word, len(vocabulary) + 1)
    return vocabulary


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _draw(rows: list[QuestionRow], total: int, further: int, generator: np.random.Generator) -> Iterator[list[_Text]]:
    """Give, for each row, question, answer, wrong answer and further negatives."""
    answers: dict[str, QuestionRow] = {}
    for row in rows:
        answers.setdefault(row.answer, row)
    distinct = list(answers.values())
    for row in rows[:total]:
        texts = [
            (_id(row, "question"), row.question),
            (_id(row, "answer"), row.answer),
            (_id(row, "wrong-answer"), row.wrong_answer),
        ]
        if further > 0:
            # Two more than needed, because the row's own two answers may be among them.
            drawn = generator.choice(len(distinct), min(further + 2, len(distinct)), replace=False)
            others = [
                distinct[place] for place in drawn if distinct[place].answer not in (row.answer, row.wrong_answer)
            ]
            texts += [(_id(other, "answer"), other.answer) for other in others[:further]]
        yield texts


def _id(row: QuestionRow, column: str) -> str:
    return f"covid-qa-{row.number:04}-{column}"


def _document(texts: list[_Text], values: list[int], vocabulary: dict[str, int] | None) -> Document:
    document, *matches = (_bare(identifier, text, vocabulary) for identifier, text in texts)
    for match, value in zip(matches, values, strict=True):
        match.tags.update(match_tags(value))
        document.matches.append(match)
    return document


def _bare(identifier: str, text: str, vocabulary: dict[str, int] | None) -> Document:
    if vocabulary is None:
        return Document(id=identifier, modality="text", text=text)
    tensor = _token_ids(text, vocabulary)
    return Document(id=identifier, modality="text", tensor=tensor, tags={"text": text})
