"""Quantities as people write them: "512M", "1.5s", "10%". Text to value, and back without loss.

Every `parse_` takes text and raises ValueError, whose message says what is wrong and, in
parentheses, how to write it: it is shown to the administrator as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, NoReturn

_DIGITS = "0123456789."
_MAX_DIGITS = 20  # longer numbers only occur by mistake, and would overflow on their way to an int
_SIZES = {"B": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40, "P": 1 << 50}
_MAX_BYTES = 1 << 62
_DURATIONS = {"ms": 1e-3, "s": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_MAX_DURATION_S = 3650 * 86400.0
_DECIMALS = 9  # of seconds and percent: finer than anything measured, coarse enough to print exactly


class Amount(NamedTuple):
    """A size in bytes or, if `relative`, a percentage of a total that is known only later."""

    number: float
    relative: bool

    def of_bytes(self, total_bytes: int) -> int:
        return int(total_bytes * self.number / 100 if self.relative else self.number)


def printable(text: str) -> str:
    """`text` on one line, with everything escaped that could confuse a terminal or a log."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def quote(text: str) -> str:
    """For messages: in quotes, printable, and short even if the text is not."""
    return f'"{printable(text if len(text) <= 60 else text[:57] + "...")}"'


def parse_size(text: str) -> int:
    """Bytes of "512M", "4G", "1.5 GiB" or a bare "4096". K, M, G, T, P are powers of 1024."""
    example = 'write it like "512M" or "1.5G"'
    number, unit = _split(text, "size", example)
    letter = unit.upper().removesuffix("IB") if len(unit) == 3 else unit.upper()
    if len(letter) == 2 and letter[0] in _SIZES and letter[1] == "B":
        _fail(text, "ambiguous", f'write "{number}{letter[0]}": sizes are powers of 1024')
    if letter not in _SIZES and letter:
        _fail(text, "not a size", example)
    factor = _SIZES.get(letter, 1)
    size_bytes = int(number) * factor if number.isdecimal() else round(float(number) * factor)
    if size_bytes > _MAX_BYTES:
        _fail(text, "too large for a size", example)
    return size_bytes


def parse_rate_bytes_per_s(text: str) -> int:
    """Bytes per second of "10M/s" or "10M"; the unit is required."""
    return _size_with_unit(text.strip().removesuffix("/s"), text, 'write it like "10M/s"')


def parse_amount(text: str) -> Amount:
    """A size with its unit, or a percentage: "16M", "1%", "0"."""
    if text.rstrip().endswith("%"):
        return Amount(parse_percent(text), relative=True)
    return Amount(_size_with_unit(text, text, 'write it like "16M" or "1%"'), relative=False)


def parse_duration_s(text: str) -> float:
    """Seconds of "200ms", "1.5s", "10m", "2h" or "1d"; the unit is required, except for 0."""
    example = 'write it like "1.5s", "200ms", "10m", "2h" or "7d"'
    number, unit = _split(text, "duration", example)
    if not unit and float(number) != 0:
        _fail(text, "a duration without a unit", f'write "{number}s" if seconds are meant')
    if unit and unit not in _DURATIONS:
        _fail(text, "not a duration", example)
    duration_s = round(float(number) * _DURATIONS.get(unit, 1.0), _DECIMALS)
    if duration_s > _MAX_DURATION_S:
        _fail(text, "too long", 'at most "3650d"')
    return duration_s


def parse_percent(text: str) -> float:
    """10.0 of "10%"; from 0 to 100."""
    example = 'write it like "10%"'
    number, unit = _split(text, "percentage", example)
    if unit != "%":
        _fail(text, "not a percentage", example)
    percent = round(float(number), _DECIMALS)
    if percent > 100:
        _fail(text, "more than 100%", example)
    return percent


def parse_bool(text: str) -> bool:
    if text not in ("true", "false"):
        _fail(text, "neither true nor false", "write true or false, without quotes")
    return text == "true"


def parse_int(text: str) -> int:
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= _MAX_DIGITS):
        _fail(text, "not a whole number", "write it like 5, without quotes")
    return int(text)


def parse_float(text: str) -> float:
    example = "write it like 1.5, without quotes"
    try:
        number = float(text)
    except ValueError:
        _fail(text, "not a number", example)
    if not abs(number) < 1e18:  # refuses nan as well
        _fail(text, "not a usable number", example)
    return number


def parse_number(text: str) -> float:
    """100.0 of "100" or "100.0": not negative, and without a unit."""
    example = 'write it like "100"'
    number, unit = _split(text, "number", example)
    if unit:
        _fail(text, "not a plain number", example)
    return float(number)


def parse_path(text: str) -> str:
    """An absolute path."""
    if not text.startswith("/") or "\0" in text:
        _fail(text, "not an absolute path", 'it has to begin with "/"')
    return text


def choice(*words: str) -> Callable[[str], str]:
    """A parser that accepts one of `words`."""

    def parse_choice(text: str) -> str:
        if text not in words:
            _fail(text, "not one of the choices", "write one of " + ", ".join(f'"{word}"' for word in words))
        return text

    return parse_choice


def format_size(size_bytes: float) -> str:
    """The shortest spelling without loss: parse_size() gives the same bytes again."""
    whole = int(size_bytes)
    for letter in "PTGMK":
        if whole and whole % _SIZES[letter] == 0:
            return f"{whole // _SIZES[letter]}{letter}"
    return f"{whole}B" if whole else "0"


def format_rate(bytes_per_s: float) -> str:
    """As format_size(), for parse_rate_bytes_per_s()."""
    return f"{format_size(bytes_per_s)}/s"


def format_amount(amount: Amount) -> str:
    return format_percent(amount.number) if amount.relative else format_size(amount.number)


def format_duration(duration_s: float) -> str:
    """The shortest spelling without loss: parse_duration_s() gives the same seconds again."""
    for unit in ("d", "h", "m"):
        if duration_s and duration_s % _DURATIONS[unit] == 0:
            return f"{int(duration_s / _DURATIONS[unit])}{unit}"
    if 0 < duration_s < 1 and round(duration_s * 1000) / 1000 == duration_s:
        return f"{round(duration_s * 1000)}ms"
    return f"{_decimal(duration_s)}s"


def format_percent(percent: float) -> str:
    """Without loss: parse_percent() gives the same number again."""
    return f"{_decimal(percent)}%"


def format_bytes(size_bytes: float) -> str:
    """For log lines, rounded: "1.4 GiB", "512 MiB"."""
    for letter in "PTGMK":
        if abs(size_bytes) >= _SIZES[letter]:
            decimals = 1 if letter in "PTG" else 0
            return f"{size_bytes / _SIZES[letter]:.{decimals}f} {letter}iB"
    return f"{size_bytes:.0f} B"


def _fail(text: str, what: str, remedy: str) -> NoReturn:
    raise ValueError(f"{quote(text)} is {what} ({remedy})")


def _split(text: str, noun: str, example: str) -> tuple[str, str]:
    """ "1.5 GiB" -> ("1.5", "GiB"). The number is one that float() takes; the unit may be anything."""
    stripped = text.strip()
    unit = stripped.lstrip(_DIGITS)
    number = stripped[: len(stripped) - len(unit)]
    if not number.strip(".") or number.count(".") > 1 or len(number) > _MAX_DIGITS:
        _fail(text, f"not a {noun}", example)
    return number, unit.strip()


def _size_with_unit(size: str, text: str, example: str) -> int:
    number, unit = _split(size, "size", example)
    if not unit and float(number) != 0:
        _fail(text, "a size without a unit", example)
    return parse_size(size)


def _decimal(number: float) -> str:
    """Never in exponents, which nobody writes and the parsers do not take."""
    return f"{number:.{_DECIMALS}f}".rstrip("0").rstrip(".")
