"""What loggers write before the kernel's words: stamps, priorities, hosts, tags, quoting.

Rule of this file: every step looks at the beginning of the line only, so a line costs what its beginning
costs. Known: dmesg (plain, -T in any language, -x, -d, ISO), CONFIG_PRINTK_CALLER, /dev/kmsg, `<N>`,
RFC 3164, RFC 5424, rsyslog's escapes, journalctl's short formats, and mail quoting.

A log of nothing but reports costs most here, so a search for a word comes before each expression.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

LONGEST_LINE = 1 << 14
"""Characters of a line that are looked at; the kernel's own records have at most 1 KiB, memory.stat 4."""

_LONGEST_PREFIX = 160

_STAMP = re.compile(r"\[ *(\d{1,12}\.\d{1,9})\](?: ?\[ *([TC]\d{1,10})[^\]]{0,30}\])? *")
_DELTA = re.compile(r"(\d{1,12}\.\d{1,9}) *<.{0,20}>")
"""dmesg -d."""
_SHORT_TIME = re.compile(r"\+\d+\.\d+|\S{1,8} ?\d{1,2} \d\d:\d\d")
"""dmesg -H: seconds since the line before, and once a minute the time."""
_TIME = re.compile(r"\d\d:\d\d:\d\d|\[ *\d+\.\d+\]|^\d{9,11}\.\d+ ")
_TAG = re.compile(r"kernel(?:\[[^\]]{0,20}\])?(?:: ?| (?:\S{1,40} ){2}(?:-|\[[^\]]{0,200}\]) ?)")
_QUOTE = re.compile(r"(?:> ?){1,8}")
_PRIORITY = re.compile(r"<\d{1,3}>(?:1 )?")
_FACILITY = re.compile(r"kern *: *[a-z]{3,7} *: *")
_RECORD = re.compile(r"(\d{1,6}),\d{1,20},(\d{1,20}),([^;]{0,100});")
_CALLER = re.compile(r" ?\[ *([TC]\d{1,10})[^\]]{0,30}\] ?")
_WALL = re.compile(
    r"(?:\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?: ?(?:Z|UTC|[+-]\d\d:?\d\d))?"
    r"|(?:[^\s:\[]{1,12} {1,2}){1,3}\d\d:\d\d:\d\d(?:\.\d{1,9})?(?: \d{4})?) +"
)
_OTHER_PROGRAM = re.compile(r"\S{1,64} (?!kernel)[^\s:\[\]]{1,64}\[\d{1,10}\]: ")
_OTHER_TAG = re.compile(r"[\w.-]{1,64} (?!kernel)[\w./@-]{1,64}: ")
_BYTES = re.compile(r"(?:\\x[0-9a-fA-F]{2})+")


class Line(NamedTuple):
    """One line of a log."""

    text: str
    """What the kernel said. May hold several lines, parted by newlines."""
    marked: bool = False
    """It had a prefix of its own, so it is not the rest of a line that a mail program has broken."""
    foreign: bool = False
    """Another program's: what it says of kills is hearsay."""
    uptime_s: float | None = None
    stamp: str = ""
    host: str = ""
    caller: str = ""
    """Task or CPU that printed it (T123, C0)."""


_new = tuple.__new__


def parse_line(raw: str) -> Line:
    """The line taken apart. Never fails: what is not known as a prefix stays in the text."""
    text = raw[:LONGEST_LINE].rstrip()
    first = text[:1]
    if first == "[":
        return _bracketed(text)
    if first == ">":
        text = _QUOTE.sub("", text, count=1)
        first = text[:1]
        if first == "[":
            return _bracketed(text)
    if first == "<" and (priority := _PRIORITY.match(text)):
        text, marked = text[priority.end() :], True
        first = text[:1]
        if first == "[":
            return _bracketed(text)
    else:
        marked = False
    if first.isdigit() and (record := _RECORD.match(text)):
        return _kmsg(text, record)
    if first == "k" and (facility := _FACILITY.match(text)):
        return _bracketed(text[facility.end() :])
    return _logged(text, marked)


def _bracketed(text: str, origin: tuple[str, str] | None = None) -> Line:
    """`[   12.345678] `, `[Di Aug 12 03:54:03 2025] `, and what may follow; or a row of the task table.

    `origin` are the stamp and the host that stood before it.
    """
    found = _STAMP.match(text)
    if found is None:
        return _from(origin, _dated(text))
    seconds, caller = found.groups("")
    uptime_s, rest = float(seconds), text[found.end() :]
    if (
        "kernel" in rest
        and rest.find("kernel", 0, 100) >= 0
        and (tag := _find_tag(rest, 120))
        and len(rest[: tag.start()].split()) <= 1
    ):
        inside = parse_line(rest[tag.end() :])
        host = rest[: tag.start()].strip()
        return _from(origin, inside._replace(uptime_s=uptime_s, host=host, marked=True))
    foreign = "]: " in rest and "]: " in rest[:140] and bool(_OTHER_PROGRAM.match(rest))
    said = _unescaped(rest) if "#01" in rest else rest
    stamp, host = origin or ("", "")
    # A NamedTuple's own constructor takes twice as long, and this is where most lines come from.
    return _new(Line, (said, True, foreign, uptime_s, stamp, host, caller))


def _from(origin: tuple[str, str] | None, line: Line) -> Line:
    return line._replace(marked=True, stamp=origin[0], host=origin[1]) if origin else line


def _find_tag(text: str, end: int) -> re.Match[str] | None:
    """The word `kernel` that stands by itself and ends as a tag does."""
    at = text.find("kernel", 0, end)
    while at >= 0:
        if (at == 0 or text[at - 1] in " ]") and (tag := _TAG.match(text, at, end)):
            return tag
        at = text.find("kernel", at + 1, end)
    return None


def _dated(text: str) -> Line:
    """dmesg's stamps for people; anything else in brackets is the kernel's own."""
    end = text.find("]", 1, 48)
    inner = text[1:end].strip() if end > 0 else ""
    if not ((":" in inner or "." in inner) and _is_time(inner)):
        return Line(_unescaped(text.lstrip()))
    rest = text[end + 1 :]
    caller = _CALLER.match(rest) if "[" in rest[:2] else None
    if caller:
        rest = rest[caller.end() :]
    name = caller.group(1) if caller else ""
    if "<" in inner and (delta := _DELTA.fullmatch(inner)):
        return Line(_unescaped(rest.lstrip()), True, False, float(delta.group(1)), "", "", name)
    return Line(_unescaped(rest.lstrip()), True, False, None, inner, "", name)


@lru_cache(maxsize=64)  # all lines of one second say the same
def _is_time(inner: str) -> bool:
    return bool(_SHORT_TIME.fullmatch(inner) or _TIME.search(inner) or _DELTA.fullmatch(inner))


def _kmsg(text: str, record: re.Match[str]) -> Line:
    """A record of /dev/kmsg. Facility 0 is the kernel; others wrote into it."""
    level, usec, flags = record.groups()
    caller = flags.partition("caller=")[2].partition(",")[0]
    said = text[record.end() :]
    if "\\x" in said:
        said = _BYTES.sub(_plain, said)
    return Line(said.lstrip(), True, int(level) >> 3 != 0, int(usec) / 1e6, "", "", caller)


def _plain(escaped: re.Match[str]) -> str:
    return bytes.fromhex(escaped.group().replace("\\x", "")).decode("utf-8", "replace")


def _logged(text: str, marked: bool) -> Line:
    """A line of syslog or of the journal."""
    if "kernel" in text and text.find("kernel", 0, _LONGEST_PREFIX) >= 0:
        tag = _find_tag(text, _LONGEST_PREFIX + 80)
        origin = _origin(text[: tag.start()]) if tag else None
        if tag and origin:
            said = text[tag.end() :]
            if said[:1] == "[":
                return _bracketed(said, origin)
            return Line(_unescaped(said.lstrip()), True, False, None, *origin)
    colon = text.find(":", 0, 40)
    wall = _WALL.match(text) if colon >= 0 and text[colon + 3 : colon + 4] == ":" else None
    if not wall:
        return Line(_unescaped(text.lstrip()), marked)
    rest = text[wall.end() :]
    if _OTHER_PROGRAM.match(rest) or (not text[0].isdigit() and _OTHER_TAG.match(rest)):
        return Line(rest, True, True, None, wall.group().strip())
    host, _, tail = rest.partition(" ")
    if tail.startswith("[") and host.isascii() and not host.startswith("["):  # a template without a tag
        return _bracketed(tail)._replace(stamp=wall.group().strip(), host=host, marked=True)
    inside = _bracketed(rest) if rest.startswith("[") else Line(_unescaped(rest.lstrip()))
    return inside._replace(stamp=wall.group().strip(), marked=True)


@lru_cache(maxsize=64)  # all lines of one second have the same
def _origin(before: str) -> tuple[str, str] | None:
    """The stamp and the host in front of the kernel's tag; None: that was none."""
    # A process may be called `[ 1.5] kernel:`, and would not be found in its own kill line.
    if before and ("(" in before or not _TIME.search(before)):
        return None
    stamp, _, host = before.rstrip().rpartition(" ")
    if not stamp or _TIME.search(host):  # nobody says which host it is
        stamp, host = before, ""
    elif host.startswith("kern."):  # a facility, from a logger that knows no hosts
        host = ""
    return stamp.strip(), host


def _unescaped(text: str) -> str:
    """rsyslog writes a newline as #012, a tab as #011."""
    if "#01" in text:
        return text.replace("#012", "\n").replace("#011", "\t")
    return text
