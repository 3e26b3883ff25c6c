"""The control socket: what it says, to whom, and that it fits its own description."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from oomguardd.reporter.control.interface import DESCRIPTION, MANAGER, NOT_PERMITTED
from oomguardd.reporter.control.server import ControlServer, open_control
from oomguardd.reporter.control.varlink import Peer, VarlinkError
from oomguardd.reporter.listening import ListenError
from oomguardd.reporter.meters import Meters
from oomguardd.reporter.present import Present
from oomguardd.telling import ControlSettings
from tests.unit.reporter.talk import (
    GIB,
    MIB,
    NOW_S,
    Client,
    armed,
    asked,
    calm,
    kernel_kill,
    kill,
    outcome,
    present_of,
    record,
    started,
    tick,
)
from tests.unit.reporter.varlink_idl import assert_fits, parse

WHOLE = parse(DESCRIPTION)


def server_of(present: Present, **settings: Any) -> ControlServer:
    return ControlServer(
        ControlSettings(**settings), present, Meters(), lambda: {"journal": 3}, lambda: NOW_S
    )


def status_of(present: Present) -> dict[str, Any]:
    """The reply of Status; it fits the description, whatever is known."""
    reply = dict(server_of(present).status({}))
    assert_fits(WHOLE, WHOLE.methods["Status"][1], reply, "Status")
    return reply


def play(path: Path, server: ControlServer, talk: Callable[[], Awaitable[None]]) -> None:
    async def whole() -> None:
        await server.start([open_control(str(path))])
        try:
            await asyncio.wait_for(talk(), 20)
        finally:
            await server.close()

    asyncio.run(whole())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "io.oomguard.Manager"


def test_a_calm_machine() -> None:
    status = status_of(calm())
    assert (status["ok"], status["problems"], status["level"]) == (True, [], "calm")
    assert status["guard"]["armed"] is True
    assert status["guard"]["tick_s"] == 0.00042
    assert status["configuration"]["sources"] == [
        "/etc/oomguard.toml",
        "/etc/oomguard.toml.d/50-site.toml",
    ]
    assert status["missing"] == [
        {"what": "zswap", "cost": "its pool is not seen", "remedy": "Linux 5.19"},
    ]
    assert status["reporter"]["queues"] == [{"part": "journal", "waiting": 3}]
    assert status["reporter"]["pid"] == os.getpid()
    assert status["reporter"]["rss_bytes"] > MIB


def test_readings_have_units_and_totals() -> None:
    readings = {each["name"]: each for each in status_of(calm())["readings"]}
    available = readings["mem_available"]
    assert (available["value"], available["unit"], available["total"]) == (10 * GIB, "bytes", 16 * GIB)
    assert readings["psi_full_10s"]["unit"] == "percent"
    assert readings["psi_full_10s"]["total"] is None


def test_bounds_are_in_the_unit_of_their_signal() -> None:
    trigger = next(each for each in status_of(calm())["triggers"] if each["name"] == "low-memory")
    assert [(c["signal"], c["bound"], c["text"], c["holds"]) for c in trigger["conditions"]] == [
        ("mem_available", 1.6 * GIB, "<10%", False),
        ("mem_available", 4.0 * GIB, "<4G", False),
        ("swap_free", pytest.approx(0.2 * GIB), "<10%", False),
    ]


def test_triggers_that_hold() -> None:
    readings = {"mem_total": 16.0 * GIB, "mem_available": 1.0 * GIB, "swap_total": 0.0, "swap_free": 0.0}
    look = tick(level="terminate", triggers=["low-memory", "low-memory-warning"], readings=readings)
    status = status_of(present_of(started(), armed(), look))
    assert (status["level"], status["since_s"]) == ("terminate", NOW_S - 0.5)
    assert [each["name"] for each in status["triggers"] if each["holds"]] == [
        "low-memory-warning",
        "low-memory",
    ]
    assert all(c["holds"] for c in status["triggers"][1]["conditions"]), "no swap is no help"


def test_kills_of_everybody() -> None:
    foreign = {"kind": "foreign_kill", "time_s": NOW_S - 5, "by": "systemd-oomd", "pid": 3, "comm": "tab"}
    ours, theirs, oomds = status_of(
        present_of(started(), kill(3000, 1), outcome(2999, 1), kernel_kill(900), foreign)
    )["kills"]
    assert (ours["by"], ours["pid"], ours["unit"]) == ("oomguardd", 4791, "app-gnome-hog-4790.scope")
    assert (ours["outcome"], ours["after_s"]) == ("died", 0.816)
    assert ours["available_after_bytes"] == 1180 * MIB
    assert ours["text"].startswith("killed hog[4791]")
    assert (theirs["by"], theirs["unit"], theirs["held_bytes"]) == ("kernel", "mysql.service", 2 * GIB)
    assert (oomds["by"], oomds["comm"], oomds["held_bytes"]) == ("systemd-oomd", "tab", None)


def test_one_kill_of_several_counts_them() -> None:
    party = {"unit": "cgroup", "count": 12, "held_bytes": 3 * GIB}
    (one,) = status_of(present_of(kill(1, 1, party=party)))["kills"]
    assert (one["count"], one["held_bytes"]) == (12, 3 * GIB)


def test_a_guard_that_is_away() -> None:
    status = status_of(present_of(started(), armed(), tick(), connected=False))
    assert status["level"] == "unknown"
    assert status["guard"]["armed"] is False
    assert "systemctl status oomguardd" in status["problems"][0]
    stopped = present_of(started(), tick(), record("stopping", why="SIGTERM"), connected=False)
    assert "stopping: SIGTERM" in status_of(stopped)["problems"][0]


@pytest.mark.parametrize(
    ("present", "problem"),
    [
        (present_of(started()), "not armed"),
        (present_of(), "has not said yet how things stand"),
        (present_of(started(), armed(), tick(200.0)), "has said nothing for 3.33 min"),
        (
            present_of(
                started(), tick(), record("reload_failed", problems=["a.toml: kill.grace: no", "b", "c"])
            ),
            "the old one stays in force: a.toml: kill.grace: no and 2 more",
        ),
    ],
)
def test_what_is_wrong_is_said(present: Present, problem: str) -> None:
    status = status_of(present)
    assert not status["ok"]
    assert problem in status["problems"][0]


def test_nonsense_fits_the_description_too() -> None:
    bad: list[dict[str, object]] = [
        started(pid="x", sources=3, triggers=[{"name": [], "bounds": [3, [1, 2, "x", 4]]}, 7, {}]),
        armed() | {"locked": "yes", "psi_source": None},
        tick(level=["calm"], readings={"a\udc80": 1, "b": None, "mem_total": float("inf")}, ticks="many"),
        kill(1, 1, victim=[], party="x"),
        kill(1, 2, victim={"comm": "\x1b[31m\udc80\n", "cgroup": "/a\udcff/b.service", "pid": 1e300}),
        outcome(1, 2) | {"outcome": 7, "after_s": "soon"},
        kernel_kill(1, comm=None, cgroup=9),
        record("missing", what=None),
        record("fault", where=1, error=None),
        record("reload_failed", problems="x"),
    ]
    status = status_of(present_of(*bad))
    names = [each["name"] for each in status["readings"]]
    assert names == ["a\\x80"]
    assert status["kills"][1]["comm"] == "\\x1b[31m\\x80\\n"


def test_nothing_is_known_yet() -> None:
    status = status_of(Present())
    assert (status["level"], status["kills"], status["ok"]) == ("unknown", [], False)


def test_kills_are_counted_from_the_end() -> None:
    present = present_of(*(kill(100 - number, number) for number in range(30)))
    server = server_of(present)

    def of(**parameters: object) -> list[int]:
        reply: dict[str, Any] = dict(server.kills(parameters))
        assert_fits(WHOLE, WHOLE.methods["Kills"][1], reply, "Kills")
        return [each["pid"] - 4790 for each in reply["kills"]]

    assert of() == list(range(10, 30))
    assert of(count=2) == [28, 29]
    assert of(count=0) == []
    with pytest.raises(VarlinkError):
        of(count=-1)


def test_it_is_asked_over_its_socket(path: Path) -> None:
    async def talk() -> None:
        reply = await asked(path, f"{MANAGER}.Status")
        assert_fits(WHOLE, WHOLE.methods["Status"][1], reply["parameters"])
        reply = await asked(path, "org.varlink.service.GetInterfaceDescription", {"interface": MANAGER})
        assert reply["parameters"]["description"] == DESCRIPTION

    play(path, server_of(calm()), talk)


def test_followers_get_what_happens_and_the_latest_of_before(path: Path) -> None:
    server = server_of(calm())

    async def talk() -> None:
        await server.take([kill(9, number) for number in range(5)])
        client = Client(path)
        client.send(f"{MANAGER}.Follow", {"backlog": 2}, more=True)
        replies = [await asyncio.to_thread(client.reply) for _ in range(3)]
        await server.take([tick(), outcome(0, 4)])
        replies.append(await asyncio.to_thread(client.reply))
        status = (await asked(path, f"{MANAGER}.Status"))["parameters"]
        assert status["reporter"]["followers"] == 1
        client.close()
        for reply in replies:
            assert_fits(WHOLE, WHOLE.methods["Follow"][1], reply["parameters"])
        records = [reply["parameters"]["record"] for reply in replies]
        assert records[0] is None
        assert [(each["kind"], each["kill_id"]) for each in records[1:]] == [
            ("kill", 3),
            ("kill", 4),
            ("outcome", 4),
        ]
        assert replies[3]["parameters"]["lines"][0].startswith("hog[4794] died")

    play(path, server, talk)


def test_a_slow_follower_is_told_how_much_it_missed(path: Path) -> None:
    server = server_of(calm())
    big = [record("fault", where=str(number), error="x" * 20_000, count=1) for number in range(300)]

    async def talk() -> None:
        client = Client(path)
        client.send(f"{MANAGER}.Follow", more=True)
        assert (await asyncio.to_thread(client.reply))["parameters"]["lost"] == 0
        for each in big:
            await server.take([each])
            await asyncio.sleep(0)
        seen, lost = 0, 0
        while seen + lost < len(big):
            parameters = (await asyncio.to_thread(client.reply))["parameters"]
            seen += parameters["record"] is not None
            lost += parameters["lost"]
        assert seen + lost == len(big)
        assert lost > 0
        assert parameters["record"]["where"] == "299"
        client.close()

    play(path, server, talk)


def test_ten_thousand_events_are_not_kept(path: Path) -> None:
    server = server_of(calm())

    async def talk() -> None:
        for number in range(100):
            await server.take([kill(1, number * 100 + each) for each in range(100)])
        held = server._followers
        assert len(held._events) <= 500
        assert held._bytes <= 1 << 20

    play(path, server, talk)


def test_who_may_ask(path: Path) -> None:
    server = server_of(calm(), readers="root")
    somebody = Peer(7, os.geteuid() + 4711)
    server._admit(Peer(7, 0), MANAGER)
    server._admit(Peer(7, os.geteuid()), MANAGER)
    with pytest.raises(VarlinkError) as caught:
        server._admit(somebody, MANAGER)
    assert caught.value.name == NOT_PERMITTED
    assert "control.readers" in str(caught.value.parameters["why"])
    assert server._meters.counts["refused", "control: not permitted"] == 1
    server.retune(ControlSettings(readers="everybody"))
    server._admit(somebody, MANAGER)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to be somebody else")
def test_somebody_else_is_refused_over_the_socket(path: Path) -> None:
    told, tell = os.pipe()
    pid = os.fork()  # before there are threads
    if pid == 0:
        try:
            os.read(told, 1)
            os.setresuid(65534, 65534, 65534)
            os._exit(Client(path).ask(f"{MANAGER}.Status").get("error") == NOT_PERMITTED)
        finally:
            os._exit(99)

    async def talk() -> None:
        for folder in (path, *path.parents[:-1]):
            if folder.stat().st_uid == 0 and folder != Path("/tmp"):
                folder.chmod(0o777)
        os.write(tell, b"!")
        _, status = await asyncio.to_thread(os.waitpid, pid, 0)
        assert os.waitstatus_to_exitcode(status) == 1

    try:
        play(path, server_of(calm(), readers="root"), talk)
    finally:
        os.close(told)
        os.close(tell)


@pytest.mark.parametrize(("readers", "mode"), [("everybody", 0o666), ("root", 0o600)])
def test_the_socket_is_as_open_as_configured(path: Path, readers: str, mode: int) -> None:
    with open_control(str(path), readers):
        assert stat.S_IMODE(path.stat().st_mode) == mode


def test_what_a_dead_reporter_left_is_replaced(path: Path) -> None:
    open_control(str(path)).close()
    assert path.exists()
    with open_control(str(path)), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.connect(str(path))


def test_what_is_somebody_elses_is_left(path: Path) -> None:
    with open_control(str(path)), pytest.raises(ListenError, match="another program answers there"):
        open_control(str(path))
    path.unlink()
    path.write_text("precious")
    with pytest.raises(ListenError, match="exists and is no socket"):
        open_control(str(path))
    assert path.read_text() == "precious"


def test_a_place_where_no_socket_can_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for bad in (tmp_path / "file" / "socket", tmp_path / ("x" * 150)):
        with pytest.raises(ListenError, match=r"control\.socket"):
            open_control(str(bad))
