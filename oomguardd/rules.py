"""The nouns of rules: what they match on, what they do; as the configuration has them, not yet compiled.

Rule of this file: values only. config/ makes them from TOML, policies/ applies them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

AVOID_POINTS = -300.0
PREFER_POINTS = 300.0
"""What `do = "avoid"` and `do = "prefer"` add: as much as earlyoom's options of these names."""


class Kind(Enum):
    """How the value of a key is written."""

    TEXT = "a glob, or a list of them"
    USER = "a user's name or number, or a list of them"
    GROUP = "a group's name or number, or a list of them"
    WORD = "one of its words, or a list of them"
    RANGE = 'a comparison, such as ">=10" or "-20..-1"'
    AGE = 'a comparison with a duration, such as ">1h"'
    FLAG = "true or false"


class MatchKey(NamedTuple):
    """One key of a rule's `match`."""

    name: str
    kind: Kind
    help: str
    forgeable: bool
    """Whether a user can make a process of theirs match as they like."""
    words: tuple[str, ...] = ()
    """What a WORD may be."""
    needs: str = ""
    """What has to be read for it beyond the ordinary: exe, cmdline or ancestors."""


MATCH_KEYS = (
    MatchKey("name", Kind.TEXT, "the name of the process (at most 15 bytes), as ps -o comm shows it", True),
    MatchKey("exe", Kind.TEXT, "the path of its program", False, needs="exe"),
    MatchKey("cmdline", Kind.TEXT, "its arguments, joined by blanks", True, needs="cmdline"),
    MatchKey("user", Kind.USER, "the user that it runs as", False),
    MatchKey("group", Kind.GROUP, "the group that it runs as", False),
    MatchKey("cgroup", Kind.TEXT, "the path of its cgroup", False),
    MatchKey("unit", Kind.TEXT, "its systemd unit, of the system manager", False),
    MatchKey("user_unit", Kind.TEXT, "its systemd unit, of the user's own manager", True),
    MatchKey("slice", Kind.TEXT, "the systemd slice of its unit", False),
    MatchKey("app", Kind.TEXT, "the application of a desktop session, out of its scope's name", True),
    MatchKey(
        "runtime",
        Kind.WORD,
        "who runs it: docker, podman, containerd, cri-o, lxc, nspawn, slurm, or host",
        False,
        ("docker", "podman", "containerd", "cri-o", "lxc", "nspawn", "slurm", "host"),
    ),
    MatchKey("container", Kind.TEXT, "the id or name of its container", False),
    MatchKey("pod", Kind.TEXT, "the UID of its Kubernetes pod", False),
    MatchKey(
        "qos",
        Kind.WORD,
        "the QoS class of its pod: guaranteed, burstable or besteffort",
        False,
        ("guaranteed", "burstable", "besteffort"),
    ),
    MatchKey("job", Kind.TEXT, "the id of its Slurm job", False),
    MatchKey(
        "ancestor", Kind.TEXT, "the name of its parent, or of any process above that", True, needs="ancestors"
    ),
    MatchKey("nice", Kind.RANGE, "its nice value, -20 to 19", True),
    MatchKey("oom_score_adj", Kind.RANGE, "its oom_score_adj, -1000 to 1000", True),
    MatchKey("age", Kind.AGE, "how long it has been running", False),
    MatchKey("terminal", Kind.FLAG, "whether it has a controlling terminal", True),
)
"""All keys. A TEXT key also exists with the ending _regex, for a regular expression."""

REGEX_ENDING = "_regex"


class Clause(NamedTuple):
    """One key of a `match` with its value; it holds if any of the values matches."""

    key: str
    regex: bool = False
    texts: tuple[str, ...] = ()
    """Of a TEXT or WORD: globs, regular expressions or words."""
    numbers: tuple[int, ...] = ()
    """Of a USER or GROUP: ids."""
    low: float | None = None
    """Of a RANGE or AGE, in s: the least and the most that match, both included."""
    high: float | None = None
    flag: bool = True
    written: str = ""
    """As the administrator wrote it."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What the administrator says about the processes that match. The first rule that matches decides."""

    name: str
    match: tuple[Clause, ...]
    do: str = ""
    """never, avoid, prefer, points; empty: only `kill` is set."""
    points: float = 0.0
    """What it adds; those of avoid and prefer too."""
    kill: str = ""
    """One of KILL_UNITS; empty: not set."""


@dataclass(frozen=True, slots=True)
class Protect:
    """An oom_score_adj that matching processes get while this is in force."""

    name: str
    match: tuple[Clause, ...]
    oom_score_adj: int = 0
