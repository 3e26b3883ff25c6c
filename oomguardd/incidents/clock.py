"""Times as words. Rule of this file: the calendar is computed: no zone, no locale, no clock is asked."""

from __future__ import annotations

_DAY_S = 86400
_LATEST_S = 253402300799
"""The last second of the year 9999."""


def utc(time_s: float) -> str:
    """`2026-11-23 14:30:12 UTC` of a time since the epoch; `an unknown time` of what is none."""
    parts = _parts(time_s)
    return f"{parts[0]} {parts[1]} UTC" if parts else "an unknown time"


def iso(time_s: float) -> str:
    """`2026-11-23T14:30:12Z`, for machines; empty for what is no time."""
    parts = _parts(time_s)
    return f"{parts[0]}T{parts[1]}Z" if parts else ""


def offset(seconds: float) -> str:
    """`-12.4 s`, `+0.31 s`, `0 s`: from the kill, with a true minus sign."""
    size = abs(seconds)
    figure = f"{size:.2f}" if size < 1 else f"{size:.1f}" if size < 20 else f"{size:.0f}"
    figure = figure.rstrip("0").rstrip(".") if "." in figure else figure
    sign = "" if figure == "0" else "+" if seconds > 0 else "\N{MINUS SIGN}"
    return f"{sign}{figure} s"


def _parts(time_s: float) -> tuple[str, str] | None:
    if not 0 <= time_s <= _LATEST_S:  # refuses nan as well
        return None
    days, second = divmod(int(time_s), _DAY_S)
    year, month, day = _civil(days)
    clock = f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
    return f"{year:04}-{month:02}-{day:02}", clock


def _civil(days: int) -> tuple[int, int, int]:
    """Days since 1970-01-01 as a date, counted in eras of 400 years that begin on a first of March: then the
    leap day is the last one of its year."""
    era, day_of_era = divmod(days + 719468, 146097)
    year = (day_of_era - day_of_era // 1460 + day_of_era // 36524 - day_of_era // 146096) // 365
    day_of_year = day_of_era - (365 * year + year // 4 - year // 100)
    shifted = (5 * day_of_year + 2) // 153
    month = shifted + 3 if shifted < 10 else shifted - 9
    return year + era * 400 + (month <= 2), month, day_of_year - (153 * shifted + 2) // 5 + 1
