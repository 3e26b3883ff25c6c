"""Text for a terminal of some width: cells, columns and paragraphs that never run over its edge.

Rule of this file: what comes from a process has passed `words.safe`, so every character is printable; how
wide each is on a terminal is decided here.
"""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Iterable, Sequence
from typing import NamedTuple

ENDLESS = 1 << 20
"""Width of what is no terminal: nothing is cut in a pipe or a file."""

_PARAGRAPH = 100
"""Sentences longer than this are hard to read, however wide the terminal is."""


class Column(NamedTuple):
    """One column of a table."""

    title: str
    left: bool = False
    """Text is read from the left, numbers from the right."""
    least: int = 0
    """It may be cut down to this width where space is short; 0: it is never cut."""
    end: bool = False
    """When it is cut, its end is kept: that of a path tells more."""


def width_of(text: str) -> int:
    """Columns on a terminal: two for most East Asian characters and emoji, none for combining ones."""
    if text.isascii():
        return len(text)
    return sum(_char_width(char) for char in text)


def _char_width(char: str) -> int:
    if unicodedata.combining(char) or unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def fit(text: str, width: int, end: bool = False) -> str:
    """The text cut to `width` columns, with an ellipsis in the place of what is missing."""
    if width_of(text) <= width:
        return text
    if width <= 0:
        return ""
    kept, left = [], width - 1
    for char in reversed(text) if end else text:
        left -= _char_width(char)
        if left < 0:
            break
        kept.append(char)
    return "…" + "".join(reversed(kept)) if end else "".join(kept) + "…"


def pad(text: str, width: int, left: bool) -> str:
    """The text filled up with blanks to `width` columns."""
    blanks = " " * max(0, width - width_of(text))
    return text + blanks if left else blanks + text


def table(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int, gap: int = 2) -> list[str]:
    """Title line and rows, none wider than `width` as long as the columns that may be cut allow it."""
    widths = [
        max(width_of(column.title), *(width_of(row[at]) for row in rows), 0)
        for at, column in enumerate(columns)
    ]
    _squeeze(columns, widths, width - gap * (len(columns) - 1))
    lines = []
    for row in (tuple(column.title for column in columns), *rows):
        cells = (
            pad(fit(cell, size, column.end), size, column.left)
            for cell, size, column in zip(row, widths, columns, strict=True)
        )
        lines.append(fit((" " * gap).join(cells).rstrip(), width))
    return lines


def _squeeze(columns: Sequence[Column], widths: list[int], room: int) -> None:
    """Take from the widest column that may be cut until all fit."""
    while sum(widths) > room:
        spare = [
            (widths[at], at)
            for at, column in enumerate(columns)
            if column.least and widths[at] > max(column.least, width_of(column.title))
        ]
        if not spare:
            return
        widths[max(spare)[1]] -= 1


def paragraph(text: str, width: int, indent: int = 0) -> list[str]:
    """The sentence in lines of at most `width` columns, the second and later ones indented two more."""
    room = min(width, _PARAGRAPH + indent)
    lines = textwrap.wrap(
        text,
        max(20, room),
        initial_indent=" " * indent,
        subsequent_indent=" " * (indent + 2),
        break_on_hyphens=False,
        break_long_words=True,
    )
    return [fit(line, width) for line in lines] or [""]


def bullets(texts: Iterable[str], width: int, indent: int = 2) -> list[str]:
    """Each text as a paragraph of its own."""
    return [line for text in texts for line in paragraph(text, width, indent)]
