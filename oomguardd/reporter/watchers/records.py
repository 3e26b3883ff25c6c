"""Records of what others killed, as `engine.explain_others` and the history read them.

Rule of this file: a field that is not known is left out, and no record is larger than the history likes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from oomguardd.engine.owners import owner_words
from oomguardd.oomlog import Report, explain, to_json
from oomguardd.reporter.inbox import Record, made_here
from oomguardd.reporter.watchers.docket import Movement
from oomguardd.runtimes import owner_of

KERNEL_KILL_PRIORITY = 2
FOREIGN_KILL_PRIORITY = 4
EXIT_PRIORITY = 6

MOST_MEMBERS = 10
MOST_ITEMS = 20
"""Of each list in a report: its table of tasks may have tens of thousands of rows."""
LONGEST_TEXT = 300
LONGEST_REPORT_BYTES = 24 << 10
_LARGE_PARTS = ("memory", "tasks", "memcg")
"""What a report can do without, the largest first."""

_CONSTRAINTS = {
    "global": "none",
    "sysrq": "none",
    "memcg": "memcg",
    "cpuset": "cpuset",
    "mempolicy": "memory_policy",
}


def cgroup_of(report: Report) -> str:
    """The victim's, or the nearest that the log tells; empty if it tells none."""
    memcg = report.memcg
    return (memcg.victim or memcg.group or memcg.owner or "") if memcg else ""


def limit_of(report: Report) -> str:
    """The cgroup whose limit was reached; empty if it was none, or is not told."""
    return (report.memcg.owner or "") if report.memcg and report.cause == "memcg" else ""


def constraint_of(report: Report) -> str:
    """As in a record; empty if the report does not tell."""
    return _CONSTRAINTS.get(report.cause, "")


def report_record(
    report: Report,
    source: str,
    boot: str,
    time_s: float,
    extra: Sequence[str],
    place: Movement | None = None,
) -> Record:
    """A kill that the kernel's log tells of. `extra` are sentences to put before the report's own; `place` is
    what the counters say where the log does not name the cgroup. The key is the same whichever way the log
    was read."""
    victim = report.victim
    assert victim is not None, "reports without a victim are no kills"
    cgroup = cgroup_of(report) or (place.cgroup if place else "")
    limit = limit_of(report) or (place.limit_cgroup if place else "")
    held = [each.held_bytes for each in report.victims if each.held_bytes is not None]
    at = "" if report.uptime_s is None else f"{report.uptime_s * 1000:.0f}"
    return made_here(
        "kernel_kill",
        KERNEL_KILL_PRIORITY,
        time_s,
        key=f"kernel:{boot}:{at or f'{time_s:.0f}'}:{victim.pid}",
        source=source,
        pid=victim.pid,
        comm=victim.comm,
        count=len(report.victims),
        **_known(
            uid=victim.uid,
            cgroup=cgroup,
            limit_cgroup=limit,
            constraint=constraint_of(report),
            owner=owner_words(owner_of(cgroup)),
            held_bytes=sum(held) if held else None,
            oom_score_adj=victim.oom_score_adj,
            members=_members(report),
        ),
        why=[*extra, *(text[:LONGEST_TEXT] for text in explain(report))][:MOST_ITEMS],
        report=trimmed(to_json(report)),
    )


def _members(report: Report) -> list[list[object]]:
    if len(report.victims) < 2:
        return []
    return [[each.pid, each.comm, each.held_bytes] for each in report.victims[:MOST_MEMBERS]]


def movement_record(movement: Movement, boot: str, time_s: float, why: Sequence[str]) -> Record:
    """Kills that only counters tell of."""
    cgroup = movement.cgroup
    return made_here(
        "kernel_kill",
        KERNEL_KILL_PRIORITY,
        time_s,
        key=f"kernel:{boot}:{movement.source}:{cgroup}:{movement.total}",
        source=movement.source,
        count=movement.kills,
        **_known(cgroup=cgroup, limit_cgroup=movement.limit_cgroup, owner=owner_words(owner_of(cgroup))),
        constraint="memcg" if movement.limit_cgroup else "",
        why=list(why),
    )


def surplus_record(count: int, boot: str, time_s: float, limit_cgroup: str) -> Record:
    """Kills that came too fast to be told one by one."""
    return made_here(
        "kernel_kill",
        KERNEL_KILL_PRIORITY,
        time_s,
        key=f"kernel:{boot}:surplus:{time_s:.3f}",
        source="kmsg",
        count=count,
        **_known(limit_cgroup=limit_cgroup),
        constraint="memcg" if limit_cgroup else "",
        why=["more kills followed one another than are told one by one; the kernel's log names them all"],
    )


def foreign_record(
    by: str, time_s: float, boot: str, count: int, why: Sequence[str], **fields: object
) -> Record:
    """A kill of another daemon's; `fields` are pid, comm and cgroup, as far as they are known."""
    known = _known(**fields)
    cgroup = str(known.get("cgroup") or "")
    what = known.get("pid") or cgroup or known.get("comm")
    return made_here(
        "foreign_kill",
        FOREIGN_KILL_PRIORITY,
        time_s,
        key=f"foreign:{boot}:{by}:{what}:{time_s:.0f}",
        by=by,
        count=count,
        **known,
        **_known(owner=owner_words(owner_of(cgroup))),
        why=list(why),
    )


def _known(**fields: object) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value is not None and value not in ("", [])}


def trimmed(report: Mapping[str, object]) -> dict[str, object]:
    """The report with long lists and texts cut, and without its largest parts if it is still too large."""
    cut = {str(name): _cut(value) for name, value in report.items()}
    for part in _LARGE_PARTS:
        if len(json.dumps(cut, default=str)) <= LONGEST_REPORT_BYTES:
            break
        cut.pop(part, None)
    return cut


def _cut(value: object) -> object:
    if isinstance(value, str):
        return value[:LONGEST_TEXT]
    if isinstance(value, Mapping):
        return {str(name): _cut(each) for name, each in list(value.items())[:100]}
    if isinstance(value, (list, tuple)):
        return [_cut(each) for each in _largest(value)]
    return value


def _largest(rows: Sequence[object]) -> Sequence[object]:
    """Of the table of tasks, those that held most."""
    if len(rows) <= MOST_ITEMS or not isinstance(rows[0], Mapping) or "rss_bytes" not in rows[0]:
        return rows[:MOST_ITEMS]
    return sorted(rows, key=_rss, reverse=True)[:MOST_ITEMS]


def _rss(row: object) -> float:
    value = row.get("rss_bytes") if isinstance(row, Mapping) else None
    return value if isinstance(value, (int, float)) else 0.0
