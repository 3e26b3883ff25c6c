"""Applies the list of protected.py.

Rule of this file: nobody gets onto the list by a name of their choice. A program counts by the path that it
was started from, below directories that only root writes to, and by who runs it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from oomguardd.model import Candidate
from oomguardd.policies.accounts import is_person
from oomguardd.policies.base import Scene
from oomguardd.policies.protected import DIRECTORIES, OWN_UNITS, ROWS, SHELLS, Row, protected_words
from oomguardd.policies.switched import SwitchedPolicy
from oomguardd.settings import setting
from oomguardd.units import parse_percent

__all__ = ["ProtectPolicy", "kept", "protected_words"]

_COMM_CHARS = 15
"""TASK_COMM_LEN of include/linux/sched.h, without the byte that ends it."""
_WRAPPED = "-wrapped"
"""NixOS calls a program .sway-wrapped, and a script that starts it sway."""


class _Names(NamedTuple):
    """Name of a program -> what it is on the list as."""

    exact: dict[str, str]
    beginnings: tuple[tuple[str, str], ...]

    def find(self, program: str) -> str:
        """Empty if it is not on the list."""
        found = self.exact.get(program)
        if found is not None:
            return found
        return next((what for begin, what in self.beginnings if program.startswith(begin)), "")


def _names(rows: Iterable[Row], chars: int | None = None) -> _Names:
    """With `chars`: of what is left of the names when they are cut at so many characters."""
    pairs = [(program, row.what) for row in rows for program in row.programs]
    return _Names(
        {program[:chars]: what for program, what in pairs if not program.endswith("*")},
        tuple((program[:-1][:chars], what) for program, what in pairs if program.endswith("*")),
    )


_OF_ALL = _names(ROWS)
_OF_ANYBODY = _names(row for row in ROWS if row.anybody)
_COMMS = _names(ROWS, _COMM_CHARS)
_UNITS = {unit: row.what for row in ROWS for unit in row.units}
_BY_UNIT = {unit: _names([row]) for row in ROWS for unit in row.units}
_NONE = _Names({}, ())


@dataclass(frozen=True, slots=True)
class ProtectPolicy(SwitchedPolicy):
    """Exempts what keeps the machine reachable: systemd and its services, logins and remote logins with their
    shells, the message bus, the network, display server, compositor and display manager, managers of
    containers and of clusters. `oomguardctl check --protected` prints the list and whom it covers now.
    """

    up_to_pct: float = setting(
        "25%",
        parse_percent,
        "Such a process that holds more than this share of RAM and swap is not exempt: then it is the"
        " problem.",
        high="100%",
    )
    sessions: bool = setting(
        "true",
        bool,
        "Whether that includes what people run for their own sessions, such as a compositor or the shell of a"
        " login. false is for a machine whose users are not trusted: such a program can be made to hold"
        " anything (LD_PRELOAD).",
    )
    name = "protect"
    needs = frozenset({"exe"})

    def spare(self, c: Candidate, scene: Scene) -> str:
        what = kept(c, self.sessions)
        if not what or scene.points(c.held_bytes) > self.up_to_pct * 10:
            return ""
        return f"{what}: keeps the machine reachable (policy protect)"


def kept(c: Candidate, sessions: bool = True) -> str:
    """What it is on the list as; empty if it is not. Never what runs in a container or in a job.

    `sessions`: whether people's processes may be on it, too.
    """
    if c.owner.runtime:
        return ""
    if c.owner.unit in OWN_UNITS:
        return "oomguardd's own"
    person = is_person(c.uid)
    if not c.exe:
        return "" if person else _of_unknown_program(c)
    if not c.exe.startswith(DIRECTORIES):
        return ""
    program = _program(c.exe)
    if person:
        # A cluster's daemons may have a user with a person's uid, but no person is in their units.
        found = _BY_UNIT.get(c.owner.unit, _NONE).find(program)
        if found or not sessions:
            return found
    if c.pid == c.sid and c.terminal and program in SHELLS:
        return "login's shell"
    return (_OF_ANYBODY if person else _OF_ALL).find(program)


def _of_unknown_program(c: Candidate) -> str:
    """Where /proc/PID/exe cannot be read: root's processes have names that nobody else has chosen."""
    return _UNITS.get(c.owner.unit, "") or (_COMMS.find(c.comm) if c.uid == 0 else "")


def _program(exe: str) -> str:
    name = exe.rpartition("/")[2]
    return name[1 : -len(_WRAPPED)] if name.startswith(".") and name.endswith(_WRAPPED) else name
