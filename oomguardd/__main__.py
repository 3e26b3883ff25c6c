"""The command `oomguardd`."""

from __future__ import annotations

import sys

# asyncio works without it, and nothing in the guard speaks TLS: 4 MiB less to keep locked in memory.
sys.modules.setdefault("ssl", None)  # type: ignore[arg-type]

# What only looks and prints is not loaded into the process that has to stay small.
if {"--once", "--check-config"}.isdisjoint(sys.argv[1:]):
    from oomguardd.guard.cli import main
else:
    from oomguardd.guard.oneshot import main

if __name__ == "__main__":
    sys.exit(main())
