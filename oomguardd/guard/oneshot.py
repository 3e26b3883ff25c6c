"""`oomguardd --once` and `--check-config`: look, print, end."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from oomguardd.config import config_check
from oomguardd.guard.arguments import options_of, parse, run
from oomguardd.guard.once import look_once
from oomguardd.guard.options import load_config
from oomguardd.sensors import SIGNALS


def main(argv: Sequence[str] | None = None) -> int:
    """Prints what was asked for; the exit status."""
    args = parse(argv)

    def work() -> int:
        if args.check_config:
            status, text = config_check(args.config, SIGNALS)
            print(text, file=sys.stderr if status else sys.stdout)
            return status
        print(look_once(load_config(options_of(args)), args.json))
        return 0

    return run(work)
