"""`oomguardd` as a daemon in the foreground."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence

from oomguardd.guard.arguments import options_of, parse, run
from oomguardd.guard.service import serve


def main(argv: Sequence[str] | None = None) -> int:
    """Runs until SIGTERM or SIGINT; the exit status."""
    options = options_of(parse(argv))
    return run(lambda: asyncio.run(serve(options, os.environ)))
