"""The lines about memory cgroups: whose limit, how full, and of what.

Up to 5.1 (and RHEL 8) `Task in A killed as a result of limit of B`, and one line of statistics a cgroup; 5.3
and later a dump of memory.stat. cgroup v1 counts memory+swap and kmem, v2 swap alone.
"""

from __future__ import annotations

import re

from oomguardd.oomlog.draft import MOST_NAMES, Draft, Section
from oomguardd.oomlog.report import Usage

UNLIMITED_KB = 1 << 50
"""What the kernel calls unlimited depends on its page size and version; all of it is above this."""

LONGEST_PATH = 4096

_TASK_IN = re.compile(r"^Task in ?(.*?)(?: ?killed as a result of limit of ?(.*))?$")
_USAGE = re.compile(
    r"^(memory|memory\+swap|swap|kmem): usage (\d{1,18})kB, limit (\d{1,20})kB, failcnt (\d{1,20})"
)
_STATS_FOR = re.compile(r"^Memory cgroup stats(?: for (.*?))?:(?: (.*))?$")
_OLD_STAT = re.compile(r"([a-z_0-9]+):(\d{1,18})KB")
_STAT = re.compile(r"^([a-z][a-z_0-9]{0,40}) (\d{1,20})$")
_PROTECTION = re.compile(r"^Memory cgroup min protection (\d{1,18})kB -- low protection (\d{1,18})kB")
_GROUP = re.compile(r"^Tasks in ?(.*?) ?are going to be killed")


def take_task_in(draft: Draft, text: str, again: bool) -> bool:
    """`Task in A killed as a result of limit of B`. Consoles of old kernels break it anywhere."""
    found = _TASK_IN.match(text)
    if not found or (draft.in_memcg and not again):
        return False
    draft.victim_cgroup = found.group(1)[:LONGEST_PATH] or None
    draft.owner = (found.group(2) or "")[:LONGEST_PATH] or None
    draft.in_memcg = True
    draft.section = Section.MEMCG
    return True


def task_in_score(draft: Draft, text: str) -> int:
    found = _TASK_IN.match(text)
    if not found:
        return 0
    return 1 + bool(found.group(1)) + 2 * (found.group(2) is not None) + bool(found.group(2))


def take_usage(draft: Draft, text: str, again: bool) -> bool:
    """`memory: usage 102400kB, limit 102400kB, failcnt 11008165`."""
    found = _USAGE.match(text)
    if not found or found.group(1) in draft.usages:
        return False
    usage_kb, limit_kb = int(found.group(2)), int(found.group(3))
    limit_bytes = None if limit_kb >= UNLIMITED_KB else limit_kb << 10
    draft.usages[found.group(1)] = Usage(usage_kb << 10, limit_bytes, int(found.group(4)))
    draft.section = Section.MEMCG
    return True


def take_stats_for(draft: Draft, text: str, again: bool) -> bool:
    """`Memory cgroup stats for P:`, and up to 5.1 the statistics behind it."""
    found = _STATS_FOR.match(text)
    if not found:
        return False
    name, old = (found.group(1) or "")[:LONGEST_PATH], found.group(2)
    if old is None and (draft.stats or draft.stats_of is not None):
        return False  # the same once more: pasted twice, or another report's
    if draft.stats_of is None:
        draft.stats_of = name
    draft.section = Section.STATS
    if old is not None and len(draft.stats_below) < MOST_NAMES:
        sizes = {key: int(size_kb) << 10 for key, size_kb in _OLD_STAT.findall(old)}
        draft.stats_below[name] = sizes
    return True


def stats_score(draft: Draft, text: str) -> int:
    return len(_OLD_STAT.findall(text))


def take_stat(draft: Draft, text: str, again: bool) -> bool:
    """A line of memory.stat."""
    found = _STAT.match(text)
    if not found:
        return False
    name, number = found.groups()
    if name in draft.stats or len(draft.stats) >= MOST_NAMES:
        return False
    draft.stats[name] = int(number)
    return True


def take_protection(draft: Draft, text: str, again: bool) -> bool:
    """6.19 and later, in the machine's reports too."""
    found = _PROTECTION.match(text)
    if not found or draft.protected_kb:
        return False
    draft.protected_kb = (int(found.group(1)), int(found.group(2)))
    return True


def take_group(draft: Draft, text: str, again: bool) -> bool:
    """`Tasks in P are going to be killed due to memory.oom.group set`: so are all kills from now on."""
    if draft.group is not None:
        return False
    draft.group = group_of(text)
    if draft.group is None:
        return False
    draft.in_memcg = True
    return True


def group_of(text: str) -> str | None:
    """The cgroup of such a line."""
    found = _GROUP.match(text)
    return found.group(1)[:LONGEST_PATH] if found else None
