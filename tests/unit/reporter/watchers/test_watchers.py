"""All watchers together, on a machine of files: what is missing, what is told, what is switched."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from oomguardd.engine.blame import KERNEL, SIGKILL, SIGTERM, Act, Death
from oomguardd.oomlog import Report
from oomguardd.reporter.inbox import Record
from oomguardd.reporter.meters import Meters
from oomguardd.reporter.present import Present
from oomguardd.reporter.watchers import Places, Watchers
from oomguardd.reporter.watchers.desk import Desk, read_boot
from oomguardd.reporter.watchers.exit_watch import HOLD_S, MOST_HELD, MOST_TOLD, ExitWatch
from oomguardd.reporter.watchers.exits import OLDEST, Exits, ExitsError, death_of
from oomguardd.reporter.watchers.kernel_log import LONGEST_S, QUIET_S, ReportReader
from oomguardd.telling import WatchSettings
from tests import quick
from tests.fakes import FakeProc

LOGS = Path(__file__).parents[3] / "oomlogs"
OFF = WatchSettings(kernel_kills=False)


def places_of(tmp_path: Path) -> Places:
    """A v2 machine whose log may not be read."""
    root = tmp_path / "cgroup"
    (root / "a.slice").mkdir(parents=True)
    (root / "cgroup.controllers").write_text("memory\n")
    for name in ("memory.events", "memory.events.local"):
        (root / "a.slice" / name).write_text("oom 0\noom_kill 0\n")
    none = str(tmp_path / "none")
    return Places(kmsg=none, proc=str(tmp_path / "proc"), cgroup=str(root), journalctl=none)


def run(
    settings: WatchSettings, places: Places, during: Callable[[Watchers, list[Record]], Awaitable[None]]
) -> list[Record]:
    """What was told until `during` was over."""
    told: list[Record] = []

    async def all_of_it() -> None:
        watchers = Watchers(settings, told.append, Present(), Meters(), places)
        watchers.prepare()
        watchers.start()
        await during(watchers, told)
        await watchers.close()
        await watchers.close()

    quick.run(all_of_it())
    return told


async def until(there: Callable[[], bool], seconds: float = 8.0) -> None:
    """Waits for it."""
    deadline_s = time.monotonic() + seconds
    while not there() and time.monotonic() < deadline_s:
        await asyncio.sleep(0.02)


def of_kind(told: list[Record], kind: str) -> list[Record]:
    return [each for each in told if each["kind"] == kind]


def test_counters_alone_make_one_record_that_says_where(tmp_path: Path) -> None:
    with FakeProc(tmp_path, oom_kill=4) as proc:
        places = places_of(tmp_path)

        async def kill(_: Watchers, told: list[Record]) -> None:
            await asyncio.sleep(0.2)
            for name in ("memory.events", "memory.events.local"):
                (Path(places.cgroup) / "a.slice" / name).write_text("oom 1\noom_kill 1\n")
            proc.machine(oom_kill=5)
            await until(lambda: bool(of_kind(told, "kernel_kill")))
            await asyncio.sleep(2.5)

        told = run(WatchSettings(), places, kill)
    (kernel_kill,) = of_kind(told, "kernel_kill")
    assert (kernel_kill["source"], kernel_kill["cgroup"]) == ("memory.events", "/a.slice")
    assert (kernel_kill["limit_cgroup"], kernel_kill["count"]) == ("/a.slice", 1)
    (missing,) = of_kind(told, "missing")
    assert "the kernel's log" in str(missing["what"])
    assert "CAP_SYSLOG" in str(missing["remedy"])


def test_nothing_is_there_and_it_is_told_once(tmp_path: Path) -> None:
    places = Places(*(str(tmp_path / "none") for _ in range(4)))

    async def wait(_: Watchers, told: list[Record]) -> None:
        await asyncio.sleep(1.5)

    told = run(WatchSettings(), places, wait)
    whats = [str(each["what"]) for each in told]
    assert len(whats) == len(set(whats)) == 2
    assert {each["kind"] for each in told} == {"missing"}
    assert all(each["cost"] and each["remedy"] for each in told)


def test_it_can_be_switched_on_and_off(tmp_path: Path) -> None:
    with FakeProc(tmp_path, oom_kill=4) as proc:
        places = places_of(tmp_path)

        async def switch(watchers: Watchers, told: list[Record]) -> None:
            proc.machine(oom_kill=5)
            await asyncio.sleep(1.1)
            watchers.retune(WatchSettings())
            await asyncio.sleep(0.1)
            proc.machine(oom_kill=7)
            await until(lambda: bool(of_kind(told, "kernel_kill")))
            watchers.retune(OFF)
            proc.machine(oom_kill=9)
            await asyncio.sleep(3.5)

        told = run(OFF, places, switch)
    assert [each["count"] for each in of_kind(told, "kernel_kill")] == [2]


def test_a_part_that_fails_does_not_end_the_others(tmp_path: Path) -> None:
    """Garbage where numbers should be, and a counter that runs backwards."""
    with FakeProc(tmp_path, oom_kill=4) as proc:
        places = places_of(tmp_path)

        async def spoil(_: Watchers, told: list[Record]) -> None:
            for data in (b"", b"oom_kill x\n", b"\noom_kill 1\n"):
                proc.write("vmstat", data)
                (Path(places.cgroup) / "a.slice/memory.events").write_bytes(b"\xff\n")
                await asyncio.sleep(0.7)

        told = run(WatchSettings(), places, spoil)
    assert of_kind(told, "kernel_kill") == []
    assert of_kind(told, "fault") == []


def test_no_pyroute2_is_told_with_the_remedy(tmp_path: Path) -> None:
    nothing = (lambda _: None), (lambda: None), (lambda: None), time.time
    with pytest.raises(ExitsError, match=rf"no Python package pyroute2 of version {OLDEST} or newer"):
        Exits(*nothing, module="no_such_module_here")
    with pytest.raises(ExitsError, match="not understood"):
        Exits(*nothing, module="json")


def test_a_threads_end_is_not_a_processs() -> None:
    event = {"process_pid": 7, "process_tgid": 7, "exit_code": 9 | 0x80, "parent_tgid": 3}
    assert death_of(event, 5.0) == Death(5.0, 7, signal=9, parent=3)
    assert death_of({**event, "exit_code": 137 << 8}, 5.0) == Death(5.0, 7, status=137, parent=3)
    assert death_of({**event, "process_pid": 8}, 5.0) is None


def judged(deaths: list[Death], acts: list[Act]) -> tuple[list[Record], Meters]:
    """What an ExitWatch says of them."""
    told: list[Record] = []
    meters = Meters()

    async def look() -> None:
        desk = Desk(told.append, Present(), meters, time.time, Places(), boot="b")
        watch = ExitWatch(desk, lambda: acts, lambda: ())
        for death in deaths:
            watch.ended(death)
        now_s = asyncio.get_running_loop().time()
        watch.look(now_s)
        assert told == [], "traces need time"
        watch.look(now_s + HOLD_S)

    asyncio.run(look())
    return told, meters


def test_ends_are_judged_by_the_traces() -> None:
    acts = [Act(KERNEL, 49.9, "the kernel's OOM killer", SIGKILL, frozenset({7}), comm="java")]
    deaths = [
        Death(50.0, 6, "sh", status=137, parent=1),
        Death(50.0, 7, signal=SIGKILL, parent=6),
        Death(50.0, 8, "nginx", signal=SIGTERM),
    ]
    told, _ = judged(deaths, acts)
    assert [(each["pid"], each["comm"], each["by"]) for each in told] == [
        (7, "java", KERNEL),
        (6, "sh", KERNEL),
    ]
    assert told[0]["signal"] == "SIGKILL"
    assert told[1]["status"] == 137


def test_a_flood_of_ends_is_bounded_and_counted() -> None:
    told, meters = judged([Death(50.0, pid, signal=SIGKILL) for pid in range(2 * MOST_HELD)], [])
    assert len(told) == MOST_TOLD
    assert meters.counts["dropped", "exits"] == 2 * MOST_HELD - MOST_TOLD


def heard_of(lines: list[str], chatter: bool = False) -> list[tuple[Report, float]]:
    """Reports, and how long each took after the last line of it."""
    heard: list[tuple[Report, float]] = []

    async def feed() -> None:
        clock = asyncio.get_running_loop().time
        reader = ReportReader("kmsg", lambda report, *_: heard.append((report, clock())), time.time)
        reader.feed(lines, 100.0)
        began_s = clock()
        while not heard and clock() - began_s < 40.0:  # far beyond what the tests allow
            await asyncio.sleep(0.05)
            if chatter:
                reader.feed(["[ 101.0] usb 1-1: new device"], 101.0)
        heard[:] = [(report, at_s - began_s) for report, at_s in heard]
        reader.close()

    quick.run(feed())
    return heard


def test_a_report_is_told_when_the_log_falls_silent() -> None:
    lines = (LOGS / "lab-6.12.107-memcg_simple.log").read_text().splitlines()
    ((report, took_s),) = heard_of(lines)
    assert [victim.pid for victim in report.victims] == [155]
    assert QUIET_S <= took_s < QUIET_S + 10.0, "a hang, on a clock that runs faster than the host"


def test_a_log_that_never_falls_silent_holds_nothing_up() -> None:
    lines = (LOGS / "lab-6.12.107-memcg_simple.log").read_text().splitlines()
    ((report, took_s),) = heard_of(lines, chatter=True)
    assert [victim.pid for victim in report.victims] == [155]
    assert took_s < LONGEST_S + 10.0


def test_a_step_that_fails_is_told_once_for_each_cause() -> None:
    told: list[Record] = []
    desk = Desk(told.append, Present(), Meters(), time.time, Places())

    def stumble(text: str) -> None:
        raise ValueError(text)

    for text in ("a", "a", "b"):
        desk.attempt(stumble, text)
    assert [each["error"] for each in told] == ["ValueError: a", "ValueError: b"]
    assert str(told[0]["where"]).endswith("stumble")


def test_what_the_guard_made_of_it() -> None:
    present = Present()
    desk = Desk(lambda _: None, present, Meters(), time.time, Places())
    assert desk.guard_words() == "", "nothing is known of it"
    present.take({"kind": "level", "level": "warn", "time_s": 5.0})
    assert desk.guard_words() == "the guard was not running"
    present.connected = True
    assert desk.guard_words() == "the guard was at level warn"


def test_boots_id(tmp_path: Path) -> None:
    assert read_boot(str(tmp_path)) == read_boot(str(tmp_path / "none")) == "unknown"
    path = tmp_path / "sys/kernel/random"
    path.mkdir(parents=True)
    (path / "boot_id").write_text("0123abcd-0000\n")
    assert read_boot(str(tmp_path)) == "0123abcd"
