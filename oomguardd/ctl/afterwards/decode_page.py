"""One decoded report on a terminal: the sentences, and the processes that held most as a table."""

from __future__ import annotations

from oomguardd.ctl.console import Console
from oomguardd.ctl.text import Column, fit, paragraph, table
from oomguardd.engine.words import safe
from oomguardd.oomlog import Report, Task, explain_parts
from oomguardd.oomlog.holders import largest
from oomguardd.units import format_bytes

_COLUMNS = (
    Column("", left=True),
    Column("PID"),
    Column("NAME", left=True, least=8),
    Column("UID"),
    Column("ADJ"),
    Column("HELD"),
    Column("ANON"),
    Column("FILE"),
    Column("SHARED"),
    Column("SWAP"),
    Column("TABLES"),
)

_CAUSES = {
    "memcg": "A cgroup was at its limit",
    "global": "The machine was out of memory",
    "cpuset": "The nodes of a cpuset were out of memory",
    "mempolicy": "The nodes of a memory policy were out of memory",
    "sysrq": "SysRq-f",
    "unknown": "Cause not in the log",
}


def page(report: Report, number: int, most: int, console: Console) -> list[str]:
    """The lines, none wider than the terminal."""
    width = console.width
    parts = explain_parts(report)
    lines = [console.paint(fit(_title(report, number), width), "bold")]
    for sentence in parts.what:
        lines += paragraph(sentence, width)
    shown = largest(report)[:most]
    for heading, sentences in (
        ("Why", parts.why),
        ("Who held the memory", [*(() if shown else parts.largest), *parts.held]),
    ):
        lines += _section(heading, sentences, console)
    if shown:
        lines += _tasks(report, shown, console, bare=not parts.held)
    lines += _section("What would prevent it", parts.prevent, console)
    lines += [console.paint(line, "dim") for doubt in parts.doubts for line in paragraph(doubt, width)]
    return lines


def _title(report: Report, number: int) -> str:
    when = safe(report.stamp) if report.stamp else ""
    if not when and report.uptime_s is not None:
        when = f"{report.uptime_s:.3f} s after boot"
    parts = [when, safe(report.host), f"kernel {safe(report.kernel)}" if report.kernel else ""]
    told = ", ".join(part for part in parts if part)
    return f"{number}. {_CAUSES[report.cause]}{f' ({told})' if told else ''}"


def _section(heading: str, sentences: list[str], console: Console) -> list[str]:
    if not sentences:
        return []
    lines = [console.paint(fit(heading, console.width), "bold")]
    for sentence in sentences:
        lines += paragraph(sentence, console.width, indent=2)
    return lines


def _tasks(report: Report, shown: list[Task], console: Console, bare: bool) -> list[str]:
    dead = {victim.pid for victim in report.victims}
    rows = [_row(task, task.pid in dead) for task in shown]
    kept = [at for at, _ in enumerate(_COLUMNS) if any(row[at] for row in rows)]
    columns = [_COLUMNS[at] for at in kept]
    lines = table(columns, [[row[at] for at in kept] for row in rows], console.width)
    more = len(report.tasks) - len(shown)
    tail = paragraph(f"and {more} more (-n all shows them)", console.width) if more > 0 else []
    return [*([console.paint("Who held the memory", "bold")] if bare else []), *lines, *tail]


def _row(task: Task, killed: bool) -> list[str]:
    def size(value: int | None) -> str:
        return "" if value is None else format_bytes(value)

    adj = task.oom_score_adj if task.oom_score_adj is not None else task.oom_adj
    return [
        "killed" if killed else "",
        str(task.pid),
        safe(task.comm) or "?",
        str(task.uid),
        "" if adj is None else str(adj),
        size(task.held_bytes),
        size(task.rss_anon_bytes),
        size(task.rss_file_bytes),
        size(task.rss_shmem_bytes),
        size(task.swap_bytes),
        size(task.pagetables_bytes),
    ]
