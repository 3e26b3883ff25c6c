"""What is not there is named, with what it costs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from oomguardd.guard.abilities import OTHERS, demand_kill, may_signal_all, missing
from oomguardd.guard.errors import StartError
from oomguardd.kernel.files import open_dir
from oomguardd.kernel.process import inspect
from oomguardd.model import Totals
from tests.fakes import GIB, MIB, FakeProc
from tests.shell.rig import open_fds

TOTALS = Totals(GIB, 0)

AS_NOBODY = """
import json, os
from oomguardd.guard.abilities import demand_kill, may_signal_all, missing
from oomguardd.kernel.files import open_dir
from oomguardd.model import Totals
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
fd = open_dir("/proc")
demand_kill(fd, False)
told = [list(each) for each in missing(fd, Totals(1 << 30, 0))]
print(json.dumps({"all": may_signal_all(fd), "told": told}))
"""
NAMED = """
import sys
with open("/proc/self/comm", "w") as file:
    file.write(sys.argv[1])
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def proc_fd() -> Iterator[int]:
    fd = open_dir("/proc")
    yield fd
    os.close(fd)


@pytest.mark.parametrize("dry_run", [False, True])
def test_here_somebody_can_be_killed(proc_fd: int, dry_run: bool) -> None:
    fds = open_fds()
    demand_kill(proc_fd, dry_run)
    assert open_fds() == fds


def test_a_proc_without_us_is_no_proc(proc: FakeProc) -> None:
    with pytest.raises(StartError, match="mount"):
        demand_kill(proc.fd, False)


def test_what_is_missing_has_a_cost_and_a_remedy(proc_fd: int) -> None:
    fds = open_fds()
    for each in missing(proc_fd, TOTALS):
        assert all(each)
    assert open_fds() == fds


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_an_ordinary_user_may_kill_only_its_own() -> None:
    done = subprocess.run([sys.executable, "-c", AS_NOBODY], stdout=subprocess.PIPE, timeout=100, check=True)
    said = json.loads(done.stdout)
    assert said["all"] is False
    costs = {what: cost for what, cost, _ in said["told"]}
    assert costs["CAP_KILL"] == "only processes of uid 65534 can be killed"


def test_capabilities_that_cannot_be_read_are_none(proc: FakeProc) -> None:
    assert may_signal_all(proc.fd) is False
    proc.write("self/status", b"Name:\tx\nCapEff:\t0000000000000020\n")
    assert may_signal_all(proc.fd) is True
    proc.write("self/status", b"Name:\tx\nCapEff:\t0000000000000000\n")
    assert may_signal_all(proc.fd) is False


@pytest.mark.parametrize("name", ["earlyoom", "systemd-oomd"])
def test_another_daemon_that_runs_is_named(proc_fd: int, name: str) -> None:
    command = [sys.executable, "-c", NAMED, name]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        told = [each for each in missing(proc_fd, TOTALS) if f"{name} (pid {child.pid})" in each.what]
        child.stdin.close()
        assert child.wait(20) == 0
    assert len(told) == 1
    assert name in told[0].remedy


def test_names_longer_than_the_kernel_keeps_and_threads_of_the_kernel(proc: FakeProc) -> None:
    proc.write("self/status", b"Name:\tx\nCapEff:\t0000000000000020\n")
    for place, name in enumerate(OTHERS):
        proc.add(300 + place, name[:15], rss=MIB)
    proc.add(400, "earlyoom", kernel_thread=True)
    proc.add(401, "earlyoomer", rss=MIB)
    rivals = [each.what for each in missing(proc.fd, TOTALS) if "being alone" in each.what]
    assert len(rivals) == len(OTHERS)
    assert inspect(proc.fd, 400, 0.0) is not None
    assert not any("400" in what or "401" in what for what in rivals)
