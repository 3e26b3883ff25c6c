"""`make bench`: prints one table; `--json` for programs. As root it runs in a pid namespace of its own."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from datetime import date
from pathlib import Path

from tests.bench.armed import idle, ticking
from tests.bench.choosing import choosing, with_rules
from tests.bench.telling import telling

ALONE = "OOMGUARD_BENCH_ALONE"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--processes", type=int, default=10_000)
    args = parser.parse_args()
    _alone()
    rows = []
    for what in (
        idle,
        ticking,
        telling,
        lambda: choosing(100, 31),
        lambda: choosing(args.processes, 7),
        lambda: with_rules(args.processes, 7),
    ):
        print("measuring ...", file=sys.stderr)
        rows += what()
    if args.json:
        print(json.dumps([row._asdict() for row in rows], indent=2))
        return 0
    print(f"{_machine()}, {date.today()}\n\n| what | measured | against |\n|---|---|---|")
    for row in rows:
        print(f"| {row.what} | {row.value} | {row.ratio} |")
    return 0


def _alone() -> None:
    """Other people's processes must not be in the way, and ours cannot outlive a namespace that ends."""
    unshare = shutil.which("unshare")
    if os.geteuid() == 0 and unshare and ALONE not in os.environ:
        command = [
            unshare,
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
            sys.executable,
            "-m",
            "tests.bench",
        ]
        os.execve(unshare, [*command, *sys.argv[1:]], {**os.environ, ALONE: "1"})


def _machine() -> str:
    cpu = next(
        (
            line.split(":")[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        "?",
    )
    return (
        f"{os.cpu_count()} x {cpu}, Linux {os.uname().release.split('-')[0]}, Python {sys.version.split()[0]}"
    )


if __name__ == "__main__":
    sys.exit(main())
