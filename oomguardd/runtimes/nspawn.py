"""systemd-nspawn: units in machine.slice. See systemd, src/nspawn/nspawn-cgroup.c.

With cgroup v2 the container is in payload/, and systemd-nspawn itself, which is the host's, in supervisor/.
machine.slice has virtual machines, too: those of libvirt are machine-qemu\\x2d<number>\\x2d<name>.scope.
"""

from __future__ import annotations

from oomguardd.runtimes.base import Branch, Claim
from oomguardd.runtimes.systemd import unescape

_SERVICES = ("systemd-nspawn@", "container@")
"""systemd's own template, and that of NixOS."""


def claim(branch: Branch) -> Claim | None:
    """A container of systemd-nspawn."""
    if branch.stem != "machine" or branch.user or not branch.unit:
        return None
    name = _machine(branch.unit)
    at = branch.slices + 1
    if not name or branch.part(at) == "supervisor":
        return None
    end = at + 1 if branch.part(at) == "payload" else at
    return Claim("nspawn", name, end, end)


def _machine(unit: str) -> str:
    stem, _, ending = unit.rpartition(".")
    if ending == "scope" and stem.startswith("machine-"):
        name = unescape(stem[len("machine-") :])
        return "" if _is_libvirt(name) else name
    for prefix in _SERVICES:
        if ending == "service" and stem.startswith(prefix):
            return unescape(stem[len(prefix) :])
    return ""


def _is_libvirt(name: str) -> bool:
    """<driver>-<number>-<name>"""
    words = name.split("-", 2)
    return len(words) == 3 and words[0].isalpha() and words[1].isdigit()
