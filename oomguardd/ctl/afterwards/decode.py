"""`oomguardctl decode`: what the kernel's OOM reports in a log say, in words."""

from __future__ import annotations

import argparse
import sys
from collections import Counter

from oomguardd.ctl import arguments
from oomguardd.ctl.afterwards.decode_input import Progress, journal, lines_of, opened
from oomguardd.ctl.afterwards.decode_page import page
from oomguardd.ctl.console import Console, Misuse
from oomguardd.ctl.text import paragraph
from oomguardd.ctl.verb import Verb
from oomguardd.engine.words import counted, listed, safe
from oomguardd.oomlog import Report, decode, explain_parts, to_json

DEFAULT_COUNT = 8


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", nargs="?", help="a log, packed or not; - is standard input")
    parser.add_argument("--journal", action="store_true", help="the kernel's messages in the journal")
    parser.add_argument(
        "--boot",
        metavar="ID",
        type=_boot,
        help="with --journal: that boot as journalctl names it (-1: the one before), or all (default: 0)",
    )
    parser.add_argument(
        "-n",
        metavar="N",
        type=arguments.count,
        default=DEFAULT_COUNT,
        help=f"so many processes of each report, or all (default: {DEFAULT_COUNT})",
    )


def run(args: argparse.Namespace, console: Console) -> int:
    """0: a report was found, 1: none. Misuse, Trouble, OSError."""
    if args.journal and args.file:
        raise Misuse("either a FILE or --journal, not both")
    if args.boot is not None and not args.journal:
        raise Misuse("--boot is for --journal")
    if args.file is None and not args.journal and sys.stdin is not None and sys.stdin.isatty():
        raise Misuse("nothing to decode: name a FILE, - for standard input, or --journal")
    file = args.file or "-"
    name = "the journal" if args.journal else "standard input" if file == "-" else file
    with journal(args.boot or "0") if args.journal else opened(file) as stream:
        progress = Progress(console.err)
        telling = _Telling(console, args.n, progress)
        try:
            for report in decode(lines_of(stream, name, progress)):
                telling.tell(report)
        finally:
            progress.clear()
    if not telling.count:
        console.complain(f"{name}: no report of the kernel's OOM killer in it")
        return 1
    telling.sum_up()
    return 0


def _boot(text: str) -> str:
    if text != "all" and not text.removeprefix("-").isalnum():
        raise argparse.ArgumentTypeError(f'"{text[:40]}" is no boot (write 0, -1, its id, or all)')
    return text


class _Telling:
    """Prints reports as they come."""

    def __init__(self, console: Console, most: int, progress: Progress) -> None:
        self._console = console
        self._most = most
        self._progress = progress
        self._killed: Counter[str] = Counter()
        self.count = 0

    def tell(self, report: Report) -> None:
        self.count += 1
        self._progress.found = self.count
        self._progress.clear()
        self._killed.update(victim.comm for victim in report.victims)
        if self._console.as_json:
            words = explain_parts(report)._asdict()
            self._console.put_json({"kind": "oom_report", **to_json(report), "words": words})
            return
        if self.count > 1:
            self._console.say("")
        self._console.say(page(report, self.count, self._most, self._console))

    def sum_up(self) -> None:
        """Of several reports, who died how often."""
        if self._console.as_json or self.count < 2:
            return
        killed = [
            f"{safe(comm) or '?'} {counted(times, 'time')}" for comm, times in self._killed.most_common()
        ]
        told = f"; killed: {listed(killed, 8)}" if killed else ""
        self._console.say(["", *paragraph(f"{self.count} reports{told}.", self._console.width)])


VERB = Verb(
    "decode",
    "what the kernel's own OOM reports in a log say: who died, why, who held the memory, what prevents it",
    "Reads dmesg, syslog and journal formats of kernels 2.6 to 7, also cut, wrapped or mixed ones,"
    " packed with gzip, xz or bzip2 or not.",
    add_arguments,
    run,
)
