"""What the reporter gives up: done by a real process, and read from the kernel."""

from __future__ import annotations

import grp
import os
import select
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from oomguardd.reporter.privileges import PrivilegeError, account_of, be_killable

ROOT = os.geteuid() == 0
as_root = pytest.mark.skipif(not ROOT, reason="only root has something to give up")

SHED = """
import os
from oomguardd.reporter.privileges import shed
shed("oomguard")
for name in ("status", "oom_score_adj"):
    print(open(f"/proc/self/{name}").read())
print("nice:", os.getpriority(os.PRIO_PROCESS, 0))
print("policy:", os.sched_getscheduler(0))
"""


def outcome_of(program: str) -> Mapping[str, str]:
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=30
    )
    rows = (line.partition(":") for line in done.stdout.splitlines())
    return {name: value.strip() for name, _, value in rows}


@as_root
def test_root_becomes_somebody_without_any_rights() -> None:
    got = outcome_of(SHED)
    account = account_of("oomguard")
    assert got["Uid"].split() == [str(account.uid)] * 4
    assert got["Gid"].split() == [str(account.gid)] * 4
    assert got["Groups"].split() == [str(grp.getgrnam("tty").gr_gid)]
    assert int(got["CapEff"], 16) == int(got["CapPrm"], 16) == int(got["CapInh"], 16) == 0
    assert got["NoNewPrivs"] == "1"


@as_root
def test_priority_and_policy_are_not_inherited() -> None:
    raised = (
        "import os\n"
        "os.setpriority(os.PRIO_PROCESS, 0, -20)\n"
        "os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))\n"
    )
    got = outcome_of(raised + SHED)
    assert got["nice"] == "0"
    assert got["policy"] == str(os.SCHED_OTHER)


def test_without_root_nothing_fails() -> None:
    first_be_nobody = "shed\nif os.geteuid() == 0: os.setresuid(65534, 65534, 65534)\n"
    program = SHED.replace("shed\n", first_be_nobody, 1)
    assert outcome_of(program)["NoNewPrivs"] == "1"


@pytest.mark.parametrize(
    ("before", "after"), [("-1000", "01000"), ("-17\n", "017\n"), ("0\n", "0\n"), ("300\n", "300\n")]
)
def test_immunity_is_given_up_and_nothing_else(tmp_path: Path, before: str, after: str) -> None:
    (tmp_path / "self").mkdir()
    own = tmp_path / "self/oom_score_adj"
    own.write_text(before)
    assert be_killable(str(tmp_path))
    assert own.read_text() == after, "a plain file keeps its length, so a 0 is written over the sign"


def test_a_proc_that_is_not_there(tmp_path: Path) -> None:
    assert not be_killable(str(tmp_path))
    assert not be_killable(str(tmp_path / "none"))


def test_who_we_become() -> None:
    assert account_of("root").uid == 0
    assert account_of("no-such-user-here").name == "nobody"
    assert issubclass(PrivilegeError, Exception)


def test_death_of_the_parent_is_a_sigterm() -> None:
    child = (
        "import os, time\n"
        "from oomguardd.reporter.privileges import die_with\n"
        "assert die_with(os.getppid())\n"
        "print(os.getpid(), flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = (
        "import subprocess, sys\n"
        f"child = subprocess.Popen([sys.executable, '-c', {child!r}], stdout=subprocess.PIPE, text=True)\n"
        "print(child.stdout.readline().strip(), flush=True)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", parent], check=True, capture_output=True, text=True, timeout=30
    )
    pid = int(done.stdout)
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return  # dead and reaped already
    with os.fdopen(fd):
        assert select.select([fd], [], [], 20)[0], "it outlived its parent"
