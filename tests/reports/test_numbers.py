"""How numbers are written."""

import pytest

from embedtune.reports import numbers


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.1337, "+0.134"), (-0.0219, "−0.022"), (0.0, "0.000"), (0.0001, "+0.000"), (-0.0001, "−0.000")],
)
def test_differences_have_a_sign(value: float, text: str) -> None:
    assert numbers.signed(value) == text


def test_scores_have_three_decimals_and_a_true_minus() -> None:
    assert (numbers.score(0.74612), numbers.score(1.0), numbers.score(-0.5)) == ("0.746", "1.000", "−0.500")


def test_counts_have_thousands_set_apart() -> None:
    assert (numbers.count(0), numbers.count(999), numbers.count(1234567)) == ("0", "999", "1,234,567")


@pytest.mark.parametrize(
    ("share", "text"), [(0.95, "95\u00a0%"), (0.975, "97.5\u00a0%"), (0.0, "0\u00a0%"), (0.0002, "<\u00a00.1\u00a0%")]
)
def test_shares_are_per_cent(share: float, text: str) -> None:
    assert numbers.percent(share) == text


def test_numbers_of_unknown_size_are_short() -> None:
    assert [numbers.compact(v) for v in (2e-5, 0.43121, 3.0, -12.5)] == ["2e-05", "0.4312", "3", "−12.5"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0.0 s"),
        (9.94, "9.9 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (192.4, "3 min 12 s"),
        (7260.0, "2 h 1 min"),
    ],
)
def test_durations_use_two_units(seconds: float, text: str) -> None:
    assert numbers.duration(seconds).replace("\u00a0", " ") == text


def test_a_script_reads_six_decimals_and_no_zero_below_zero() -> None:
    assert [numbers.exact(value) for value in (0.5, -0.0134, -0.0, -1e-9)] == [
        "0.500000",
        "-0.013400",
        "0.000000",
        "0.000000",
    ]
