"""Reads the configuration again, in a process of its own.

Rule of this file: the guard has neither a TOML parser nor the time to wait for a disk. It starts a reader
when all is calm, and takes what that one found when it is there.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Callable

from oomguardd.guard.child import Child
from oomguardd.guard.options import Options
from oomguardd.interpreter import command
from oomguardd.sections import Config, from_wire

WITHIN_S = 60.0
LARGEST_BYTES = 4 << 20

Loaded = Config | list[str]
"""The configuration, or all that is wrong with it."""


class Loader:
    """One reading; `on_loaded` is called once, with what came of it."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, options: Options, on_loaded: Callable[[Loaded], None]
    ) -> None:
        self._loop = loop
        self._on_loaded = on_loaded
        self._data = b""
        self._fd, writable = os.pipe()
        os.set_blocking(self._fd, False)
        try:
            self._child = Child(loop, _command(options), _nothing, stdout=writable)
        except OSError:
            os.close(self._fd)
            raise
        finally:
            os.close(writable)
        self._late = loop.call_later(WITHIN_S, self._finish, f"reading it took more than {WITHIN_S:.0f} s")
        loop.add_reader(self._fd, self._read)

    def close(self) -> None:
        """Ends the reading without a result; nothing if it is over. Its process ends when it can."""
        if self._fd < 0:
            return
        self._late.cancel()
        self._loop.remove_reader(self._fd)
        os.close(self._fd)
        self._fd = -1
        self._child.send(signal.SIGKILL)

    def _read(self) -> None:
        try:
            part = os.read(self._fd, 65536)
        except BlockingIOError:
            return
        self._data += part
        if not part:
            self._finish("")
        elif len(self._data) > LARGEST_BYTES:
            self._finish("it is too large")

    def _finish(self, problem: str) -> None:
        self.close()
        self._on_loaded([problem] if problem else parse_loaded(self._data))


def _nothing() -> None:
    """Its end is of no interest: what it had to say came through the pipe."""


def parse_loaded(data: bytes) -> Loaded:
    """What `oomguardd --check-config --json` said."""
    try:
        said = json.loads(data)
        return (
            [str(problem) for problem in said["problems"]]
            if "problems" in said
            else from_wire(said["config"])
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        return [f"the process that reads the configuration failed ({type(error).__name__}: {error})"]


def _command(options: Options) -> list[str]:
    arguments = ["--check-config", "--json"]
    if options.dry_run:
        arguments.append("--dry-run")
    given = (("config", options.config), ("socket", options.socket), ("log-level", options.log_level))
    for flag, value in given:
        if value is not None:
            arguments += [f"--{flag}", value]
    return command("oomguardd.launch.command", *arguments)
