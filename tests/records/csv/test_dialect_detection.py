import csv
import io

import pytest

from embedtune.errors import InputError
from embedtune.records.csv.dialect_detection import choose_dialect, detect_dialect
from embedtune.records.csv.reader import FIELD_LIMIT, Dialect, Straightener, parse_lines, parse_sample


def table(rows: list[tuple[str, str]], delimiter: str) -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter).writerows(rows)
    return text.getvalue()


@pytest.mark.parametrize(
    ("delimiter", "name"), [(",", "excel"), (";", "semicolon"), ("\t", "excel-tab"), ("|", "pipe")]
)
def test_each_delimiter_is_found_in_sentences_with_all_the_others(delimiter, name):
    others = [char for char in ",;\t|" if char != delimiter]
    rows = [("A plain sentence" + others[i % 3] * (i % 4) + " with signs.", f"label {i % 3}") for i in range(30)]
    assert detect_dialect(table(rows, delimiter)) == Dialect(name)


def test_a_blank_is_never_taken_for_a_delimiter():
    assert detect_dialect("How do I bake bread,1\nWhere can I bake bread,1\nWhat is a loaf,2\n").delimiter == ","


def test_tab_wins_where_every_text_also_has_one_comma():
    assert detect_dialect("Hello, you\tgreeting\nBye, you\tfarewell\n").name == "excel-tab"


def test_a_known_header_decides():
    assert detect_dialect("text,label\na; b,x\nc; d,y\ne; f,x\n").name == "excel"


def test_blanks_before_an_opening_quote():
    dialect = detect_dialect('"If we order, pizza", "I want, pizza"\n"If you go, wait", "Aren\'t I?"\n')
    assert dialect == Dialect("excel", skip_blanks=True)
    assert parse_sample('"a, b", "c, ""d"""\n', dialect) == [["a, b", 'c, "d"']]


def test_blanks_after_the_delimiter_alone_need_nothing():
    assert detect_dialect("Hello!, greeting\nBye., farewell\n") == Dialect("excel")


def test_stray_quotes_in_an_unquoted_tab_file_are_characters():
    text = '"A man" is riding\tsport\n6" pipe\ttools\n"Dogs" run\tanimals\nCats\tanimals\n'
    dialect = detect_dialect(text)
    assert dialect == Dialect("excel-tab", quoting=False)
    assert parse_sample(text, dialect)[0] == ['"A man" is riding', "sport"]


def test_one_malformed_row_does_not_switch_quoting_off():
    rows = "".join(f'"text, number {i}","label"\n' for i in range(40))
    assert detect_dialect(rows + '"he said "hi" to me","label"\n') == Dialect("excel")


def test_quoted_line_ends_do_not_count_as_rows():
    assert detect_dialect('"one\ntwo; three\nfour";a\n"five\n\nsix";b\n').name == "semicolon"


def test_commas_outside_quotes_leave_the_comma_the_best_candidate():
    rows = "".join(f"a sentence number {i},label\n" for i in range(20))
    assert detect_dialect(rows + "a text with, comma,label\n").name == "excel"


def test_one_column_is_refused():
    with pytest.raises(InputError, match=r"one column.*'Just a sentence"):
        detect_dialect("Just a sentence here\nand another one\nand, well, a third\n" * 3)


def test_field_limit_is_restored():
    before = csv.field_size_limit()
    records = parse_lines(["a,b\n", "c,d\n"], Dialect("excel"))
    assert next(records) == (["a", "b"], 1)
    assert csv.field_size_limit() == FIELD_LIMIT
    records.close()
    assert csv.field_size_limit() == before


CURLY = '“If we’re early, wait”, “I’d wait”, 0.8\n“Go, “now” or never”,“He said "go"”,1\nplain, “the “end””  ,0\n'


def test_typographic_quotes_around_values():
    dialect = detect_dialect(CURLY)
    assert dialect == Dialect("excel", typographic=True)
    assert parse_sample(CURLY, dialect) == [
        ["If we’re early, wait", "I’d wait", "0.8"],
        ["Go, “now” or never", 'He said "go"', "1"],
        ["plain", "the “end”", "0"],
    ]


def test_typographic_quotes_that_are_characters():
    for text in ("“To be” he said,x\n“Or not” is it,y\n", "a,x\nb,x\n“c”,y\n", '"“a”",x\n"“b”",y\n'):
        assert not detect_dialect(text).typographic
    mixed = '"a, “b”, c",“d, e”\n"two\n“x”, lines",“f”\n'
    assert parse_sample(mixed, Dialect("excel", typographic=True)) == [
        ["a, “b”, c", "d, e"],
        ["two\n“x”, lines", "“f”"],  # on a line within a record nothing is rewritten
    ]


def test_straightening_takes_linear_time():
    line = ",“" * 200_000 + "”x"
    assert Straightener(",")(line) == line
    line = '"' * 400_001 + ",“a”"
    assert len(Straightener(",")(line)) >= len(line)


def test_blanks_before_quotes_under_a_named_dialect():
    text = '"a, b", "c, d"\n"e", "f"\n'
    assert choose_dialect(text, "excel") == Dialect("excel", skip_blanks=True)
    assert choose_dialect('"a","b"\n', "unix") == Dialect("unix")


def test_quotes_that_fit_beat_a_rarer_delimiter_inside_them():
    assert detect_dialect('"a;b","c;d"\n"e;f","g;h"\n') == Dialect("excel")


def test_three_rows_show_that_something_else_divides_them():
    with pytest.raises(InputError, match=r"Nearly every row is divided by '\^', which is not looked for"):
        detect_dialect("a^b\nc^d\ne^f\n", least_columns=1)
    assert detect_dialect("a^b\nc^d\n", least_columns=1) == Dialect("lines")


def test_the_sign_with_which_dos_ends_a_file_is_no_record():
    assert parse_sample("a,b\n\x1a\nc,d\x1a", Dialect("excel")) == [["a", "b"], ["c", "d"]]
    assert parse_sample('a,"b\n\x1a\nc"\n', Dialect("excel")) == [["a", "b\n\x1a\nc"]]
