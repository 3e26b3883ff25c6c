"""Real message buses of the tests' own, and a desktop that is none: it only answers to what one is asked."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from oomguardd.notifiers.dbus import BUS, Connection, Incoming, connect

ROOT = Path(__file__).resolve().parents[2]
HAVE_DAEMON = shutil.which("dbus-daemon") is not None

_SYSTEM_POLICY = """
  <policy context="default">
    <allow user="*"/>
    <deny own="*"/>
    <deny send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
    <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus"/>
  </policy>
"""  # the rules of dbus-daemon's own system.conf
_SESSION_POLICY = """
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
"""  # and of its session.conf


class Daemon:
    """A dbus-daemon with the policy of a system bus, our policy file included, or of a session bus."""

    def __init__(self, directory: Path, kind: str) -> None:
        self.socket = directory / f"{kind}-bus"
        self.address = f"unix:path={self.socket}"
        self._file = directory / f"{kind}.conf"
        rules = _SESSION_POLICY
        if kind == "system":
            policy = (ROOT / "packaging/org.oomguard1.conf").read_text()
            ours = directory / "org.oomguard1.conf"
            # Whoever runs the tests stands for the reporter's user, who is not known here.
            ours.write_text(policy.replace('user="oomguard"', f'user="{getpass.getuser()}"'))
            rules = f"{_SYSTEM_POLICY}<include>{ours}</include>"
        self._file.write_text(
            '<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"'
            ' "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">'
            f"<busconfig><type>{kind}</type><listen>{self.address}</listen><auth>EXTERNAL</auth>"
            f"{rules}</busconfig>"
        )
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        self._process = subprocess.Popen(
            ["dbus-daemon", f"--config-file={self._file}", "--nofork", "--nopidfile"],
            stderr=subprocess.DEVNULL,
        )
        for _ in range(500):
            if self.socket.exists():
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_unix_connection(str(self.socket))
                    writer.close()
                    self.socket.chmod(0o666)
                    return
            await asyncio.sleep(0.01)
        raise AssertionError("dbus-daemon did not start")

    def freeze(self, frozen: bool) -> None:
        """As under memory pressure: it is there, and does nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP if frozen else signal.SIGCONT)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
            self.socket.unlink(missing_ok=True)


@contextlib.asynccontextmanager
async def running(directory: Path) -> AsyncIterator[tuple[Daemon, Daemon]]:
    """A system bus and a session bus."""
    directory.chmod(0o755)
    system, session = Daemon(directory, "system"), Daemon(directory, "session")
    try:
        await system.start()
        await session.start()
        yield system, session
    finally:
        system.stop()
        session.stop()


class Shown(dict[str, Any]):
    """A notification as it was asked for."""


class Desktop:
    """Owns org.freedesktop.Notifications and org.freedesktop.systemd1, and writes down what it is told."""

    NAMES = ("app", "replaces", "icon", "summary", "body", "actions", "hints", "expires")

    def __init__(self, capabilities: tuple[str, ...] = ("body", "body-markup")) -> None:
        self.shown: list[Shown] = []
        self.refusals = 0
        """So many requests will be refused."""
        self._capabilities = capabilities
        self.connection: Connection | None = None

    async def start(self, address: str) -> None:
        self.connection = await connect(address, self._hear)
        for name in ("org.freedesktop.Notifications", "org.freedesktop.systemd1"):
            await self.connection.call(BUS, "RequestName", "su", (name, 4))

    async def unit_result(self, path: str, result: str) -> None:
        """What systemd says of a unit."""
        assert self.connection is not None
        changed: tuple[Any, ...] = ("org.freedesktop.systemd1.Scope", {"Result": ("s", result)}, [])
        where = f"/org/freedesktop/systemd1/unit/{path}"
        await self.connection.emit(
            where, "org.freedesktop.DBus.Properties", "PropertiesChanged", "sa{sv}as", changed
        )

    async def close(self) -> None:
        if self.connection is not None:
            await self.connection.close()

    async def until(self, count: int, within_s: float = 10.0) -> list[Shown]:
        for _ in range(int(within_s / 0.01)):
            if len(self.shown) >= count:
                break
            await asyncio.sleep(0.01)
        return self.shown

    async def _hear(self, connection: Connection, incoming: Incoming) -> None:
        if incoming.signal:
            return
        if self.refusals:
            self.refusals -= 1
            await connection.refuse(incoming, "org.freedesktop.DBus.Error.Failed", "not now")
        elif incoming.member == "GetCapabilities":
            await connection.answer(incoming, "as", (list(self._capabilities),))
        elif incoming.member == "Notify":
            note = Shown(zip(self.NAMES, incoming.body, strict=True))
            self.shown.append(note)
            await connection.answer(incoming, "u", (note["replaces"] or len(self.shown),))
