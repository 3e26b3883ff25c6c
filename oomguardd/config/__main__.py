"""Writes the documented default: `python3 -m oomguardd.config > conf/oomguard.toml`."""

from __future__ import annotations

import sys

from oomguardd.config.shipped import render_default
from oomguardd.sensors import SIGNALS

if __name__ == "__main__":
    sys.stdout.write(render_default(SIGNALS))
