"""What the kernel said of its own kill, as the decoder (oomlog/) has understood it."""

from __future__ import annotations

from oomguardd.engine.words import Fields, count, counted, digits, size, who
from oomguardd.incidents.case import Case
from oomguardd.incidents.markup import Html, join, tag
from oomguardd.incidents.sections import facts, known, table

MOST_TASKS = 40


def kernel_tasks(case: Case) -> Html | None:
    """The task table of the kernel's report, the largest first; None where there is none."""
    tasks = [Fields(task) for task in case.kill.fields("report").each("tasks")]
    if not tasks:
        return None

    def held(task: Fields) -> float:
        return sum(task.number(key) or 0.0 for key in ("rss_bytes", "swap_bytes", "pagetables_bytes"))

    tasks.sort(key=held, reverse=True)
    rows = [
        (
            task.text("pid"),
            task.text("comm"),
            task.text("uid"),
            size(task.number("rss_bytes")),
            size(task.number("swap_bytes")),
            size(task.number("pagetables_bytes")),
            count(task.number("oom_score_adj")),
        )
        for task in tasks[:MOST_TASKS]
    ]
    more = len(tasks) - len(rows)
    head = ("PID", "Name", "uid", "Resident", "Swap", "Page tables", "oom_score_adj")
    return table(head, rows, f"and {more} more, smaller" if more > 0 else "", left=(1,))


def kernel_report(case: Case) -> Html:
    """What the kernel said, and what that means."""
    report = case.kill.fields("report")
    memcg, memory = report.fields("memcg"), report.fields("memory")
    rows = [
        ("Told by", case.kill.text("source", "")),
        ("Constraint", case.kill.text("constraint", "")),
        ("Limit of", case.kill.text("limit_cgroup", "")),
        *(
            (name, _usage(memcg.fields(key)))
            for name, key in (("Memory", "memory"), ("Swap", "swap"), ("Memory + swap", "memory_and_swap"))
        ),
        ("Asked for by", _asker(report.fields("trigger"))),
        ("Order", digits(report.number("order")) if report.number("order") else ""),
        ("RAM", known(size, memory.number("ram_bytes"))),
        ("Swap free", _swap(memory)),
        ("Kernel", report.text("kernel", "")),
        ("Hardware", report.text("hardware", "")),
    ]
    why = [tag("li", text) for text in case.kill.texts("why")]
    parts = [tag("ul", *why) if why else "", facts(rows)]
    tasks = kernel_tasks(case)
    if tasks:
        parts += [tag("h3", "Who could have been killed"), tasks]
    return join(parts)


def _usage(usage: Fields) -> str:
    if usage.number("usage_bytes") is None:
        return ""
    limit = usage.number("limit_bytes")
    failures = usage.number("failures")
    tail = f", {counted(failures, 'time')} at it" if failures else ""
    return f"{size(usage.number('usage_bytes'))} of {'unlimited' if limit is None else size(limit)}{tail}"


def _asker(trigger: Fields) -> str:
    return who(trigger) if trigger.raw else ""


def _swap(memory: Fields) -> str:
    total = memory.number("swap_total_bytes")
    if total is None:
        return ""
    return "there is no swap" if total == 0 else f"{size(memory.number('swap_free_bytes'))} of {size(total)}"
