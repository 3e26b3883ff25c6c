from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import pytest

from oomguardd.settings import Setting, nearest, setting, settings_of, toml_string
from oomguardd.units import Amount, choice, parse_amount, parse_duration_s, parse_rate_bytes_per_s


@dataclass(frozen=True, slots=True)
class Example:
    """One setting of each kind."""

    points: float = setting("-50", float, "Added to the badness.")
    spare_after_s: float = setting("1h", parse_duration_s, "Age.", low="1s", high="1d")
    count: int = setting("5", int, "How many.", low="1")
    enabled: bool = setting("true", bool, "Whether.")
    fill_rate_bytes_per_s: int | None = setting("auto", parse_rate_bytes_per_s, "Rate.", none="auto")
    least: Amount = setting("16M", parse_amount, "Size.")  # noqa: RUF009
    word: str = setting("a", choice("a", "b"), "Word.", high="b")
    seen: int = 0  # no setting

    name = "example"


ROWS = {row.key: row for row in settings_of(Example)}


def problem(row: Setting, raw: object) -> str:
    with pytest.raises(ValueError, match=r".* \(.*\)$") as caught:
        row.parse_toml(raw)
    return str(caught.value)


def test_the_defaults_are_parsed() -> None:
    assert Example() == Example(-50.0, 3600.0, 5, True, None, Amount(16 << 20, False), "a", 0)


def test_keys_are_field_names_without_their_units() -> None:
    assert [(row.key, row.field) for row in settings_of(Example)] == [
        ("points", "points"),
        ("spare_after", "spare_after_s"),
        ("count", "count"),
        ("enabled", "enabled"),
        ("fill_rate", "fill_rate_bytes_per_s"),
        ("least", "least"),
        ("word", "word"),
    ]


@pytest.mark.parametrize(
    ("key", "raw", "value"),
    [
        ("points", 5, 5.0),
        ("points", -0.5, -0.5),
        ("spare_after", "2m", 120.0),
        ("count", 7, 7),
        ("enabled", False, False),
        ("fill_rate", "auto", None),
        ("fill_rate", "6G/s", 6 << 30),
        ("least", "1%", Amount(1.0, True)),
        ("least", 0, Amount(0, False)),
        ("word", "b", "b"),
    ],
)
def test_values_as_the_toml_parser_gives_them(key: str, raw: object, value: object) -> None:
    assert ROWS[key].parse_toml(raw) == value


@pytest.mark.parametrize(
    ("key", "raw", "message"),
    [
        ("points", "5", '"5" is text (write it like -50.0)'),
        ("points", True, '"true" is not a number (write it like 1.5, without quotes)'),
        ("enabled", "true", '"true" is text (write it like true)'),
        ("enabled", 1, '"1" is neither true nor false (write true or false, without quotes)'),
        ("count", 5.0, '"5.0" is not a whole number (write it like 5, without quotes)'),
        ("count", True, '"true" is not a whole number (write it like 5, without quotes)'),
        ("count", 0, '"0" is out of range (write at least 1)'),
        ("spare_after", 5, '"5" is a duration without a unit (write "5s" if seconds are meant)'),
        ("spare_after", "2d", '"2d" is out of range (write something from 1s to 1d)'),
        (
            "spare_after",
            "off",
            '"off" is not a duration (write it like "1.5s", "200ms", "10m", "2h" or "7d")',
        ),
        ("spare_after", ["1h"], 'a list is not possible here (write it like "1h")'),
        ("spare_after", {}, 'a table is not possible here (write it like "1h")'),
        ("spare_after", date(2026, 1, 1), 'a date or time is not possible here (write it like "1h")'),
        ("fill_rate", 10, '"10" is a size without a unit (write it like "10M/s", or "auto")'),
        ("word", "c", '"c" is not one of the choices (write one of "a", "b")'),
    ],
)
def test_a_wrong_value_is_refused_with_the_remedy(key: str, raw: object, message: str) -> None:
    assert problem(ROWS[key], raw) == message


def test_a_range_that_is_open_below() -> None:
    row = ROWS["count"]._replace(low="", high="9")
    assert problem(row, 10) == '"10" is out of range (write at most 9)'


def test_values_are_written_as_they_are_read() -> None:
    written = {row.key: row.toml(getattr(Example(), row.field)) for row in settings_of(Example)}
    assert written == {
        "points": "-50.0",
        "spare_after": '"1h"',
        "count": "5",
        "enabled": "true",
        "fill_rate": '"auto"',
        "least": '"16M"',
        "word": '"a"',
    }
    assert ROWS["spare_after"].toml_default() == '"1h"'


def test_a_default_that_breaks_its_own_limits_is_found_at_import() -> None:
    with pytest.raises(ValueError, match="out of range"):
        setting("5s", parse_duration_s, "Broken.", high="1s")


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("pionts", "points"),
        ("point", "points"),
        ("Count", "count"),
        ("enable", "enabled"),
        ("spare_befor", ""),
        ("zzz", ""),
        ("x" * 100_000, ""),
    ],
)
def test_the_nearest_name_is_the_one_that_was_meant(word: str, meant: str) -> None:
    assert nearest(word, ROWS) == meant


def test_there_is_no_nearest_of_nothing() -> None:
    assert nearest("points", []) == ""


def test_toml_text_is_escaped() -> None:
    assert toml_string('a"b\\c\nd') == '"a\\"b\\\\c\\U0000000ad"'
