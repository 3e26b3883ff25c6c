"""The reports of one host: which of them each line belongs to, and when one is over.

Rule of this file: a line goes to the newest open report that wants it. Reports overlap where two processors
print at once, and the oom_reaper speaks of a victim when the next report has begun; so a report that has its
end still waits a while.
"""

from __future__ import annotations

from collections import deque

from oomguardd.oomlog import kills, kinds, memcg
from oomguardd.oomlog.belonging import by_fitness, named, whose
from oomguardd.oomlog.build import build
from oomguardd.oomlog.draft import Draft
from oomguardd.oomlog.kinds import Kind, Opens
from oomguardd.oomlog.prefix import Line
from oomguardd.oomlog.report import Report, Victim

IDLE_LINES = 1000
"""A report that gets nothing for so many lines has lost its end."""
LINGER_LINES = 300
LINGER_S = 10.0
"""How long an ended one waits for the oom_reaper and for more kills of its group."""
MOST_OPEN = 4
MOST_WAITING = 32
REBOOT_S = 60.0
"""So far before a report began, the clock is another boot's."""
_LONGEST_TEXT = 8192
_SYSRQ_LINES = 100
_RECENT_LINES = 50
_JUST_LINES = 5
_ALWAYS = Opens.ALWAYS

_Last = tuple[Kind, Draft, str]
"""The line before, to which the next one may be the rest. No class: one is made with every line."""


class Stream:
    """All reports of one host."""

    def __init__(self) -> None:
        self.may_be_cut = True
        """The log may have begun in the middle of a report, so what looks like one may begin one."""
        self.drafts: list[Draft] = []
        self._last: _Last | None = None
        self._half = ""
        self._gone: deque[tuple[int, float | None]] = deque(maxlen=256)
        """Victims of reports that were handed out, and when."""
        self._clock_s: float | None = None
        self._newest_s = -REBOOT_S
        """No report that is here began later."""
        self._sysrq_at = -_SYSRQ_LINES

    @property
    def is_open(self) -> bool:
        """Whether a report has begun and not ended."""
        return bool(self.drafts) and not (self.drafts[-1].ended and all(one.ended for one in self.drafts))

    def take(self, line: Line, at: int) -> bool:
        """Whether the line, the `at`th of the log, belongs to a report."""
        if line.uptime_s is not None:
            if line.uptime_s < self._newest_s - REBOOT_S:
                self._reboot(line.uptime_s)
            self._clock_s = line.uptime_s
        if "\n" not in line.text:
            return self._text(line, line.text[:_LONGEST_TEXT], at)
        taken = False
        for text in line.text.split("\n"):
            stripped = text.strip()[:_LONGEST_TEXT]
            if stripped:
                taken = self._text(line, stripped, at) or taken
        return taken

    def due(self, at: int, flush: bool = False, end: bool = False) -> list[Report]:
        """Reports that are over. `flush`: without waiting for more; `end`: those without an end, too."""
        found: list[Report] = []
        kept: list[Draft] = []
        crowded = len(self.drafts) > MOST_WAITING
        for draft in self.drafts:
            if not draft.ended and (end or at - draft.last_at > IDLE_LINES):
                draft.ended = True
            if not draft.ended or not (end or flush or crowded or self._settled(draft, at)):
                kept.append(draft)
            elif draft.proven:
                found.append(build(draft))
                self._gone.extend((pid, self._clock_s) for pid in list(draft.victims)[-64:])
        self.drafts = kept
        self._newest_s = max((draft.first.uptime_s or 0.0 for draft in kept), default=0.0)
        if end:
            self._last = None
        return found

    def _settled(self, draft: Draft, at: int) -> bool:
        if at - draft.last_at > LINGER_LINES or not draft.proven:
            return True
        began_s = draft.first.uptime_s
        if began_s is not None and self._clock_s is not None and draft.group is None:
            late = self._clock_s - began_s > LINGER_S
            if late and at - draft.last_at > _RECENT_LINES:
                return True
        victims = draft.victims.values()
        return bool(victims) and draft.group is None and all(victim.reaped for victim in victims)

    def _reboot(self, now_s: float) -> None:
        for draft in self.drafts:
            began_s = draft.first.uptime_s
            if began_s is not None and now_s < began_s - REBOOT_S:
                draft.ended, draft.last_at = True, -LINGER_LINES
                self._last = None

    def _text(self, line: Line, text: str, at: int) -> bool:
        kind = kinds.kind_of(text)
        if kind is None:
            return self._nameless(line, text, at)
        self._last, self._half = None, ""
        return self._turn(kind, line, text, at) if kind.turns else self._offer(kind, line, text, at)

    def _turn(self, kind: Kind, line: Line, text: str, at: int) -> bool:
        if kind is kinds.HEADER:
            return self._begin(line, text, at)
        if kind is kinds.KILLED:
            return self._kill(line, text, at)
        if kind is kinds.REAPED or kind is kinds.SHARER:
            return self._learn(line, kills.reaped(text) or kills.sharer(text), at)
        if kind is kinds.GROUP:
            return self._group(line, text, at)
        self._sysrq_at = at
        return True

    def _offer(self, kind: Kind, line: Line, text: str, at: int) -> bool:
        """To whoever is in that section, then to whoever wants it."""
        ours = self._open(line)
        if len(ours) > 1:
            ours = by_fitness(ours, kind, text)
        for draft in ours:
            if kind.take(draft, text, False):
                self._mark(draft, kind, text, at)
                return True
        if not ours and kind in (kinds.PANIC, kinds.EXITING, kinds.NOBODY):
            just = [draft for draft in self.drafts if at - draft.last_at < _JUST_LINES and not draft.victims]
            if just:  # the panic that follows, or the same line twice
                kind.take(just[-1], text, False)
                return True
        if not ours and self._may_open(kind):
            draft = self._new(line, at)
            if kind.take(draft, text, False):
                self._mark(draft, kind, text, at)
                return True
            self.drafts.remove(draft)
        elif ours and kind.score is not None:
            self._last = (kind, ours[0], text)
        return False

    def _may_open(self, kind: Kind) -> bool:
        return kind.opens is _ALWAYS or (self.may_be_cut and kind.opens is Opens.AT_START)

    def _mark(self, draft: Draft, kind: Kind, text: str, at: int) -> None:
        draft.last_at = at
        draft.proven = draft.proven or kind.opens is _ALWAYS
        self._last = (kind, draft, text) if kind.score is not None else None
        if draft.ended and draft.last_at > draft.first_at:
            self._close_stale(draft)

    def _nameless(self, line: Line, text: str, at: int) -> bool:
        """The rest of a broken line, or one that its section explains."""
        last = self._last
        if (
            last is not None
            and (not line.marked or text[0] in ",/" or text.startswith("killed as a"))
            and self._join(last, text, at)
        ):
            return True
        for draft in self._open(line):
            kind = kinds.BY_SECTION.get(draft.section)
            if kind is not None and kind.take(draft, text, False):
                draft.last_at = at
                self._last = None
                return True
        half, self._half = self._half, text if "ut of memory" in text else ""
        if half and not line.marked and kinds.kind_of(f"{half} {text}") is not None:
            return self._text(line, f"{half} {text}", at)
        if self.may_be_cut and ("page allocation failure" in text or "Show Memory" in text):
            self.may_be_cut = False  # what comes is no OOM report's
            self.drafts = [draft for draft in self.drafts if draft.proven]
        return False

    def _join(self, last: _Last, text: str, at: int) -> bool:
        """Whether the two are one line, which makes more sense than the first alone."""
        kind, draft, begun = last
        if kind.score is None or kind.ends_in not in text or len(begun) + len(text) > _LONGEST_TEXT:
            return False
        had = kind.score(draft, begun)
        if had >= kind.whole:
            self._last = None
            return False
        other = "" if kind.glue else " "
        joined = (f"{begun}{kind.glue}{text}", f"{begun}{other}{text}")
        scores = [kind.score(draft, whole) for whole in joined]
        best = scores.index(max(scores))
        if scores[best] <= had:
            return False
        if kind.take(draft, joined[best], True):
            self._mark(draft, kind, joined[best], at)
        self._last = (kind, draft, joined[best])
        return True

    def _begin(self, line: Line, text: str, at: int) -> bool:
        for draft in self.drafts:
            if draft.header == text and draft.first.uptime_s == line.uptime_s is not None:
                return True  # the same line twice: from the console and from the log
        for draft in self._open(line):
            if not draft.proven or at - draft.last_at > _RECENT_LINES:
                draft.ended = True
        draft = self._new(line, at)
        draft.header = text
        draft.sysrq = at - self._sysrq_at < _SYSRQ_LINES
        self._sysrq_at = -_SYSRQ_LINES
        self.may_be_cut = False
        kinds.HEADER.take(draft, text, False)
        self._mark(draft, kinds.HEADER, text, at)
        return True

    def _new(self, line: Line, at: int) -> Draft:
        open_ones = [draft for draft in self.drafts if not draft.ended]
        for old in open_ones[: len(open_ones) - MOST_OPEN + 1]:
            old.ended = True
        draft = Draft(line, first_at=at, last_at=at)
        self.drafts.append(draft)
        self._newest_s = max(self._newest_s, line.uptime_s or 0.0)
        return draft

    def _open(self, line: Line) -> list[Draft]:
        """Reports without an end that a line of this caller can belong to, newest first."""
        drafts = self.drafts
        if len(drafts) == 1 and not drafts[0].ended:
            ours = drafts
        else:
            ours = [draft for draft in reversed(drafts) if not draft.ended]
        if not line.caller or not ours:
            return ours
        same = [draft for draft in ours if draft.first.caller == line.caller]
        return same or [draft for draft in ours if not draft.first.caller]

    def _close_stale(self, ended: Draft) -> None:
        """Whatever began before and got nothing since that one began has lost its end."""
        for draft in self.drafts:
            if not draft.ended and draft.last_at < ended.first_at:
                draft.ended = True
        self.may_be_cut = False

    def _kill(self, line: Line, text: str, at: int) -> bool:
        pid = kills.killed_pid(text)
        if pid is None:
            return False
        draft = whose(pid, at, self.drafts, self._open(line))
        if draft is None and self._is_gone(pid):
            return False
        draft = draft or self._new(line, at)
        kinds.KILLED.take(draft, text, False)
        self._mark(draft, kinds.KILLED, text, at)
        return True

    def _is_gone(self, pid: int) -> bool:
        """Whether that death was handed out just now: with memory.oom.group the kernel tells it twice."""
        now_s = self._clock_s
        return now_s is not None and any(
            gone == pid and then_s is not None and now_s - then_s < LINGER_S for gone, then_s in self._gone
        )

    def _learn(self, line: Line, victim: Victim | None, at: int) -> bool:
        """What the oom_reaper says, and who shared the victim's memory."""
        if victim is None:
            return False
        sharing = victim.reaped is None and not victim.unreapable
        for draft in reversed(self.drafts):
            if victim.pid in draft.victims or (sharing and draft.victims):
                draft.add_victim(victim)
                draft.last_at = at
                return True
        if any(pid == victim.pid for pid, _ in self._gone):
            return False
        draft = named(victim.pid, self._open(line)) or self._new(line, at)
        draft.add_victim(victim)
        draft.ended = draft.proven = True
        self._mark(draft, kinds.REAPED, "", at)
        return True

    def _group(self, line: Line, text: str, at: int) -> bool:
        killed = next((draft for draft in reversed(self.drafts) if draft.victims), None)
        if killed is not None and killed.group is not None and killed.group == memcg.group_of(text):
            return False  # the same line twice
        if killed is not None and kinds.GROUP.take(killed, text, False):
            self._mark(killed, kinds.GROUP, text, at)
            return True
        draft = self._new(line, at)
        if not kinds.GROUP.take(draft, text, False):
            draft.group = ""
        draft.ended = True
        self._mark(draft, kinds.GROUP, text, at)
        return True
