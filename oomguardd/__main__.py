"""The command `oomguardd`."""

from __future__ import annotations

import sys

from oomguardd.launch.command import main

if __name__ == "__main__":
    sys.exit(main())
