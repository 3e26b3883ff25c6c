"""Who was chosen, who was killed, what the oom_reaper freed, and why nobody was.

Names are hostile: `x) total-vm:1kB` is one. What follows a name is looked for from the right.
"""

from __future__ import annotations

import re

from oomguardd.oomlog.draft import Draft, Section
from oomguardd.oomlog.memcg import LONGEST_PATH
from oomguardd.oomlog.report import Announced, Reaped, Victim

_CHOSEN_PID = re.compile(r",pid=(\d{1,10})(?:,uid=(\d{1,10}))?$")
_KILLED = re.compile(r"\b[Kk]illed process (\d{1,10})")
_ANNOUNCED = re.compile(r"\b[Kk]ill process (\d{1,10}) \((.{0,64})\) ?(?:score (\d{1,20}) ?)?(?:or |and |$)")
_UID_BEFORE = re.compile(r",? ?UID:? ?(\d{1,10}),?")
_SIZE = re.compile(r"(anon-rss|file-rss|shmem-rss|pgtables): ?(\d{1,18})kB")
_TOTAL = re.compile(r"(\d{1,18})kB")
_UID = re.compile(r"UID: ?(\d{1,10})")
_ADJ = re.compile(r"oom_score_adj: ?(-?\d{1,5})")
_REAPED = re.compile(r"reaped process (\d{1,10}) \((.{0,64})\), ?now (.*)$")
_UNREAPED = re.compile(r"unable to reap pid:(\d{1,10}) \((.{0,64})\)")
_EXITING = re.compile(r"OOM victim (\d{1,10}) \(.{0,64}\) is already exiting")
_SHARER = re.compile(r"\b[Kk]ill process (\d{1,10}) \((.{0,64})\) sharing same memory")


def take_chosen(draft: Draft, text: str, again: bool) -> bool:
    """`oom-kill:constraint=...,task_memcg=P,task=NAME,pid=N,uid=N`: since 5.0.

    Paths and names may hold commas, so each field ends where the next one of a fixed order begins.
    """
    if draft.constraint and not again:
        return False
    rest = text.partition("constraint=")[2]
    if pid := _CHOSEN_PID.search(rest):
        rest, _, draft.chosen_comm = rest[: pid.start()].rpartition(",task=")
        draft.chosen = int(pid.group(1))
        draft.chosen_uid = int(pid.group(2)) if pid.group(2) else None
    rest, _, task_memcg = rest.partition(",task_memcg=")
    draft.victim_cgroup = task_memcg[:LONGEST_PATH] or draft.victim_cgroup
    rest, _, owner = rest.partition(",oom_memcg=")
    draft.owner = owner[:LONGEST_PATH] or draft.owner
    draft.global_oom = rest.endswith(",global_oom")
    rest, _, mems = rest.removesuffix(",global_oom").partition(",mems_allowed=")
    rest, _, cpuset = rest.partition(",cpuset=")
    draft.constraint, _, nodemask = rest.partition(",nodemask=")
    draft.mems_allowed = mems[:200] or draft.mems_allowed
    draft.cpuset, draft.nodemask = cpuset[:LONGEST_PATH] or draft.cpuset, nodemask[:200] or draft.nodemask
    draft.constraint = draft.constraint[:64] or "?"
    draft.section = Section.TABLE
    return True


def chosen_score(draft: Draft, text: str) -> int:
    """It ends with a uid; until then every field is one more."""
    fields = (",nodemask=", ",cpuset=", "_oom", ",oom_memcg=", ",task_memcg=", ",task=", ",pid=")
    return sum(field in text for field in fields) + 10 * bool(_CHOSEN_PID.search(text))


def take_announced(draft: Draft, text: str, again: bool) -> bool:
    """`Out of memory: Kill process 6576 (mysqld) score 651 or sacrifice child`: to 5.1."""
    found = _ANNOUNCED.search(text)
    if not found or (draft.announced and not again):
        return False
    score = int(found.group(3)) if found.group(3) else None
    why = text[: found.start()].rstrip(": ")
    draft.announced = Announced(int(found.group(1)), found.group(2), score, why[:100])
    _take_why(draft, why)
    return True


def announced_score(draft: Draft, text: str) -> int:
    found = _ANNOUNCED.search(text)
    return 1 + (2 + (found.group(3) is not None) if found else 0)


def killed_pid(text: str) -> int | None:
    """Of a `Killed process` line; None when the number is not there."""
    found = _KILLED.search(text)
    return int(found.group(1)) if found else None


def take_killed(draft: Draft, text: str, again: bool) -> bool:
    """`Killed process 651 (name) total-vm:108020kB, anon-rss:8380kB, ... UID:0 pgtables:104kB ...`."""
    found = _KILLED.search(text)
    if not found:
        return False
    why = text[: found.start()].rstrip(": ")
    _take_why(draft, why)
    draft.add_victim(_victim(int(found.group(1)), text[found.end() :]))
    draft.ended = True
    return True


def _take_why(draft: Draft, why: str) -> None:
    draft.in_memcg = draft.in_memcg or why.startswith("Memory cgroup")
    draft.in_machine = draft.in_machine or why.lower().startswith("out of memory")
    draft.allocating_task = draft.allocating_task or "oom_kill_allocating_task" in why


def killed_score(draft: Draft, text: str) -> int:
    sizes = len(_SIZE.findall(text))
    return 1 + sizes + ("total-vm:" in text) + bool(_ADJ.search(text)) + bool(_UID.search(text))


def _victim(pid: int, text: str) -> Victim:
    head, told, sizes = text.rpartition("total-vm:")
    if not told:
        head, sizes = text, ""
    comm = head[head.find("(") + 1 : head.rfind(")")] if "(" in head and ")" in head else ""
    around = head.replace(f"({comm})", "", 1)
    uid = _UID.search(sizes) or _UID_BEFORE.search(around)
    adj, total = _ADJ.search(sizes), _TOTAL.match(sizes.lstrip())
    kb = {name: int(value) << 10 for name, value in _SIZE.findall(sizes)}
    return Victim(
        pid,
        comm[:64],
        int(uid.group(1)) if uid else None,
        None,
        int(total.group(1)) << 10 if total else None,
        kb.get("anon-rss"),
        kb.get("file-rss"),
        kb.get("shmem-rss"),
        kb.get("pgtables"),
        int(adj.group(1)) if adj else None,
    )


def reaped(text: str) -> Victim | None:
    """`oom_reaper: reaped process 3359 (a.out), now anon-rss:0kB, ...`, or that it could not be."""
    if found := _REAPED.search(text):
        kb = {name: int(value) << 10 for name, value in _SIZE.findall(found.group(3))}
        left = Reaped(kb.get("anon-rss"), kb.get("file-rss"), kb.get("shmem-rss"))
        return Victim(int(found.group(1)), found.group(2)[:64], reaped=left)
    if found := _UNREAPED.search(text):
        return Victim(int(found.group(1)), found.group(2)[:64], unreapable=True)
    return None


def sharer(text: str) -> Victim | None:
    """`Kill process 7 (x) sharing same memory`: to 4.4, after the victim."""
    found = _SHARER.search(text)
    return Victim(int(found.group(1)), found.group(2)) if found else None


def take_exiting(draft: Draft, text: str, again: bool) -> bool:
    """`OOM victim 12 (x) is already exiting. Skip killing the task`."""
    found = _EXITING.search(text)
    if not found or draft.victims:
        return False
    draft.exiting.append(int(found.group(1)))
    _take_why(draft, text)
    draft.ended = True
    return True


def take_nobody(draft: Draft, text: str, again: bool) -> bool:
    """`Out of memory and no killable processes...`; alone it is a panic on old kernels."""
    if draft.nobody or draft.victims:
        return False
    draft.nobody = draft.ended = True
    if "panic" in text.lower():
        draft.panic = _panic(text)
    return True


def take_panic(draft: Draft, text: str, again: bool) -> bool:
    """`Kernel panic - not syncing: System is deadlocked on memory`, or one of panic_on_oom."""
    if draft.panic or draft.victims:
        return False
    draft.panic, draft.ended = _panic(text), True
    return True


def _panic(text: str) -> str:
    return text.rpartition("not syncing: ")[2].strip()[:200]
