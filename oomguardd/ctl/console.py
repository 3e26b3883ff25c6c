"""Where the words go: a terminal with its width and colours, or anything else without."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping
from typing import TextIO

from oomguardd.ctl.text import ENDLESS

_STYLES = {"bold": "1", "red": "31", "yellow": "33", "dim": "2"}
_NARROWEST = 20
"""A terminal that says less has not been told its size."""


class Trouble(Exception):
    """What cannot be done and why, in words for the user; ends the command with `status`."""

    status = 1


class Misuse(Trouble):
    """Options that do not go together: wrong usage."""

    status = 2


class Console:
    """Standard output and error of one run."""

    def __init__(self, out: TextIO, err: TextIO, environ: Mapping[str, str], as_json: bool = False) -> None:
        self.out = out
        self.err = err
        self.environ = environ
        self.as_json = as_json
        self.is_terminal = _is_terminal(out) and environ.get("TERM", "dumb") != "dumb"
        self._coloured = self.is_terminal and not environ.get("NO_COLOR")

    @property
    def width(self) -> int:
        """Columns of the terminal now, or as COLUMNS says; what is neither has no edge."""
        said = self.environ.get("COLUMNS", "")
        if said.isdecimal() and len(said) < 6 and int(said) >= _NARROWEST:
            return int(said)
        size = self.size()
        return max(_NARROWEST, size[0]) if size else ENDLESS

    def size(self) -> tuple[int, int] | None:
        """Columns and lines of the terminal; None if it is none or does not know."""
        if not _is_terminal(self.out):
            return None
        try:
            size = os.get_terminal_size(self.out.fileno())
        except OSError:
            return None
        return (size.columns, size.lines) if size.columns and size.lines else (80, 24)

    def paint(self, text: str, style: str) -> str:
        """The text in that style, one of bold, red, yellow and dim, where colours are wanted."""
        return f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if self._coloured and text else text

    def say(self, lines: Iterable[str] | str) -> None:
        """For people, on standard output."""
        for line in (lines,) if isinstance(lines, str) else lines:
            print(line, file=self.out)

    def put_json(self, value: object) -> None:
        """For programs: one object a line."""
        print(json.dumps(value, allow_nan=False), file=self.out, flush=True)

    def complain(self, text: str) -> None:
        """On standard error, at once."""
        print(f"oomguardctl: {text}", file=self.err, flush=True)


def standard_console(as_json: bool) -> Console:
    """This process's own; what it was started without goes nowhere."""
    nowhere = open(os.devnull, "w")  # noqa: SIM115  # for as long as the process lives
    return Console(sys.stdout or nowhere, sys.stderr or nowhere, os.environ, as_json)


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except (AttributeError, ValueError):  # there is none, or it was closed
        return False
