"""What to change so that it does not happen again: one adviser a reason, each a name in ADVISERS.

Rule of this file: an adviser speaks only where this incident's own figures give it cause, and then says
exactly what to write.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from oomguardd.engine.words import size
from oomguardd.history.incident import Incident
from oomguardd.incidents import choosing, ending, kernel_side, limits, machine
from oomguardd.incidents.case import Case, case_of
from oomguardd.incidents.remedy import Advice
from oomguardd.incidents.summary import verdict

__all__ = ["ADVISERS", "Advice", "advise"]

Adviser = Callable[[Case], Iterator[Advice]]

ADVISERS: tuple[Adviser, ...] = (
    ending.dry_run,
    ending.stuck,
    ending.refused,
    kernel_side.limit_reached,
    kernel_side.tmpfs_in_limit,
    kernel_side.few_nodes,
    kernel_side.fragmented,
    ending.again,
    limits.tasks,
    choosing.precious,
    choosing.inflated,
    limits.limit,
    limits.overfull,
    limits.own_setting,
    machine.tmpfs,
    ending.in_vain,
    ending.nobody,
    kernel_side.kernel_first,
    ending.late,
    machine.rivals,
    machine.full_swap,
    machine.no_swap,
    choosing.close,
    kernel_side.half_dead,
    ending.ignored_term,
    machine.huge_pages,
    machine.no_pressure,
    ending.slow,
)
"""In the order in which their advice is shown: what is wrong first, what could be better last."""

MOST = 8
"""More is not read."""


def advise(incident: Incident) -> list[Advice]:
    """From the incident's own figures, never empty: where there is nothing to change, the reason for that."""
    case = case_of(incident)
    found = [one for adviser in ADVISERS for one in adviser(case)]
    return found[:MOST] or [nothing(case)]


def nothing(case: Case) -> Advice:
    """Why."""
    title = "Nothing to change"
    if case.asked_for:
        return Advice(title, "Somebody asked the kernel for this kill (SysRq-f).")
    if case.held_bytes is None or not case.readings:
        return Advice(
            title,
            "Too little is known of this kill to say what would have prevented it: neither what was held"
            " nor how the machine was. `journalctl -k` of that minute may have more.",
        )
    helped = f" {verdict(case)}" if verdict(case) else ""
    held = f"It held {size(case.held_bytes)}"
    if limits.is_small(case):
        held += ", a small part of the machine: a limit on it would have made no difference"
    return Advice(title, f"{held}.{helped} If it comes back, see who is growing: `oomguardctl rank --watch`.")
