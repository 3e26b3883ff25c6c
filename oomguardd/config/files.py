"""From paths to TOML tables. Nothing on the way may hang, and every problem becomes a value."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from typing import Any, NamedTuple

from oomguardd.units import printable

try:
    from tomllib import loads as _toml_loads
except ModuleNotFoundError:  # Python 3.10
    try:
        from tomli import loads as _toml_loads
    except ModuleNotFoundError:
        _toml_loads = None  # type: ignore[assignment]

TomlLoads = Callable[[str], dict[str, Any]]
TOML_LOADS: TomlLoads | None = _toml_loads
"""None: this Python (3.10) has no TOML parser and the package tomli is not installed."""

FILE_LIMIT_BYTES = 1 << 20  # a thousand times what a real one has; keeps a wrong path from filling memory
_NULL_DEVICE = os.makedev(1, 3)


class Problem(NamedTuple):
    """One thing that is wrong with the configuration."""

    file: str
    key: str
    """Dotted; empty if it concerns the whole file."""
    text: str
    """What is wrong and, in parentheses, the remedy."""

    def __str__(self) -> str:
        key = self.key if len(self.key) <= 100 else f"{self.key[:97]}..."
        parts = (self.file, key, self.text)
        return ": ".join(printable(part) for part in parts if part)


class ConfigError(Exception):
    """The configuration cannot be used; `problems` has everything that is wrong, not only the first."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


class Source(NamedTuple):
    """One file's table."""

    file: str
    table: dict[str, Any]


def read_sources(
    path: str, dropins: str, required: bool, toml_loads: TomlLoads | None = TOML_LOADS
) -> tuple[list[Source], list[Problem]]:
    """The file and its drop-ins in lexical order. Absence is fine, unless the file is `required`."""
    sources: list[Source] = []
    problems: list[Problem] = []
    names, listing_problem = _dropin_paths(dropins)
    problems += listing_problem
    for name in [path, *names]:
        read = _read_source(name, required or name != path, toml_loads)
        if isinstance(read, Source):
            sources.append(read)
        elif read is not None:
            problems.append(read)
    return sources, problems


def parse_toml(file: str, text: str, toml_loads: TomlLoads | None = TOML_LOADS) -> dict[str, Any] | Problem:
    """The table in `text`, or what is wrong with it and where."""
    if toml_loads is None:
        return Problem(file, "", "Python before 3.11 cannot read TOML (install the package python3-tomli)")
    try:
        return toml_loads(text)
    except RecursionError:
        return Problem(file, "", "tables or lists are nested too deeply (two levels are enough)")
    except ValueError as error:  # the parser's own, and int() of thousands of digits
        what, _, where = str(error).partition(" (at ")
        return Problem(file, where.removesuffix(")"), f'{what} (text and units need quotes: grace = "5s")')


def _read_source(name: str, required: bool, toml_loads: TomlLoads | None) -> Source | Problem | None:
    """None if it is absent and may be."""
    try:
        text = _read_text(name)
    except FileNotFoundError:
        return Problem(name, "", "no such file (create it, or correct its name)") if required else None
    except OSError as error:
        return Problem(name, "", f"cannot be read: {error.strerror} (run as root, or chmod it)")
    except ValueError as error:
        return Problem(name, "", str(error))
    table = parse_toml(name, text, toml_loads)
    return table if isinstance(table, Problem) else Source(name, table)


def _dropin_paths(folder: str) -> tuple[list[str], list[Problem]]:
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return [], []
    except OSError as error:
        return [], [Problem(folder, "", f"cannot be listed: {error.strerror} (it must be a directory)")]
    return [os.path.join(folder, name) for name in sorted(names) if _is_dropin(name)], []


def _is_dropin(name: str) -> bool:
    return name.endswith(".toml") and not name.startswith(".")


def _read_text(path: str) -> str:
    """OSError if it cannot be read, ValueError if it is not a text file of a sensible size."""
    if "\0" in path:
        raise ValueError("a path cannot contain a null byte (correct --config)")
    # Before the open, because opening alone can act on a device (/dev/watchdog), and after it.
    if _is_null(os.stat(path)):
        return ""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    try:
        _is_null(os.fstat(fd))
        with os.fdopen(fd, "rb", closefd=False) as file:
            data = file.read(FILE_LIMIT_BYTES + 1)
    finally:
        os.close(fd)
    if len(data) > FILE_LIMIT_BYTES:
        raise ValueError("larger than 1 MiB (this is hardly a configuration file)")
    try:
        return data.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(f"line {line} is not valid UTF-8 (save the file as UTF-8)") from None


def _is_null(status: os.stat_result) -> bool:
    """Whether it is /dev/null, which masks a file; ValueError if it is no regular file either."""
    if stat.S_ISDIR(status.st_mode):
        raise ValueError("is a directory (name a file; drop-ins go to a directory that ends in .d)")
    if stat.S_ISCHR(status.st_mode) and status.st_rdev == _NULL_DEVICE:
        return True
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("is not a regular file (a pipe, socket or device cannot be used)")
    return False
