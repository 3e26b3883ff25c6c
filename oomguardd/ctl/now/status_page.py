"""How things stand, for people: a status as lines that never run over the edge.

Rule of this file: values in, lines out; every text passes `Told`, so that all of it can be printed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from oomguardd.ctl.now.bars import STYLES, Glyphs, Paint
from oomguardd.ctl.now.gauges import gauge_lines, gauges
from oomguardd.ctl.now.status_kills import kill_lines, when
from oomguardd.ctl.now.told import Told
from oomguardd.ctl.text import bullets, fit, paragraph, width_of
from oomguardd.engine.readings import plain
from oomguardd.engine.words import count, counted, digits, duration, size

_MOST_TROUBLES = 3
_NO_BREAK = "\u00a0"
"""Stands for a blank at which no line ends."""
_NARROWEST_TEXT = 24


class Look(NamedTuple):
    """What the terminal can."""

    width: int
    glyphs: Glyphs
    paint: Paint


def page(status: Told, look: Look) -> list[str]:
    """The whole of it, most important first."""
    parts = (
        [*_head(status, look), *_problems(status, look)],
        _gauges(status, look),
        _titled("triggers", _triggers(status, look), look),
        _titled("last kills", kill_lines(status, look.width, look.paint), look),
        _titled("not available", _missing(status, look), look),
        _titled("lately", _troubles(status, look), look),
        _titled("health", _health(status, look), look),
    )
    lines: list[str] = []
    for part in parts:
        if part:
            lines += ["", *part] if lines else part
    return lines


def _titled(title: str, lines: list[str], look: Look) -> list[str]:
    return [look.paint(title, "bold"), *lines] if lines else []


def _head(status: Told, look: Look) -> list[str]:
    guard, now_s = status.fields("guard"), status.number("time_s")
    level, style = status.text("level"), STYLES.get(status.text("level"), "bold")
    since_s = status.number("since_s")
    held = f" for {duration(_between(since_s, now_s))}" if since_s and level != "unknown" else ""
    names = [t.text("name") for t in status.parts("triggers") if t.flag("holds")]
    why = f": {', '.join(names)}" if names else ""
    if level == "unknown":
        level, style = "the guard is not there", "red"
        if guard.flag("connected"):
            level = "the guard has not said how things stand"
    first, *rest = paragraph(f"{look.glyphs.dot} {level}{held}{why}", look.width)
    return [look.paint(first, style), *rest, *_mode(guard, now_s, look)]


def _mode(guard: Told, now_s: float | None, look: Look) -> list[str]:
    if not guard.flag("connected"):
        return []
    version = guard.text("version", "")
    started_s = guard.number("started_s")
    since = f" for {duration(_between(started_s, now_s))}" if started_s else ""
    pid = f", pid {guard.text('pid')}" if guard.number("pid") else ""
    state = "armed" if guard.flag("armed") else "not armed"
    name = f"oomguardd {version}" if version else "oomguardd"
    lines = paragraph(f"{name}: {state}{since}{pid}", look.width, 2)
    if guard.flag("dry_run"):
        lines += [look.paint(fit("  dry run: nobody is signalled", look.width), "yellow")]
    return lines


def _problems(status: Told, look: Look) -> list[str]:
    return [
        look.paint(line, "red")
        for problem in status.texts("problems")
        for line in paragraph(f"problem: {problem}", look.width, 2)
    ]


def _gauges(status: Told, look: Look) -> list[str]:
    """Only those of now: old ones would be believed."""
    if not status.fields("guard").flag("connected"):
        return []
    return gauge_lines(gauges(status), look.width, look.glyphs, look.paint)


def _triggers(status: Told, look: Look) -> list[str]:
    triggers = status.parts("triggers")
    names = max((width_of(t.text("name")) for t in triggers), default=0)
    levels = max((width_of(t.text("level")) for t in triggers), default=0)
    now = status.fields("guard").flag("connected")
    lines = []
    for t in triggers:
        mark = look.glyphs.dot if t.flag("holds") else " "
        head = f"{mark} {t.text('name'):<{names}}  {t.text('level'):<{levels}}"
        held = t.number("for_s")
        words = _conditions(t, look.glyphs, now) + (f", for {duration(held)}" if held else "")
        block = _hanging(head, words, look.width)
        style = STYLES.get(t.text("level"), "bold") if t.flag("holds") else ""
        lines += [look.paint(line, style) for line in block] if style else block
    return lines


def _conditions(trigger: Told, glyphs: Glyphs, now: bool) -> str:
    """`memory available <10% and <4G, swap free <10%`, those that are true `now` marked."""
    by_signal: dict[str, list[str]] = {}
    for c in trigger.parts("conditions"):
        true = f"{_NO_BREAK}{glyphs.yes}" if c.flag("holds") and now else ""
        by_signal.setdefault(c.text("signal"), []).append(f"{c.text('text')}{true}")
    return ", ".join(f"{plain(name)} {' and '.join(texts)}" for name, texts in by_signal.items())


def _hanging(head: str, words: str, width: int) -> list[str]:
    """The words beside the head, or below it where there is too little room."""
    at = width_of(head) + 2
    if width - at < _NARROWEST_TEXT:
        lines = [fit(head, width), *paragraph(words, width, 6)]
    else:
        first, *rest = paragraph(words, width - at)
        lines = [f"{head}  {first}", *(f"{' ' * at}{line.lstrip()}" for line in rest)]
    return [line.replace(_NO_BREAK, " ") for line in lines]


def _missing(status: Told, look: Look) -> list[str]:
    sentences = []
    for each in status.parts("missing"):
        cost, remedy = each.text("cost", ""), each.text("remedy", "")
        sentences.append(
            f"{each.text('what')}{f': {cost}' if cost else ''}{f' (remedy: {remedy})' if remedy else ''}"
        )
    return bullets(sentences, look.width)


def _troubles(status: Told, look: Look) -> list[str]:
    now_s = status.number("time_s") or 0.0
    latest = status.parts("troubles")[-_MOST_TROUBLES:]
    return bullets((f"{when(t.number('time_s'), now_s)}  {t.text('text')}" for t in latest), look.width)


def _health(status: Told, look: Look) -> list[str]:
    now_s = status.number("time_s")
    rows = (
        ("guard", _guard(status.fields("guard"), now_s)),
        ("reporter", _reporter(status.fields("reporter"), now_s)),
        ("configuration", _configuration(status.fields("configuration"), now_s)),
    )
    names = max(len(name) for name, _ in rows)
    return [
        line
        for name, words in rows
        if words
        for line in _hanging(f"  {name:<{names}}", ", ".join(words), look.width)
    ]


def _guard(guard: Told, now_s: float | None) -> list[str]:
    if not guard.flag("connected"):
        heard_s = guard.number("heard_s")
        return [f"last heard of {duration(_between(heard_s, now_s))} ago"] if heard_s else ["never heard of"]
    words = [f"{size(guard.number('rss_bytes'))} of memory"] if guard.number("rss_bytes") else []
    words += [word for key, word in (("locked", "locked"), ("realtime", "real-time")) if guard.flag(key)]
    words += _cpu(guard, now_s)
    if guard.number("ticks") is not None:
        words.append(counted(guard.number("ticks"), "look"))
        words.append(f"the last took {duration(guard.number('tick_s'))}")
        words.append(f"late by at most {duration(guard.number('lag_max_s'))}")
    if guard.flag("busy"):
        words.append("a victim is dying")
    dropped = guard.number("dropped")
    return [*words, f"{counted(dropped, 'record')} dropped"] if dropped else words


def _cpu(process: Told, now_s: float | None) -> list[str]:
    cpu_s = process.number("cpu_s")
    if cpu_s is None:
        return []
    run_s = _between(process.number("started_s"), now_s)
    share = f" ({digits(100 * cpu_s / run_s)}%)" if run_s and run_s > 60 else ""
    return [f"{duration(cpu_s)} of CPU{share}"]


def _reporter(reporter: Told, now_s: float | None) -> list[str]:
    words = [f"pid {reporter.text('pid')}"] if reporter.number("pid") else []
    words += [f"{size(reporter.number('rss_bytes'))} of memory"] if reporter.number("rss_bytes") else []
    words += _cpu(reporter, now_s)
    queues = [each for each in reporter.parts("queues") if each.number("waiting")]
    words += [
        f"{counted(each.number('waiting'), 'record')} waiting for {each.text('part')}" for each in queues
    ]
    return [*words, *_counters(reporter.parts("counters"))]


def _counters(counters: Sequence[Told]) -> Iterable[str]:
    """What did not go well, by what and for whom."""
    for name, words in (("failed", "failed"), ("dropped", "dropped"), ("refused", "refused")):
        parts = [
            f"{each.text('part')} {count(each.number('count'))}"
            for each in counters
            if each.text("name") == name and each.number("count")
        ]
        if parts:
            yield f"{words}: {', '.join(parts)}"


def _configuration(configuration: Told, now_s: float | None) -> list[str]:
    if configuration.number("since_s") is None:
        return []
    sources = configuration.texts("sources") or ["built-in defaults"]
    since = f"in force for {duration(_between(configuration.number('since_s'), now_s))}"
    refused = ["a newer one was refused"] if configuration.each("problems") else []
    return [*sources, since, *refused]


def _between(then_s: float | None, now_s: float | None) -> float | None:
    """Not negative: clocks are set."""
    return None if then_s is None or now_s is None else max(0.0, now_s - then_s)
