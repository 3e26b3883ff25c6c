"""Hardening, each in a process of its own: what is missing is said, and nothing raises."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from oomguardd.guard.harden import FILL_MAX, FILL_MIN, fill_rate

HARDEN = """
import json, os, resource, sys
from oomguardd.guard import harden
from oomguardd.kernel.files import open_dir
from oomguardd.kernel.syscalls import set_dumpable

who, realtime = sys.argv[1], sys.argv[2] == "realtime"
if who != "ourselves":
    for limit in (resource.RLIMIT_MEMLOCK, resource.RLIMIT_RTPRIO, resource.RLIMIT_NICE):
        resource.setrlimit(limit, (0, 0))
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
if who == "nobody":  # as one that was started as that user, whose files below /proc are its own
    set_dumpable(True)
proc_fd = open_dir("/proc")
steps = {
    "protect": harden.protect_self(proc_fd),
    "priority": harden.raise_priority(realtime),
    "lock": harden.lock(),
}
status = open("/proc/self/status").read()
print(json.dumps({
    "missing": {name: list(missing) for name, missing in steps.items() if missing is not None},
    "adj": int(open("/proc/self/oom_score_adj").read()),
    "nice": os.getpriority(os.PRIO_PROCESS, 0),
    "fifo": os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK == os.SCHED_FIFO,
    "locked": "VmLck:\\t       0 kB" not in status,
}))
"""


def hardened(who: str, realtime: str = "realtime") -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", HARDEN, who, realtime], stdout=subprocess.PIPE, timeout=100, check=True
    )
    result: dict[str, Any] = json.loads(done.stdout)
    return result


@pytest.mark.parametrize("realtime", ["realtime", "not realtime"])
def test_what_is_not_missing_was_done(realtime: str) -> None:
    """Whatever this machine gives us."""
    result = hardened("ourselves", realtime)
    missing = result["missing"]
    assert ("protect" in missing) == (result["adj"] > -900)
    assert ("lock" in missing) != result["locked"]
    assert result["fifo"] <= (realtime == "realtime")
    if realtime == "realtime":
        assert ("priority" in missing) == (not result["fifo"] and result["nice"] != -20)
    else:
        assert "priority" not in missing


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
@pytest.mark.parametrize("who", ["nobody", "nobody whose files are root's"])
def test_an_ordinary_user_is_told_all_that_is_missing(who: str) -> None:
    result = hardened(who)
    assert set(result["missing"]) == {"protect", "priority", "lock"}
    assert not result["fifo"]
    assert not result["locked"]
    assert result["adj"] >= -900
    for what, cost, remedy in result["missing"].values():
        assert what.endswith(")")  # with the kernel's reason
        assert cost
        assert "in the unit" in remedy
        assert "CAP_" in remedy


def test_the_fill_rate_is_a_speed_that_memory_can_have() -> None:
    rates = [fill_rate() for _ in range(3)]
    assert all(FILL_MIN <= rate <= FILL_MAX for rate in rates)
