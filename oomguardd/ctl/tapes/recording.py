"""The format of a recorded machine: JSON lines, each with what has changed since the one before.

    {"kind": "oomguard-recording", "version": 1, ...}    the machine; see Header
    {"t": 0.0, "key": true, "readings": {...}, "new": [...], "cgroups": {...}, ...}
    {"t": 1.0, "readings": {...}, "set": [[pid, ...], ...], "gone": [pid, ...], ...}

Rule of this file: pure. A line with `key` repeats everything, so that one damaged line costs no more than
what follows until the next of these. playback.py reads what is written here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from oomguardd.model import Candidate, Memcg, Sample, Totals

KIND = "oomguard-recording"
VERSION = 1
KEY_EVERY = 60
"""Lines between two that repeat everything."""

PLAIN: Mapping[str, type | tuple[type, ...]] = {
    "pid": int,
    "ppid": int,
    "start_ticks": int,
    "comm": str,
    "uid": int,
    "gid": int,
    "sid": int,
    "nice": int,
    "age_s": (int, float),
    "state": str,
    "threads": int,
    "cgroup": str,
    "oom_score_adj": int,
    "terminal": bool,
    "sched": str,
    "exe": (str, type(None)),
    "cmdline": (str, type(None)),
}
"""Fields of a process in `new`, and what they must be."""
MOVING = (
    "rss_anon_bytes",
    "rss_file_bytes",
    "rss_shmem_bytes",
    "swap_bytes",
    "pagetables_bytes",
    "oom_score_adj",
    "nice",
    "dying",
)
"""In `set`, behind the pid: what is written again whenever one of these has changed."""
MEMORY = MOVING[:5]
_LASTING = ("start_ticks", "comm", "ppid", "uid", "gid", "cgroup", "exe", "cmdline", "ancestors")
"""What a process rarely changes: it is written anew then."""


class Header(NamedTuple):
    """The first line."""

    time_s: float
    """Wall clock."""
    interval_s: float
    totals: Totals
    page_bytes: int
    domain: str = "machine"
    inside: bool = False
    """Of a container: only its own processes count."""
    kernel: str = ""
    hostname: str = ""
    """Empty in a redacted recording."""
    redacted: bool = False
    least_bytes: int = 0
    """Processes that held less were left out."""
    guard: tuple[int, ...] = ()
    """Pids of a running oomguardd and its ancestors."""


def header_line(header: Header) -> str:
    """Without its newline."""
    fields = header._asdict() | {"totals": list(header.totals)}
    return _json({"kind": KIND, "version": VERSION, **fields})


class Encoder:
    """Makes lines of moments."""

    def __init__(self) -> None:
        self._lines = 0
        self._known: dict[int, Candidate] = {}
        self._cgroups: dict[str, Memcg | None] = {}
        self._totals: Totals | None = None

    def line(
        self,
        t_s: float,
        sample: Sample,
        hidden_bytes: float,
        totals: Totals,
        candidates: Iterable[Candidate],
    ) -> str:
        """One moment, without its newline."""
        key = self._lines % KEY_EVERY == 0
        self._lines += 1
        if key:
            self._known, self._cgroups, self._totals = {}, {}, None
        fields: dict[str, Any] = {"t": round(t_s, 3)}
        fields |= {"key": True} if key else {}
        fields["readings"] = {name: round(value, 3) for name, value in sample.items()}
        fields |= {"hidden": hidden_bytes} if hidden_bytes else {}
        fields |= {"totals": list(totals)} if totals != self._totals else {}
        self._totals = totals
        now = {c.pid: c for c in candidates}
        fields |= {name: rows for name, rows in self._changes(now) if rows}
        self._known = now
        return _json(fields)

    def _changes(self, now: Mapping[int, Candidate]) -> Iterator[tuple[str, Any]]:
        cgroups = {c.cgroup: c.memcg for c in now.values()}
        changed = {path: memcg for path, memcg in cgroups.items() if self._cgroups.get(path) != memcg}
        self._cgroups |= cgroups
        yield "cgroups", changed  # a NamedTuple is a list in JSON
        new, moved = [], []
        for c in now.values():
            before = self._known.get(c.pid)
            if before is None or _differ(before, c, _LASTING):
                new.append(_row(c))
            elif _differ(before, c, MOVING):
                moved.append([c.pid, *(getattr(c, name) for name in MOVING)])
        yield "new", new
        yield "set", moved
        yield "gone", [pid for pid in self._known if pid not in now]


def _row(c: Candidate) -> dict[str, Any]:
    row = {name: getattr(c, name) for name in (*PLAIN, *MEMORY)}
    row["age_s"] = round(c.age_s, 1)
    return row | {"ancestors": list(c.ancestors)} | ({"dying": True} if c.dying else {})


def _differ(before: Candidate, c: Candidate, names: Iterable[str]) -> bool:
    return any(getattr(before, name) != getattr(c, name) for name in names)


def _json(fields: Mapping[str, Any]) -> str:
    return json.dumps(fields, separators=(",", ":"), allow_nan=False)
