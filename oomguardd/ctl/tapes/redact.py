"""What a recording that is shown to others must not tell: arguments, the names of people, and the host's.

Rule of this file: pure. What rules can match on stays as far as that is possible; what is not known to be
harmless goes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace

from oomguardd.model import Candidate

Redaction = Callable[[Candidate], Candidate]

_HOME = re.compile(r"^(/home|/var/home|/export/home|/Users)/[^/]+")
_SHORTEST = 2
"""A name of one letter would be found in everything."""


def no_redaction(c: Candidate) -> Candidate:
    """Everything as it is."""
    return c


def redaction(people: Iterable[tuple[str, int]], hostname: str) -> Redaction:
    """Of command lines only the program's name is kept. `people`: names and uids of those whose names go."""
    words = {name: f"user{uid}" for name, uid in people if len(name) >= _SHORTEST}
    for name in (hostname, hostname.partition(".")[0]):
        if len(name) >= _SHORTEST:
            words.setdefault(name, "host")
    longest_first = sorted(words, key=len, reverse=True)
    pattern = re.compile(rf"(?<![A-Za-z0-9])({'|'.join(map(re.escape, longest_first))})(?![A-Za-z0-9])")

    def plain(text: str) -> str:
        home = _HOME.sub(r"\1/user", text)
        return pattern.sub(lambda found: words[found[1]], home) if words else home

    def redact(c: Candidate) -> Candidate:
        return replace(
            c,
            comm=plain(c.comm),
            exe=None if c.exe is None else plain(c.exe),
            cmdline=None if c.cmdline is None else plain(program_of(c.cmdline)),
            cgroup=plain(c.cgroup),
            ancestors=tuple(plain(name) for name in c.ancestors),
        )

    return redact


def program_of(cmdline: str) -> str:
    """The last name of the path that it begins with: what is behind the first blank may be an argument."""
    return cmdline.split(" ", 1)[0].rpartition("/")[2]
