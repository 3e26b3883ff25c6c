"""The command `oomguardctl`. Exit status: 0 ok, 1 a problem was found or something failed, 2 usage; `status`
has more of them.

Only `status` needs a running daemon, and nothing that is done here changes one.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence

from oomguardd import __version__
from oomguardd.config import ConfigError
from oomguardd.ctl import VERBS
from oomguardd.ctl.console import Console, Trouble, standard_console
from oomguardd.kernel.files import SensorError

INTERRUPTED = 130
"""What shells expect of a command that Ctrl-C has ended."""


def main(argv: Sequence[str] | None = None) -> int:
    """Does what the arguments (None: of this process) ask for."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names may have letters that the locale does not
            stream.reconfigure(errors="backslashreplace")
    args = parser().parse_args(argv)
    console = standard_console(args.json)
    try:
        status = _run(args, console)
        console.out.flush()
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return status


def parser() -> argparse.ArgumentParser:
    """The command line: one subcommand a verb."""
    whole = argparse.ArgumentParser(
        prog="oomguardctl",
        description="See how things stand, what would be killed and why, what was killed and why, by"
        " oomguardd or by the kernel. Only `status` needs a running daemon.",
        epilog="Exit status: 0 ok, 1 a problem was found or something failed, 2 wrong usage; that of `status`"
        " says more.",
    )
    whole.add_argument("--version", action="version", version=f"oomguardd {__version__}")
    verbs = whole.add_subparsers(dest="verb", metavar="VERB", required=True)
    for verb in VERBS:
        own = verbs.add_parser(verb.name, help=verb.help, description=f"{verb.help}. {verb.more}".strip())
        verb.add_arguments(own)
        own.add_argument(
            "--config",
            metavar="FILE",
            help="instead of /etc/oomguard.toml; drop-ins are read from FILE.d/*.toml",
        )
        own.add_argument("--json", action="store_true", help="for programs")
        own.set_defaults(run=verb.run)
    return whole


def _run(args: argparse.Namespace, console: Console) -> int:
    try:
        return int(args.run(args, console))
    except ConfigError as error:
        for problem in error.problems:
            print(problem, file=console.err)
    except Trouble as error:
        console.complain(str(error))
        return error.status
    except SensorError as error:
        console.complain(str(error))
    except BrokenPipeError:
        raise
    except OSError as error:
        name = f"{error.filename}: " if error.filename else ""
        console.complain(f"{name}{error.strerror or error}")
    except KeyboardInterrupt:
        return INTERRUPTED
    return 1


if __name__ == "__main__":
    sys.exit(main())
