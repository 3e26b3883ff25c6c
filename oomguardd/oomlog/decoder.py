"""Lines in, reports out.

Rule of this file: most lines of a log are no business of ours, and each costs a few searches for a word.
Everything is looked at near a report, at the beginning of the log, and where the kernel says that lines are
missing. Memory is bounded whatever the log is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from oomguardd.oomlog.prefix import parse_line
from oomguardd.oomlog.report import Report
from oomguardd.oomlog.stream import IDLE_LINES, Stream

MOST_HOSTS = 64
_AT_START_LINES = 300
_AFTER_ANCHOR_LINES = 4
_COLLECT_LINES = 32
"""How often it is looked whether a report is over."""
_NEVER = 1 << 62


_HINTS = ("oom", "OOM", "emory", "ill", "total_vm", "Task in ", " messages")
_ANCHORS = (
    "oom-kill",
    "illed process ",
    "ill process ",
    "ut of memory",
    "ut of Memory",
    "oom_reaper: ",
    "total_vm",
    "Task in ",
    "memory: usage ",
    "oom.group",
    "Memory cgroup ",
    "Manual OOM",
    "panic_on_oom",
    "deadlocked on memory",
    "OOM victim ",
    "messages dropped",
    "kernel messages",
)
"""What a line has that can begin a report, or that tells of a victim after its end. Each has one of the
hints, so that most lines are done with after a few searches."""


def _is_anchor(line: str) -> bool:
    for hint in _HINTS:  # a loop is twice as fast as any() with a generator, and this is the hot path
        if hint in line:
            return any(anchor in line for anchor in _ANCHORS)
    return False


class Decoder:
    """Takes a log line by line; for a log that grows, `flush` now and then."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._at = 0
        self._current = Stream()
        """That of the last line, and of lines that do not say whose they are."""
        self._host = ""
        self._streams = {self._host: self._current}
        self._until = self._start_until = _AT_START_LINES
        """The lines up to which every line is looked at, and up to which a report may begin anywhere."""
        self._collect_at = _NEVER
        self._left: list[Report] = []
        """Of hosts that were forgotten."""

    def feed(self, line: str) -> list[Report]:
        """Reports that are over by now; this line need not be of them. Never raises."""
        self._at = at = self._at + 1
        if at <= self._until or _is_anchor(line):
            self._look(line, at)
        return self._collect() if at >= self._collect_at else []

    def flush(self) -> list[Report]:
        """Those that have their end, without waiting for what the oom_reaper will say.

        For when the log has been silent for a while. A report in the middle stays, and what is said later of
        a victim that was handed out is dropped.
        """
        return self._collect(flush=True)

    def finish(self) -> list[Report]:
        """All that are left, those without an end too. The next line fed begins another log."""
        found = self._collect(end=True)
        self._begin()
        return found

    def _look(self, raw: str, at: int) -> None:
        if " messages" in raw and ("messages dropped" in raw or "kernel messages" in raw):
            self._cut_here()
        line = parse_line(raw)
        if line.foreign or not line.text:
            return
        if line.marked and line.host != self._host:
            self._host = line.host
            self._current = self._stream_of(line.host)
        stream = self._current
        if at > self._start_until:
            stream.may_be_cut = False
        if stream.take(line, at):
            is_open = stream.is_open or any(other.is_open for other in self._streams.values())
            until = at + (IDLE_LINES if is_open else _AFTER_ANCHOR_LINES)
            self._until = until if until > self._start_until else self._start_until
            if self._collect_at > at + _COLLECT_LINES:
                self._collect_at = at + _COLLECT_LINES

    def _cut_here(self) -> None:
        """Lines are missing: any report may go on from its middle."""
        self._until = self._start_until = self._at + _AT_START_LINES
        for stream in self._streams.values():
            stream.may_be_cut = True

    def _collect(self, flush: bool = False, end: bool = False) -> list[Report]:
        found, self._left = self._left, []
        waiting = False
        for stream in self._streams.values():
            found += stream.due(self._at, flush, end)
            waiting = waiting or bool(stream.drafts)
        self._collect_at = self._at + _COLLECT_LINES if waiting else _NEVER
        return found

    def _stream_of(self, host: str) -> Stream:
        stream = self._streams.get(host)
        if stream is None:
            if len(self._streams) >= MOST_HOSTS:
                self._forget()
            stream = self._streams[host] = Stream()
        return stream

    def _forget(self) -> None:
        """Hosts of which nothing is left go first; otherwise who came first, with what it had."""
        idle = [host for host, stream in self._streams.items() if not stream.drafts]
        for host in idle or list(self._streams)[:1]:
            self._left += self._streams.pop(host).due(self._at, end=True)


def decode(lines: Iterable[str]) -> Iterator[Report]:
    """The reports of a log, each as soon as it is over. Never raises but what `lines` raises."""
    decoder = Decoder()
    for line in lines:
        if found := decoder.feed(line):
            yield from found
    yield from decoder.finish()
