"""The last minute's readings, of which those around an incident are handed out to be kept. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from oomguardd.history.prune import AROUND_S
from oomguardd.history.readings import Row, Rows

MOST_ROWS = 1200
"""Four minutes of a guard that looks five times a second: what waits for a disk that is slow, too."""


class Ring:
    """Rows that were not handed out yet."""

    def __init__(self) -> None:
        self._rows: deque[Row] = deque(maxlen=MOST_ROWS)
        self._maker = Rows()
        self._wanted: tuple[float, float] | None = None
        """Since when and until when readings are to be kept (wall clock)."""

    def add(self, time_s: float, readings: Mapping[str, object], level: str = "") -> None:
        """One reading; those that nobody can want any more go."""
        row = self._maker.row(time_s, readings, level)
        if not row.names:
            return
        self._rows.append(row)
        while self._rows and self._rows[0].time_s < time_s - AROUND_S and not self._is_wanted(self._rows[0]):
            self._rows.popleft()

    def want_around(self, time_s: float, now_s: float) -> None:
        """An incident was at that time. A clock that was set back since must not make us wait for years."""
        start_s, end_s = time_s - AROUND_S, min(time_s, now_s) + AROUND_S
        if self._wanted is not None and self._wanted[1] >= start_s:
            start_s, end_s = min(start_s, self._wanted[0]), max(end_s, self._wanted[1])
        self._wanted = (start_s, end_s)

    def wanted(self) -> list[Row]:
        """What is to be kept and is here, the oldest first; it stays until `forget`."""
        return [row for row in self._rows if self._is_wanted(row)]

    def forget(self, rows: list[Row]) -> None:
        """These are kept elsewhere now."""
        gone = set(map(id, rows))
        self._rows = deque((row for row in self._rows if id(row) not in gone), MOST_ROWS)

    def _is_wanted(self, row: Row) -> bool:
        return self._wanted is not None and self._wanted[0] <= row.time_s <= self._wanted[1]
