"""`oomguardd-reporter`: writes what the guard tells to standard error."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from oomguardd import __version__
from oomguardd.config import Config, ConfigError, load
from oomguardd.engine.explain import describe
from oomguardd.engine.words import as_number, safe
from oomguardd.kernel.notify import Notifier
from oomguardd.reporter.inbox import Inbox, Record
from oomguardd.reporter.lines import Lines, OutputGone, level_number, style_of
from oomguardd.reporter.privileges import DEFAULT_USER, PrivilegeError, die_with, shed
from oomguardd.sensors import SIGNALS

DRAIN_S = 2.0
"""How long a stopping reporter tries to write what has arrived; the guard keeps what is not confirmed."""

STANDARD_ERROR = 2
_KNOWN_SIGNALS = {signal.name: signal for signal in SIGNALS}
_PRIORITY_OF_UNKNOWN = 5


class Options(NamedTuple):
    """What the command line and the configuration say."""

    socket: str
    level: str
    complaint: str
    """What is wrong with the configuration; the reporter runs on the defaults then."""


def main(argv: Sequence[str] | None = None) -> int:
    """The exit status: 0 stopped, 1 failed, 2 wrong usage."""
    args = _parser().parse_args(argv)
    options = read_options(args)
    try:
        threshold = level_number(options.level)
        shed(args.user)
        if args.die_with and not die_with(args.die_with):
            return 0
    except (ValueError, PrivilegeError) as error:
        print(f"oomguardd-reporter: {error}", file=sys.stderr)
        return 2 if isinstance(error, ValueError) else 1
    lines = Lines(STANDARD_ERROR, style_of(STANDARD_ERROR, os.environ), threshold)
    notifier = Notifier({} if args.die_with else os.environ)
    try:
        asyncio.run(_run(args, options, lines, notifier))
    except OutputGone:
        return 1  # and nobody to tell
    finally:
        notifier.close()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="oomguardd-reporter",
        description="Writes what oomguardd tells to standard error. Needs no privileges.",
    )
    parser.add_argument("--config", metavar="FILE", help="configuration; read for guard.socket and log.level")
    parser.add_argument("--socket", metavar="PATH", help="the guard's socket")
    parser.add_argument("--log-level", metavar="LEVEL", help="the least important level that is written")
    parser.add_argument(
        "--user", default=DEFAULT_USER, help="whom to become when started as root (%(default)s)"
    )
    parser.add_argument(
        "--die-with", type=int, metavar="PID", help="stop when the process that started it, PID, ends"
    )
    parser.add_argument("--version", action="version", version=f"oomguardd {__version__}")
    return parser


def read_options(args: argparse.Namespace) -> Options:
    """A bad configuration must not silence the reporter: its defaults do, and it is said."""
    if args.socket and args.log_level:
        return Options(args.socket, args.log_level, "")
    complaint = ""
    try:
        config = load(args.config, SIGNALS)
    except ConfigError as error:
        config, complaint = Config(), str(error)
    return Options(args.socket or config.guard.socket, args.log_level or config.log.level, complaint)


async def _run(args: argparse.Namespace, options: Options, lines: Lines, notifier: Notifier) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stopping.set)
    # Ctrl-C goes to the guard as well, whose last words are still to come when it is our parent.
    loop.add_signal_handler(signal.SIGINT, _nothing if args.die_with else stopping.set)
    if options.complaint:
        await lines.say(4, f"reporter runs on defaults: {options.complaint.splitlines()[0]}")
    notifier.send("READY=1", f"STATUS=reading {options.socket}")
    inbox = Inbox(options.socket, stopping, time.time)
    relaying = asyncio.ensure_future(relay(inbox, lines, lambda: _read_level_again(args, lines)))
    stopped = asyncio.ensure_future(stopping.wait())
    await asyncio.wait({relaying, stopped}, return_when=asyncio.FIRST_COMPLETED)
    notifier.send("STOPPING=1")
    await asyncio.wait({relaying}, timeout=DRAIN_S)
    stopped.cancel()
    relaying.cancel()
    results = await asyncio.gather(relaying, stopped, return_exceptions=True)
    if isinstance(results[0], Exception):
        raise results[0]


def _nothing() -> None:
    """For a signal that is somebody else's business, but must not end us."""


def _read_level_again(args: argparse.Namespace, lines: Lines) -> None:
    options = read_options(args)
    if not options.complaint:
        lines.threshold = level_number(options.level)


async def relay(inbox: Inbox, lines: Lines, on_reload: Callable[[], None]) -> None:
    """Every record, written and only then confirmed. `on_reload`: the guard has a new configuration."""
    async for record in inbox.records():
        if record["kind"] == "reloaded":
            on_reload()
        priority, time_s = _priority_and_time(record)
        await lines.write(priority, time_s, words_of(record))
        await inbox.confirm(record)


def words_of(record: Record) -> list[str]:
    """As `describe`. Whatever goes wrong, it must not end us: the guard would send the same record again."""
    try:
        return describe(record, _KNOWN_SIGNALS)
    except Exception as error:
        return [f"a record of kind {safe(record.get('kind'))} has no words: {safe(repr(error))}"]


def _priority_and_time(record: Record) -> tuple[int, float]:
    priority, time_s = as_number(record.get("priority")), as_number(record.get("time_s"))
    return (_PRIORITY_OF_UNKNOWN if priority is None else int(priority)), time_s or 0.0


if __name__ == "__main__":
    sys.exit(main())
