"""Events as they happen, across restarts of the reporter.

Rule of this file: no event is shown twice, whatever is sent again after a restart.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence

from oomguardd.ctl.console import Console
from oomguardd.ctl.now.control import Line, Reply, Unreachable
from oomguardd.ctl.now.told import printable
from oomguardd.engine.words import Fields, as_number, counted
from oomguardd.reporter.lines import Style, render

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 2.0
_ALL = 1_000_000
"""After a restart: whatever the reporter still has."""
_MOST_REMEMBERED = 2000
_INFO = 6
_LONGEST_LINE = 4000
"""The readings of a kill take a thousand characters."""

Identity = tuple[object, ...]


class Shown:
    """Which events have been shown."""

    def __init__(self) -> None:
        self._order: deque[Identity] = deque()
        self._known: set[Identity] = set()

    def is_new(self, record: Fields) -> bool:
        """Whether it was not shown before; from now on it is."""
        identity = _identity(record)
        if identity in self._known:
            return False
        self._known.add(identity)
        self._order.append(identity)
        if len(self._order) > _MOST_REMEMBERED:
            self._known.remove(self._order.popleft())
        return True


def _identity(record: Fields) -> Identity:
    run, seq, kind = record.text("run", ""), record.number("seq"), record.text("kind")
    if seq:
        return run, seq
    return kind, record.text("key", ""), record.number("time_s"), record.text("what", record.text("where"))


def follow(
    connect: Callable[[], Line],
    console: Console,
    backlog: int,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Shows what happens until somebody ends it. Unreachable, if nobody answers at first; Trouble."""
    shown, pause_s, first = Shown(), _FIRST_PAUSE_S, True
    while True:
        try:
            with connect() as line:
                for reply in line.follow("Follow", backlog=backlog):
                    if not first and pause_s != _FIRST_PAUSE_S:
                        console.complain("the reporter is back")
                    first, pause_s = False, _FIRST_PAUSE_S
                    _show(reply, shown, console)
        except Unreachable as error:
            if first:
                raise
            if pause_s == _FIRST_PAUSE_S:
                console.complain(f"{error}; waiting for it")
        sleep(pause_s)
        backlog, pause_s = _ALL, min(2 * pause_s, _LONGEST_PAUSE_S)


def _show(reply: Reply, shown: Shown, console: Console) -> None:
    fields = Fields(reply)
    lost = fields.number("lost")
    if lost:
        console.complain(f"{counted(lost, 'event')} missed: this reader was too slow")
    record = reply.get("record")
    if not isinstance(record, dict) or not shown.is_new(Fields(record)):
        return
    if console.as_json:
        console.put_json(record)
        return
    lines = [printable(line, _LONGEST_LINE) for line in reply_lines(reply)]
    print(_dated(Fields(record), lines, console), file=console.out, flush=True)


def reply_lines(reply: Reply) -> Sequence[str]:
    """What the log says of it; never empty."""
    lines = reply.get("lines")
    texts = [line for line in lines if isinstance(line, str)] if isinstance(lines, list) else []
    return texts or ["an event without words"]


def _dated(record: Fields, lines: Sequence[str], console: Console) -> str:
    """As the log has it on a terminal."""
    style = Style.COLOUR if console.paint("x", "bold") != "x" else Style.PLAIN
    priority = as_number(record.raw.get("priority"))
    time_s = record.number("time_s") or 0.0
    whole = render(style, _INFO if priority is None else int(priority), time_s, lines, time_s)
    return whole.decode("utf-8", "backslashreplace").rstrip("\n")
