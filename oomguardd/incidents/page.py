"""The report of one incident as a single HTML file: for whoever asks the next morning what happened.

Rule of this file: it is whole in itself. No address but those within the page; the policy in its head forbids
every other, and every script but its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from oomguardd import __version__
from oomguardd.engine.readings import Signals
from oomguardd.engine.words import counted, safe
from oomguardd.history.incident import Incident
from oomguardd.incidents import sections
from oomguardd.incidents.advice import Advice, advise
from oomguardd.incidents.case import Case, case_of
from oomguardd.incidents.clock import iso, utc
from oomguardd.incidents.kernel_report import kernel_report
from oomguardd.incidents.markup import Html, tag
from oomguardd.incidents.ranking import ranking, spared
from oomguardd.incidents.script import HASH, SCRIPT
from oomguardd.incidents.style import STYLE
from oomguardd.incidents.summary import figures, headline, summary
from oomguardd.incidents.timeline import timeline

POLICY = (
    f"default-src 'none'; style-src 'unsafe-inline'; script-src '{HASH}'; base-uri 'none'; form-action 'none'"
)


def page(
    incident: Incident,
    signals: Signals,
    advice: Sequence[Advice] | None = None,
    when: Callable[[float], str] = utc,
    host: str = "",
) -> str:
    """The whole file as text that can be encoded as UTF-8. `advice`: None has it made; `when` writes wall
    clock times; `host` is named if given. Never raises on a bad record.
    """
    case = case_of(incident)
    each = advise(incident) if advice is None else advice
    parts = list(_sections(case, signals, each))
    main = tag("main", _header(case, signals, each, when), _figures(case), *parts)
    title = f"{headline(case)} \N{MIDDLE DOT} {when(incident.time_s)}"
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("title", title),
        tag("style", Html(STYLE)),
    )
    body = tag("body", _PATTERNS, main, _footer(case, when, host), tag("script", Html(SCRIPT)))
    return "<!DOCTYPE html>\n" + tag("html", head, body, lang="en") + "\n"


def _header(case: Case, signals: Signals, each: Sequence[Advice], when: Callable[[float], str]) -> Html:
    time_s = case.incident.time_s
    change = f"What to change ({len(each)})"
    return tag(
        "header",
        tag(
            "p",
            tag("span", "Memory incident"),
            tag("time", when(time_s), datetime=iso(time_s)),
            tag("span", "dry run", class_="badge") if case.dry_run else None,
            class_="eyebrow",
        ),
        tag("h1", headline(case)),
        tag("p", " ".join(summary(case, signals)), class_="lede"),
        tag(
            "nav",
            tag("a", "Timeline", href="#timeline"),
            tag("a", "Who was weighed", href="#ranking") if case.ours else None,
            tag("a", "In words", href="#events"),
            tag("a", change, href="#advice"),
            aria_label="On this page",
        ),
    )


def _figures(case: Case) -> Html:
    cells = [
        tag(
            "div",
            tag("dt", name),
            tag("dd", tag("span", figure, class_="big"), tag("span", note, class_="small") if note else None),
        )
        for name, figure, note in figures(case)
    ]
    return tag("dl", *cells, class_="figures")


def _sections(case: Case, signals: Signals, each: Sequence[Advice]) -> Iterator[Html]:
    yield _section("timeline", "Timeline", timeline(case, signals), sections.readings(case, signals))
    what = "What would have been killed" if case.dry_run else "What was killed"
    yield _section("victim", what, sections.victim(case))
    if case.ours:
        yield _section("ranking", "Why this one", ranking(case), spared(case))
    if case.kind == "kernel_kill":
        yield _section("kernel", "What the kernel said", kernel_report(case))
    brought = None if case.dry_run else sections.brought(case)
    if brought:
        yield _section("brought", "What it brought", brought)
    if case.ours:
        yield _section("timings", "How long it took", sections.timings(case))
    yield _section("events", "What happened, in words", sections.events(case, signals))
    yield _section("advice", "So that it does not happen again", sections.advice(each))


def _section(name: str, title: str, *inside: Html | None) -> Html:
    label = f"{name}-title"
    return tag("section", tag("h2", title, id=label), *inside, id=name, aria_labelledby=label)


def _footer(case: Case, when: Callable[[float], str], host: str) -> Html:
    said = [
        f"Incident {safe(case.incident.id)}",
        when(case.incident.time_s),
        safe(host) if host else "",
        f"made by oomguardd {__version__}",
        f"{counted(len(case.moments), 'reading')}, {counted(len(case.incident.events), 'record')}",
    ]
    return tag("footer", tag("p", " \N{MIDDLE DOT} ".join(text for text in said if text)), class_="foot")


def _pattern(name: str, path: str, stroke: str) -> Html:
    return Html(
        f'<pattern id="{name}" width="6" height="6" patternUnits="userSpaceOnUse">'
        f'<path d="{path}" stroke="{stroke}" stroke-width="1" fill="none"/></pattern>'
    )


_PATTERNS = tag(
    "svg",
    tag(
        "defs",
        _pattern("hatch", "M0 6L6 0M-1 1L1 -1M5 7L7 5", "var(--soft)"),
        _pattern("strike", "M0 0L6 6M-1 5L1 7M5 -1L7 1", "var(--paper)"),
    ),
    class_="hidden",
    aria_hidden="true",
)
