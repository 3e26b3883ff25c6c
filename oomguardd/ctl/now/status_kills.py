"""The last kills of a status, as a table.

Rule of this file: values in, lines out; what there is no room for is left out as a whole column.
"""

from __future__ import annotations

from datetime import datetime

from oomguardd.ctl.now.bars import Paint
from oomguardd.ctl.now.told import Told
from oomguardd.ctl.terms import owner_words
from oomguardd.ctl.text import Column, fit, table
from oomguardd.engine.words import count, duration, size
from oomguardd.model import Owner

_LONGEST_END = 14

_KILL_COLUMNS = (
    (0, Column("WHEN", left=True)),
    (0, Column("VICTIM", left=True, least=10)),
    (50, Column("UNIT", left=True, least=8, end=True)),
    (40, Column("BY", left=True, least=6)),
    (72, Column("HELD")),
    (72, Column("FREED")),
    (0, Column("END", left=True)),
)
"""Each from so wide a terminal on."""


def kill_lines(status: Told, width: int, paint: Paint) -> list[str]:
    """The newest first."""
    now_s = status.number("time_s") or 0.0
    kills = status.parts("kills")
    if not kills:
        return [fit("  none that the reporter has seen", width)]
    rows = [_kill_row(kill, now_s) for kill in reversed(kills)]
    shown = [at for at, (least, _) in enumerate(_KILL_COLUMNS) if width >= least]
    columns = [_KILL_COLUMNS[at][1] for at in shown]
    title, *lines = table(columns, [[row[at] for at in shown] for row in rows], width - 2)
    return [f"  {paint(title, 'dim')}", *(f"  {line}" for line in lines)]


def _kill_row(kill: Told, now_s: float) -> tuple[str, ...]:
    others = (kill.number("count") or 1) - 1
    more = f" +{count(others)}" if others > 0 else ""
    before, after = kill.number("available_before_bytes"), kill.number("available_after_bytes")
    freed = size(max(0.0, after - before)) if before is not None and after is not None else ""
    return (
        when(kill.number("time_s"), now_s),
        f"{kill.text('comm')}[{kill.text('pid')}]{more}",
        _owner(kill),
        kill.text("by"),
        size(kill.number("held_bytes")) if kill.number("held_bytes") is not None else "",
        freed,
        fit(_end(kill), _LONGEST_END),
    )


def _owner(kill: Told) -> str:
    owner = Owner(
        runtime=kill.text("runtime", ""),
        unit=kill.text("unit", ""),
        container=kill.text("container", ""),
        pod=kill.text("pod", ""),
        job=kill.text("job", ""),
    )
    return kill.text("app", "") or owner_words(owner) or kill.text("cgroup", "")


def _end(kill: Told) -> str:
    if kill.flag("dry_run"):
        return "dry run"
    outcome, after_s = kill.text("outcome", ""), kill.number("after_s")
    if outcome == "died" and after_s is not None:
        return f"died, {duration(after_s)}"
    return outcome or ("" if kill.text("by") != "oomguardd" else "open")


def when(time_s: float | None, now_s: float) -> str:
    """`12:03:44` of today, otherwise with the day."""
    try:
        then, now = datetime.fromtimestamp(time_s or 0.0), datetime.fromtimestamp(now_s)
    except (ValueError, OverflowError, OSError):
        return "?"
    return f"{then:%H:%M:%S}" if then.date() == now.date() else f"{then:%Y-%m-%d %H:%M}"
