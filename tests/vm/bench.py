"""All daemons side by side, in the same run on the same machine: python3 -m tests.vm.bench

Asserts nothing about times; a daemon that loses the canary or the guest is a row like any other.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from . import table
from .batch import Batch, Result, run
from .guest.daemons import DAEMONS
from .guest.scenarios import SCENARIOS, pairs


def main() -> None:
    parser = argparse.ArgumentParser(prog="python3 -m tests.vm.bench", description=__doc__)
    several = "only this one; may be repeated"
    parser.add_argument("--scenario", action="append", choices=SCENARIOS, help=several)
    parser.add_argument("--daemon", action="append", choices=DAEMONS, help=several)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every result there, logs included")
    arguments = parser.parse_args()
    results: list[Result] = []
    batch = Batch(tuple(pairs(arguments.daemon or DAEMONS, arguments.scenario)))
    for result in run(batch, lambda line: print(line, flush=True)):
        results.append(result)
        if arguments.json:  # after each one: an interrupted run of half an hour is not lost
            arguments.json.write_text(json.dumps(results, indent=1))
    print("", table.text(results), "", table.markdown(results), "", *table.verdicts(results), sep="\n")


if __name__ == "__main__":
    main()
