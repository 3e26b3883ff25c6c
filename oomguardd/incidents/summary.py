"""The incident in a few sentences: who, by whom, why, how it ended, and whether it helped."""

from __future__ import annotations

from collections.abc import Iterator

from oomguardd.engine.readings import Signals, condition_words
from oomguardd.engine.words import Fields, count, duration, safe, size
from oomguardd.incidents.case import Case

HELPED_PART = 0.5
"""Of what was to come back; the kernel keeps some of it in lists of its own for seconds."""

AFTER_S = 10.0
"""So long after the end, memory that came back is visible."""


def headline(case: Case) -> str:
    """A few words."""
    several = case.name
    if case.count > 1:
        several = f"{case.count} processes" + (f" of {case.name}" if case.victim.text("comm", "") else "")
    if case.kind == "kernel_kill":
        return f"The kernel killed {several}"
    if case.kind == "foreign_kill":
        by = case.kill.text("by", "")
        return f"{by or 'Somebody'} killed {several}"
    if case.dry_run:
        return f"Dry run: {several} would have been ended"
    were = "were" if case.count > 1 else "was"
    before, after = available_before(case), available_after(case)
    gained = after - before if before is not None and after is not None else 0.0
    came = f", and {size(gained)} came back" if helped(case) else ""
    return f"{several} {were} ended{came}"


def summary(case: Case, signals: Signals) -> list[str]:
    """Sentences, safe to print."""
    return [text for text in (_deed(case), _reason(case, signals), _end(case), verdict(case)) if text]


def killer(case: Case) -> str:
    """By whom."""
    if case.kind == "kernel_kill":
        return "the kernel's OOM killer"
    return case.kill.text("by", "somebody") if case.kind == "foreign_kill" else "oomguardd"


def _deed(case: Case) -> str:
    subject = _sentence_first(killer(case))
    whom = case.whom + (f" and {case.count - 1} more" if case.count > 1 else "")
    owner = f" ({case.owner_words})" if case.owner_words else ""
    verb = "would have ended" if case.dry_run else "ended" if case.ours else "killed"
    how = f" with {case.kill.text('signal', 'a signal')}" if case.ours else ""
    they = "They" if case.count > 1 else "It"
    held = f" {they} held {size(case.held_bytes)}." if case.held_bytes is not None else ""
    return f"{subject} {verb} {whom}{owner}{how}.{held}"


def _sentence_first(text: str) -> str:
    return text[:1].upper() + text[1:] if text.startswith("the ") else text


def _reason(case: Case, signals: Signals) -> str:
    if case.kind == "kernel_kill":
        return _kernel_reason(case)
    if not case.ours:
        why = case.kill.text("why", "") or "; ".join(case.kill.texts("why"))
        return f"Its reason: {why}." if why else ""
    readings = case.readings
    held = [condition_words(text, readings, signals, in_prose=True) for text in _leading(case)]
    if case.reading("swap_total") == 0:
        held.append("there is no swap")
    triggers = case.kill.texts("triggers")
    named = f" (trigger {', '.join(triggers)})" if triggers else ""
    return f"The reason: {' and '.join(held)}{named}." if held else ""


def _leading(case: Case) -> list[object]:
    """The first condition on each signal: others say the same of a size that it says of a share. None on swap
    where there is none."""
    first: dict[str, object] = {}
    for text in case.kill.each("conditions"):
        name = safe(text).partition(" ")[0]
        if name != "swap_free" or case.reading("swap_total") != 0:
            first.setdefault(name, text)
    return list(first.values())


def _kernel_reason(case: Case) -> str:
    constraint = case.kill.text("constraint", "")
    limit = case.kill.text("limit_cgroup", "")
    usage = memcg_limit(case)
    if constraint == "memcg" or limit:
        sized = f" of {size(usage)}" if usage else ""
        return f"The reason: the memory limit{sized} of {limit or 'its cgroup'} was reached."
    if constraint == "cpuset":
        return "The reason: the memory nodes that its cpuset allows were used up."
    if constraint == "memory_policy":
        return "The reason: the memory nodes that its memory policy allows were used up."
    return "The reason: the machine had no memory left that the kernel could take." if constraint else ""


def memcg_limit(case: Case) -> float | None:
    """Of the cgroup that was at its limit; None where the kernel's report is not there."""
    return case.kill.fields("report").fields("memcg").fields("memory").number("limit_bytes")


def _end(case: Case) -> str:
    if case.dry_run:
        return "Nobody was signalled: it was a dry run."
    outcome = case.outcome
    if outcome is None:
        return "How it ended is not recorded." if case.ours else ""
    after = duration(outcome.number("after_s"))
    it, was = ("They", "were") if case.count > 1 else ("It", "was")
    words = {
        "died": f"{it} {was} dead {after} after the signal.",
        "died late": f"{it} died late, {after} after the signal.",
        "vanished": f"{it} had gone before the signal came.",
        "stuck": f"{it} did not die: {after} after the signal it was still there, in state"
        " {outcome.text('state')}.",
        "refused": f"{it} could not be signalled{_because(outcome)}.",
    }
    return words.get(outcome.text("outcome"), f"{it} ended as {outcome.text('outcome')} after {after}.")


def _because(outcome: Fields) -> str:
    why = outcome.text("why", "")
    return f": {why}" if why else ""


def verdict(case: Case) -> str:
    """Whether it helped; empty where that cannot be said."""
    before, after = available_before(case), available_after(case)
    if case.dry_run or before is None or after is None:
        return ""
    rise = f"memory available went from {size(before)} to {size(after)}"
    if not case.ours:
        return f"In the seconds after it, {rise}."
    if helped(case):
        return f"It helped: {rise}."
    came = f"{size(max(0.0, after - before))} of {size(expected_bytes(case))} expected"
    return f"It did not help enough: {rise}, {came}."


def helped(case: Case) -> bool:
    """Whether a kill of ours brought what it was to bring; False as well where that is not known."""
    before, after = available_before(case), available_after(case)
    if not case.ours or case.dry_run or before is None or after is None:
        return False
    return after > before and after - before >= HELPED_PART * (expected_bytes(case) or 0.0)


def expected_bytes(case: Case) -> float | None:
    """What should show up as available: neither what was in swap, nor what others may share. Of a party the
    same part as of the victim."""
    known = [case.victim.number(key) for key in ("rss_anon_bytes", "pagetables_bytes")]
    own = sum(value for value in known if value is not None)
    held, whole = case.victim.number("held_bytes"), case.held_bytes
    if not own or not held or whole is None:
        return whole
    return own * whole / held


def available_before(case: Case) -> float | None:
    """At the decision."""
    told = case.outcome.number("available_before_bytes") if case.outcome else None
    return told if told is not None else case.reading("mem_available")


def available_after(case: Case) -> float | None:
    """The most within AFTER_S of the end: some of it shows up late."""
    end_s = (case.outcome.number("after_s") if case.outcome else None) or 0.0
    seen = [
        moment.values["mem_available"]
        for moment in case.moments
        if 0 < moment.at_s <= end_s + AFTER_S
        and "mem_available" in moment.values
        and _undisturbed(case, moment.at_s)
    ]
    told = case.outcome.number("available_after_bytes") if case.outcome else None
    return max([*seen, *([told] if told is not None else [])], default=None)


def _undisturbed(case: Case, at_s: float) -> bool:
    """Before the next kill: what that brought is not this one's."""
    return not any(other is not None and 0 < other <= at_s for other in other_kills_s(case))


def other_kills_s(case: Case) -> Iterator[float | None]:
    """When others were killed."""
    for event in case.events("kill", "kernel_kill", "foreign_kill"):
        if event.raw != case.kill.raw:
            yield case.at_s(event)


def figures(case: Case) -> list[tuple[str, str, str]]:
    """(name, figure, note) of the few numbers that matter."""
    timings = case.kill.fields("timings")
    outcome = case.outcome
    found = [("Held", size(case.held_bytes), _held_note(case))] if case.held_bytes is not None else []
    before, after = available_before(case), available_after(case)
    if before is not None and after is not None and not case.dry_run:
        sign = "+" if after >= before else "\N{MINUS SIGN}"
        found.append(
            ("Came back", f"{sign}{size(abs(after - before))}", f"{size(before)} to {size(after)} available")
        )
    if timings.number("total_s") is not None:
        scanned = case.kill.number("scanned")
        note = f"{count(scanned)} processes weighed" if scanned else ""
        found.append(("Reading to signal", duration(timings.number("total_s")), note))
    if outcome and outcome.number("after_s") is not None and not case.dry_run:
        found.append(("Signal to death", duration(outcome.number("after_s")), safe(outcome.text("outcome"))))
    if case.kind == "kernel_kill" and memcg_limit(case):
        found.append(
            ("Limit", size(memcg_limit(case)), case.kill.text("limit_cgroup", "").rpartition("/")[2])
        )
    return found


def _held_note(case: Case) -> str:
    whole = case.kill.fields("totals").number("ram_bytes") or case.reading("mem_total")
    if not whole or case.held_bytes is None:
        return ""
    return f"of {size(whole)} RAM"
