import pytest

from embedtune.text import stripped


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "\t\r\n", "\u00a0", "\u200b", "\ufeff", "\u2060", "\u00ad", "\u2800", "\u3164", "\uffa0", "\u115f",
        "\u034f",
        "\ufe0f", "\U000e0100", "\U000e0020", "\u202e", "\u2028", "\x00", "\x1a", "\u180e", " \u200b\u00a0\ufeff ",
    ],
)  # fmt: skip
def test_what_nobody_can_see_is_empty(text):
    assert stripped(text) == ""


@pytest.mark.parametrize(
    "text", ["a", "文", "\u0301", "⚽\ufe0f", "👩\u200d👩\u200d👧", "\ufffd", "\U0001faf8", "-", "."]
)
def test_what_can_be_seen_stays_as_it_is(text):
    assert stripped(f" {text}\n") == text


def test_unseen_signs_beside_others_stay():
    assert stripped(" a\u200b\n") == "a\u200b"
