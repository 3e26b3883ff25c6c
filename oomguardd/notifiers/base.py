"""What a notifier is, and what it is told.

Rule of this room: nobody outside is trusted to answer. A notifier may take as long as it says, and may fail;
reporter/people/herald.py gives each a queue and a task of its own and counts what did not arrive.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Protocol

from oomguardd import __version__
from oomguardd.notifiers.wording import Facts
from oomguardd.telling import Telling


class NotifyError(Exception):
    """It did not arrive; the message says why, for an administrator, without secrets of a URL's."""


@dataclass(frozen=True, slots=True)
class Notice:
    """One event that somebody may want to hear of."""

    kind: str
    """Of HOOK_KINDS."""
    time_s: float
    """When it happened (wall clock)."""
    summary: str
    """One line."""
    body: str
    """Sentences, perhaps in several lines; may be empty."""
    facts: Facts
    record: Mapping[str, object]
    """Everything that is known; what the facts were taken from."""
    explanation: Sequence[str] = ()
    """The record in words, line by line, as the log has it."""
    people: bool = True
    """Whether people who are at the machine are to be told: neither of what is long over nor of the same
    thing all the time. Programs are told of everything."""

    def event(self, host: str) -> dict[str, object]:
        """What programs get, as JSON has it. `text` is what chat services call their message."""
        run, seq = self.record.get("run"), self.record.get("seq")
        return {
            "event": self.kind,
            "id": str(self.record.get("key") or (f"{run}-{seq}" if run and seq else "")),
            "time": utc(self.time_s),
            "host": host,
            "version": __version__,
            "dry_run": self.record.get("dry_run") is True,
            "summary": self.summary,
            "text": f"{host}: {self.summary}\n{self.body}".rstrip(),
            "facts": dict(self.facts),
            "explanation": list(self.explanation),
            "record": dict(self.record),
        }


def utc(time_s: float) -> str:
    """ISO 8601 with milliseconds; empty if it is no time."""
    try:
        at = datetime.fromtimestamp(time_s, tz=timezone.utc)
    except (ValueError, OverflowError, OSError):
        return ""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def no_level() -> str:
    """Of a guard that has not been heard of."""
    return ""


@dataclass(frozen=True, slots=True)
class Gear:
    """What notifiers need of the process that they are in."""

    missing: Callable[[str, str, str], None]
    """Something that is not there: what, what it costs, the remedy. Said once by each who lacks it."""
    environ: Mapping[str, str] = field(default_factory=dict)
    host: str = "localhost"
    level: Callable[[], str] = no_level
    """The guard's present level; empty if it is not known."""


class Notifier(Protocol):
    """One way to tell somebody."""

    label: str
    """In metrics and messages: few, and none of a stranger's choice."""
    settings: object
    """What it was made of: on a reload, one with the same label and settings stays."""
    limit_s: float
    """How long one `tell` may take; then it is cancelled, and has failed."""
    most: int
    """How many notices one `tell` takes at most."""
    pause_s: float
    """How long it is left alone after a `tell`; what comes meanwhile waits and is told together."""

    def start(self) -> None:
        """Called once, in the running loop, before anything else."""

    def wants(self, notice: Notice) -> bool:
        """Whether it is to be told that."""

    async def tell(self, notices: Sequence[Notice]) -> None:
        """Returns when they have arrived. NotifyError."""

    async def close(self) -> None:
        """Leaves nothing behind: no task, child or descriptor."""


Maker = Callable[[Telling, Gear], Iterable[Notifier]]
"""What a notifier's file offers: those that this configuration asks for."""
