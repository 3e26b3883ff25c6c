"""Real reports, and what loggers, mail programs and accidents make of them."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ANSWERS: dict[str, list[dict[str, Any]]] = json.loads((HERE / "answers.json").read_text())
NAMES = sorted(ANSWERS)

COMPLETE = [name for name in NAMES if name.startswith("lab-")]
"""With a stamp on every line, and nothing missing."""

_STAMP = re.compile(r"^\[ *(\d{1,12})\.(\d{1,9})\] ")
_DATE = "Mon Nov  3 03:54:{:02d} 2025"


@cache
def _text_of(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8", errors="backslashreplace")


def lines_of(name: str) -> list[str]:
    """The lines of a file, without their ends."""
    return _text_of(name).splitlines()


def said_by(line: str) -> str:
    """Without its stamp."""
    return _STAMP.sub("", line, count=1)


def usec_of(line: str) -> int:
    found = _STAMP.match(line)
    return int(found.group(1)) * 1_000_000 + int(found.group(2)) if found else 0


def _dmesg_t(line: str) -> str:
    return f"[{_DATE.format(usec_of(line) // 1_000_000 % 60)}] {said_by(line)}"


def _kmsg(line: str) -> str:
    said = "".join(f"\\x{ord(char):02x}" if char in "\\\t" else char for char in said_by(line))
    return f"4,{usec_of(line) % 1000},{usec_of(line)},-,caller=T77;{said}"


STYLES: dict[str, Callable[[str], str]] = {
    "bare": said_by,
    "dmesg": lambda line: line,
    "dmesg -T": _dmesg_t,
    "dmesg -T, german": lambda line: _dmesg_t(line).replace("Mon Nov", "Mo Nov"),
    "dmesg -T, japanese": lambda line: _dmesg_t(line).replace("Mon Nov", "月 11月"),
    "dmesg -x": lambda line: f"kern  :warn  : {line}",
    "dmesg iso": lambda line: f"2025-11-03T03:54:03,123456+01:00 {said_by(line)}",
    "caller": lambda line: line.replace("] ", "][ T1778] ", 1),
    "caller, dmesg": lambda line: line.replace("] ", "] [    T1778] ", 1),
    "priority": lambda line: f"<4>{line}",
    "syslog": lambda line: f"Nov  3 03:54:03 web-7 kernel: {line}",
    "syslog without stamps": lambda line: f"Nov  3 03:54:03 web-7 kernel: {said_by(line)}",
    "syslog, french": lambda line: f"août  3 03:54:03 web-7 kernel: {line}",
    "rfc 5424": lambda line: f"<4>1 2025-11-03T03:54:03.123456+01:00 web-7 kernel - - - {line}",
    "rsyslog iso": lambda line: f"2025-11-03T03:54:03.123456+01:00 web-7 kernel: {line}",
    "journal short-iso": lambda line: f"2025-11-03T03:54:03+0100 web-7 kernel: {said_by(line)}",
    "journal short-full": lambda line: f"Mon 2025-11-03 03:54:03 CET web-7 kernel: {said_by(line)}",
    "journal short-monotonic": lambda line: line.replace("] ", "] web-7 kernel: ", 1),
    "journal short-unix": lambda line: f"1762138443.123456 web-7 kernel: {said_by(line)}",
    "kmsg": _kmsg,
    "openwrt": lambda line: f"Mon Nov  3 03:54:03 2025 kern.warn kernel: {line}",
    "mail": lambda line: f"> {line}",
    "mail, twice": lambda line: f">> {line}",
    "carriage return": lambda line: f"{line}\r",
}
"""What each logger makes of a line with a stamp."""


def mutated(lines: list[str], rng: random.Random) -> list[str]:
    """The lines after one to eight accidents."""
    changed = list(lines)
    for _ in range(rng.randint(1, 8)):
        if changed:
            rng.choice(_ACCIDENTS)(changed, rng)
    return changed


def _cut_start(lines: list[str], rng: random.Random) -> None:
    del lines[: rng.randrange(len(lines))]


def _cut_end(lines: list[str], rng: random.Random) -> None:
    del lines[rng.randrange(len(lines)) :]


def _lose(lines: list[str], rng: random.Random) -> None:
    start = rng.randrange(len(lines))
    del lines[start : start + rng.randint(1, 9)]


def _repeat(lines: list[str], rng: random.Random) -> None:
    start = rng.randrange(len(lines))
    lines[start:start] = lines[start : start + rng.randint(1, 9)]


def _swap(lines: list[str], rng: random.Random) -> None:
    one, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]


def _flip(lines: list[str], rng: random.Random) -> None:
    at = rng.randrange(len(lines))
    line = list(lines[at]) or [" "]
    line[rng.randrange(len(line))] = chr(rng.choice((rng.randrange(256), rng.randrange(0x3000), 0x1F600)))
    lines[at] = "".join(line)


def _shorten(lines: list[str], rng: random.Random) -> None:
    at = rng.randrange(len(lines))
    lines[at] = lines[at][: rng.randrange(len(lines[at]) + 1)]


def _break(lines: list[str], rng: random.Random) -> None:
    at = rng.randrange(len(lines))
    middle = rng.randrange(len(lines[at]) + 1)
    lines[at : at + 1] = [lines[at][:middle], lines[at][middle:]]


def _glue(lines: list[str], rng: random.Random) -> None:
    at = rng.randrange(len(lines))
    lines[at : at + 2] = ["".join(lines[at : at + 2])]


def _mix(lines: list[str], rng: random.Random) -> None:
    other = lines_of(rng.choice(("05-4.4-memcg-v1.log", "22-5.8.0-1031-oracle-memcg-v1.log")))
    at = rng.randrange(len(lines))
    for offset, line in enumerate(other):
        lines.insert(min(len(lines), at + 2 * offset), line)


def _enlarge(lines: list[str], rng: random.Random) -> None:
    at = rng.randrange(len(lines))
    lines[at] = re.sub(r"\d+", lambda number: number.group() * rng.randint(1, 40), lines[at])


_ACCIDENTS = (
    _cut_start,
    _cut_end,
    _lose,
    _repeat,
    _swap,
    _flip,
    _shorten,
    _break,
    _glue,
    _mix,
    _enlarge,
)
