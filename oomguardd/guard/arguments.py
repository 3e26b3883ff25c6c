"""oomguardd's command line. Exit status: 0 ok, 1 cannot start or configuration wrong, 2 usage."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from oomguardd import __version__
from oomguardd.config import ConfigError
from oomguardd.guard.errors import StartError
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
    add("--json", action="store_true", help="with --once: for programs")
    add("--no-reporter", action="store_true", help="do not start the reporter (it has a unit of its own)")
    add("--socket", metavar="PATH", help="where the reporter connects")
    add("--log-level", choices=LOG_LEVELS, help="the least important messages that are written")
    add("--version", action="version", version=f"oomguardd {__version__}")
    args = parser.parse_args(argv)
    if args.json and not args.once:
        parser.error("--json goes with --once")
    return args


def options_of(args: argparse.Namespace) -> Options:
    """What of them the guard itself needs."""
    return Options(args.config, args.dry_run, not args.no_reporter, args.socket, args.log_level)


def run(work: Callable[[], int]) -> int:
    """`work`'s exit status, or 1 and on standard error why it could not start."""
    try:
        return work()
    except ConfigError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)
    except StartError as error:
        print(f"oomguardd: cannot start: {error}", file=sys.stderr)
    except BrokenPipeError:
        pass  # whoever read our output has seen enough
    return 1
