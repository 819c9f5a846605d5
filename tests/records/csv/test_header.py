import pytest

from embedtune.errors import InputError
from embedtune.records.csv.header import Head, detect_header, find_head

LABELS = ["late", "broken", "refund"]
TICKETS = [[f"my parcel {i} is late", LABELS[i % 3]] for i in range(60)]
FAQ = [[f"How do I mend my lamp no. {i}?", f"Open the case of lamp {i} and turn the screw."] for i in range(60)]
SCORED = [[f"a man {i} runs", f"a man {i} is sitting", f"0.{i % 10}"] for i in range(60)]
MATCHES = [[*row, f"Close the lid of pot {i} for some minutes."] for i, row in enumerate(FAQ)]


def head_of(first, rows, **options):
    return find_head([list(first), *rows], options.pop("header", "auto"), **options)


@pytest.mark.parametrize(
    "names",
    [
        "text|label", "Label|TEXT", "Produkttitel|Warengruppe", "text|label (intent)", "Question?|Answer",
        "Customer question (verbatim)|Our answer", "Query:|Document:", "what the customer wrote|which team answers it",
        "text|2024 label", "N°|#", "2023|topic", "💬|🏷", "text|label, final", "text|label\nfinal", "text*|Q&A category",
        "text|agent's label", "text|", "|Betreff", "text|text", "Zgłoszenie|Dział", "客户来信|处理部门",
        "utterance_de|intentName",
        "t.text|t.label", "subject|queue", "How can we help you?|Which team shall help?",
    ],
)  # fmt: skip
def test_names_in_any_form_over_texts_and_labels(names):
    first = names.split("|")
    assert head_of(first, TICKETS).names == tuple(first)
    assert head_of(first, FAQ).names == tuple(first)
    assert head_of([*first, "note"], SCORED).names == (*first, "note")
    assert head_of([*first, "Falsch"], MATCHES).names == (*first, "Falsch")


@pytest.mark.parametrize("rows", [TICKETS, FAQ, SCORED, MATCHES, [row[:1] for row in FAQ]])
def test_no_row_of_data_is_a_header_or_asked_about(rows):
    for number, row in enumerate(rows):
        assert head_of(row, rows[:number] + rows[number + 1 :]) == Head()


@pytest.mark.parametrize(
    ("first", "rows"),
    [
        (["Hello", "late"], TICKETS),
        (["text", "late"], TICKETS),
        (["Hello", "question"], [["Why", "question"], ["Go", "statement"]]),
        (["Where is it?", "17"], [["Wo ist es?", "17"], ["Wann kommt es?", "17"], ["Warum?", "18"]]),
        (["hut", "d.jpg"], [["a red shoe", "a.jpg"], ["a hat", "b.jpg"], ["a coat", "c.png"]]),
        (["photo", "noun"], [["run", "verb"]]),
        (["second", "Zweite"], [["third", "Dritte"]]),
        (["nan", "late"], TICKETS),
        (["x", "5"], [[f"my parcel {i}", str(i)] for i in range(60)]),
    ],
)
def test_first_rows_that_are_data(first, rows):
    assert head_of(first, rows) == Head()


@pytest.mark.parametrize(
    ("first", "rows"),
    [
        (["meldung", "nummer"], [["Wo ist es?", "17"], ["Wann kommt es?", "17"], ["Warum?", "18"]]),
        (["was", "datei"], [["a red shoe", "a.jpg"], ["a hat", "b.jpg"], ["a coat", "c.png"]]),
        (["text", "2024"], [[f"my parcel {i}", str(i % 2)] for i in range(60)]),
        (["photo", "description"], [["a.jpg", "a shoe"]]),
        (["this", "that", "score"], [["a", "b", "1"]]),
        (["text", "label"], [["what is a text", "noun"], ["text", "noun"], ["run", "verb"]]),
    ],
)
def test_names_over_values_of_another_kind(first, rows):
    assert head_of(first, rows).names == tuple(first)


def test_what_is_likely_is_told():
    assert "'Hello,greeting', was taken for names" in head_of(["Hello", "greeting"], TICKETS[:12]).warning
    assert head_of(["Betreff"], TICKETS[:12] and [row[:1] for row in FAQ[:12]]) == Head(
        warning="The first row, 'Betreff', was taken for data. Set the CSV option `header` to 'yes' if it is a name."
    )
    assert head_of(["Betreff"], [[f"{row[0]} {row[1]}"] for row in FAQ * 2]).names == ("Betreff",)


def test_long_questions_above_labels_are_no_row_of_data():
    first = ["1. Please tell us in your own words what went wrong (required)", "2. Which of our teams should answer?"]
    assert head_of(first, TICKETS).names == tuple(first)
    with pytest.raises(InputError, match="holds names of the columns or data"):
        head_of(first, FAQ)
    assert head_of(["2. What do I do if the lamp 3 is broken?", "Write to us, and send the bill."], FAQ) == Head()


def test_what_is_even_is_asked():
    with pytest.raises(InputError, match=r"the first row, 'Betreff,Bereich', holds names.*`header` to 'yes' or 'no'"):
        head_of(["Betreff", "Bereich"], FAQ[:3])
    assert head_of(["Betreff", "Bereich"], FAQ[:3], header="yes").names == ("Betreff", "Bereich")
    assert head_of(["Betreff", "Bereich"], FAQ[:3], header="no") == Head()
    assert head_of(["Betreff", "Bereich"], FAQ[:3], chosen=("Bereich", "Betreff")).names == ("Betreff", "Bereich")


def test_a_single_column():
    assert detect_header([["Review"], *([row[0]] for row in FAQ)])
    assert head_of(["Review"], [["price"], ["returns"]]).names == ("Review",)
    assert head_of(["Review"], [["price"], ["Review"]]).names == ()
    again = head_of(["Betreff"], [*([row[0]] for row in FAQ), ["Betreff"]])
    assert (again.names, "'Betreff', was taken for data" in again.warning) == ((), True)
    assert head_of([FAQ[0][0]], [[row[0]] for row in FAQ]) == Head()
    assert head_of(["label"], [["price"]]) == Head()


def test_a_header_that_comes_again_is_a_header():
    names = ["Produkttitel", "Warengruppe"]
    assert head_of(names, [*TICKETS[:30], names, *TICKETS[30:]]).names == tuple(names)
    assert head_of(TICKETS[0], TICKETS[:2] * 30) == Head()


def test_names_of_rows_as_r_writes_them():
    keyed = [[str(number), *row] for number, row in enumerate(TICKETS, 1)]
    assert head_of(["text", "label"], keyed).names == ("", "text", "label")
    assert head_of(["Produkttitel", "Warengruppe"], keyed).names == ("", "Produkttitel", "Warengruppe")
    assert head_of(["text"], [row[:2] for row in keyed]).names == ("", "text")
    assert head_of(["Tickets", "all of them"], [["Anliegen", "Bereich"], *keyed]) == Head()
    unquoted = [["I wait", f"since day {i}", "late"] for i in range(60)]
    assert head_of(["text", "label"], unquoted).names == ("text", "label")


@pytest.mark.parametrize(
    "second", [["free text", "category"], ["(string)", "(class)"], ["Open-Ended Response", "Response"], ["---", "---"]]
)
def test_a_second_row_of_names(second):
    found = head_of(["text", "label"], [second, *TICKETS])
    assert (found.names, found.more) == (("text", "label"), (tuple(second),))
    assert ("set aside as a second row of names. Set" in found.warning) == (second[0] != "---")
    told = head_of(["text", "label"], [second, *TICKETS], header="yes")
    assert (told.more == (), "below the header" in told.warning) == (second[0] != "---", second[0] != "---")


def test_several_rows_of_names():
    more = (("What do you want?", "Which kind is it?"), ('{"ImportId":"Q1"}', '{"ImportId":"Q2"}'))
    assert head_of(["Q1", "Q2"], [*map(list, more), *TICKETS]).more == more


@pytest.mark.parametrize(
    "above",
    [[["Export"]], [["# made by us"], ["# today"]], [["Export", "March 2024"]], [["Export of today", ""], [""]]],
)
@pytest.mark.parametrize("names", [["text", "label"], ["Zgłoszenie", "Dział"]])
def test_lines_above_the_header(above, names):
    records = [*above, names, *TICKETS]
    if above == [["Export", "March 2024"]] and names[0] != "text":
        assert find_head(records, "auto").more == (tuple(names),)
        return
    with pytest.raises(InputError, match=rf"{names[0]}, {names[1]}\) seems to be row {len(above) + 1}, below"):
        find_head(records, "auto")
