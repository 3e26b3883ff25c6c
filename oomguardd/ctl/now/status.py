"""`oomguardctl status`: how the daemon and the machine stand now, asked of the running reporter."""

from __future__ import annotations

import argparse
import os
import time

from oomguardd.config import Config, ConfigError, load
from oomguardd.ctl import arguments
from oomguardd.ctl.console import Console
from oomguardd.ctl.now.bars import ASCII, LINES, can_draw_lines
from oomguardd.ctl.now.control import Line, Reply, Unreachable, places
from oomguardd.ctl.now.follow import follow
from oomguardd.ctl.now.status_page import Look, page
from oomguardd.ctl.now.told import Told
from oomguardd.ctl.screen import Screen
from oomguardd.ctl.text import fit, paragraph
from oomguardd.ctl.verb import Verb
from oomguardd.sensors import SIGNALS

OK, PROBLEM, PRESSED, UNREACHABLE = 0, 1, 3, 69
"""Exit statuses. 69 is EX_UNAVAILABLE of sysexits.h."""

DEFAULT_BACKLOG = 10
DEFAULT_PERIOD_S = 1.0
_LARGEST_BACKLOG = 1_000_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--socket", metavar="PATH", help="the control socket of a daemon that runs elsewhere")
    how = parser.add_mutually_exclusive_group()
    how.add_argument(
        "--watch",
        metavar="SECONDS",
        nargs="?",
        type=arguments.seconds(0.2, 3600),
        const=DEFAULT_PERIOD_S,
        help=f"again and again, every so many seconds (default: {DEFAULT_PERIOD_S:g}); q ends it",
    )
    how.add_argument(
        "--follow", action="store_true", help="print events as they happen, until Ctrl-C; as the log does"
    )
    parser.add_argument(
        "-n",
        metavar="N",
        type=backlog,
        default=DEFAULT_BACKLOG,
        help=f"with --follow: so many past events first, or all (default: {DEFAULT_BACKLOG})",
    )


def backlog(text: str) -> int:
    """A number of events: "20", "0" or "all"."""
    if text.lower() == "all":
        return _LARGEST_BACKLOG
    if not (text.isascii() and text.isdecimal()):
        raise argparse.ArgumentTypeError(f'"{text[:40]}" is no number of events (write 20, 0 or all)')
    return min(int(text[:9]), _LARGEST_BACKLOG)


def run(args: argparse.Namespace, console: Console) -> int:
    """The exit status, see `Verb.more`. Trouble, OSError."""
    asking = Asking(_config(args.config, console), args.socket, console)
    try:
        if args.follow:
            return follow(asking.connect, console, args.n)
        if args.watch is None:
            return asking.print_once()
        if console.is_terminal and not console.as_json:
            return _redraw(asking, args.watch, console)
        return _repeat(asking, args.watch)
    except Unreachable as error:
        if console.as_json and not args.follow:
            console.put_json({"kind": "status", "ok": False, "problems": [str(error)]})
        else:
            console.complain(str(error))
        return UNREACHABLE


def _config(path: str | None, console: Console) -> Config:
    """A daemon that runs can be asked also if its files have become wrong."""
    try:
        return load(path, SIGNALS)
    except ConfigError as error:
        first = str(error.problems[0])
        console.complain(f"the configuration is wrong, asking at the default socket: {first}")
        return Config()


class Asking:
    """Asks, and shows what it is told."""

    def __init__(self, config: Config, socket: str | None, console: Console) -> None:
        self._paths = places(config, console.environ, os.geteuid(), socket)
        self._console = console
        encoding = getattr(console.out, "encoding", None) or "ascii"
        self._glyphs = LINES if can_draw_lines(encoding, console.environ) else ASCII

    def connect(self) -> Line:
        """Unreachable."""
        return Line(self._paths)

    def status(self) -> Reply:
        """The reply of Status. Unreachable, Trouble."""
        with self.connect() as line:
            return line.call("Status")

    def lines(self, status: Reply, width: int) -> list[str]:
        """For people."""
        return page(Told(status), Look(width, self._glyphs, self._console.paint))

    def print_once(self) -> int:
        """The exit status. Unreachable, Trouble."""
        status = self.status()
        if self._console.as_json:
            self._console.put_json({"kind": "status", **status})
        else:
            self._console.say(self.lines(status, self._console.width))
        return exit_status(Told(status))


def exit_status(status: Told) -> int:
    """What scripts go by."""
    if status.text("level") in ("terminate", "kill"):
        return PRESSED
    return OK if status.flag("ok") else PROBLEM


def _repeat(asking: Asking, period_s: float) -> int:
    """Not on a terminal: one status after the other, until somebody ends it."""
    while True:
        asking.print_once()
        time.sleep(period_s)


def _redraw(asking: Asking, period_s: float, console: Console) -> int:
    """Until the user leaves; a reporter that goes away may come back."""
    with Screen(console) as screen:
        while True:
            width, _ = console.size() or (80, 24)
            try:
                status = asking.status()
                lines, last = asking.lines(status, width), exit_status(Told(status))
            except Unreachable as error:
                lines, last = paragraph(str(error), width), UNREACHABLE
            screen.draw([fit(f"every {period_s:g} s, q ends", width), *lines])
            if not screen.wait(period_s):
                return OK if last == OK else last


VERB = Verb(
    "status",
    "how the running daemon and the machine stand: level, readings against thresholds, last kills, health",
    f"Exit status: {OK} the guard is armed and the level is calm or warn; {PROBLEM} something is wrong: it is"
    f" not there, not armed, or its configuration was not loaded; {PRESSED} processes are being ended now,"
    f" level terminate or kill; {UNREACHABLE} nobody answers, or you may not ask.",
    add_arguments,
    run,
)
