"""Real kills by the real kernel, in memory cgroups of our own, told by the watchers."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from oomguardd.engine.explain import describe
from oomguardd.reporter.inbox import Record
from oomguardd.reporter.meters import Meters
from oomguardd.reporter.present import Present
from oomguardd.reporter.watchers import Places, Watchers
from oomguardd.reporter.watchers.limits import LimitWatch
from oomguardd.telling import WatchSettings

ROOT = Path("/sys/fs/cgroup/memory")
LIMIT_MIB = 48
DEADLINE_S = 15.0

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not (ROOT / "memory.limit_in_bytes").exists(),
    reason="needs root and a v1 memory controller to make a cgroup with a limit in",
)

EATER = """
import os, sys
with open(sys.argv[1] + "/cgroup.procs", "w") as file:
    file.write(str(os.getpid()))
held = [bytearray(1 << 20) for _ in range(200)]
"""


@pytest.fixture
def cage() -> Iterator[Path]:
    """A cgroup with a limit that 200 MiB do not fit into."""
    cgroup = ROOT / f"oomguardd-test-{os.getpid()}-{time.monotonic_ns() % 1000000}"
    cgroup.mkdir()
    (cgroup / "memory.limit_in_bytes").write_text(str(LIMIT_MIB << 20))
    with contextlib.suppress(OSError):  # where the kernel counts swap
        (cgroup / "memory.memsw.limit_in_bytes").write_text(str(LIMIT_MIB << 20))
    yield cgroup
    deadline_s = time.monotonic() + DEADLINE_S
    while cgroup.exists() and time.monotonic() < deadline_s:
        with contextlib.suppress(OSError):  # the dead are still leaving
            cgroup.rmdir()
        time.sleep(0.05)


def eat(cgroup: Path) -> int:
    """A process that dies of the cgroup's limit; its pid."""
    child = subprocess.run(
        [sys.executable, "-c", f"import os;print(os.getpid(), flush=True){EATER}", str(cgroup)],
        stdout=subprocess.PIPE,
        check=False,
    )
    assert child.returncode == -signal.SIGKILL
    return int(child.stdout)


def watch(
    during: Callable[[Watchers], object],
    enough: Callable[[list[Record]], bool],
    settings: WatchSettings | None = None,
    places: Places | None = None,
) -> list[Record]:
    """What the watchers tell from then on until it is enough, or for DEADLINE_S."""
    told: list[Record] = []

    async def run() -> None:
        watchers = Watchers(settings or WatchSettings(), told.append, Present(), Meters(), places)
        watchers.prepare()
        watchers.start()
        await asyncio.sleep(0.1)
        await asyncio.to_thread(during, watchers)
        deadline_s = time.monotonic() + DEADLINE_S
        while not enough(told) and time.monotonic() < deadline_s:
            await asyncio.sleep(0.05)
        await asyncio.sleep(3.5)  # nothing may come late
        await watchers.close()

    asyncio.run(run())
    return told


def kernel_kills(told: list[Record], cgroup: Path) -> list[Record]:
    """Those of that cgroup: others may share this machine."""
    return [
        each
        for each in told
        if each["kind"] == "kernel_kill" and cgroup.name in f"{each.get('cgroup')}{each.get('limit_cgroup')}"
    ]


def test_a_kill_at_a_limit_is_told_once_with_victim_and_limit(cage: Path) -> None:
    eaten: list[int] = []
    told = watch(lambda _: eaten.append(eat(cage)), lambda told: bool(kernel_kills(told, cage)))
    (kill,) = kernel_kills(told, cage)
    assert kill["pid"] == eaten[0]
    assert kill["source"] == "kmsg"
    assert kill["limit_cgroup"] == f"/{cage.name}"
    assert kill["constraint"] == "memcg"
    assert kill["count"] == 1
    held = kill["held_bytes"]
    assert isinstance(held, int)
    assert 30 << 20 < held < 64 << 20
    assert describe(kill)[0].startswith(f"the kernel's OOM killer killed {kill['comm']}[{eaten[0]}]")


def test_without_a_log_the_counters_tell_the_cgroup(cage: Path, tmp_path: Path) -> None:
    places = Places(kmsg=str(tmp_path / "none"), journalctl=str(tmp_path / "none"))
    told = watch(lambda _: eat(cage), lambda told: bool(kernel_kills(told, cage)), places=places)
    (kill,) = kernel_kills(told, cage)
    assert kill["source"] == "oom_control"
    assert kill["cgroup"] == f"/{cage.name}"
    assert kill["limit_cgroup"] == f"/{cage.name}"
    assert "pid" not in kill
    missing = [str(each["what"]) for each in told if each["kind"] == "missing"]
    assert [what for what in missing if "kernel's log" in what]


def test_nobody_but_the_kernel_can_say_it() -> None:
    def forge(_: Watchers) -> None:
        with open("/dev/kmsg", "w") as log:
            log.write(
                "<0>Out of memory: Killed process 4242 (forged) total-vm:8kB, anon-rss:8kB, file-rss:0kB\n"
            )

    told = watch(forge, lambda told: True)
    assert [each for each in told if each.get("pid") == 4242] == []


def test_one_who_was_ours_already_is_told_as_such(cage: Path) -> None:
    def kill_it_ourselves(watchers: Watchers) -> None:
        pid = eat(cage)
        victim = {"pid": pid, "comm": "python3", "cgroup": f"/{cage.name}"}
        record = {"kind": "kill", "run": "a", "kill_id": 7, "signal": "SIGTERM", "victim": victim}
        asyncio.run(watchers.take([{**record, "time_s": time.time() - 1.0}]))

    told = watch(kill_it_ourselves, lambda told: bool(kernel_kills(told, cage)))
    (kill,) = kernel_kills(told, cage)
    assert kill["own_kill_id"] == 7
    reasons = kill["why"]
    assert isinstance(reasons, list)
    assert "oomguardd had sent it SIGTERM" in reasons[0]


def test_more_kills_than_the_kernel_likes_to_report(cage: Path) -> None:
    number = 25  # more than the ten whole reports that the kernel writes within five seconds
    told = watch(
        lambda _: [eat(cage) for _ in range(number)], lambda told: len(kernel_kills(told, cage)) >= number
    )
    kills = kernel_kills(told, cage)
    assert sum(int(str(kill["count"])) for kill in kills) == number
    assert len({kill["key"] for kill in kills}) == len(kills)


def test_ordinary_ends_do_not_even_wake_us() -> None:
    pytest.importorskip("pyroute2")
    cost: list[float] = []

    def fork(_: Watchers) -> None:
        before_s = time.process_time()
        script = "i=0; while [ $i -lt 3000 ]; do (exit 1); i=$((i+1)); done"
        subprocess.run(["sh", "-c", script], check=True)
        cost.append(time.process_time() - before_s)

    told = watch(fork, lambda told: True, WatchSettings(kernel_kills=False, process_events=True))
    assert {each["kind"] for each in told} <= {"exit"}, "the connector answered"
    assert len(told) < 100, "those of others on this machine"
    assert cost[0] < 0.1, "3000 failures, seconds of CPU"


def test_process_events_say_who_sent_a_sigkill(cage: Path) -> None:
    pytest.importorskip("pyroute2")
    pids: dict[str, int] = {}

    def die_thrice(_: Watchers) -> None:
        pids["kernel"] = eat(cage)
        somebody = subprocess.Popen(["sleep", "60"])
        pids["unknown"] = somebody.pid
        somebody.kill()
        somebody.wait()
        shell = subprocess.Popen(["sh", "-c", "sh -c 'kill -9 $$'; exit $?"])
        pids["passed on"] = shell.pid
        assert shell.wait() == 137

    def ends(told: list[Record]) -> dict[int, Record]:
        found = [each for each in told if each["kind"] == "exit"]
        return {int(str(each["pid"])): each for each in found if each["pid"] in pids.values()}

    settings = WatchSettings(process_events=True)
    told = watch(die_thrice, lambda told: len(ends(told)) >= 3, settings)
    found = {name: ends(told)[pid] for name, pid in pids.items()}
    assert found["kernel"]["by"] == "kernel"
    assert found["kernel"]["certainty"] == "certain"
    assert found["unknown"]["by"] == "unknown"
    assert found["unknown"]["signal"] == "SIGKILL"
    assert "signal" not in found["passed on"]
    assert found["passed on"]["status"] == 137
    assert "passed on that its child" in str(found["passed on"]["why"])


def test_a_limit_that_is_reached_is_told_by_the_kernel_itself(cage: Path) -> None:
    """By the eventfd of cgroup v1, before any counter is read."""
    reached: list[tuple[str, float]] = []

    async def run() -> None:
        limits = LimitWatch(str(ROOT), lambda cgroup: reached.append((cgroup, time.monotonic())))
        assert limits.count >= 1
        limits.start()
        await asyncio.to_thread(eat, cage)
        deadline_s = time.monotonic() + DEADLINE_S
        while f"/{cage.name}" not in dict(reached) and time.monotonic() < deadline_s:
            await asyncio.sleep(0.01)
        limits.close()

    asyncio.run(run())
    assert f"/{cage.name}" in dict(reached)


def test_what_was_killed_while_nobody_was_there_is_told_once(cage: Path) -> None:
    began_s = time.time()
    time.sleep(0.1)
    pid = eat(cage)

    def told_by(start: Callable[[Watchers], None], present: Present) -> list[Record]:
        told: list[Record] = []

        async def run() -> None:
            watchers = Watchers(WatchSettings(), told.append, present, Meters())
            watchers.prepare()
            start(watchers)
            await asyncio.sleep(0.2)
            await watchers.close()

        asyncio.run(run())
        return kernel_kills(told, cage)

    present = Present()
    (kill,) = told_by(lambda watchers: watchers.start(began_s), present)
    assert kill["pid"] == pid
    assert abs(float(str(kill["time_s"])) - began_s) < 10
    assert told_by(lambda watchers: watchers.start(), present) == [], "without a history nothing was missed"
    assert told_by(lambda watchers: watchers.start(time.time() + 5), present) == []
    present.take(kill)
    assert told_by(lambda watchers: watchers.start(began_s), present) == []
