"""What it would take that it does not happen again, in sentences.

Rule of this file: advice follows from the cause and from who held the memory; what a report cannot tell (is
the program leaking, or is the limit too small?) is left to the reader as a choice.
"""

from __future__ import annotations

from oomguardd.oomlog.causes import fragmentation, is_full
from oomguardd.oomlog.holders import shares, whole_bytes
from oomguardd.oomlog.phrases import NEVER_KILLED, cgroup, is_v1, name, size
from oomguardd.oomlog.report import Report

_MOST = 0.5


def remedies(report: Report) -> list[str]:
    """What to do, the most telling first; empty when the report is too short to say."""
    found: list[str] = []
    if report.cause == "sysrq":
        return ["To forbid it, take bit 64 out of kernel.sysrq."]
    if report.cause == "memcg":
        found += _limit(report)
    elif report.cause in ("cpuset", "mempolicy"):
        found.append("Allow the task more nodes, or prefer nodes instead of binding to them.")
    elif report.cause == "global":
        found += _machine(report)
    return [*found, *_held(report), *_nobody(report)]


def _limit(report: Report) -> list[str]:
    memcg = report.memcg
    if memcg is None or not memcg.owner:
        return []
    limit = "memory.limit_in_bytes" if is_v1(report) else "memory.max, or MemoryMax= of its unit"
    what = memcg.memory.limit_bytes if memcg.memory and is_full(memcg.memory) else None
    than = f" than {size(what)}" if what else ""
    lines = [f"Give {cgroup(memcg.owner)} more{than} ({limit}), or let what runs in it need less."]
    if not is_v1(report):
        lines.append(
            "Set memory.high below the limit: it slows down and reclaims before anybody must be killed."
        )
    if memcg.swap is not None and memcg.swap.limit_bytes == 0:
        lines.append("Let it swap what it seldom uses (memory.swap.max, MemorySwapMax=).")
    return lines


def _machine(report: Report) -> list[str]:
    memory, lines = report.memory, []
    if memory is not None and memory.swap_total_bytes == 0:
        lines.append("Swap, or zram, would let seldom used memory make room.")
    if fragmentation(report):
        lines.append(
            "A higher vm.min_free_kbytes keeps larger blocks free; so does vm.compaction_proactiveness."
        )
    if lines or memory is not None:
        lines.append(
            "A limit (MemoryHigh=, MemoryMax=) on what grows, or a daemon that acts while memory is left,"
            " ends this before the kernel must."
        )
    return lines


def _held(report: Report) -> list[str]:
    lines = []
    victim, whole = report.victim, whole_bytes(report)
    if victim is not None and whole and (victim.held_bytes or 0) > whole * _MOST:
        lines.append(
            f"Look at {name(victim.comm)} first, which held most of it: it may leak, or be set up too large."
        )
    for share in shares(report):
        advice = _ADVICE.get(share.what)
        if advice:
            lines.append(advice)
    return lines


_ADVICE = {
    "shmem": "See what fills tmpfs (df -t tmpfs; ipcs -m; /proc/*/fd with memfd), and limit it with size=.",
    "kernel": "Watch slabtop and SUnreclaim in /proc/meminfo: what grows for ever is a leak of the kernel's.",
    "hugepages": "Reserve fewer huge pages, or make sure that they are used.",
    "pagetables": "Huge pages for large shared mappings make page tables small.",
    "unaccounted": "Compare MemTotal in /proc/meminfo with the sum of its lines, to see whether it grows.",
}


def _nobody(report: Report) -> list[str]:
    never = [task for task in report.tasks if task.oom_score_adj == NEVER_KILLED]
    if report.nobody_killable and never:
        return ["Whoever was left has oom_score_adj -1000: give that to fewer."]
    return []
