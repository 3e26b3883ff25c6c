"""Reads what recording.py has written, moment by moment.

Rule of this file: pure, and no line is trusted: it may have been cut off, damaged, or made up. What is not as
it should be is ValueError.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from oomguardd.ctl.tapes.recording import KIND, MEMORY, MOVING, PLAIN, VERSION, Header
from oomguardd.model import Candidate, Memcg, Sample, Totals
from oomguardd.runtimes import owner_of

_MOST = 1 << 62

Identity = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Frame:
    """One moment of the recording."""

    t_s: float
    sample: Sample
    hidden_bytes: float
    """Free memory that mem_available does not count."""
    totals: Totals
    written: tuple[Candidate, ...]
    """As they were last written: with the age of that time, and without their cgroup's memory."""
    complete: Callable[[Iterable[Candidate]], tuple[Candidate, ...]]
    """Puts these right; until the next frame is asked for."""

    @property
    def processes(self) -> tuple[Candidate, ...]:
        """Everybody, as of now; takes its time."""
        return self.complete(self.written)


class Flaw(NamedTuple):
    """A line that could not be used."""

    line: int
    why: str


def parse_header(line: bytes) -> Header:
    """ValueError with what is wrong."""
    try:
        raw = _object(line)
    except ValueError:
        raise ValueError("this is no recording of oomguardctl") from None
    if raw.get("kind") != KIND:
        raise ValueError("this is no recording of oomguardctl")
    if raw.get("version") != VERSION:
        raise ValueError(f"a recording of version {raw.get('version')!r}; this oomguardctl reads {VERSION}")
    interval_s = _number(raw, "interval_s")
    if not 0 < interval_s < 1e6:
        raise ValueError(f"interval_s: {interval_s} is not possible")
    return Header(
        time_s=_number(raw, "time_s"),
        interval_s=interval_s,
        totals=_totals(raw.get("totals")),
        page_bytes=_typed(raw, "page_bytes", int),
        domain=_typed(raw, "domain", str),
        inside=_typed(raw, "inside", bool),
        kernel=_typed(raw, "kernel", str),
        hostname=_typed(raw, "hostname", str),
        redacted=_typed(raw, "redacted", bool),
        least_bytes=_typed(raw, "least_bytes", int),
        guard=tuple(pid for pid in _typed(raw, "guard", list) if isinstance(pid, int)),
    )


class Decoder:
    """Makes moments of lines, in their order."""

    def __init__(self, header: Header) -> None:
        self._totals = header.totals
        self._t_s = -math.inf
        self._processes: dict[Identity, Candidate] = {}
        self._identity: dict[int, Identity] = {}
        self._seen_s: dict[Identity, float] = {}
        self._cgroups: dict[str, Memcg | None] = {}

    def frame(self, line: bytes) -> Frame:
        """ValueError with what is wrong; what was right in such a line may have been taken."""
        raw = _object(line)
        t_s = _number(raw, "t")
        if t_s < self._t_s:
            raise ValueError("it goes back in time")
        readings = _typed(raw, "readings", dict)
        sample = {str(name): _number(readings, name) for name in readings}
        self._t_s = t_s
        if raw.get("key"):
            self._processes, self._identity, self._seen_s, self._cgroups = {}, {}, {}, {}
        if "totals" in raw:
            self._totals = _totals(raw["totals"])
        for path, memcg in _typed(raw, "cgroups", dict, {}).items():
            self._cgroups[path] = None if memcg is None else _memcg(memcg)
        for pid in _typed(raw, "gone", list, []):
            self._forget(pid)
        for row in _typed(raw, "new", list, []):
            self._add(_candidate(row), t_s)
        for row in _typed(raw, "set", list, []):
            self._move(row)
        hidden = _number(raw, "hidden") if "hidden" in raw else 0.0
        written = tuple(self._processes.values())
        return Frame(t_s, sample, hidden, self._totals, written, self._complete)

    def _add(self, c: Candidate, t_s: float) -> None:
        self._forget(c.pid)
        self._processes[c.identity] = c
        self._identity[c.pid] = c.identity
        self._seen_s[c.identity] = t_s

    def _forget(self, pid: object) -> None:
        identity = self._identity.pop(pid, None) if isinstance(pid, int) else None
        if identity is not None:
            del self._processes[identity], self._seen_s[identity]

    def _move(self, row: object) -> None:
        if not isinstance(row, list) or len(row) != 1 + len(MOVING):
            raise ValueError("a row of `set` has another length")
        if not all(isinstance(value, int) and -_MOST < value < _MOST for value in row):
            raise ValueError("a row of `set` has something else than numbers")
        identity = self._identity.get(row[0])
        if identity is not None:  # else the line that introduced it was damaged
            values = dict(zip(MOVING, row[1:], strict=True)) | {"dying": bool(row[-1])}
            self._processes[identity] = replace(self._processes[identity], **_checked(values))

    def _complete(self, some: Iterable[Candidate]) -> tuple[Candidate, ...]:
        t_s, seen_s, cgroups = self._t_s, self._seen_s, self._cgroups
        return tuple(
            replace(c, age_s=c.age_s + t_s - seen_s[c.identity], memcg=cgroups.get(c.cgroup)) for c in some
        )


def frames(lines: Iterable[bytes], decoder: Decoder, first_line: int = 2) -> Iterator[Frame | Flaw]:
    """Every line as a moment or as what is wrong with it; a last line without its newline was cut off."""
    for number, line in enumerate(lines, first_line):
        if not line.strip():
            continue
        try:
            yield decoder.frame(line)
        except ValueError as error:
            cut = not line.endswith(b"\n")
            yield Flaw(number, "cut off: the recording ends here" if cut else str(error))


def _candidate(raw: object) -> Candidate:
    if not isinstance(raw, dict):
        raise ValueError("a process that is no object")
    values = {name: _typed(raw, name, kind) for name, kind in PLAIN.items()}
    values["age_s"] = max(0.0, _number(raw, "age_s"))
    values |= {name: _typed(raw, name, int) for name in MEMORY}
    names = _typed(raw, "ancestors", list, [])
    return Candidate(
        **_checked(values),
        dying=raw.get("dying") is True,
        ancestors=tuple(str(name) for name in names),
        owner=owner_of(values["cgroup"]),
    )


def _checked(values: dict[str, Any]) -> dict[str, Any]:
    """ValueError for memory or an oom_score_adj that no process can have."""
    if any(not 0 <= values[name] < _MOST for name in MEMORY):
        raise ValueError("a process with an impossible amount of memory")
    if not -1000 <= values["oom_score_adj"] <= 1000:
        raise ValueError("an impossible oom_score_adj")
    return values


def _memcg(raw: object) -> Memcg:
    if not isinstance(raw, list) or len(raw) != len(Memcg._fields):
        raise ValueError("a cgroup with something else than its memory")
    current, share, over, preference, uid, group = raw
    numbers = all(isinstance(value, (int, float)) and abs(value) < _MOST for value in (current, share, over))
    if not numbers or not isinstance(uid, int) or not isinstance(preference, str):
        raise ValueError("a cgroup with something else than its memory")
    return Memcg(int(current), float(share), int(over), preference, uid, str(group))


def _totals(raw: object) -> Totals:
    if (
        not isinstance(raw, list)
        or len(raw) != 2
        or not all(isinstance(value, int) and 0 <= value < _MOST for value in raw)
        or not raw[0]
    ):
        raise ValueError("totals: not the sizes of RAM and swap")
    return Totals(raw[0], raw[1])


def _object(line: bytes) -> dict[str, Any]:
    try:
        raw = json.loads(line, parse_constant=_no_number)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except ValueError as error:  # of UnicodeDecodeError as well
        raise ValueError(f"no JSON ({str(error).partition(': line')[0][:80]})") from None
    if not isinstance(raw, dict):
        raise ValueError("no JSON object")
    return raw


def _no_number(word: str) -> float:
    raise ValueError(f"{word} is no number")


def _number(raw: Mapping[str, Any], name: str) -> float:
    value = _typed(raw, name, (int, float))
    if isinstance(value, bool) or not abs(value) < _MOST:
        raise ValueError(f"{name}: no usable number")
    return float(value)


def _typed(raw: Mapping[str, Any], name: str, kind: type | tuple[type, ...], absent: Any = None) -> Any:
    """The field, which must be of that kind. ValueError."""
    value = raw.get(name, absent)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is int):
        raise ValueError(f"{name}: missing or of the wrong type")
    if isinstance(value, int) and not abs(value) < _MOST:
        raise ValueError(f"{name}: no usable number")
    return value
