"""Who was weighed, as bars: what each held and what policies and rules made of that."""

from __future__ import annotations

from typing import NamedTuple

from oomguardd.engine.explain_kill import to_points
from oomguardd.engine.words import Fields, as_number, digits, duration, safe, size, who
from oomguardd.incidents.case import Case
from oomguardd.incidents.markup import Html, tag

TERMS = (
    ("rss_anon_bytes", "anonymous", "anon"),
    ("swap_bytes", "swapped out", "swapped"),
    ("rss_shmem_bytes", "shared", "shmem"),
    ("rss_file_bytes", "mapped files", "file"),
    ("pagetables_bytes", "page tables", "tables"),
)
"""What a process holds: field, word, class of its colour."""

MOST_SHOWN = 10
MOST_NAMES = 12


class Weight(NamedTuple):
    """One candidate in points."""

    process: Fields
    memory: tuple[tuple[str, str, float, float], ...]
    """(word, class, bytes, points) of each term that is not nothing."""
    others: tuple[tuple[str, float, str], ...]
    """(who says so, points, why), the oom_score_adj first."""
    points: float | None
    """What candidates were ranked by."""

    @property
    def held(self) -> float:
        """Its memory in points."""
        return sum(points for _, _, _, points in self.memory)


def ranking(case: Case) -> Html:
    """The victim and the runners-up, worst first, then those who were spared."""
    total = _total_pages(case)
    found = [case.victim, *(Fields(other) for other in case.kill.each("runners_up"))]
    weights = [weight_of(process, total, case.kill.number("page_bytes")) for process in found[:MOST_SHOWN]]
    longest = max([1e-9, *(max(w.held, w.points or 0.0) for w in weights)])
    rows = [_row(w, longest, at == 0, case) for at, w in enumerate(weights)]
    return tag(
        "div",
        _legend(weights),
        tag("ol", *rows, class_="ranking"),
        None if len(weights) > 1 else tag("p", "Nobody else came into question.", class_="hint"),
        tag("p", _scale_words(case), class_="hint"),
        class_="rankings",
    )


def weight_of(process: Fields, total_pages: float | None, page_bytes: float | None) -> Weight:
    """What is known of its points; memory without a total to measure it by has none."""
    memory = []
    for key, word, style in TERMS:
        held = process.number(key)
        points = to_points(held / page_bytes if held and page_bytes else None, total_pages)
        if held and held > 0:
            memory.append((word, style, held, points or 0.0))
    adj = process.number("oom_score_adj")
    others = [("oom_score_adj", adj, "as the process or its manager has set it")] if adj else []
    others += (
        (safe(item[0]), as_number(item[1]) or 0.0, safe(item[2]))
        for item in process.each("adjustments")
        if isinstance(item, (list, tuple)) and len(item) == 3
    )
    return Weight(process, tuple(memory), tuple(others), process.number("points"))


def _total_pages(case: Case) -> float | None:
    totals = case.kill.fields("totals")
    page_bytes, ram, swap = (
        case.kill.number("page_bytes"),
        totals.number("ram_bytes"),
        totals.number("swap_bytes"),
    )
    return None if not page_bytes or ram is None else (ram + (swap or 0)) // page_bytes


def _scale_words(case: Case) -> str:
    totals = case.kill.fields("totals")
    return (
        f"A point is a thousandth of {size(totals.number('ram_bytes'))} RAM and"
        f" {size(totals.number('swap_bytes'))} swap; the tick on each bar is what the process was ranked by."
    )


def _legend(weights: list[Weight]) -> Html:
    used = {style for w in weights for _, style, _, _ in w.memory}
    keys = [tag("span", _key(style), word, class_="leg") for _, word, style in TERMS if style in used]
    if any(w.points is not None and w.points > w.held * 1.005 + 0.05 for w in weights):
        keys.append(tag("span", _key("added"), "added", class_="leg"))
    if any(w.points is not None and w.points < w.held * 0.995 - 0.05 for w in weights):
        keys.append(tag("span", _key("taken"), "taken off", class_="leg"))
    return tag("p", *keys, class_="legend")


def _key(style: str) -> Html:
    below = tag("rect", width=11, height=11, class_="term anon") if style == "taken" else None
    swatch = tag("rect", width=11, height=11, class_=f"term {style}")
    return tag("svg", below, swatch, class_="swatch", width=11, height=11, aria_hidden="true")


def _row(w: Weight, longest: float, chosen: bool, case: Case) -> Html:
    process = w.process
    held = process.number("held_bytes")
    badge = "would be killed" if case.dry_run else "killed"
    head = tag(
        "div",
        tag("strong", who(process)),
        tag("span", badge, class_="badge") if chosen else None,
        tag("span", f"{digits(w.points)} points", class_="points"),
        class_="rhead",
    )
    place = process.text("cgroup", "")
    below = " · ".join(text for text in (f"holds {size(held)}", _age(process), place) if text)
    return tag(
        "li",
        head,
        _bar(w, longest),
        tag("p", below, class_="rbelow"),
        _said(w),
        _terms(w, chosen),
        class_="chosen" if chosen else None,
    )


def _age(process: Fields) -> str:
    age_s = process.number("age_s")
    return "" if age_s is None else f"{duration(age_s)} old"


def _bar(w: Weight, longest: float) -> Html:
    """Memory from the left; what policies added goes on behind it, what they took off is struck out."""
    parts, at = [], 0.0
    for word, style, held, gained in w.memory:
        label = tag("title", f"{word}: {size(held)}, {digits(gained)} points")
        parts.append(_piece(at, at + gained, longest, f"term {style}", label))
        at += gained
    points = w.points
    if points is not None:
        shown = max(0.0, points)
        if shown > at + 0.05:
            parts.append(
                _piece(at, shown, longest, "term added", tag("title", "added by policies and rules"))
            )
        elif shown < at - 0.05:
            parts.append(
                _piece(shown, at, longest, "term taken", tag("title", "taken off by policies and rules"))
            )
        x = f"{_pct(shown, longest)}%"
        parts.append(tag("line", x1=x, x2=x, y1="0", y2="100%", class_="ranked"))
    said = ", ".join(f"{word} {size(held)}" for word, _, held, _ in w.memory) or "nothing known"
    return tag("svg", *parts, class_="bar", height=20, role="img", aria_label=f"Memory: {said}")


def _piece(from_: float, to: float, longest: float, style: str, title: Html) -> Html:
    left, right = _pct(from_, longest), _pct(to, longest)
    return tag(
        "rect", title, x=f"{left}%", width=f"{max(0.15, right - left):.2f}%", y=4, height=12, class_=style
    )


def _pct(points: float, longest: float) -> float:
    """The longest bar ends short of the edge, so that its tick is seen."""
    return round(99.3 * points / longest, 2)


def _said(w: Weight) -> Html | None:
    """What was added or taken off, in words: the colour alone says nothing."""
    if not w.others:
        return None
    items = []
    for name, points, why in w.others:
        sign = "+" if points > 0 else "\N{MINUS SIGN}"
        items.append(tag("li", tag("b", f"{sign}{digits(abs(points))}"), f" {name}: {why}"))
    return tag("ul", *items, class_="said")


def _terms(w: Weight, open_: bool) -> Html:
    rows = [
        tag(
            "tr",
            tag("th", word, scope="row"),
            tag("td", size(held)),
            tag("td", f"+{digits(points)}"),
        )
        for word, _, held, points in w.memory
    ]
    for name, points, _ in w.others:
        sign = "+" if points > 0 else "\N{MINUS SIGN}"
        rows.append(
            tag("tr", tag("th", name, scope="row"), tag("td"), tag("td", f"{sign}{digits(abs(points))}"))
        )
    rows.append(
        tag("tr", tag("th", "ranked by", scope="row"), tag("td"), tag("td", digits(w.points)), class_="sum")
    )
    head = tag("tr", *(tag("th", word, scope="col") for word in ("Term", "Memory", "Points")))
    inner = tag("table", tag("thead", head), tag("tbody", *rows), class_="terms")
    return tag("details", tag("summary", "Every term"), inner, open=open_)


def spared(case: Case) -> Html | None:
    """Who was looked at and left, by reason; None where the record names nobody."""
    reasons: dict[str, list[str]] = {}
    for item in case.kill.each("spared"):
        if isinstance(item, (list, tuple)) and len(item) == 3:
            reasons.setdefault(safe(item[2]), []).append(f"{safe(item[1])}[{safe(item[0])}]")
    if not reasons:
        return None
    rows = []
    for why, names in reasons.items():
        more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
        rows.append(tag("dt", why))
        rows.append(tag("dd", ", ".join(names[:MOST_NAMES]) + more))
    return tag("div", tag("h3", "Spared, the largest of them"), tag("dl", *rows, class_="facts"))
