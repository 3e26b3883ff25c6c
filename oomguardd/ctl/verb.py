"""What a verb of oomguardctl is."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import NamedTuple

from oomguardd.ctl.console import Console


class Verb(NamedTuple):
    """One verb: `oomguardctl name ...`."""

    name: str
    help: str
    """One line."""
    more: str
    """What its own --help says below that."""
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace, Console], int]
    """The exit status: 0 ok, 1 a problem was found. ConfigError, Trouble, SensorError and OSError are told by
    the caller."""
