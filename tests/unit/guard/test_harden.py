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


DESCRIPTORS = """
import json, os, resource, sys
from oomguardd.guard.harden import raise_descriptor_limit

soft, hard, processes = map(int, sys.argv[1:])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
proc_fd = os.open("/proc", os.O_PATH)
before = len(os.listdir("/proc/self/fd"))
missing = raise_descriptor_limit(proc_fd, processes)
print(json.dumps({
    "missing": missing and list(missing),
    "limits": resource.getrlimit(resource.RLIMIT_NOFILE),
    "left": len(os.listdir("/proc/self/fd")) - before,
    "size": next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("FDSize")),
}))
"""


def limited(soft: int, hard: int, processes: int) -> dict[str, Any]:
    command = [sys.executable, "-c", DESCRIPTORS, str(soft), str(hard), str(processes)]
    done = subprocess.run(command, stdout=subprocess.PIPE, timeout=100, check=True)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def test_there_is_room_for_all_who_die_together() -> None:
    result = limited(64, 2048, 1000)
    assert result["missing"] is None
    assert result["limits"] == [2048, 2048]
    assert result["size"] > 1000
    assert result["left"] == 0


def test_a_limit_that_is_too_low_is_told() -> None:
    result = limited(64, 512, 1000)
    assert result["limits"] == [512, 512]
    assert result["left"] == 0
    what, cost, remedy = result["missing"]
    assert "512" in what
    assert "448" in cost
    assert "LimitNOFILE=1064" in remedy


def test_the_fill_rate_is_a_speed_that_memory_can_have() -> None:
    rates = [fill_rate() for _ in range(3)]
    assert all(FILL_MIN <= rate <= FILL_MAX for rate in rates)
