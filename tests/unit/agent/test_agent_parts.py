"""The agent's decisions, without a bus."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from oomguardd.agent.audience import concerns, sees_all
from oomguardd.agent.desktop_entry import Entry, find_entry, languages, parse_entry
from oomguardd.agent.listener import parse_facts
from oomguardd.agent.session import Note, escape, unit_of
from oomguardd.agent.show import Shower, Taste, desktop_tells
from oomguardd.notifiers.dbus import BusError, session_address, system_address
from oomguardd.notifiers.wording import Fact

ENTRY = (
    "[Desktop Entry]\nType=Application\nName=Firefox\nName[de]=Feuerfuchs\nIcon=firefox\n[Other]\nName=No\n"
)


@pytest.mark.parametrize(
    ("show", "uid", "groups", "everything"),
    [
        ("auto", 1000, ["users", "sudo"], True),
        ("auto", 1000, ["users"], False),
        ("auto", 0, [], True),
        ("own", 0, ["wheel"], False),
        ("all", 1000, [], True),
    ],
)
def test_who_sees_everything(show: str, uid: int, groups: list[str], everything: bool) -> None:
    assert sees_all(show, uid, groups) is everything


def test_what_concerns_whom() -> None:
    assert concerns("kill", {"uid": 1000}, 1000, False)
    assert not concerns("kernel_kill", {"uid": 0}, 1000, False)
    assert not concerns("kill", {}, 1000, False), "the owner is not known"
    assert concerns("kill", {}, 1000, True)
    assert concerns("warn", {}, 1000, False)


@pytest.mark.parametrize(
    ("locale", "name"), [("de_AT.UTF-8", "Feuerfuchs"), ("C.UTF-8", "Firefox"), ("fr_FR", "Firefox")]
)
def test_names_of_applications(tmp_path: Path, locale: str, name: str) -> None:
    (tmp_path / "applications").mkdir()
    (tmp_path / "applications/org.mozilla.firefox.desktop").write_text(ENTRY)
    environ = {"XDG_DATA_HOME": "/none", "XDG_DATA_DIRS": f"/none:{tmp_path}", "LANG": locale}
    assert find_entry("org.mozilla.firefox", environ) == Entry(name, "firefox")


@pytest.mark.parametrize("app", ["", "..", "../../etc/passwd", "a/b", ".hidden", "x" * 300, "a\0b", "a\nb"])
def test_ids_that_are_none(tmp_path: Path, app: str) -> None:
    assert find_entry(app, {"XDG_DATA_HOME": str(tmp_path), "HOME": str(tmp_path)}) is None


def test_bad_entries(tmp_path: Path) -> None:
    assert parse_entry(b"\xff\xfe\n[Desktop Entry]\nIcon=x\n=\n", []) is None
    assert parse_entry(b"[Desktop Entry]\nName=a\x1b[31mb\nIcon=\x00", []) == Entry("a\\x1b[31mb", "\\x00")
    (tmp_path / "applications").mkdir()
    (tmp_path / "applications/dir.desktop").mkdir()
    assert find_entry("dir", {"XDG_DATA_HOME": str(tmp_path)}) is None
    assert languages({"LC_ALL": "C"}) == []


@pytest.mark.parametrize(
    ("body", "facts"),
    [
        (
            ({"a": ("s", "x\n"), "b": ("x", 5), "c": ("b", True), "d": ("ay", [1])},),
            {"a": "x\\n", "b": 5, "c": True},
        ),
        (({"a": "no variant"},), {}),
        ((), None),
        (("text",), None),
        (({}, {}), None),
        (({str(number): ("x", 1) for number in range(100)},), None),
    ],
)
def test_facts_of_a_signal(body: tuple[object, ...], facts: dict[str, Fact] | None) -> None:
    assert parse_facts(body) == facts


def test_units_of_paths() -> None:
    base = "/org/freedesktop/systemd1/unit/"
    assert unit_of(f"{base}app_2dgnome_2dfirefox_2d1_2escope") == "app-gnome-firefox-1.scope"
    assert unit_of(f"{base}a_zz") == ""
    assert unit_of("/other") == ""


def test_markup() -> None:
    assert escape("<a href='x'>&amp;") == "&lt;a href='x'&gt;&amp;amp;"


@pytest.mark.parametrize(
    ("leave", "desktop", "expected"),
    [
        ("auto", "ubuntu:GNOME", True),
        ("auto", "KDE", False),
        ("auto", "X-Cinnamon", False),
        ("auto", "", False),
        ("always", "KDE", True),
        ("never", "GNOME", False),
    ],
)
def test_whether_the_desktop_tells(leave: str, desktop: str, expected: bool) -> None:
    assert desktop_tells(leave, {"XDG_CURRENT_DESKTOP": desktop}) is expected


def test_addresses() -> None:
    assert system_address({}) == "unix:path=/run/dbus/system_bus_socket"
    assert session_address({"XDG_RUNTIME_DIR": "/run/user/7"}) == "unix:path=/run/user/7/bus"
    assert session_address({"DBUS_SESSION_BUS_ADDRESS": "unix:path=/x"}) == "unix:path=/x"
    assert session_address({}) == ""


class Screen:
    """Stands for the session: keeps what is shown, or refuses."""

    def __init__(self, refusals: int = 0) -> None:
        self.notes: list[Note] = []
        self.refusals = refusals
        self.oom_killed: set[str] = set()

    async def show(self, note: Note) -> int:
        if self.refusals:
            self.refusals -= 1
            raise BusError("not now")
        self.notes.append(note)
        return note.replaces or len(self.notes)

    def was_oom_killed(self, unit: str) -> bool:
        return unit in self.oom_killed


class Rig:
    def __init__(self, screen: Screen, **taste: bool) -> None:
        self.now_s = 0.0
        self.complaints: list[str] = []
        self.screen = screen
        self.shower = Shower(
            screen,
            Taste(1000, **taste),
            {"HOME": "/none", "XDG_DATA_DIRS": "/none"},
            self.complaints.append,
            clock=lambda: self.now_s,
            sleep=self._sleep,
        )

    async def _sleep(self, duration_s: float) -> None:
        self.now_s += duration_s

    async def show(self, *events: dict[str, Fact]) -> list[Note]:
        for event in events:
            self.shower.put(event)
        running = asyncio.ensure_future(self.shower.run())
        for _ in range(200):
            await asyncio.sleep(0)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return self.screen.notes


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(scenario, 20))


def kill(comm: str = "hog", uid: int = 1000, **more: Fact) -> dict[str, Fact]:
    return {"kind": "kill", "comm": comm, "uid": uid, **more}


def test_kills_in_quick_succession_become_one() -> None:
    async def scenario() -> None:
        rig = Rig(Screen())
        notes = await rig.show(kill("a"), kill("b"), kill("c"))
        assert [note.replaces for note in notes] == [0, 1, 1]
        assert notes[-1].summary == "3 programs ended for memory"
        assert notes[-1].body.splitlines()[0] == "c was ended to free memory"
        rig.now_s += 60
        notes = await rig.show(kill("d"))
        assert (notes[-1].replaces, notes[-1].summary) == (0, "d was ended to free memory")

    run(scenario())


def test_a_desktop_that_refuses() -> None:
    async def scenario() -> None:
        rig = Rig(Screen(refusals=2))
        assert len(await rig.show(kill())) == 1
        assert not rig.complaints
        rig = Rig(Screen(refusals=3))
        assert not await rig.show(kill())
        assert rig.complaints == ["not shown: hog was ended to free memory (not now)"]

    run(scenario())


def test_patience_with_a_victim_that_may_still_tidy_up() -> None:
    async def scenario() -> None:
        for signal, patience_s in (("SIGTERM", 6.0), ("SIGKILL", 2.0)):
            rig = Rig(Screen(), desktop_tells=True)
            assert len(await rig.show(kill(user_unit="a.scope", signal=signal))) == 1
            assert rig.now_s == pytest.approx(patience_s)

    run(scenario())


def test_others_and_warnings() -> None:
    async def scenario() -> None:
        events: list[dict[str, Fact]] = [
            kill(uid=7),
            {"kind": "limit", "per_minute": 1},
            {"kind": "reloaded"},
        ]
        assert len(await Rig(Screen()).show(*events)) == 1
        assert len(await Rig(Screen(), warnings=False).show(*events)) == 0
        assert len(await Rig(Screen(), everything=True).show(*events)) == 2

    run(scenario())


def test_what_the_desktop_has_shown() -> None:
    async def scenario() -> None:
        screen = Screen()
        screen.oom_killed.add("a.scope")
        rig = Rig(screen, desktop_tells=True, everything=True)
        unit: dict[str, Any] = {"user_unit": "a.scope"}
        assert not await rig.show(kill(**unit))
        assert len(await rig.show(kill(**unit, dry_run=True))) == 1, "a dry run kills no unit"
        assert len(await rig.show(kill(uid=7, **unit))) == 2, "another user's unit of the same name"
        assert len(await rig.show(kill(user_unit="b.scope"))) == 3, "after a while, since nobody else has"

    run(scenario())
