"""What processes have held for long, as the guard's policies are told."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import replace

from oomguardd.engine.tenure import KEPT, Past, Tenure
from oomguardd.model import Candidate

_FOLLOWED = KEPT // 2
"""So many of the biggest are followed; of more, the table would forget each before it is seen again."""


class Pasts:
    """Remembers everybody that it is shown, again and again."""

    def __init__(self) -> None:
        self._tenure = Tenure()
        self._noted: dict[tuple[int, int], Past] = {}

    def note(self, processes: Sequence[Candidate], now_s: float) -> None:
        """Remembers what they hold."""
        biggest = heapq.nlargest(_FOLLOWED, processes, key=lambda c: c.held_bytes)
        self._noted = {
            c.identity: self._tenure.sample(c.identity, c.held_bytes, c.age_s, now_s) for c in biggest
        }

    def told(self, processes: Sequence[Candidate], now_s: float) -> list[Candidate]:
        """Those just noted, in the same order, with what their past tells."""
        found = []
        for c in processes:
            past = self._noted.get(c.identity) or self._tenure.guess(c.held_bytes, c.age_s, now_s)
            found.append(
                replace(c, settled_bytes=past.settled_bytes, growth_bytes_per_s=past.growth_bytes_per_s)
            )
        return found

    def added(self, processes: Sequence[Candidate], now_s: float) -> list[Candidate]:
        """Both."""
        self.note(processes, now_s)
        return self.told(processes, now_s)
