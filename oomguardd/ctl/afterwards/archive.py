"""Which history the verbs read, and how they say that there is none."""

from __future__ import annotations

import argparse
import os

from oomguardd.config import Config, ConfigError, load
from oomguardd.config.places import history_directory
from oomguardd.ctl.console import Console, Trouble
from oomguardd.history.database import FILE
from oomguardd.history.store import Reader, StoreError, read_store
from oomguardd.sensors import SIGNALS

ROOT, SOMEBODY = 0, 1
"""As whom the daemon may have run; for whom `history_directory` makes a difference."""


def add_directory(parser: argparse.ArgumentParser) -> None:
    """The option that all of these verbs have."""
    parser.add_argument(
        "--directory",
        metavar="DIR",
        help="the history in DIR (default: as history.directory says; if none is there, your own below"
        " ~/.local/state/oomguard, which a daemon in the foreground writes)",
    )


def open_history(args: argparse.Namespace, console: Console) -> Reader:
    """The history that the arguments mean; to be closed. Trouble."""
    try:
        return read_store(args.directory or _directory(args.config, console))
    except StoreError as error:
        raise Trouble(str(error)) from None


def _directory(path: str | None, console: Console) -> str:
    """A configuration that cannot be read must not hide what happened."""
    config = Config()
    try:
        config = load(path, SIGNALS)
    except ConfigError as error:
        console.complain(f"{error.problems[0]}; looking for the history in its default place")
    configured = history_directory(config, {}, ROOT)
    own = history_directory(config, {**console.environ, "STATE_DIRECTORY": ""}, SOMEBODY)
    here, there = (os.path.lexists(os.path.join(place, FILE)) for place in (configured, own))
    if here and there and own != configured:
        console.complain(f"{configured} is the machine's history; your own: --directory {own}")
    return own if there and not here else configured
