"""What loggers write before the kernel's words: stamps, priorities, hosts, tags, quoting.

Rule of this file: every step looks at the beginning of the line only, so a line costs what its beginning
costs. Known: dmesg (plain, -T in any language, -x, -d, ISO), CONFIG_PRINTK_CALLER, /dev/kmsg, `<N>`,
RFC 3164, RFC 5424, rsyslog's escapes, journalctl's short formats, and mail quoting.
"""

from __future__ import annotations

import re
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
_TAG = re.compile(
    r"(?:^|(?<=[ \]]))kernel(?:\[[^\]]{0,20}\])?(?:: ?| (?:\S{1,40} ){2}(?:-|\[[^\]]{0,200}\]) ?)"
)
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


def parse_line(raw: str) -> Line:
    """The line taken apart. Never fails: what is not known as a prefix stays in the text."""
    text = raw[:LONGEST_LINE].rstrip()
    first = text[:1]
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


def _bracketed(text: str) -> Line:
    """`[   12.345678] `, `[Di Aug 12 03:54:03 2025] `, and what may follow; or a row of the task table."""
    found = _STAMP.match(text)
    if found is None:
        return _dated(text)
    uptime_s, name, rest = float(found.group(1)), found.group(2) or "", text[found.end() :]
    if (
        "kernel" in rest[:100]
        and (tag := _TAG.search(rest, 0, 120))
        and len(rest[: tag.start()].split()) <= 1
    ):
        inside = parse_line(rest[tag.end() :])
        return inside._replace(uptime_s=uptime_s, host=rest[: tag.start()].strip(), marked=True)
    foreign = "]: " in rest[:140] and bool(_OTHER_PROGRAM.match(rest))
    return Line(_unescaped(rest), True, foreign, uptime_s, "", "", name)


def _dated(text: str) -> Line:
    """dmesg's stamps for people; anything else in brackets is the kernel's own."""
    end = text.find("]", 1, 48)
    inner = text[1:end].strip() if end > 0 else ""
    if not (_SHORT_TIME.fullmatch(inner) or _TIME.search(inner) or _DELTA.fullmatch(inner)):
        return Line(_unescaped(text.lstrip()))
    rest = text[end + 1 :]
    caller = _CALLER.match(rest)
    if caller:
        rest = rest[caller.end() :]
    name = caller.group(1) if caller else ""
    if delta := _DELTA.fullmatch(inner):
        return Line(_unescaped(rest.lstrip()), True, False, float(delta.group(1)), "", "", name)
    return Line(_unescaped(rest.lstrip()), True, False, None, inner, "", name)


def _kmsg(text: str, record: re.Match[str]) -> Line:
    """A record of /dev/kmsg. Facility 0 is the kernel; others wrote into it."""
    caller = record.group(3).partition("caller=")[2].partition(",")[0]
    said = _BYTES.sub(_plain, text[record.end() :])
    foreign = int(record.group(1)) >> 3 != 0
    return Line(said.lstrip(), True, foreign, int(record.group(2)) / 1e6, "", "", caller)


def _plain(escaped: re.Match[str]) -> str:
    return bytes.fromhex(escaped.group().replace("\\x", "")).decode("utf-8", "replace")


def _logged(text: str, marked: bool) -> Line:
    """A line of syslog or of the journal."""
    if "kernel" in text[:_LONGEST_PREFIX]:
        tag = _TAG.search(text, 0, _LONGEST_PREFIX + 80)
        before = text[: tag.start()] if tag else ""
        # A process may be called `[ 1.5] kernel:`, and would not be found in its own kill line.
        if tag and (not before or (_TIME.search(before) and "(" not in before)):
            return _from_kernel(before, text[tag.end() :])
    wall = _WALL.match(text) if ":" in text[:40] else None
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


def _from_kernel(before: str, said: str) -> Line:
    inside = _bracketed(said) if said.startswith("[") else Line(_unescaped(said.lstrip()))
    stamp, _, host = before.rstrip().rpartition(" ")
    if not stamp or _TIME.search(host):  # nobody says which host it is
        stamp, host = before, ""
    elif host.startswith("kern."):  # a facility, from a logger that knows no hosts
        host = ""
    return inside._replace(marked=True, stamp=stamp.strip(), host=host)


def _unescaped(text: str) -> str:
    """rsyslog writes a newline as #012, a tab as #011."""
    if "#01" in text:
        return text.replace("#012", "\n").replace("#011", "\t")
    return text
