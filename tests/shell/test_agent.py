"""From a record to a notification: real herald, agent and buses. Only the desktop is a stand-in."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Coroutine
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from oomguardd import __version__
from oomguardd.notifiers import bus
from oomguardd.notifiers.bus import INTERFACE, NAME, PATH
from oomguardd.notifiers.dbus import BUS, HAVE_JEEPNEY, BusError, connect
from oomguardd.reporter.inbox import Record
from oomguardd.reporter.meters import Meters
from oomguardd.reporter.people.herald import Herald
from oomguardd.telling import Telling
from tests.shell.buses import HAVE_DAEMON, ROOT, running
from tests.shell.desk import kill, limit, stage, warn

pytestmark = [
    pytest.mark.skipif(not HAVE_DAEMON, reason="needs dbus-daemon: apt-get install dbus"),
    pytest.mark.skipif(not HAVE_JEEPNEY, reason="needs jeepney: pip install jeepney"),
]

UNIT_PATH = "app_2dgnome_2dfirefox_2d4711_2escope"
OWNER = ("org.oomguard1", PATH, "org.freedesktop.DBus.Properties")


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(scenario, 60))


def test_a_kill_is_shown(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with stage(tmp_path) as at:
            at.agent("--show", "own")
            await at.until_heard()
            told = at.meters.counts["told", "desktop"]
            await at.herald.take([kill("<b>hog</b>\x1b")])
            (note,) = await at.desktop.until(1)
            assert note["summary"] == "<b>hog</b>\\x1b was ended to free memory", "a summary has no markup"
            assert "&lt;b&gt;hog&lt;/b&gt;\\x1b[4711]" in note["body"]
            assert "It held 2 GiB" in note["body"]
            assert "memory available 0.1% &lt; 5%" in note["body"]
            assert note["hints"]["urgency"] == ("y", 2)
            await asyncio.sleep(0.05)
            assert at.meters.counts["told", "desktop"] == told + 1

    run(scenario())


def test_warnings_take_each_others_place(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with stage(tmp_path) as at:
            at.agent()
            await at.until_heard()
            await at.herald.take([warn()])
            await at.desktop.until(1)
            await at.herald.take([{**warn(), "kind": "nobody", "why": "all are protected"}])
            await at.desktop.until(2)
            await at.herald.take([limit()])
            first, second, third = await at.desktop.until(3)
            assert first["summary"] == "Memory is running low"
            assert "The largest: hog 2 GiB." in first["body"]
            assert second["replaces"] == 0
            assert third["replaces"] > 0, "the one of the same kind, from before"

    run(scenario())


def test_only_the_owner_of_the_name_is_believed(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with stage(tmp_path) as at:
            at.agent("--show", "all")
            await at.until_heard()
            liar = await connect(at.system.address)
            lie = {"kind": ("s", "kill"), "comm": ("s", "lie"), "uid": ("x", os.getuid())}
            await liar.emit(PATH, INTERFACE, "Killed", "a{sv}", (lie,))
            (names,) = await liar.call(BUS, "ListNames")
            for name in names:  # a signal to one receiver needs no match of theirs
                if name.startswith(":"):
                    await emit_to(liar, name, lie)
            await liar.call(BUS, "GetId")
            await liar.close()
            await at.herald.take([kill("truth")])
            await at.desktop.until(1)
            await asyncio.sleep(0.3)
            assert [note["summary"] for note in at.desktop.shown] == ["truth was ended to free memory"]

    run(scenario())


async def emit_to(connection: Any, destination: str, facts: dict[str, Any]) -> None:
    jeepney = sys.modules["jeepney"]
    signal = jeepney.new_signal(jeepney.DBusAddress(PATH, interface=INTERFACE), bus.KILLED, "a{sv}", (facts,))
    signal.header.fields[jeepney.HeaderFields.destination] = destination
    await connection._raw.send(signal)


OTHER_USER = """
import asyncio, os, sys
from oomguardd.notifiers.bus import INTERFACE, NAME, PATH
from oomguardd.notifiers.dbus import BUS, BusError, connect
async def main():
    connection = await connect(sys.argv[1])
    try:
        await connection.call(BUS, "RequestName", "su", (NAME, 4))
        print("owned")
    except BusError as error:
        print(error.name)
    await connection.emit(PATH, INTERFACE, "Warning", "a{sv}", ({"kind": ("s", "limit")},))
    await connection.call(BUS, "GetId")
os.setgroups([])
os.setresgid(65534, 65534, 65534)
os.setresuid(65534, 65534, 65534)
asyncio.run(main())
"""


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to become another user")
def test_nobody_else_may_own_the_name() -> None:
    async def scenario(directory: Path) -> None:
        async with running(directory) as (system, _):
            done = await asyncio.create_subprocess_exec(
                sys.executable,
                "-c",
                OTHER_USER,
                system.address,
                cwd=ROOT,
                stdout=subprocess.PIPE,
            )
            said, _ = await done.communicate()
            assert said == b"org.freedesktop.DBus.Error.AccessDenied\n"

    with TemporaryDirectory(dir="/tmp") as directory:  # pytest's own are root's alone
        run(scenario(Path(directory)))


def test_who_sees_whose(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with stage(tmp_path) as at:
            at.agent("--show", "own")
            await at.until_heard()
            await at.herald.take([kill("theirs", uid=os.getuid() + 1), kill("mine")])
            (note,) = await at.desktop.until(1)
            assert note["summary"].startswith("mine ")

    run(scenario())


def test_what_the_desktop_shows_is_not_shown_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with stage(tmp_path) as at:
            at.agent(desktop="ubuntu:GNOME")
            await at.until_heard()
            await at.herald.take([kill("firefox")])
            await asyncio.sleep(0.3)
            await at.desktop.unit_result(UNIT_PATH, "oom-kill")
            await at.herald.take(
                [{**kill("daemon"), "victim": {"pid": 1, "comm": "daemon", "uid": os.getuid()}}]
            )
            await at.desktop.until(1)
            assert [note["summary"].split()[0] for note in at.desktop.shown] == ["daemon"]

    run(scenario())


def test_it_is_shown_where_the_desktop_says_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with stage(tmp_path) as at:
            at.agent(desktop="GNOME")
            await at.until_heard()
            await at.desktop.unit_result(UNIT_PATH, "success")
            await at.herald.take([kill("firefox", signal="SIGKILL")])
            (note,) = await at.desktop.until(1)
            assert note["summary"].startswith("firefox ")

    run(scenario())


def test_both_come_back_when_the_bus_does(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with stage(tmp_path) as at:
            at.agent()
            await at.until_heard()
            at.system.stop()
            await asyncio.sleep(0.3)
            await at.system.start()
            await at.until_heard()
            await at.herald.take([kill("again")])
            (note,) = await at.desktop.until(1)
            assert note["summary"].startswith("again ")
            missing = [record for record in at.published if record["kind"] == "missing"]
            assert len(missing) <= 2, "said once per cause, not at each attempt"

    run(scenario())


def test_a_bus_that_hangs_is_a_number(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with stage(tmp_path) as at:
            at.agent()
            await at.until_heard()
            at.system.freeze(True)
            began_s = time.monotonic()
            await at.herald.take([kill("unheard")])
            assert time.monotonic() - began_s < 0.5, "telling waits for nobody"
            while not at.meters.counts["failed", "desktop"]:
                await asyncio.sleep(0.05)
            at.system.freeze(False)
            await at.until_heard()
            (fault,) = [record for record in at.published if record["kind"] == "fault"]
            assert fault["where"] == "notifier desktop"
            assert "no answer" in str(fault["error"])

    run(scenario())


def test_one_agent_in_a_session(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with stage(tmp_path) as at:
            at.agent()
            await at.until_heard()
            second = at.agent()
            status = await asyncio.to_thread(second.wait, 10)
            assert status == 0
            assert second.stderr is not None
            assert "already" in second.stderr.read()

    run(scenario())


def test_a_busy_desktop_is_asked_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with stage(tmp_path) as at:
            at.agent()
            await at.until_heard()
            at.desktop.refusals = 1
            await at.herald.take([kill("late")])
            (note,) = await at.desktop.until(1)
            assert note["summary"].startswith("late ")

    run(scenario())


def test_what_can_be_asked(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with stage(tmp_path) as at:
            await at.herald.take([{**warn(), "seq": 3}])
            asker = await connect(at.system.address)
            for _ in range(200):
                with contextlib.suppress(BusError):
                    await asker.call(BUS, "GetNameOwner", "s", (NAME,))
                    break
                await asyncio.sleep(0.01)
            (properties,) = await asker.call(OWNER, "GetAll", "s", (INTERFACE,))
            assert properties == {"Version": ("s", __version__), "Level": ("s", "warn")}
            (level,) = await asker.call(OWNER, "Get", "ss", (INTERFACE, "Level"))
            assert level == ("s", "warn")
            introspectable = (NAME, PATH, "org.freedesktop.DBus.Introspectable")
            (xml,) = await asker.call(introspectable, "Introspect")
            assert '<signal name="Killed">' in xml
            with pytest.raises(BusError, match="no such property"):
                await asker.call(OWNER, "Get", "ss", (INTERFACE, "Secret"))
            with pytest.raises(BusError) as refused:
                await asker.call((NAME, PATH, INTERFACE), "Kill")
            assert refused.value.name.endswith("AccessDenied"), "the bus does not even let it through"
            await asker.close()

    run(scenario())


def test_no_bus_and_no_session(tmp_path: Path) -> None:
    environ = {key: value for key, value in os.environ.items() if key not in ("XDG_RUNTIME_DIR",)}
    environ.pop("DBUS_SESSION_BUS_ADDRESS", None)
    done = subprocess.run(
        [sys.executable, "-m", "oomguardd.agent"], cwd=ROOT, env=environ, capture_output=True, check=False
    )
    assert done.returncode == 78
    assert b"DBUS_SESSION_BUS_ADDRESS" in done.stderr

    async def scenario() -> None:
        published: list[Record] = []
        environ = {"DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={tmp_path}/none"}
        herald = Herald(Telling(), Meters(), published.append, environ, "box", makers=[bus.make])
        herald.start()
        await asyncio.sleep(0.1)
        await herald.take([kill()])
        await herald.close()
        (missing,) = published
        assert missing["kind"] == "missing"
        assert "no bus at" in str(missing["what"])
        assert "notify.desktop" in str(missing["remedy"])

    run(scenario())
