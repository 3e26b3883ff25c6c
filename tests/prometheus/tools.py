"""Debian's prometheus and promtool: those of the machine, or taken out of the package into a cache.

Rule of this file: nothing is installed, so that no service of Debian's starts on somebody's machine.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

PROGRAMS = ("prometheus", "promtool")


class MissingTools(Exception):
    """They are not here and could not be had; the message is the command that gets them."""


class Tools(NamedTuple):
    """Where the programs are."""

    prometheus: str
    promtool: str


def cache_dir() -> Path:
    """Where they stay between runs: never in the checkout."""
    return Path(os.environ.get("OOMGUARD_PROMETHEUS_CACHE") or Path.home() / ".cache/oomguard-prometheus")


def ensure_tools() -> Tools:
    """The programs, downloaded if need be. MissingTools."""
    found = [shutil.which(program) for program in PROGRAMS]
    if all(found):
        return Tools(*map(str, found))
    cached = [cache_dir() / "usr/bin" / program for program in PROGRAMS]
    if not all(path.exists() for path in cached):
        _download(cache_dir())
    return Tools(*map(str, cached))


def _download(target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as work:
        _fetch(work)
        (package,) = Path(work).glob("*.deb")
        unpacked = Path(work) / "unpacked"
        subprocess.run(["dpkg-deb", "-x", str(package), str(unpacked)], check=True)
        shutil.rmtree(target, ignore_errors=True)
        unpacked.rename(target)


def _fetch(directory: str) -> None:
    commands = [["apt-get", "-q", "download", "prometheus"]]
    if os.geteuid() == 0:
        commands = [*commands, ["apt-get", "-q", "update"], *commands]
    try:
        for command in commands:
            subprocess.run(command, cwd=directory, capture_output=True, check=False)
            if any(name.endswith(".deb") for name in os.listdir(directory)):
                return
    except FileNotFoundError:
        pass  # not Debian
    raise MissingTools("Debian's prometheus is needed: sudo apt-get install prometheus")


def free_port() -> int:
    """A port on loopback that nobody had a moment ago."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
