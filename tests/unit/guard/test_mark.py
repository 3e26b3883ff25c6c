"""What the victim's unit is told: marks on a tree of directories, lines at a socket like journald's."""

from __future__ import annotations

import errno
import os
import signal
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from oomguardd.engine.episode import Event, Patience
from oomguardd.engine.triggers import Assessment
from oomguardd.guard.mark import IDENTIFIER, MESSAGE_ID, UnitMarks, open_marks
from oomguardd.guard.strike import Look, Striker
from oomguardd.kernel import journald
from oomguardd.kernel.cgroup_mark import KILLED, OOMS
from oomguardd.kernel.cgroup_tree import CgroupTree
from oomguardd.model import Candidate, Level, Member, Party
from oomguardd.runtimes import owner_of
from tests.fakes import MIB, FakeCgroups, FakeProc
from tests.shell.rig import TRIGGERS, Hand, Rig, candidate

SERVICE = "/system.slice/web.service"
SCOPE = "/user.slice/user-1000.slice/user@1000.service/app.slice/app-firefox-1.scope"
USERS_SERVICE = "/user.slice/user-1000.slice/user@1000.service/app.slice/player.service"
USERS_INIT = "/user.slice/user-1000.slice/user@1000.service/init.scope"


class Scene:
    """Units of a system, a socket where journald's would be, and marks for both."""

    def __init__(self, proc: FakeProc, root: Path) -> None:
        self.proc = proc
        self.fake = FakeCgroups(root / "cgroup")
        self._journal = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._journal.bind(str(root / "journal"))
        self.tree = CgroupTree(str(root / "cgroup"))
        self.marks = UnitMarks(proc.fd, self.tree, journald.open_socket(), "cafe", str(root / "journal"))

    def unit(self, cgroup: str, *pids: int) -> None:
        self.fake.add(cgroup, pids)
        self.fake.write(cgroup, "cgroup.stat", "nr_descendants 1\nnr_dying_descendants 0\n")

    def process(self, pid: int, cgroup: str, **fields: Any) -> Candidate:
        """In /proc, and as a candidate."""
        c = candidate(pid, cgroup=cgroup, owner=owner_of(cgroup), **fields)
        self.proc.add(pid, c.comm, ppid=c.ppid, start_ticks=c.start_ticks, cgroup=cgroup)
        return c

    def marked(self, cgroup: str) -> tuple[bytes, bytes] | None:
        """user.oomd_ooms and user.oomd_kill."""
        directory = self.fake.root / cgroup.strip("/")
        if not os.listxattr(directory):
            return None
        return os.getxattr(directory, OOMS), os.getxattr(directory, KILLED)

    def lines(self) -> list[dict[str, str]]:
        found: list[dict[str, str]] = []
        while True:
            try:
                entry = self._journal.recv(1 << 16)
            except BlockingIOError:
                return found
            found.append(dict(line.split("=", 1) for line in entry.decode().splitlines()))

    def close(self) -> None:
        self.marks.close()
        self.marks.close()
        self._journal.close()


@pytest.fixture
def scene(proc: FakeProc, tmp_path: Path) -> Iterator[Scene]:
    try:
        os.setxattr(tmp_path, "user.test", b"1")
    except OSError:
        pytest.skip("needs a file system with extended attributes")
    made = Scene(proc, tmp_path)
    yield made
    made.close()


def party(*pids: int, **fields: Any) -> Party:
    return Party(members=tuple(Member(pid, 100, "task", MIB) for pid in pids), **fields)


def test_a_unit_that_runs_empty_is_marked(scene: Scene) -> None:
    scene.unit(SCOPE, 50, 51)
    victim = scene.process(50, SCOPE, ppid=40)
    scene.marks.before(victim, party(50))
    assert scene.marked(SCOPE) is None
    scene.marks.before(victim, party(50, 51, unit="tree"))
    assert scene.marked(SCOPE) == (b"1", b"2")


def test_only_those_in_the_unit_are_counted(scene: Scene) -> None:
    scene.unit(SCOPE, 50, 51)
    scene.marks.before(scene.process(50, SCOPE), party(50, 51, 60, 61, unit="swarm"))
    assert scene.marked(SCOPE) == (b"1", b"2")


def test_a_service_is_marked_for_its_main_process(scene: Scene) -> None:
    scene.unit(SERVICE, 50, 51, 52)
    main = scene.process(50, SERVICE, ppid=1, start_ticks=100)
    worker = scene.process(51, SERVICE, ppid=50, start_ticks=200)
    orphan = scene.process(52, SERVICE, ppid=1, start_ticks=300)
    for other in (worker, orphan):
        scene.marks.before(other, party(other.pid))
        assert scene.marked(SERVICE) is None, "systemd would stop the whole service"
    scene.marks.before(main, party(50))
    assert scene.marked(SERVICE) == (b"1", b"1")


def test_the_main_process_may_be_another_of_those_who_die(scene: Scene) -> None:
    scene.unit(SERVICE, 50, 51, 52)
    scene.process(50, SERVICE, ppid=1, start_ticks=100)
    worker = scene.process(51, SERVICE, ppid=50, start_ticks=200)
    scene.process(52, SERVICE, ppid=50, start_ticks=300)
    scene.marks.before(worker, party(51, 50, unit="swarm"))
    assert scene.marked(SERVICE) == (b"1", b"2")


def test_a_users_service_is_the_users_managers(scene: Scene) -> None:
    scene.unit(USERS_SERVICE, 50, 51)
    scene.unit(USERS_INIT, 40, 41)
    inits = scene.process(50, USERS_SERVICE, ppid=1)
    scene.process(51, USERS_SERVICE, ppid=50)
    scene.marks.before(inits, party(50))
    assert scene.marked(USERS_SERVICE) is None
    scene.marks.before(scene.process(50, USERS_SERVICE, ppid=40), party(50))
    assert scene.marked(USERS_SERVICE) == (b"1", b"1")


def test_a_scope_has_no_main_process(scene: Scene) -> None:
    """An orphan in a login session is a child of init, too, and its end is not the session's."""
    session = "/user.slice/user-1000.slice/session-3.scope"
    scene.unit(session, 50, 51)
    scene.marks.before(scene.process(50, session, ppid=1), party(50))
    assert scene.marked(session) is None


@pytest.mark.parametrize("killed", [SERVICE, "/system.slice"])
def test_a_whole_cgroup_needs_no_look_at_its_processes(scene: Scene, killed: str) -> None:
    scene.fake.add(SERVICE, [50, 51])
    victim = scene.process(50, SERVICE, ppid=7)
    scene.marks.before(victim, party(50, 51, unit="unit", cgroup=killed, whole=True))
    assert scene.marked(SERVICE) == (b"1", b"2")


def test_a_cgroup_below_the_unit_is_not_the_unit(scene: Scene) -> None:
    scene.unit(SERVICE, 50)
    scene.fake.add(f"{SERVICE}/job", [51])
    victim = scene.process(51, f"{SERVICE}/job", ppid=50)
    scene.marks.before(victim, party(51, unit="cgroup", cgroup=f"{SERVICE}/job", whole=True))
    assert scene.marked(SERVICE) is scene.marked(f"{SERVICE}/job") is None
    similar = party(51, unit="cgroup", cgroup="/system.slice/web.serv", whole=True)
    scene.marks.before(victim, similar)
    assert scene.marked(SERVICE) is None


def test_a_signal_that_reached_nobody_leaves_no_mark(scene: Scene) -> None:
    scene.unit(SCOPE, 50)
    victim = scene.process(50, SCOPE)
    scene.marks.before(victim, party(50))
    scene.marks.take_back()
    assert scene.marked(SCOPE) is None
    scene.marks.before(victim, party(50))
    scene.marks.after(1, victim, party(50), "SIGKILL", ())
    scene.marks.take_back()
    assert scene.marked(SCOPE) == (b"1", b"1"), "it was delivered"
    assert scene.marks.failed == 0


def test_what_has_gone_is_counted_and_never_raised(scene: Scene) -> None:
    gone = "/system.slice/gone.service"
    victim = scene.process(50, gone)
    scene.marks.before(victim, party(50, cgroup=gone, whole=True))
    scene.marks.take_back()
    assert scene.marks.failed == 1
    scene.unit(SCOPE, 50)
    scene.marks.before(scene.process(50, SCOPE), party(50))
    scene.fake.remove(SCOPE)
    scene.marks.take_back()
    assert scene.marks.failed == 2


def test_the_line_is_one_that_journalctl_shows_for_the_unit(scene: Scene) -> None:
    victim = replace(scene.process(50, SCOPE, comm="Web\nContent"), rss_anon_bytes=300 * MIB)
    scene.marks.after(7, victim, party(50), "SIGTERM", ["low"])
    (line,) = scene.lines()
    assert line["OBJECT_SYSTEMD_UNIT"] == "user@1000.service"
    assert line["OBJECT_SYSTEMD_USER_UNIT"] == "app-firefox-1.scope"
    assert (line["MESSAGE_ID"], line["SYSLOG_IDENTIFIER"], line["PRIORITY"]) == (MESSAGE_ID, IDENTIFIER, "3")
    assert (line["OBJECT_PID"], line["OOMGUARDD_RUN"], line["OOMGUARDD_KILL_ID"]) == ("50", "cafe", "7")
    assert line["MESSAGE"].startswith("oomguardd killed Web\\nContent[50] with SIGTERM, holding 300 MiB,")
    assert "(trigger low)" in line["MESSAGE"]


def test_the_line_of_several_and_of_no_unit(scene: Scene) -> None:
    scene.marks.after(7, scene.process(50, SERVICE), party(50, 51, 52), "SIGKILL", ())
    (line,) = scene.lines()
    assert " task[50] and 2 others with SIGKILL, holding 3 MiB, because memory ran out; " in line["MESSAGE"]
    assert line["OBJECT_SYSTEMD_UNIT"] == "web.service"
    assert "OBJECT_SYSTEMD_USER_UNIT" not in line
    scene.marks.after(8, scene.process(50, "/docker/x"), party(50), "SIGKILL", ())
    assert scene.lines() == []


def test_a_journald_that_hangs_or_is_not_there_costs_a_line(scene: Scene, tmp_path: Path) -> None:
    victim = scene.process(50, SERVICE)
    for number in range(600):  # net.unix.max_dgram_qlen is 512 at most by default
        scene.marks.after(number, victim, party(50), "SIGKILL", ())
    full = scene.marks.failed
    assert full > 0
    complaint = scene.marks.take_complaint()
    assert complaint is not None
    assert complaint[0] == "line for the journal of the victim's unit"
    assert complaint[1].endswith("journald's queue is full (systemctl status systemd-journald)")
    scene.marks.after(1, victim, party(50), "SIGKILL", ())
    assert scene.marks.take_complaint() is None, "it is told once for each cause"
    full = scene.marks.failed
    (tmp_path / "journal").unlink()
    scene.marks.after(1, victim, party(50), "SIGKILL", ())
    assert scene.marks.failed == full + 1
    assert scene.marks.take_complaint() is None, "where there is no journal there is nothing to complain of"


def test_without_cgroup_v2_and_without_a_socket(scene: Scene) -> None:
    marks = UnitMarks(scene.proc.fd, None, None, "cafe")
    victim = scene.process(50, SERVICE)
    marks.before(victim, party(50))
    marks.take_back()
    marks.after(1, victim, party(50), "SIGKILL", ())
    marks.close()
    assert marks.failed == 0
    assert scene.lines() == []


def test_this_machines() -> None:
    proc_fd = os.open("/proc", os.O_PATH)
    marks = open_marks(proc_fd, "cafe")
    marks.before(candidate(1 << 30), party(1 << 30))
    assert marks.failed == 0
    marks.close()
    os.close(proc_fd)


class Spy(UnitMarks):
    """Writes down what it is asked to tell."""

    def __init__(self, story: list[str]) -> None:
        super().__init__(-1, None, None, "cafe")
        self._story = story

    def before(self, victim: Candidate, party: Party) -> None:
        self._story.append(f"mark {victim.pid} of {len(party.members)}")
        self._fail("mark", OSError(errno.EROFS, "Read-only file system"))

    def take_back(self) -> None:
        self._story.append("take back")

    def after(self, kill_id: int, victim: Candidate, party: Party, signal: str, triggers: Any) -> None:
        self._story.append(f"tell {victim.pid} {signal} {' '.join(triggers)}")


class Telltale(Hand):
    """A hand whose signals are part of the same story."""

    def __init__(self, story: list[str]) -> None:
        super().__init__()
        self._story = story

    def send(self, kill_id: int, number: signal.Signals) -> Event | None:
        self._story.append(f"send {number.name}")
        return super().send(kill_id, number)


def struck(
    proc: FakeProc,
    hand: Telltale,
    story: list[str],
    dry_run: bool = False,
    faults: list[dict[str, Any]] | None = None,
) -> Striker:
    """After one decision about process 50, the only one there is."""
    proc.add(50, "hog", rss=300 * MIB)
    with Rig(proc) as rig:
        orders = replace(rig.striker.orders, dry_run=dry_run, patience=Patience(60.0, 60.0, 0.0))

        def look() -> Look:
            return Look(rig.watch.look().sample, Assessment(Level.TERM, TRIGGERS[1:2], {}))

        marks = Spy(story)
        striker = Striker("machine", proc.fd, rig.scout, rig.outbox, look, lambda: None, orders, marks=marks)
        striker.bind(hand)
        striker.strike(look(), rig.watch.totals(), rig.guard.limits(), 0.0)
        if faults is not None:
            faults += rig.outbox.of("fault")
    return striker


def test_first_the_mark_then_the_signal_then_the_line(proc: FakeProc) -> None:
    story: list[str] = []
    striker = struck(proc, Telltale(story), story)
    assert story == ["mark 50 of 1", "send SIGTERM", "tell 50 SIGTERM low"]
    assert striker.kills == 1


def test_a_unit_that_cannot_be_marked_is_told_with_the_remedy_after_the_kill(proc: FakeProc) -> None:
    faults: list[dict[str, Any]] = []
    struck(proc, Telltale([]), [], faults=faults)
    (fault,) = faults
    assert fault["where"] == "mark"
    assert "ProtectControlGroups=" in fault["error"]
    assert fault["seq"] == 2, "the kill is told first"


@pytest.mark.parametrize("failed", [Event.VANISHED, Event.REFUSED])
def test_nothing_is_left_of_a_kill_that_failed(proc: FakeProc, failed: Event) -> None:
    story: list[str] = []
    hand = Telltale(story)
    hand.unsendable[50] = failed
    striker = struck(proc, hand, story)
    assert story == ["mark 50 of 1", "send SIGTERM", "take back"]
    assert striker.kills == 0


def test_who_cannot_be_seized_is_not_marked(proc: FakeProc) -> None:
    story: list[str] = []
    hand = Telltale(story)
    hand.vanished.add(50)
    assert struck(proc, hand, story).kills == 0
    assert story == []


def test_a_dry_run_tells_no_unit(proc: FakeProc) -> None:
    story: list[str] = []
    assert struck(proc, Telltale(story), story, dry_run=True).kills == 1
    assert story == []
