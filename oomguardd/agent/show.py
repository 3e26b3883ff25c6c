"""From what the daemon says to what appears on the screen.

Rule of this file: one event, one notification. Repeated warnings take each other's place, kills in quick
succession become one, and what the desktop itself has shown is not shown again.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from oomguardd.agent.audience import concerns
from oomguardd.agent.desktop_entry import Entry, find_entry
from oomguardd.agent.session import Note
from oomguardd.engine.words import counted
from oomguardd.notifiers.dbus import BusError
from oomguardd.notifiers.wording import KILLS, WARNINGS, Facts, urgency_of, words

ROOM = 50
"""Events that wait to be shown; the oldest go first."""
ATTEMPTS = 3
RETRY_S = 5.0
TOGETHER_S = 10.0
"""Kills no further apart than this become one notification."""
MOST_TOGETHER = 5
"""So many of them are named in it, the last ones."""
DESKTOP_S = {"SIGTERM": 6.0, "SIGKILL": 2.0}
"""For so long we wait for what systemd says of the victim's unit, by the signal. We hear of the kill at once,
the unit has its result when its last process is gone: after SIGTERM that may take the guard's grace time."""
DESKTOP_STEP_S = 0.1
WARNING_MS = 60_000
"""A warning that nobody clicks away is out of date then. Desktops may keep critical ones all the same."""

_DESKTOPS = ("GNOME",)


def desktop_tells(leave: str, environ: Mapping[str, str]) -> bool:
    """Whether the desktop shows by itself that a unit was killed for memory (`--leave-to-desktop`).

    GNOME does (gsd-systemd-notify, since GNOME 40); Cinnamon does since 2026, so that it cannot be relied on.
    """
    if leave == "auto":
        present = environ.get("XDG_CURRENT_DESKTOP", "").split(":")
        return not set(_DESKTOPS).isdisjoint(present)
    return leave == "always"


@dataclass(frozen=True, slots=True)
class Taste:
    """What this user wants to see."""

    uid: int
    everything: bool = False
    """The end of other people's processes, too."""
    warnings: bool = True
    desktop_tells: bool = False


class Screen(Protocol):
    """What is needed of the session (session.Session)."""

    async def show(self, note: Note) -> int:
        """The notification's id. BusError."""

    def was_oom_killed(self, unit: str) -> bool:
        """Whether systemd has just said so."""


class Shower:
    """Takes events at once, and shows them in their order."""

    def __init__(
        self,
        session: Screen,
        taste: Taste,
        environ: Mapping[str, str],
        complain: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._session = session
        self._taste = taste
        self._environ = environ
        self._complain = complain
        self._clock = clock
        self._sleep = sleep
        self._waiting: deque[Facts] = deque(maxlen=ROOM)
        self._arrived = asyncio.Event()
        self._ids: dict[str, int] = {}
        """Kind of warning -> its last notification."""
        self._kill_id = 0
        self._kill_s = float("-inf")
        self._recent: deque[str] = deque(maxlen=MOST_TOGETHER)
        self._number = 0
        """How many kills the last notification stands for."""

    def put(self, facts: Facts) -> None:
        """An event, if it is for this user."""
        kind = str(facts.get("kind"))
        wanted = kind in KILLS or (kind in WARNINGS and self._taste.warnings)
        if wanted and concerns(kind, facts, self._taste.uid, self._taste.everything):
            self._waiting.append(facts)
            self._arrived.set()

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            while not self._waiting:
                self._arrived.clear()
                await self._arrived.wait()
            await self._show(self._waiting.popleft())

    async def _show(self, facts: Facts) -> None:
        kind = str(facts.get("kind"))
        if kind in KILLS:
            if not await self._shown_by_desktop(facts):
                await self._show_kill(kind, facts)
            return
        summary, body = words(kind, facts)
        note = Note(summary, body, urgency_of(kind, facts), "", self._ids.get(kind, 0), WARNING_MS)
        shown = await self._deliver(note)
        if shown:
            self._ids[kind] = shown

    async def _show_kill(self, kind: str, facts: Facts) -> None:
        entry = find_entry(str(facts.get("app", "")), self._environ) or Entry("", "")
        summary, body = words(kind, facts, entry.name)
        urgency, now_s = urgency_of(kind, facts), self._clock()
        if now_s - self._kill_s > TOGETHER_S:
            self._kill_id, self._number = 0, 0
            self._recent.clear()
        self._kill_s = now_s
        self._number += 1
        self._recent.append(summary)
        if self._number > 1:
            summary = f"{counted(self._number, 'program')} ended for memory"
            body = "\n".join(reversed(self._recent))
        shown = await self._deliver(Note(summary, body, urgency, entry.icon, self._kill_id))
        self._kill_id = shown or self._kill_id

    async def _shown_by_desktop(self, facts: Facts) -> bool:
        """Of units of the user's own systemd only; and not what a dry run would have done."""
        unit = str(facts.get("user_unit", ""))
        own = facts.get("uid") == self._taste.uid
        if not self._taste.desktop_tells or not unit or not own or facts.get("dry_run") is True:
            return False
        patience_s = DESKTOP_S.get(str(facts.get("signal")), DESKTOP_S["SIGKILL"])
        for _ in range(round(patience_s / DESKTOP_STEP_S)):
            if self._session.was_oom_killed(unit):
                return True
            await self._sleep(DESKTOP_STEP_S)
        return self._session.was_oom_killed(unit)

    async def _deliver(self, note: Note) -> int:
        """Its id; 0 when the desktop did not take it."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return await self._session.show(note)
            except BusError as error:
                if attempt == ATTEMPTS:
                    self._complain(f"not shown: {note.summary} ({error})")
                    return 0
            except (ValueError, TypeError) as error:  # an answer of another shape
                self._complain(f"not shown: {note.summary} ({error})")
                return 0
            await self._sleep(RETRY_S)
        return 0
