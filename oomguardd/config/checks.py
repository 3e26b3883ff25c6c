"""What is wrong, or hardly meant, although each single value is right."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from oomguardd.model import Condition, Level, Trigger
from oomguardd.units import format_duration


def contradictions(sections: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Settings that exclude each other: (dotted key, what is wrong and the remedy)."""
    found = []
    pace = sections["pace"]
    if pace.fastest_s > pace.slowest_s:
        remedy = f'at most "{format_duration(pace.slowest_s)}", or raise pace.slowest'
        found.append(("pace.fastest", f"is slower than pace.slowest ({remedy})"))
    metrics = sections["metrics"]
    if (metrics.tls_cert is None) != (metrics.tls_key is None):
        key, other = ("tls_cert", "tls_key") if metrics.tls_cert else ("tls_key", "tls_cert")
        found.append((f"metrics.{key}", f"is of no use without metrics.{other} (set both, or neither)"))
    return found


def warnings_about(triggers: Iterable[Trigger]) -> tuple[str, ...]:
    """A sentence for each trigger that never holds, or never matters."""
    kept = tuple(triggers)
    return tuple(
        f"trigger {trigger.name} {reason}" for trigger in kept if (reason := _useless(trigger, kept))
    )


def _useless(trigger: Trigger, triggers: Iterable[Trigger]) -> str:
    impossible = _impossible(trigger)
    if impossible:
        return f"can never hold: {impossible}"
    for other in triggers:
        if (
            Level.WARN < trigger.level < other.level
            and other.for_s <= trigger.for_s
            and _implies(trigger, other)
        ):
            return f"has no effect: whenever it holds, {other.name} holds as well and kills at once"
    return ""


def _impossible(trigger: Trigger) -> str:
    """The conditions that cannot hold, alone or together; empty if all can."""
    for one in trigger.conditions:
        if one.below and one.bound <= 0:
            return f"{one.signal} is never {one.text}"
        if not one.below and one.text.endswith("%") and one.bound >= 100:
            return f"{one.signal} is never {one.text}"
        for two in trigger.conditions:
            if _alike(one, two) and one.below and not two.below and one.bound <= two.bound:
                return f"{one.signal} cannot be {one.text} and {two.text}"
    return ""


def _implies(one: Trigger, two: Trigger) -> bool:
    """Whether `two` holds whenever `one` does."""
    return all(any(_at_least_as_strict(mine, theirs) for mine in one.conditions) for theirs in two.conditions)


def _at_least_as_strict(one: Condition, two: Condition) -> bool:
    if not _alike(one, two) or one.below != two.below:
        return False
    return one.bound <= two.bound if one.below else one.bound >= two.bound


def _alike(one: Condition, two: Condition) -> bool:
    return one.signal == two.signal and one.relative == two.relative
