"""The parts of the page that are lists and tables: the victim, what its end brought, how long, the words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from oomguardd.engine.explain import describe
from oomguardd.engine.readings import Signals, plain, value_words
from oomguardd.engine.words import Fields, as_number, count, counted, duration, safe, size, who
from oomguardd.incidents.advice import Advice
from oomguardd.incidents.case import Case
from oomguardd.incidents.clock import offset
from oomguardd.incidents.markup import Html, join, tag
from oomguardd.incidents.series import thinned
from oomguardd.incidents.summary import available_after, available_before, expected_bytes

MOST_EVENTS = 200
MOST_ROWS = 240
"""Readings in the table."""

_SHOWN = ("mem_available", "swap_free", "psi_some_10s", "psi_full_10s", "psi_some_avg10", "psi_full_avg10")


def facts(rows: Iterable[tuple[str, str | None]]) -> Html:
    """Names and values; those without a value are left out."""
    cells = [(tag("dt", name), tag("dd", value)) for name, value in rows if value]
    return tag("dl", *(cell for pair in cells for cell in pair), class_="facts")


def victim(case: Case) -> Html:
    """Who it was."""
    v = case.victim
    rows = [
        ("Process", who(v) if v.text("comm", "") else ""),
        ("Run by", case.owner_words),
        ("User", _prefixed("uid ", v.text("uid", ""))),
        ("Command", v.text("cmdline", "")),
        ("cgroup", v.text("cgroup", "")),
        ("Parent", _prefixed("pid ", v.text("ppid", ""))),
        ("Running for", known(duration, v.number("age_s"))),
        ("State", v.text("state", "")),
        ("Threads", known(count, v.number("threads"))),
        ("nice", v.text("nice", "")),
        ("oom_score_adj", v.text("oom_score_adj", "")),
        ("Held", known(size, v.number("held_bytes"))),
    ]
    return join((facts(rows), _party(case)))


def _prefixed(prefix: str, text: str) -> str:
    return prefix + text if text else ""


def known(words: Callable[[float], str], value: float | None) -> str:
    """The value in words; empty for None, which leaves its row out."""
    return "" if value is None else words(value)


def _party(case: Case) -> Html:
    """Who died with it, as far as the record names them."""
    party = case.party
    if not party.raw:
        return Html("")
    members = [item for item in party.each("members") if isinstance(item, (list, tuple)) and len(item) == 3]
    number = party.number("count") or 0
    rows = [(safe(pid), safe(comm), size(as_number(held))) for pid, comm, held in members]
    more = number - len(rows)
    note = f"and {more:.0f} more" if more > 0 else ""
    said = [party.text("why", ""), _prefixed("Reduced: ", party.text("reduced", ""))] if case.ours else []
    held = party.number("held_bytes")
    title = f"Killed together: {counted(number, 'process')}" + ("" if held is None else f", {size(held)}")
    named = table(("PID", "Name", "Held"), rows, note, left=(1,)) if rows else ""
    return join((tag("h3", title), *(tag("p", text) for text in said if text), named))


def table(
    head: Sequence[str], rows: Iterable[Sequence[str]], note: str = "", left: Sequence[int] = ()
) -> Html:
    """A table that scrolls in itself where the screen is narrow; columns but those in `left` are numbers."""

    def side(at: int) -> str | None:
        return "l" if at in left else None

    top = tag("tr", *(tag("th", word, scope="col", class_=side(at)) for at, word in enumerate(head)))
    body = [tag("tr", *(tag("td", cell, class_=side(at)) for at, cell in enumerate(row))) for row in rows]
    inner = tag("table", tag("thead", top), tag("tbody", *body))
    scrolled = tag("div", inner, class_="wide", tabindex=0, role="region", aria_label=f"Table of {head[0]}")
    return join((scrolled, tag("p", note, class_="hint") if note else ""))


def brought(case: Case) -> Html | None:
    """Before and after, against what was expected; None where nothing of it is known."""
    before, after = available_before(case), available_after(case)
    outcome = case.outcome or Fields(None)
    rows = [
        ("Held by the victim" if case.count == 1 else "Held by all of them", known(size, case.held_bytes)),
        ("Expected back", known(size, expected_bytes(case)) if case.ours else ""),
        (
            "Freed by reaping",
            {True: "yes", False: "no"}.get(outcome.raw.get("reaped") is True, "") if outcome.raw else "",
        ),
        ("Still alive", ", ".join(_member(item) for item in outcome.each("living"))),
    ]
    if before is None and after is None and case.held_bytes is None and not outcome.raw:
        return None
    bars = _before_after(before, after, case) if before is not None and after is not None else None
    return join((bars or "", facts(rows)))


def _member(item: object) -> str:
    return (
        f"{safe(item[1])}[{safe(item[0])}]"
        if isinstance(item, (list, tuple)) and len(item) > 1
        else safe(item)
    )


def _before_after(before: float, after: float, case: Case) -> Html:
    whole = max(case.reading("mem_total") or 0.0, before, after, 1.0)
    rows = []
    for word, value in (("available before", before), ("available after", after)):
        width = f"{max(0.3, 100 * value / whole):.2f}%"
        bar = tag(
            "svg",
            tag("rect", width="100%", height=12, y=2, class_="trough"),
            tag("rect", width=width, height=12, y=2, class_="term avail"),
            height=16,
            aria_hidden="true",
        )
        rows.append(tag("div", tag("span", word), bar, tag("b", size(value)), class_="measure"))
    return tag("div", *rows, class_="measures")


_STEPS = (
    ("sense_s", "reading the machine"),
    ("scan_s", "scanning the processes"),
    ("judge_s", "choosing"),
    ("signal_s", "signalling"),
    ("total_s", "from the reading to the signal"),
)


def timings(case: Case) -> Html:
    """Each step with its part of the whole."""
    took = case.kill.fields("timings")
    steps = [(word, took.number(key), key == "total_s") for key, word in _STEPS]
    after = case.outcome.number("after_s") if case.outcome and not case.dry_run else None
    steps.append(("from the signal to death", after, True))
    known = [(word, value, whole) for word, value, whole in steps if value is not None]
    longest = max([value for _, value, _ in known], default=0.0) or 1.0
    rows = []
    for word, value, whole in known:
        style = "term time whole" if whole else "term time"
        bar = tag("rect", width=f"{max(0.3, 100 * value / longest):.2f}%", height=12, y=2, class_=style)
        picture = tag("svg", bar, height=16, aria_hidden="true")
        rows.append(tag("div", tag("span", word), picture, tag("b", duration(value)), class_="measure"))
    notes = [
        f"{counted(case.kill.number('scanned'), 'process')} scanned" if case.kill.number("scanned") else "",
        "ahead of need" if case.kill.flag("ahead") else "",
        f"{counted(case.kill.number('major_faults'), 'major page fault')} of the guard's own"
        if case.kill.number("major_faults") is not None
        else "",
    ]
    said = ", ".join(note for note in notes if note)
    return join((tag("div", *rows, class_="measures"), tag("p", said, class_="hint") if said else ""))


def events(case: Case, signals: Signals) -> Html:
    """All records of the two minutes as words."""
    items = []
    told = list(case.events())
    for event in told[:MOST_EVENTS]:
        lines = describe(event.raw, signals) if event.raw else []  # type: ignore[arg-type]
        at_s = case.at_s(event)
        more = "\n".join(line.removeprefix("  ") for line in lines[1:])
        details = tag("details", tag("summary", "In full"), tag("pre", more, tabindex=0)) if more else None
        own = event.raw == case.kill.raw
        items.append(
            tag(
                "li",
                tag("span", "" if at_s is None else offset(at_s), class_="when"),
                tag("div", tag("p", lines[0] if lines else "?"), details),
                class_="own" if own else None,
            )
        )
    left = len(told) - MOST_EVENTS
    return join(
        (tag("ol", *items, class_="events"), tag("p", f"and {left} more", class_="hint") if left > 0 else "")
    )


def readings(case: Case, signals: Signals) -> Html | None:
    """The readings as a table, which the charts' read-out looks them up in; None without any."""
    names = [name for name in _SHOWN if any(name in moment.values for moment in case.moments)]
    if not names:
        return None
    numbered = [(float(at), moment.values.get(names[0], 0.0)) for at, moment in enumerate(case.moments)]
    rows = []
    for at, _ in thinned(numbered, MOST_ROWS):
        moment = case.moments[int(at)]
        cells = [tag("td", _cell(name, moment.values.get(name), signals)) for name in names]
        level = tag("td", moment.level or "\N{EN DASH}", class_="l")
        rows.append(
            tag("tr", tag("th", offset(moment.at_s), scope="row"), *cells, level, data_t=f"{moment.at_s:.3f}")
        )
    head = tag("tr", *(tag("th", word, scope="col") for word in ("Time", *map(_name, names), "Level")))
    inner = tag("table", tag("thead", head), tag("tbody", *rows), id="readings")
    scrolled = tag("div", inner, class_="wide tall", tabindex=0, role="region", aria_label="Readings")
    return tag("details", tag("summary", f"The readings as a table ({counted(len(rows), 'row')})"), scrolled)


def _name(name: str) -> str:
    return plain(name)


def _cell(name: str, value: float | None, signals: Signals) -> str:
    return "\N{EN DASH}" if value is None else value_words(name, value, signals)


def advice(each: Sequence[Advice]) -> Html:
    """What to change, the most telling first."""
    items = []
    for one in each:
        change = None
        if one.change:
            change = tag(
                "figure", tag("figcaption", one.where), tag("pre", tag("code", one.change), tabindex=0)
            )
        items.append(tag("li", tag("h3", one.title), tag("p", one.why), change))
    return tag("ol", *items, class_="advice")
