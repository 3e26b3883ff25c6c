"""What a setting is: a dataclass field that knows its default, its parser, its limits and its help.

    @dataclass(frozen=True, slots=True)
    class AgePolicy:
        spare_after_s: float = setting("1h", parse_duration_s, "Age from which a process is spared")

The fields of a section are its settings, and settings_of() makes rows of them. The same rows parse
the configuration files, word the errors, and write the shipped file and `--check-config`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import field, fields
from typing import Any, NamedTuple

from oomguardd.units import (
    format_amount,
    format_duration,
    format_percent,
    format_rate,
    format_size,
    parse_amount,
    parse_bool,
    parse_duration_s,
    parse_float,
    parse_int,
    parse_percent,
    parse_rate_bytes_per_s,
    parse_size,
    quote,
)

_PARSERS: dict[Callable[[str], Any], Callable[[str], Any]] = {
    bool: parse_bool,
    int: parse_int,
    float: parse_float,
}
"""Built-in types may be given as parsers; these have the better messages."""

_NATIVE = {parse_bool, parse_int, parse_float}
"""Parsers of what TOML writes without quotes."""

_FORMATS: dict[Callable[[str], Any], Callable[[Any], str]] = {
    parse_amount: format_amount,
    parse_bool: lambda value: str(value).lower(),
    parse_duration_s: format_duration,
    parse_float: repr,
    parse_int: str,
    parse_percent: format_percent,
    parse_rate_bytes_per_s: format_rate,
    parse_size: format_size,
}
"""How a parsed value is written again; what is not here is a str already."""

_TYPE_NAMES = {
    dict: "a table",
    list: "a list",
    str: "text",
    bool: "true or false",
    int: "a number",
    float: "a number",
}

_UNIT_SUFFIXES = ("_bytes_per_s", "_bytes", "_pct", "_s")
"""A field's name ends in its unit; a file says the unit in the value instead."""


class Setting(NamedTuple):
    """One row: everything that is known about one setting."""

    field: str
    """The dataclass field's name."""
    key: str
    """The name in the configuration: the field's without its unit."""
    default: str
    parse: Callable[[str], Any]
    help: str
    low: str
    """The least that is allowed, as text; empty if there is no limit."""
    high: str
    none: str
    """The word that stands for None ("off", "auto"); empty if None is not possible."""

    def parse_text(self, text: str) -> Any:
        """The value; ValueError with the remedy if it is no such thing or out of range."""
        if self.none and text == self.none:
            return None
        try:
            value = self.parse(text)
        except ValueError as error:
            raise ValueError(self._or_none(str(error))) from None
        if (self.low and value < self.parse(self.low)) or (self.high and value > self.parse(self.high)):
            raise ValueError(self._or_none(f"{quote(text)} is out of range (write {self._range()})"))
        return value

    def parse_toml(self, raw: object) -> Any:
        """As parse_text(), of a value as the TOML parser gives it: the type has to be right, too."""
        native = self.parse in _NATIVE
        if native and isinstance(raw, str) and raw != self.none:
            raise ValueError(f"{quote(raw)} is text (write it like {self.toml(self.parse(self.default))})")
        if not isinstance(raw, str | bool | int | float):
            raise ValueError(f"{type_name(raw)} is not possible here (write it like {self.toml_default()})")
        return self.parse_text(raw if isinstance(raw, str) else toml_scalar_text(raw))

    def toml(self, value: Any) -> str:
        """`value` as it is written in a TOML file."""
        if value is None:
            return toml_string(self.none)
        text = _FORMATS.get(self.parse, str)(value)
        return text if self.parse in _NATIVE else toml_string(text)

    def toml_default(self) -> str:
        return self.toml(self.parse_text(self.default))

    def _range(self) -> str:
        if self.low and self.high:
            return f"something from {self.low} to {self.high}"
        return f"at least {self.low}" if self.low else f"at most {self.high}"

    def _or_none(self, message: str) -> str:
        """The message, with the word for None added to the remedy at its end."""
        return f'{message.removesuffix(")")}, or "{self.none}")' if self.none else message


def setting(
    default: str,
    parse: Callable[[str], Any],
    help: str,
    *,
    low: str = "",
    high: str = "",
    none: str = "",
) -> Any:
    """A dataclass field that is a setting. `default`, `low` and `high` are written as in a file."""
    row = Setting("", "", default, _PARSERS.get(parse, parse), help, low, high, none)
    return field(default=row.parse_text(default), metadata={"setting": row})


def settings_of(section: type) -> tuple[Setting, ...]:
    """The rows of a dataclass, in the order of its fields; fields that are no settings are left out."""
    return tuple(
        item.metadata["setting"]._replace(field=item.name, key=_key(item.name))
        for item in fields(section)
        if "setting" in item.metadata
    )


def nearest(word: str, known: Iterable[str]) -> str:
    """The known name that was probably meant; empty if none is near."""
    if len(word) > 64:  # the distance costs the product of the lengths
        return ""
    near = min(((_distance(word, name), name) for name in known), default=(99, ""))
    return near[1] if near[0] <= max(1, len(word) // 3) else ""


def toml_string(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in escaped) + '"'


def toml_scalar_text(raw: bool | int | float) -> str:
    """`raw` as the administrator wrote it, or nearly."""
    return str(raw).lower() if isinstance(raw, bool) else repr(raw)


def type_name(raw: object) -> str:
    """What a value from a TOML file is, in words."""
    return _TYPE_NAMES.get(type(raw), "a date or time")


def _key(field_name: str) -> str:
    suffix = next((suffix for suffix in _UNIT_SUFFIXES if field_name.endswith(suffix)), "")
    return field_name.removesuffix(suffix)


def _distance(one: str, two: str) -> int:
    """How many letters were changed, lost, added, or swapped with their neighbour.

    Optimal string alignment: the last three rows of its table are all that is kept.
    """
    older: list[int] = []
    above = list(range(len(two) + 1))
    for i, a in enumerate(one, 1):
        row = [i]
        for j, b in enumerate(two, 1):
            cost = min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (a != b))
            if i > 1 and j > 1 and a == two[j - 2] and b == one[i - 2]:
                cost = min(cost, older[j - 2] + 1)
            row.append(cost)
        older, above = above, row
    return above[-1]
