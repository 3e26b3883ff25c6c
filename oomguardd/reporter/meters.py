"""What the reporter counts about itself: how often it told somebody, could not, or had to drop something."""

from __future__ import annotations

METERS = {
    "told": "Records or messages handed over, by whom they are for.",
    "failed": "Attempts to hand one over that failed, by whom it was for.",
    "dropped": "Records that were given up because a queue was full, by whom they were for.",
    "refused": "Requests that were refused, by server and reason.",
}
"""Name of a counter -> what it counts."""


class Meters:
    """Counters by name and label. Labels are words of our own, so that there are few."""

    def __init__(self) -> None:
        self.counts: dict[tuple[str, str], int] = {}

    def expect(self, name: str, *labels: str) -> None:
        """These will be counted: they are shown as 0 until then, so that a first one is an increase."""
        for label in labels:
            self.counts.setdefault((name, label), 0)

    def add(self, name: str, label: str, number: int = 1) -> None:
        """Counts; KeyError for a name that METERS does not have."""
        if name not in METERS:
            raise KeyError(name)
        self.counts[name, label] = self.counts.get((name, label), 0) + number
