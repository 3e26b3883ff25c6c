"""The first lines: who asked for how much memory, of which kernel, on which machine.

Kernels since 2.6.19 name the task; since 3.10 the pid is in the `CPU:` line, before in the `Pid:` line, on
s390 in a `Process` line. 4.9 brought the names of the flags; nodemask= stood here from 4.9 to 4.20.
"""

from __future__ import annotations

import re

from oomguardd.oomlog.draft import Draft
from oomguardd.oomlog.report import Trigger

COMM_BYTES = 15

_GFP = re.compile(r"gfp_mask=0x([0-9a-fA-F]{1,16})(?:\(([^)]{0,600})\)?)?")
_ORDER = re.compile(r"\border=(-?\d{1,3})")
_ADJ = re.compile(r"\boom_score_adj=(-?\d{1,5})")
_OLD_ADJ = re.compile(r"\b(?:oom_adj|oomkilladj)=(-?\d{1,5})")
_NODEMASK = re.compile(r"\bnodemask=(\(null\)|[\d,-]{1,200}[\d-]|\d)")
_CPUSET = re.compile(r"^(.{0,64}) cpuset=(.{0,400}?) ?mems_allowed=([\d,-]{0,200})")
_VERSION = re.compile(r"(?:^|[\sA-Z])(\d{1,2}\.\d{1,3}[.-][^\s]{1,80}|\d{1,2}\.\d{1,3})(?: |$)")
_TAINT = re.compile(r" ?(?:Kdump: loaded )?(?:Not tainted|Tainted:)")
_PID = re.compile(r"\bPID: (\d{1,10}) Comm: ?|^Pid: (\d{1,10}), comm: ?")
_PROCESS = re.compile(r"^Process (.{0,64}) \(pid: (\d{1,10}),")
_DATE = re.compile(r"\d\d/\d\d/\d{4}$")


def is_header(text: str) -> bool:
    return "invoked oom-killer" in text or text.startswith("oom-killer: gfp_mask=")


def take_header(draft: Draft, text: str, again: bool) -> bool:
    """`NAME invoked oom-killer: gfp_mask=...`."""
    name = text.partition(" invoked oom-killer")[0] if "invoked oom-killer" in text else ""
    adj, old_adj = _ADJ.search(text), _OLD_ADJ.search(text)
    pid = draft.trigger.pid if draft.trigger else None
    draft.trigger = Trigger(
        _comm(name),
        pid,
        int(adj.group(1)) if adj else None,
        int(old_adj.group(1)) if old_adj else None,
    )
    if gfp := _GFP.search(text):
        draft.gfp_mask = int(gfp.group(1), 16)
        draft.gfp_flags = tuple(flag for flag in (gfp.group(2) or "").split("|") if flag)
    if order := _ORDER.search(text):
        draft.order = int(order.group(1))
    if nodemask := _NODEMASK.search(text):
        draft.nodemask = nodemask.group(1)
    draft.headed = True
    return True


def header_score(draft: Draft, text: str) -> int:
    """How much of the line is there; a mail program may have broken it."""
    found = (_GFP.search(text), _ORDER.search(text), _ADJ.search(text) or _OLD_ADJ.search(text))
    return sum(1 for part in found if part) + text.count("(") + 2 * text.count(")")


def _comm(name: str) -> str:
    """Names have 15 bytes at most. What is before that is a prefix that we do not know."""
    if len(name.encode(errors="replace")) <= COMM_BYTES or "\\x" in name:
        return name[-4 * COMM_BYTES :]
    return name.rpartition(" ")[2][-COMM_BYTES:]


def take_cpu(draft: Draft, text: str, again: bool) -> bool:
    """`CPU: 1 UID: 0 PID: 177372 Comm: test_zswap Not tainted 6.12.0-211.el10.ppc64le #1`."""
    found = _PID.search(text)
    if not found:
        return False
    comm, tainted, after = _split_taint(text[found.end() :])
    trigger = draft.trigger
    if trigger and trigger.comm and tainted and trigger.comm != comm:
        return False  # another driver's trace, in between
    if trigger and trigger.pid is not None and draft.kernel:
        return False
    pid = int(found.group(1) or found.group(2))
    draft.trigger = trigger._replace(pid=pid) if trigger else Trigger(comm, pid)
    if version := _VERSION.search(after):
        draft.kernel = version.group(1)
    return True


def _split_taint(text: str) -> tuple[str, bool, str]:
    """The name, whether something follows it, and that."""
    found = _TAINT.search(text)
    return (text[: found.start()], True, text[found.end() :]) if found else (text.strip(), False, "")


def cpu_score(draft: Draft, text: str) -> int:
    found = _PID.search(text)
    if not found:
        return 0
    _, tainted, after = _split_taint(text[found.end() :])
    return 1 + tainted + bool(_VERSION.search(after))


def take_process(draft: Draft, text: str, again: bool) -> bool:
    """s390's way of naming it."""
    found = _PROCESS.match(text)
    if not found or (draft.trigger and draft.trigger.pid is not None):
        return False
    trigger = draft.trigger or Trigger(found.group(1))
    draft.trigger = trigger._replace(pid=int(found.group(2)))
    return True


def take_hardware(draft: Draft, text: str, again: bool) -> bool:
    if draft.hardware and not text.startswith(f"Hardware name: {draft.hardware}"):
        return False
    draft.hardware = text.partition(":")[2].strip()[:200]
    return True


def hardware_score(draft: Draft, text: str) -> int:
    return 1 + bool(_DATE.search(text))


def take_cpuset(draft: Draft, text: str, again: bool) -> bool:
    """`NAME cpuset=/ mems_allowed=0`: to 4.20."""
    found = _CPUSET.match(text)
    if not found or draft.cpuset or (draft.trigger and draft.trigger.comm not in ("", found.group(1))):
        return False
    draft.cpuset, draft.mems_allowed = found.group(2), found.group(3)
    return True


def take_sysrq(draft: Draft, text: str, again: bool) -> bool:
    """The workqueue, or a frame of the stack, that only SysRq-f has."""
    draft.sysrq = True
    return True


def take_memcg(draft: Draft, text: str, again: bool) -> bool:
    """The frame of the stack that only a cgroup's limit has."""
    draft.by_memcg = True
    return True
