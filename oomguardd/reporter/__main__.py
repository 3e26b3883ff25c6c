"""`oomguardd-reporter`: tells what the guard does, to the journal, Prometheus, people, and whoever asks."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Sequence

from oomguardd import __version__
from oomguardd.config import Config, ConfigError, load
from oomguardd.kernel.notify import Notifier
from oomguardd.reporter.inbox import made_here
from oomguardd.reporter.lines import Lines, level_number, style_of
from oomguardd.reporter.privileges import DEFAULT_USER, PrivilegeError, account_of, die_with, shed
from oomguardd.reporter.service import Options, Service
from oomguardd.sensors import SIGNALS

STANDARD_ERROR = 2


def main(argv: Sequence[str] | None = None) -> int:
    """The exit status: 0 stopped, 1 failed, 2 wrong usage."""
    args = _parser().parse_args(argv)
    try:
        options, complaint = read_options(args)
    except ValueError as error:
        print(f"oomguardd-reporter: {error}", file=sys.stderr)
        return 2
    lines = Lines(STANDARD_ERROR, style_of(STANDARD_ERROR, os.environ), options.threshold)
    notifier = Notifier({} if args.die_with else os.environ)
    service = Service(options, lines, notifier, lambda: _read_again(args))
    if complaint:
        why = f"wrong, so the reporter runs on its defaults: {complaint.splitlines()[0]}"
        service.publish(made_here("fault", 4, time.time(), where="configuration", error=why, count=1))
    try:
        service.prepare(account_of(args.user) if os.geteuid() == 0 else None)
        shed(args.user)
        if args.die_with and not die_with(args.die_with):
            return 0
        asyncio.run(service.run())
    except PrivilegeError as error:
        print(f"oomguardd-reporter: {error}", file=sys.stderr)
        return 1
    finally:
        notifier.close()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="oomguardd-reporter",
        description="Tells what oomguardd does: to the journal or standard error, as metrics, to people."
        " Keeps the history. Needs no privileges.",
    )
    parser.add_argument("--config", metavar="FILE", help="instead of /etc/oomguard.toml")
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


def read_options(args: argparse.Namespace) -> tuple[Options, str]:
    """And what is wrong with the configuration: it must not silence the reporter, whose defaults hold then.
    ValueError for a wrong argument."""
    complaint = ""
    try:
        config = load(args.config, SIGNALS)
    except ConfigError as error:
        config, complaint = Config(), str(error)
    threshold = level_number(args.log_level or config.log.level)
    options = Options(
        config, args.socket or config.guard.socket, threshold, bool(args.die_with), dict(os.environ)
    )
    return options, complaint


def _read_again(args: argparse.Namespace) -> Options | None:
    """None while it is wrong: what was read before holds, as in the guard."""
    options, complaint = read_options(args)
    return None if complaint else options


if __name__ == "__main__":
    sys.exit(main())
