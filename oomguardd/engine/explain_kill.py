"""A kill, and everybody who was looked at, as words."""

from __future__ import annotations

from oomguardd.engine.explain_party import party_count, party_lines, party_words
from oomguardd.engine.readings import Readings, Signals, all_readings, condition_words
from oomguardd.engine.words import (
    Fields,
    as_number,
    count,
    counted,
    digits,
    duration,
    listed,
    path,
    safe,
    size,
    table,
    who,
)

MOST_RUNNERS_UP = 5
MOST_SPARED = 12
MOST_REASONS = 8

CANDIDATE_HEADER = (
    "PID",
    "COMMAND",
    "UID",
    "STATE",
    "POINTS",
    "KERNEL'S",
    "RESIDENT",
    "SWAP",
    "ADJ",
    "AGE",
    "CGROUP",
)
CANDIDATE_LEFT = (1, 10)
"""Columns of text; for `words.table`."""


def candidate_row(weighed: object, total_pages: float | None) -> tuple[str, ...]:
    """One row under CANDIDATE_HEADER, of a mapping shaped like a kill record's `victim`.

    `total_pages` is RAM + swap, what a point is a thousandth of; None leaves the kernel's own points open.
    """
    c = Fields(weighed)
    kernel_pages = c.number("kernel_pages")
    return (
        c.text("pid"),
        c.text("comm"),
        c.text("uid"),
        c.text("state"),
        digits(c.number("points")),
        digits(to_points(kernel_pages, total_pages)),
        size(_total(c, "rss_anon_bytes", "rss_file_bytes", "rss_shmem_bytes")),
        size(c.number("swap_bytes")),
        count(c.number("oom_score_adj")),
        duration(c.number("age_s")),
        path(c.text("cgroup")),
    )


def to_points(pages: float | None, total_pages: float | None) -> float | None:
    """Thousandths of RAM + swap; None where either is unknown."""
    return None if pages is None or not total_pages else 1000 * pages / total_pages


def _total(fields: Fields, *keys: str) -> float | None:
    values = [fields.number(key) for key in keys]
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def describe_kill(record: Fields, signals: Signals) -> list[str]:
    """The sentence, and below it all that the decision was made of."""
    lines = [kill_sentence(record, signals)]
    lines += (f"  {line}" for line in _why_now(record, signals))
    lines += (f"  {line}" for line in party_lines(record.fields("party")))
    lines += (f"  {line}" for line in _why_this_one(record))
    lines += (f"  {line}" for line in _runners_up(record))
    lines += (f"  {line}" for line in spared_lines(record))
    lines.append(f"  {_timings(record)}")
    return lines


def kill_sentence(record: Fields, signals: Signals) -> str:
    """What was done to whom, what it brings and why now, in one line."""
    victim, party = record.fields("victim"), record.fields("party")
    head = "dry run: would have killed" if record.flag("dry_run") else "killed"
    number, conditions = record.text("signal"), _conditions(record, signals, in_prose=True)
    if party_count(party) > 1:
        return f"{head} {party_words(party, victim)} with {number}: {conditions}"
    return (
        f"{head} {who(victim)}"
        f" (uid {victim.text('uid')}, {path(victim.text('cgroup', 'no cgroup'))})"
        f" with {number}: {size(victim.number('held_bytes'))} would come back; {conditions}"
    )


def _readings(record: Fields) -> Readings:
    return record.fields("readings").numbers()


def _conditions(record: Fields, signals: Signals, in_prose: bool) -> str:
    readings = _readings(record)
    held = [condition_words(text, readings, signals, in_prose) for text in record.each("conditions")]
    return " and ".join(held) if held else "no condition was given"


def _why_now(record: Fields, signals: Signals) -> list[str]:
    triggers = ", ".join(record.texts("triggers")) or "?"
    domain = record.text("domain", "machine")
    return [
        f"level {record.text('level')} of {domain} by {triggers}:"
        f" {_conditions(record, signals, in_prose=False)}",
        f"readings: {all_readings(_readings(record), signals)}",
    ]


def _total_pages(record: Fields) -> float | None:
    page_bytes = record.number("page_bytes")
    total = _total(record.fields("totals"), "ram_bytes", "swap_bytes")
    return None if not page_bytes or total is None else total // page_bytes


def _why_this_one(record: Fields) -> list[str]:
    victim, totals = record.fields("victim"), record.fields("totals")
    total_pages, page_bytes = _total_pages(record), record.number("page_bytes")
    lines = [
        f"victim {who(victim)}, state {victim.text('state')}, running for {duration(victim.number('age_s'))},"
        f" nice {victim.text('nice')}, {counted(victim.number('threads'), 'thread')}:"
        f" {digits(victim.number('points'))} points of {size(totals.number('ram_bytes'))} RAM"
        f" + {size(totals.number('swap_bytes'))} swap"
    ]
    rows = [
        *_memory_terms(victim, total_pages, page_bytes),
        *_adj_term(victim, total_pages),
        *_kernel_sum(victim, total_pages, page_bytes),
        *_adjustments(victim),
    ]
    points = victim.number("points")
    rows.append(
        (
            "=",
            digits(points),
            _pages_size(victim.number("pages"), page_bytes),
            "what candidates were ranked by",
        )
    )
    return lines + [f"  {line}" for line in table(rows, left=(0, 3))]


_TERMS = (
    ("rss_anon_bytes", "anonymous memory"),
    ("rss_file_bytes", "mapped files"),
    ("rss_shmem_bytes", "shared memory"),
    ("swap_bytes", "in swap"),
    ("pagetables_bytes", "page tables"),
)

Row = tuple[str, str, str, str]


def _signed(points: float | None) -> tuple[str, str]:
    return ("", "?") if points is None else ("-" if points < 0 else "+", digits(abs(points)))


def _pages_size(pages: float | None, page_bytes: float | None) -> str:
    return "?" if pages is None or page_bytes is None else size(pages * page_bytes)


def _memory_terms(victim: Fields, total_pages: float | None, page_bytes: float | None) -> list[Row]:
    rows: list[Row] = []
    for key, name in _TERMS:
        value = victim.number(key)
        if value != 0:
            pages = value / page_bytes if value is not None and page_bytes else None
            rows.append((*_signed(to_points(pages, total_pages)), size(value), name))
    return rows


def _adj_term(victim: Fields, total_pages: float | None) -> list[Row]:
    """What the kernel adds for oom_score_adj: it divides before it multiplies."""
    adj = victim.number("oom_score_adj")
    if adj == 0:
        return []
    pages = None if adj is None or total_pages is None else adj * (total_pages // 1000)
    return [(*_signed(to_points(pages, total_pages)), "", f"oom_score_adj {count(adj)}")]


def _kernel_sum(victim: Fields, total_pages: float | None, page_bytes: float | None) -> list[Row]:
    pages = victim.number("kernel_pages")
    words = f"the kernel's badness, {counted(pages, 'page')}"
    return [("=", digits(to_points(pages, total_pages)), _pages_size(pages, page_bytes), words)]


def _adjustments(victim: Fields) -> list[Row]:
    rows: list[Row] = []
    for item in victim.each("adjustments"):
        policy, points, why = _three(item)
        rows.append((*_signed(as_number(points)), "", f"{safe(policy)}: {safe(why)}"))
    return rows


def _three(item: object) -> tuple[object, object, object]:
    """A list of three of the record; anything else is shown in the place of the reason."""
    if isinstance(item, (list, tuple)) and len(item) == 3:
        return item[0], item[1], item[2]
    return "?", "?", item


def _runners_up(record: Fields) -> list[str]:
    others = record.each("runners_up")
    if not others:
        return ["runners-up: none"]
    total_pages = _total_pages(record)
    shown = [candidate_row(other, total_pages) for other in others[:MOST_RUNNERS_UP]]
    more = f" (the first {MOST_RUNNERS_UP} of {len(others)})" if len(others) > MOST_RUNNERS_UP else ""
    return [
        f"runners-up{more}:",
        *(f"  {line}" for line in table([CANDIDATE_HEADER, *shown], CANDIDATE_LEFT)),
    ]


def spared_lines(record: Fields) -> list[str]:
    """Who was looked at and not taken, those with the same reason together."""
    by_reason: dict[str, list[str]] = {}
    for item in record.each("spared"):
        pid, comm, why = _three(item)
        by_reason.setdefault(safe(why), []).append(f"{safe(comm)}[{safe(pid)}]")
    lines = [f"spared, {why}: {listed(names, MOST_SPARED)}" for why, names in by_reason.items()]
    left_out = sum(map(len, list(by_reason.values())[MOST_REASONS:]))
    return lines[:MOST_REASONS] + ([f"spared for other reasons: {left_out} more"] if left_out else [])


def _timings(record: Fields) -> str:
    took = record.fields("timings")
    steps = ", ".join(
        f"{step} {duration(took.number(key))}"
        for step, key in (
            ("sense", "sense_s"),
            ("scan", "scan_s"),
            ("judge", "judge_s"),
            ("signal", "signal_s"),
        )
    )
    return (
        f"took {duration(took.number('total_s'))} from the reading to the signal ({steps});"
        f" {counted(record.number('scanned'), 'process')} scanned{' ahead' if record.flag('ahead') else ''},"
        f" {counted(record.number('major_faults'), 'major page fault')}"
    )
