"""oomguardd's command line."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

from oomguardd import __version__
from oomguardd.guard.options import Options

LOG_LEVELS = ("debug", "info", "notice", "warning", "error")


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The arguments (None: of this process); ends the process with status 2 if they are wrong."""
    parser = argparse.ArgumentParser(
        prog="oomguardd",
        description="Ends the right process before the machine freezes. Runs in the foreground until SIGTERM;"
        " SIGHUP reloads the configuration.",
    )
    add = parser.add_argument
    add(
        "--config", metavar="FILE", help="instead of /etc/oomguard.toml; drop-ins are read from FILE.d/*.toml"
    )
    add(
        "--check-config",
        action="store_true",
        help="print the effective configuration, or what is wrong with it",
    )
    add("--dry-run", action="store_true", help="decide and record, but signal nobody")
    add("--once", action="store_true", help="look once: readings, level, top candidates; then exit")
    add("--json", action="store_true", help="with --once or --check-config: for programs")
    add("--no-reporter", action="store_true", help="do not start the reporter (it has a unit of its own)")
    add("--socket", metavar="PATH", help="where the reporter connects")
    add("--log-level", choices=LOG_LEVELS, help="the least important messages that are written")
    add("--version", action="version", version=f"oomguardd {__version__}")
    args = parser.parse_args(argv)
    if args.json and not (args.once or args.check_config):
        parser.error("--json goes with --once or --check-config")
    return args


def options_of(args: argparse.Namespace) -> Options:
    """What of them the guard itself needs."""
    config, socket = (path if path is None else os.path.abspath(path) for path in (args.config, args.socket))
    return Options(config, args.dry_run, not args.no_reporter, socket, args.log_level)
