"""`oomguardctl history`: what was killed on this machine, by whom and why, the newest last."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

from oomguardd.ctl import arguments
from oomguardd.ctl.afterwards.archive import add_directory, open_history
from oomguardd.ctl.afterwards.killed import Row, concerns, row_of, row_of_exit, victim_words
from oomguardd.ctl.console import Console, Misuse, Trouble
from oomguardd.ctl.moments import day_words, parse_since, time_words
from oomguardd.ctl.text import Column, paragraph, table
from oomguardd.ctl.verb import Verb
from oomguardd.engine.explain import describe
from oomguardd.engine.words import safe, size
from oomguardd.history.identity import time_of
from oomguardd.history.incident import INCIDENT_KINDS, Record
from oomguardd.history.store import Reader, StoreError
from oomguardd.sensors import SIGNAL_OF

DEFAULT_COUNT = 20

_KIND_WORDS = {"kill": "oomguardd's", "kernel_kill": "the kernel's", "foreign_kill": "others'"}

_COLUMNS = (
    Column("ID", left=True),
    Column("WHEN", left=True),
    Column("BY", left=True, least=9),
    Column("VICTIM", left=True, least=15),
    Column("RUN BY", left=True, least=14, end=True),
    Column("HELD"),
    Column("FREED"),
    Column("WHY", left=True, least=10),
    Column("OUTCOME", left=True, least=10),
)
_GIVEN_UP = ("FREED", "WHY", "HELD", "RUN BY", "OUTCOME", "BY")
"""Columns that are left out in this order where the terminal is too narrow; `show` has it all."""
_GAP = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_directory(parser)
    parser.add_argument(
        "--since",
        metavar="TIME",
        type=parse_since(time.time),
        default=0.0,
        help='only since then: "2d", "90m", "2026-11-23" or "2026-11-23 14:30"',
    )
    parser.add_argument(
        "--kind",
        choices=INCIDENT_KINDS,
        help="only " + ", ".join(f"{kind} ({whose})" for kind, whose in _KIND_WORDS.items()),
    )
    parser.add_argument(
        "-n",
        metavar="N",
        type=arguments.count,
        help=f"the newest N, or all (default: {DEFAULT_COUNT}; with --json, --since, --pid or --unit all)",
    )
    parser.add_argument(
        "--pid",
        type=arguments.pid,
        help="who killed that process? (exit status 137 of a command says: somebody)",
    )
    parser.add_argument(
        "--unit", metavar="UNIT", help="only what ran in that unit, container, pod, job or cgroup"
    )
    parser.add_argument(
        "--all",
        action="store_true",
        help="every record in words, not only kills: levels, reloads, what is missing, faults",
    )


def run(args: argparse.Namespace, console: Console) -> int:
    """The exit status. Trouble."""
    if args.all and (args.pid or args.unit or args.kind):
        raise Misuse("--all shows every record; leave --pid, --unit and --kind away")
    with open_history(args, console) as history:
        try:
            records = _records(history, args) if args.all else []
            rows = [] if args.all else _rows(history, args)
            began_s = history.began_s()
        except StoreError as error:
            raise Trouble(str(error)) from None
    if console.as_json:
        for found in (*records, *(row.fields() for row in rows)):
            console.put_json(found)
    elif records or rows:
        console.say(_told(records, console.width) if args.all else _table(rows, console))
    else:
        console.say(_nothing(args, began_s, console.width))
    return 0


def _most(args: argparse.Namespace) -> int:
    narrowed = args.json or args.since or args.pid or args.unit
    return int(args.n or (arguments.ALL if narrowed else DEFAULT_COUNT))


def _records(history: Reader, args: argparse.Namespace) -> list[Record]:
    return history.map_events(lambda record: record, since_s=args.since, most=_most(args))


def _rows(history: Reader, args: argparse.Namespace) -> list[Row]:
    """The newest, in order of time."""

    def wanted(row: Row | None) -> Row | None:
        if row is None or (args.pid and args.pid not in row.pids):
            return None
        return row if not args.unit or concerns(row, args.unit) else None

    kinds, most = (args.kind,) if args.kind else INCIDENT_KINDS, _most(args)
    rows = history.map_kills(lambda kill: wanted(row_of(kill)), since_s=args.since, kinds=kinds, most=most)
    if args.pid and not rows:  # nobody's kill, but perhaps its end was seen
        rows = history.map_events(
            lambda record: wanted(row_of_exit(record)), since_s=args.since, kinds=("exit",), most=most
        )
    return rows


def _table(rows: Sequence[Row], console: Console) -> list[str]:
    now_s = time.time()
    cells = [
        (
            row.id or "-",
            day_words(row.time_s, now_s),
            safe(row.by),
            victim_words(row),
            safe(row.runs_it),
            "" if row.held_bytes is None else size(row.held_bytes),
            "" if row.freed_bytes is None else size(row.freed_bytes),
            safe(row.why),
            safe(row.outcome),
        )
        for row in rows
    ]
    left = list(range(len(_COLUMNS)))
    for title in _GIVEN_UP:
        if _least(left, cells) <= console.width:
            break
        left = [at for at in left if _COLUMNS[at].title != title]
    shown = [[row[at] for at in left] for row in cells]
    title_line, *lines = table([_COLUMNS[at] for at in left], shown, console.width)
    dim = [console.paint(line, "dim") if row.dry_run else line for line, row in zip(lines, rows, strict=True)]
    return [console.paint(title_line, "bold"), *dim]


def _least(left: Sequence[int], cells: Sequence[Sequence[str]]) -> int:
    """Columns of the terminal that these columns of the table need."""
    widths = (
        _COLUMNS[at].least or max(len(_COLUMNS[at].title), *(len(row[at]) for row in cells)) for at in left
    )
    return sum(widths) + _GAP * (len(left) - 1)


def _told(records: Sequence[Record], width: int) -> list[str]:
    """Each in one sentence."""
    return [
        line
        for record in records
        for line in paragraph(f"{time_words(time_of(record))}  {describe(record, SIGNAL_OF)[0]}", width)
    ]


def _nothing(args: argparse.Namespace, began_s: float | None, width: int) -> list[str]:
    """Why nothing is shown."""
    if began_s is None:
        return paragraph("the history is empty", width)
    since = f"the history, which begins at {time_words(began_s)}"
    if args.pid:
        said = (
            f"no kill of process {args.pid} is in {since}. That is of oomguardd, of the kernel's OOM killer"
            " and of other daemons; who else sent a SIGKILL is only seen with watch.process_events = true"
        )
    elif args.since or args.unit or args.kind:
        said = f"no such kill is in {since}"
    else:
        said = f"no kill is in {since}"
    return paragraph(said, width)


VERB = Verb(
    "history",
    "what was killed on this machine, by oomguardd, the kernel or others: when, why, and what it brought",
    "The newest is last. `oomguardctl show ID` tells all about one of them.",
    add_arguments,
    run,
)
