"""The rehearsal: a real kill of a child of our own, which leaves nothing behind."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from oomguardd.guard.options import Options, make_watch, orders_of
from oomguardd.guard.rehearse import rehearse, warm_up
from oomguardd.kernel.files import open_dir
from oomguardd.launch.command import load_config
from oomguardd.sections import Config, GuardSettings, KillSettings
from tests.fakes import MIB, FakeProc
from tests.shell.rig import TRIGGERS, Rig, open_fds

AT = """
import asyncio, json, os, select, signal, sys
from oomguardd.guard import rehearse as room
from oomguardd.guard.options import make_watch, orders_of
from oomguardd.kernel.files import open_dir
from oomguardd.model import Condition, Level, Trigger
from oomguardd.sections import Config

try:
    with open("/proc/self/oom_score_adj", "w") as file:
        file.write(sys.argv[1])
except PermissionError:
    sys.exit(77)
trigger = Trigger("never", Level.KILL, (Condition("mem_available", True, 0, True, "<0%"),))
config = Config(triggers=(trigger,))
watch = make_watch(config, lambda where, error: None)
failed = asyncio.run(room.rehearse(open_dir("/proc"), watch, orders_of(config), 5))
child, grandchild = room._spawn()
with open(f"/proc/{child}/oom_score_adj") as file:
    adj = int(file.read())
for pid in (child, grandchild):
    os.kill(pid, signal.SIGTERM)  # which they ignore
alive = os.waitpid(child, os.WNOHANG) == (0, 0)
follows = os.pidfd_open(grandchild)
os.kill(child, signal.SIGKILL)
os.waitpid(child, 0)
gone = bool(select.select([follows], [], [], 20)[0])
print(json.dumps({"failed": failed, "adj": adj, "alive": alive, "gone": gone}))
"""


def children() -> list[str]:
    """Of all our threads, those included that are dead and not waited for."""
    return [pid for file in Path("/proc/self/task").glob("*/children") for pid in file.read_text().split()]


def rehearsed(config: Config) -> str:
    """What went wrong in a rehearsal on this machine."""
    faults: list[str] = []
    proc_fd = open_dir("/proc")
    watch = make_watch(config, lambda where, error: faults.append(f"{where}: {error}"))
    try:
        return asyncio.run(rehearse(proc_fd, watch, orders_of(config), 5)) or "; ".join(faults)
    finally:
        watch.close()
        os.close(proc_fd)


@pytest.mark.parametrize(
    "kill",
    [KillSettings(), KillSettings(grace_s=600, stuck_after_s=600, settle_s=60), KillSettings(mrelease=False)],
    ids=["as shipped", "patient", "without mrelease"],
)
def test_it_works_on_this_machine_and_leaves_nothing(kill: KillSettings) -> None:
    fds, before = open_fds(), children()
    config = Config(kill=kill, triggers=load_config(Options()).triggers)
    assert rehearsed(config) == ""
    assert open_fds() == fds
    assert children() == before


def test_a_dry_run_rehearses_too() -> None:
    """What does not work is to be told; the child is our own."""
    before = children()
    config = Config(guard=GuardSettings(dry_run=True), triggers=TRIGGERS)
    assert rehearsed(config) == ""
    assert children() == before


def test_one_that_cannot_find_its_child_says_so(proc: FakeProc) -> None:
    """A /proc of somebody else: no bystander is taken instead."""
    fds, before = open_fds(), children()
    with Rig(proc) as rig:
        proc.add(50, rss=300 * MIB)
        failed = asyncio.run(rehearse(proc.fd, rig.watch, orders_of(rig.config), 5))
        assert failed != ""
        assert rig.outbox.records == []
    assert children() == before
    assert open_fds() == fds


@pytest.mark.parametrize(("ours", "its"), [(300, 300), (1000, 1000), (0, 0), (-500, 0), (-1000, 0)])
def test_the_child_is_never_protected_and_stays_as_exposed_as_we_are(ours: int, its: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", AT, str(ours)], stdout=subprocess.PIPE, timeout=100, check=False
    )
    if done.returncode == 77 and ours < 0:
        pytest.skip("needs CAP_SYS_RESOURCE")
    assert json.loads(done.stdout) == {"failed": "", "adj": its, "alive": True, "gone": True}


def test_warming_up_looks_at_everybody_and_keeps_nothing(proc: FakeProc) -> None:
    for pid in range(300, 307):
        proc.add(pid, rss=50 * MIB)
    with Rig(proc) as rig:
        assert warm_up(rig.scout, rig.watch, rig.guard.limits()) == 7
        assert rig.scout.ahead is None
        assert rig.hand.sent == []
        assert rig.outbox.records == []
