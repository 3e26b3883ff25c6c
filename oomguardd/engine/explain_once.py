"""One look as words: `oomguardd --once`."""

from __future__ import annotations

from collections.abc import Mapping

from oomguardd.engine.explain_kill import CANDIDATE_HEADER, CANDIDATE_LEFT, candidate_row, spared_lines
from oomguardd.engine.readings import Signals, reading_words
from oomguardd.engine.words import Fields, table


def once_lines(report: Mapping[str, object], signals: Signals) -> list[str]:
    """The readings, what they mean, and who would be taken, worst first."""
    record = Fields(report)
    readings = record.fields("readings").numbers()
    totals = record.fields("totals").numbers()
    total_pages = sum(totals.values()) // (record.number("page_bytes") or 4096)
    first = [report["victim"]] if report.get("victim") else []
    rows = [candidate_row(c, total_pages) for c in (*first, *record.each("runners_up"))]
    triggers = ", ".join(record.texts("triggers"))
    lines = [
        f"level of {record.text('domain')}: {record.text('level')}{f' (by {triggers})' if triggers else ''}"
    ]
    lines += ["", "readings:", *(f"  {reading_words(name, readings, signals)}" for name in readings)]
    unread = record.texts("unread")
    if unread:
        lines.append(f"  not known from one look, or not there: {', '.join(unread)}")
    lines += [f"  missing: {text}" for text in record.texts("missing")]
    lines += ["", f"candidates, worst first, of {record.text('processes')} processes:"]
    lines += [f"  {line}" for line in table([CANDIDATE_HEADER, *rows], CANDIDATE_LEFT)]
    lines += [f"  {line}" for line in spared_lines(record)]
    return lines
