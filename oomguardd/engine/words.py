"""Figures and names as words; what `explain` is built from.

Everything in a record that a process can choose (its name, its cgroup's name) passes `safe`, so
that no newline, escape sequence or invalid UTF-8 of its can look like a line of ours.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

LONGEST_TEXT = 400
"""Characters of one text of a record that are shown. Names of processes have 15, of cgroups 255 a level."""

LONGEST_PATH = 90
"""Characters of a cgroup's path in a sentence; its end tells more than its beginning."""

_SIZES = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def safe(text: object, longest: int = LONGEST_TEXT) -> str:
    """The text with everything that is not printable escaped, cut at `longest` characters."""
    try:
        whole = str(text)
    except ValueError:  # an integer of more digits than Python likes to print
        whole = "an absurd number"
    cut = whole[:longest]
    if not cut.isprintable() or "\\" in cut:
        cut = "".join(map(_escape, cut))
    return cut if len(whole) <= longest else cut + "…"


def _escape(char: str) -> str:
    if char == "\\":
        return "\\\\"
    if char.isprintable():
        return char
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that was no UTF-8, see PEP 383
        return f"\\x{code - 0xDC00:02x}"
    if code <= 0xFF:
        return {"\n": "\\n", "\t": "\\t", "\r": "\\r"}.get(char, f"\\x{code:02x}")
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


class Fields:
    """A typed look at a record that nobody vouches for: a field of the wrong type reads as absent."""

    __slots__ = ("raw",)

    def __init__(self, raw: object) -> None:
        self.raw: Mapping[object, object] = raw if isinstance(raw, Mapping) else {}

    def text(self, key: str, default: str = "?") -> str:
        """The field, safe to print; numbers too. `default` when it is absent, null or empty."""
        value = self.raw.get(key)
        return safe(value) if isinstance(value, (str, int, float)) and value != "" else default

    def number(self, key: str) -> float | None:
        return as_number(self.raw.get(key))

    def flag(self, key: str) -> bool:
        """Whether the field is there and true."""
        return self.raw.get(key) is True

    def fields(self, key: str) -> Fields:
        return Fields(self.raw.get(key))

    def each(self, key: str) -> Sequence[object]:
        value = self.raw.get(key)
        return value if isinstance(value, (list, tuple)) else ()

    def texts(self, key: str) -> list[str]:
        return [safe(item) for item in self.each(key)]

    def numbers(self) -> dict[str, float]:
        """All fields that are numbers, by their safe names, in their order."""
        found = ((safe(key), as_number(value)) for key, value in self.raw.items())
        return {key: value for key, value in found if value is not None}


def as_number(value: object) -> float | None:
    """The value when it is a finite number, otherwise None."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def size(value: float | None) -> str:
    """Bytes as `812 MiB`, three digits; `?` when unknown."""
    if value is None:
        return "?"
    amount, unit = float(value), 0
    while abs(amount) >= 1000 and unit < len(_SIZES) - 1:
        amount, unit = amount / 1024, unit + 1
    return f"{digits(amount)} {_SIZES[unit]}"


def digits(value: float | None) -> str:
    """About three significant digits, never an exponent: `0.5`, `8.7`, `87.3`, `873`, `12345`."""
    if value is None:
        return "?"
    places = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    text = f"{value:.{places}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def percent(value: float | None) -> str:
    """`8.7%`; one decimal, none when it is zero."""
    return "?" if value is None else f"{digits(round(value, 1))}%"


def count(value: float | None) -> str:
    return "?" if value is None else f"{value:.0f}"


def counted(value: float | None, one: str) -> str:
    """`1 process`, `2 processes`: the number with its noun, given in the singular."""
    many = one + ("es" if one.endswith("s") else "s")
    return f"{count(value)} {one if value == 1 else many}"


def duration(value: float | None) -> str:
    """Seconds as `0.42 ms`, `8.1 ms`, `1.5 s`, `12 min`, `3.5 h` or `2 d`."""
    if value is None:
        return "?"
    if abs(value) < 1:
        return f"{digits(value * 1000)} ms"
    for longer, unit_s, unit in ((86400, 86400, "d"), (3600, 3600, "h"), (120, 60, "min")):
        if abs(value) >= longer:
            return f"{digits(value / unit_s)} {unit}"
    return f"{digits(value)} s"


def path(value: str) -> str:
    """A cgroup's path, safe already, its end kept when it is long."""
    return value if len(value) <= LONGEST_PATH else "…" + value[1 - LONGEST_PATH :]


def who(process: Fields) -> str:
    """`python3[1234]`."""
    return f"{process.text('comm')}[{process.text('pid')}]"


def listed(words: Sequence[str], most: int) -> str:
    """`a, b, c and 4 more`."""
    rest = len(words) - most
    return ", ".join(words[:most]) + (f" and {rest} more" if rest > 0 else "")


def table(rows: Iterable[Sequence[str]], left: Sequence[int] = ()) -> list[str]:
    """The rows as lines of aligned columns, two blanks apart.

    Numbers are read from the right, so columns are aligned there, except those in `left`.
    """
    cells = [[str(cell) for cell in row] for row in rows]
    columns = max(map(len, cells), default=0)
    widths = [max(len(row[at]) for row in cells if at < len(row)) for at in range(columns)]
    lines = (
        "  ".join(
            cell.ljust(widths[at]) if at in left else cell.rjust(widths[at]) for at, cell in enumerate(row)
        )
        for row in cells
    )
    return [line.rstrip() for line in lines]
