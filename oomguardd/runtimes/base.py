"""What the runtimes share: a tree of cgroups as one manager has laid it out, and what is claimed in it.

Rule of this file: only the owner of a tree can name what is in it. The root of the host's tree, its slices
and its units are root's; what is below a unit, or in a container, is named by whoever runs there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

_HEX = "0123456789abcdef"


class Branch(NamedTuple):
    """The part of a path that one manager laid out: the host's, a user's or a container's."""

    parts: Sequence[str]
    """All components of the path, from its very beginning."""
    root: int
    """How many of them lie above this tree."""
    slices: int
    """As many of them are the tree's slices, and what is above."""
    stem: str
    """The innermost slice's name without its ending; empty if there is none."""
    unit: str
    """The systemd unit in that slice, parts[slices]; empty if there is none."""
    directory: str
    """The first component if it is neither slice nor unit: where managers without systemd begin."""
    user: bool
    """It is a user's own manager's: any name in it is that user's choice."""

    def part(self, at: int) -> str:
        """One component; empty below the end of the path."""
        return self.parts[at] if at < len(self.parts) else ""


class Claim(NamedTuple):
    """What a runtime recognises in a branch. The ends count components from the beginning of the path."""

    runtime: str
    """Empty for a helper of a runtime, which is the host's."""
    container: str = ""
    container_end: int = 0
    inside: int = 0
    """Where the container's own tree begins; 0 if what is below says nothing."""
    pod: str = ""
    pod_end: int = 0
    qos: str = ""
    job: str = ""
    job_end: int = 0
    step: str = ""
    uid: int | None = None
    shares_unit: bool = False
    """The unit that it is in holds others' containers or jobs, too."""


def is_id(text: str) -> bool:
    """Whether it is a container's id: 64 hexadecimal digits."""
    return len(text) == 64 and not text.strip(_HEX)


def scope_id(unit: str, prefix: str) -> str:
    """The id in "<prefix><id>.scope"; empty if it is anything else."""
    if not unit.startswith(prefix) or not unit.endswith(".scope"):
        return ""
    found = unit[len(prefix) : -len(".scope")]
    return found if is_id(found) else ""


def number(text: str, prefix: str = "") -> int | None:
    """The number in "<prefix><number>", if it fits a uid."""
    if not text.startswith(prefix):
        return None
    digits = text[len(prefix) :]
    return int(digits) if len(digits) <= 10 and digits.isascii() and digits.isdigit() else None


def scoped(branch: Branch, runtime: str, container: str) -> Claim:
    """Of a container that has a unit of its own."""
    end = branch.slices + 1
    return Claim(runtime, container, end, inside(branch, end))


def inside(branch: Branch, end: int) -> int:
    """Where the tree of a container begins whose cgroup ends there: crun may put a level in between."""
    return end + 1 if branch.part(end) == "container" else end
