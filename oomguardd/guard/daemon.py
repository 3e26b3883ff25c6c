"""The guard's interpreter, from the descriptor with its orders to its end."""

# ruff: noqa: E402  # the one line that has to come before the imports is explained there

from __future__ import annotations

import sys

# asyncio works without it, and nothing in the guard speaks TLS: 4 MiB less to keep locked in memory.
sys.modules.setdefault("ssl", None)  # type: ignore[arg-type]

import asyncio
import json
import os
from collections.abc import Sequence

from oomguardd.guard.errors import StartError
from oomguardd.guard.options import Options
from oomguardd.guard.service import serve
from oomguardd.kernel.syscalls import set_name
from oomguardd.sections import from_wire


def main(argv: Sequence[str] | None = None) -> int:
    """Runs until SIGTERM or SIGINT; the exit status. The one argument is a descriptor with JSON: options and
    configuration."""
    (fd,) = sys.argv[1:] if argv is None else argv
    set_name("oomguardd")
    with open(int(fd), "rb") as file:
        wire = json.load(file)
    try:
        return asyncio.run(serve(Options(**wire["options"]), from_wire(wire["config"]), os.environ))
    except StartError as error:
        print(f"oomguardd: cannot start: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        return 130  # before it was armed: from then on it is a way of ending
    return 1
