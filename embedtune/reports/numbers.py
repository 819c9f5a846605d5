"""How the pages write numbers: fixed decimals, a true minus sign, units set off by a space that does not break."""

MINUS = "\N{MINUS SIGN}"
SPACE = "\N{NO-BREAK SPACE}"


def score(value: float) -> str:
    """Write a metric or a similarity with three decimals, such as 0.746."""
    return f"{value:.3f}".replace("-", MINUS)


def exact(value: float) -> str:
    """Write a number for a script to read, such as -0.013400; -0 is none."""
    return f"{value:z.6f}"


def signed(value: float) -> str:
    """Write a difference with its sign, such as +0.134; only an exact zero has none."""
    if value == 0:
        return "0.000"
    return f"{value:+.3f}".replace("-", MINUS)


def count(value: int) -> str:
    """Write a number of things with thousands separated, such as 12,345."""
    return f"{value:,}".replace("-", MINUS)


def amount_of_bytes(value: int) -> str:
    """Write a number of bytes in the largest unit that leaves 1 or more, such as 64 KiB."""
    units = ("B", "KiB", "MiB", "GiB")
    exponent = min(max(value.bit_length() - 1, 0) // 10, len(units) - 1)
    return f"{round(value / 1024**exponent, 1):g}{SPACE}{units[exponent]}"


def percent(share: float) -> str:
    """Write a share of 0..1 in per cent with up to one decimal, such as 2.5 %; what is above 0 never reads as 0."""
    if 0 < share < 0.001:
        return f"<{SPACE}0.1{SPACE}%"
    return f"{round(share * 100, 1):g}{SPACE}%"


def compact(value: float) -> str:
    """Write a number of unknown size with four significant digits, such as 0.4312, or 2e-05 as one would type it."""
    sign = MINUS if value < 0 else ""
    return f"{sign}{abs(value):.4g}"


def duration(seconds: float) -> str:
    """Write a time span in its two largest units, such as 3 min 12 s."""
    if seconds < 10:
        return f"{seconds:.1f}{SPACE}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes == 0:
        return f"{rest}{SPACE}s"
    hours, minutes = divmod(minutes, 60)
    if hours == 0:
        return f"{minutes}{SPACE}min {rest}{SPACE}s"
    return f"{hours}{SPACE}h {minutes}{SPACE}min"
