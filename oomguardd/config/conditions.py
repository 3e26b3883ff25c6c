"""A trigger's conditions: a signal and what it is compared with, `mem_available = "<10%"`."""

from __future__ import annotations

from oomguardd.model import Condition, Signal, Unit
from oomguardd.settings import toml_scalar_text, type_name
from oomguardd.units import parse_number, parse_percent, parse_rate_bytes_per_s, parse_size, quote

DROPPED = "off"
"""Written instead of a condition, it takes back an earlier file's condition on that signal."""

_EXAMPLES = {
    Unit.BYTES: '"<512M"',
    Unit.PERCENT: '">40%"',
    Unit.BYTES_PER_S: '">10M/s"',
    Unit.PER_S: '">100"',
    Unit.COUNT: '">100"',
}


def parse_conditions(signal: Signal, raw: object) -> tuple[Condition, ...]:
    """One comparison or a list of them, of which all must hold; none for DROPPED."""
    if raw == DROPPED:
        return ()
    if raw == []:
        raise ValueError(f'an empty list compares with nothing (write {example_of(signal)}, or "{DROPPED}")')
    parsed = [_try_condition(signal, item) for item in (raw if isinstance(raw, list) else [raw])]
    wrong = [item for item in parsed if isinstance(item, str)]
    if wrong:
        raise ValueError("; ".join(wrong))
    return tuple(item for item in parsed if isinstance(item, Condition))


def parse_condition(signal: Signal, text: str) -> Condition:
    """`"<10%"`; ValueError with the remedy if the signal cannot be compared like that."""
    comparison = text.strip()
    if comparison.startswith(("<=", ">=")):
        raise ValueError(f'{quote(text)} is not possible (write "{comparison[0]}{comparison[2:].lstrip()}")')
    if not comparison.startswith(("<", ">")):
        raise ValueError(f"{quote(text)} has no comparison (write it like {example_of(signal)})")
    bound = comparison[1:].strip()
    relative = signal.unit is not Unit.PERCENT and bound.endswith("%")
    if relative and not signal.total:
        remedy = f"write it like {example_of(signal)}"
        raise ValueError(f"{quote(text)}: {signal.name} has no total to take a percentage of ({remedy})")
    number = parse_percent(bound) if relative else _parse_bound(signal, bound)
    return Condition(signal.name, comparison[0] == "<", number, relative, comparison)


def example_of(signal: Signal) -> str:
    """A comparison that the signal allows, in quotes."""
    return '"<10%" or "<512M"' if signal.total else _EXAMPLES[signal.unit]


def _parse_bound(signal: Signal, bound: str) -> float:
    if signal.unit is Unit.PERCENT:
        return parse_percent(bound)
    if signal.unit is Unit.BYTES:
        if bound.strip("0123456789. "):
            return parse_size(bound)
        raise ValueError(f"{quote(bound)} has no unit (write it like {example_of(signal)})")
    if signal.unit is Unit.BYTES_PER_S:
        return parse_rate_bytes_per_s(bound)
    return parse_number(bound.removesuffix("/s") if signal.unit is Unit.PER_S else bound)


def _try_condition(signal: Signal, raw: object) -> Condition | str:
    """What is wrong with it instead of an exception, so that a list tells all that is wrong at once."""
    try:
        return parse_condition(signal, _text(signal, raw))
    except ValueError as error:
        return str(error)


def _text(signal: Signal, raw: object) -> str:
    if isinstance(raw, bool | int | float):
        return toml_scalar_text(raw)
    if not isinstance(raw, str):
        raise ValueError(f"{type_name(raw)} is not a comparison (write {example_of(signal)})")
    return raw
