"""A report in words: what happened, why, who held the memory, and what it would take to prevent it."""

from __future__ import annotations

from typing import NamedTuple

from oomguardd.oomlog.causes import why
from oomguardd.oomlog.holders import holders, processes
from oomguardd.oomlog.phrases import cgroup, listed, name, size, who
from oomguardd.oomlog.remedies import remedies
from oomguardd.oomlog.report import Report, Victim
from oomguardd.units import printable


class Explanation(NamedTuple):
    """Sentences, each complete and on one line, with nothing unprintable in them."""

    what: list[str]
    why: list[str]
    largest: list[str]
    held: list[str]
    prevent: list[str]
    doubts: list[str]
    """What of the report is missing or assumed."""


def explain_parts(report: Report) -> Explanation:
    """The explanation by its parts; `what` and `why` are never empty."""
    return Explanation(
        _what(report), why(report), processes(report), holders(report), remedies(report), _doubts(report)
    )


def explain(report: Report) -> list[str]:
    """The same as one list of sentences."""
    return [line for part in explain_parts(report) for line in part]


def _what(report: Report) -> list[str]:
    return [*_killed(report), *_trigger(report)]


def _killed(report: Report) -> list[str]:
    lines: list[str] = []
    victim = report.victim
    if victim is not None:
        lines.append(f"The kernel killed {who(victim)}{_about(victim)}.")
        lines += _chosen(report, victim) + _others(report) + _reaped(victim)
    if report.already_exiting:
        pids = ", ".join(map(str, report.already_exiting))
        lines.append(f"The chosen process ({pids}) was exiting already, so nobody was killed.")
    if report.nobody_killable:
        lines.append("No process was left that may be killed, so nobody was.")
    if report.panic:
        lines.append(f"The kernel panicked: {printable(report.panic)}.")
    return lines or ["The log ends before it says who was killed."]


def _about(victim: Victim) -> str:
    user = f" of user {victim.uid}" if victim.uid is not None else ""
    if victim.held_bytes is None:
        return user
    kinds = (
        (victim.rss_anon_bytes, "anonymous"),
        (victim.rss_file_bytes, "of files"),
        (victim.rss_shmem_bytes, "shared"),
    )
    parts = [f"{size(part)} {what}" for part, what in kinds if part]
    detail = f" ({', '.join(parts)})" if parts else ""
    adj = f", oom_score_adj {victim.oom_score_adj}" if victim.oom_score_adj else ""
    return f"{user}, which had {size(victim.held_bytes)} in memory{detail}{adj}"


def _chosen(report: Report, victim: Victim) -> list[str]:
    chosen = report.announced
    if chosen is not None and chosen.pid != victim.pid:
        return [f"It had chosen {name(chosen.comm)}[{chosen.pid}], and killed a child of that in its place."]
    if report.allocating_task:
        return ["It was not chosen: vm.oom_kill_allocating_task kills whoever asks for memory."]
    return []


def _others(report: Report) -> list[str]:
    others = report.victims[1:]
    if not others:
        return []
    reason = "because they shared its memory"
    if report.memcg is not None and report.memcg.group is not None:
        reason = f"as memory.oom.group is set on {cgroup(report.memcg.group)}"
    told = [who(one) for one in others[:5]] + ([f"{len(others) - 5} more"] if len(others) > 5 else [])
    return [f"With it died {listed(told)}, {reason}."]


def _reaped(victim: Victim) -> list[str]:
    if victim.unreapable:
        return ["The oom_reaper could not take its memory away: it was stuck in the kernel."]
    left = sum(part or 0 for part in victim.reaped or ())
    return [f"{size(left)} of it stayed after the oom_reaper had been there."] if left else []


def _trigger(report: Report) -> list[str]:
    trigger = report.trigger
    if trigger is None or report.cause == "sysrq":
        return []
    asker = f"{name(trigger.comm)}[{trigger.pid}]" if trigger.pid is not None else name(trigger.comm)
    pages = "memory"
    if report.order is not None and report.order >= 0:
        pages = "1 page" if report.order == 0 else f"{1 << min(report.order, 32)} pages in a row"
    flags = f" ({printable('|'.join(report.gfp_flags))})" if report.gfp_flags else ""
    own = report.victim is not None and trigger.pid == report.victim.pid
    rest = "" if own or not report.victims else "; whoever happens to ask need not be the cause"
    return [f"It began when {asker} asked for {pages}{flags}{rest}."]


def _doubts(report: Report) -> list[str]:
    lines = []
    if not report.complete:
        lines.append("The report is not complete in this log.")
    if report.page_assumed and report.tasks:
        lines.append("Sizes in the table assume pages of 4 KiB: nothing in the report tells.")
    return lines
