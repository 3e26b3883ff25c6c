"""What people call an application, and its icon. See the Desktop Entry and Base Directory Specifications."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from oomguardd.engine.words import safe

MOST_BYTES = 256 << 10
"""Translations make some of these files long."""
LONGEST_NAME = 80


class Entry(NamedTuple):
    """Of a .desktop file; both are safe to show."""

    name: str
    icon: str
    """A name or a path; empty if it has none."""


def find_entry(app: str, environ: Mapping[str, str]) -> Entry | None:
    """Of the application with that id; None if there is none, or it could not be a file's name."""
    if not app or "/" in app or app.startswith(".") or len(app) > 200 or not app.isprintable():
        return None
    for directory in directories(environ):
        data = _read(os.path.join(directory, "applications", f"{app}.desktop"))
        if data and (entry := parse_entry(data, languages(environ))):
            return entry
    return None


def directories(environ: Mapping[str, str]) -> Iterator[str]:
    """Where applications are described, the user's own first."""
    home = environ.get("XDG_DATA_HOME") or os.path.join(environ.get("HOME", "/"), ".local/share")
    shared = environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share"
    yield from (path for path in (home, *shared.split(":")) if path.startswith("/"))


def languages(environ: Mapping[str, str]) -> list[str]:
    """As the keys of translations have them, the most exact first: de_AT, de."""
    locale = environ.get("LC_ALL") or environ.get("LC_MESSAGES") or environ.get("LANG") or ""
    whole = locale.partition(".")[0].partition("@")[0]
    return [
        each for each in dict.fromkeys((whole, whole.partition("_")[0])) if each not in ("", "C", "POSIX")
    ]


def parse_entry(data: bytes, wanted: list[str]) -> Entry | None:
    """None without a name."""
    found: dict[str, str] = {}
    group = ""
    for line in data.decode("utf-8", "replace").splitlines():
        if line.startswith("["):
            group = line.strip()
        elif group == "[Desktop Entry]":
            key, equals, value = line.partition("=")
            if equals and key.strip().startswith(("Name", "Icon")):
                found.setdefault(key.strip(), value.strip())
    names = [found.get(f"Name[{language}]", "") for language in wanted]
    name = next((each for each in (*names, found.get("Name", "")) if each), "")
    return Entry(safe(name, LONGEST_NAME), safe(found.get("Icon", ""))) if name else None


def _read(path: str) -> bytes:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except (OSError, ValueError):
        return b""
    try:
        return os.read(fd, MOST_BYTES)
    except OSError:
        return b""
    finally:
        os.close(fd)
