"""The protocol's server: what it answers, and what clients cannot do to it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from oomguardd.reporter.control.varlink import (
    SERVICE_DESCRIPTION,
    About,
    Interface,
    Method,
    Parameters,
    Peer,
    VarlinkError,
    encode,
    parse_call,
)
from oomguardd.reporter.control.varlink_server import Limits, VarlinkServer
from tests.unit.reporter.talk import Client, asked
from tests.unit.reporter.varlink_idl import parse

SERVICE = "org.varlink.service"
QUICK = Limits(idle_s=0.3, write_s=0.3, close_s=0.2)


async def _count(parameters: Parameters) -> AsyncIterator[bytes]:
    for number in range(1 << 30):
        yield encode({"number": number, "padding": "x" * 1000}, continues=True)


def _echo(parameters: Parameters) -> Parameters:
    return {"said": parameters.get("text")}


def _broken(parameters: Parameters) -> Parameters:
    raise RuntimeError("ours")


THINGS = Interface(
    "org.example.things",
    "interface org.example.things\nmethod Echo(text: ?string) -> (said: ?string)\n",
    {
        "Echo": Method({"text": str}, _echo),
        "Count": Method({}, stream=_count),
        "Broken": Method({}, _broken),
    },
)


class Scene:
    """A server on a socket of its own."""

    def __init__(self, path: Path, limits: Limits = QUICK) -> None:
        self.path = path
        self.refused: list[str] = []
        self.admitted: Callable[[Peer, str], None] = lambda peer, interface: None
        self.server = VarlinkServer(
            About("us", "things", "1", ""),
            (THINGS,),
            lambda peer, interface: self.admitted(peer, interface),
            self.refused.append,
            limits,
        )

    async def start(self) -> None:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(self.path))
        listener.listen(64)
        await self.server.start([listener])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "things"


@pytest.fixture
def clients(path: Path) -> Iterator[Callable[[], Client]]:
    opened: list[Client] = []

    def connect() -> Client:
        opened.append(Client(path))
        return opened[-1]

    yield connect
    for client in opened:
        client.close()


def play(path: Path, talk: Callable[[Scene], Awaitable[None]], limits: Limits = QUICK) -> Scene:
    """A conversation with a server that is closed at its end, and leaves no task."""

    async def whole() -> Scene:
        scene = Scene(path, limits)
        await scene.start()
        try:
            await asyncio.wait_for(talk(scene), 20)
        finally:
            await scene.server.close()
            await scene.server.close()
        assert scene.server.connections == 0
        assert len(asyncio.all_tasks()) == 1
        return scene

    return asyncio.run(whole())


async def until(true: Callable[[], bool]) -> None:
    while not true():
        await asyncio.sleep(0.01)


def test_it_says_who_it_is(path: Path) -> None:
    async def talk(scene: Scene) -> None:
        info = (await asked(path, f"{SERVICE}.GetInfo"))["parameters"]
        assert info == {
            "vendor": "us",
            "product": "things",
            "version": "1",
            "url": "",
            "interfaces": [SERVICE, "org.example.things"],
        }
        for name in info["interfaces"]:
            reply = await asked(path, f"{SERVICE}.GetInterfaceDescription", {"interface": name})
            assert parse(reply["parameters"]["description"]).name == name

    assert play(path, talk).refused == []
    assert set(parse(SERVICE_DESCRIPTION).methods) == {"GetInfo", "GetInterfaceDescription"}


@pytest.mark.parametrize(
    ("method", "parameters", "error", "said"),
    [
        ("org.example.nothing.Echo", None, "InterfaceNotFound", {"interface": "org.example.nothing"}),
        ("Echo", None, "InterfaceNotFound", {"interface": ""}),
        ("org.example.things.No", None, "MethodNotFound", {"method": "org.example.things.No"}),
        ("org.example.things.Echo", {"text": 3}, "InvalidParameter", {"parameter": "text"}),
        ("org.example.things.Echo", {"word": "a"}, "InvalidParameter", {"parameter": "word"}),
        ("org.example.things.Count", {}, "ExpectedMore", {}),
        (f"{SERVICE}.GetInterfaceDescription", {}, "InvalidParameter", {"parameter": "interface"}),
        (
            f"{SERVICE}.GetInterfaceDescription",
            {"interface": "x\ud800"},
            "InterfaceNotFound",
            {"interface": "x\\ud800"},
        ),
    ],
)
def test_what_is_wrong_is_said(
    path: Path, method: str, parameters: dict[str, object] | None, error: str, said: dict[str, str]
) -> None:
    async def talk(scene: Scene) -> None:
        assert await asked(path, method, parameters) == {"error": f"{SERVICE}.{error}", "parameters": said}

    play(path, talk)


def test_another_protocol_is_not_to_be_had(path: Path) -> None:
    async def talk(scene: Scene) -> None:
        reply = await asked(path, "org.example.things.Echo", upgrade=True)
        assert reply["error"] == f"{SERVICE}.MethodNotImplemented"

    play(path, talk)


def test_calls_are_answered_in_their_order_and_those_without_reply_are_not(
    path: Path, clients: Callable[[], Client]
) -> None:
    async def talk(scene: Scene) -> None:
        client = clients()
        for number in range(50):
            client.send("org.example.things.Echo", {"text": str(number)}, oneway=number % 2 == 1)
        for number in range(0, 50, 2):
            assert (await asyncio.to_thread(client.reply))["parameters"] == {"said": str(number)}

    play(path, talk)


def test_a_client_that_says_no_more_still_gets_its_answer(path: Path, clients: Callable[[], Client]) -> None:
    async def talk(scene: Scene) -> None:
        client = clients()
        client.send("org.example.things.Echo", {"text": "a" * 60_000})
        client.sock.shutdown(socket.SHUT_WR)
        reply = await asyncio.to_thread(client.reply)
        assert len(reply["parameters"]["said"]) == 60_000
        with pytest.raises(EOFError):
            await asyncio.to_thread(client.reply)

    play(path, talk)


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (b"{\0", "no varlink"),
        (b"[]\0", "no varlink"),
        (b'{"method":3}\0', "no varlink"),
        (b'{"method":"a.b","parameters":[]}\0', "no varlink"),
        (b"\xff\xfe\0", "no varlink"),
        (b"[" * 60_000 + b"\0", "no varlink"),
        (b" " * 200_000, "too large"),
        (b"{", "too slow"),
        (b"", "too slow"),
    ],
)
def test_what_is_no_call_ends_the_connection(
    path: Path, clients: Callable[[], Client], message: bytes, why: str
) -> None:
    async def talk(scene: Scene) -> None:
        client = clients()
        with contextlib.suppress(ConnectionError):  # it may be closed before it has taken all of it
            await asyncio.to_thread(client.sock.sendall, message)
        with pytest.raises((EOFError, ConnectionError)):
            await asyncio.to_thread(client.reply)
        assert (await asked(path, f"{SERVICE}.GetInfo"))["parameters"]["vendor"] == "us"

    assert play(path, talk).refused == [why]


def test_a_stream_ends_when_its_reader_goes(path: Path, clients: Callable[[], Client]) -> None:
    async def talk(scene: Scene) -> None:
        client = clients()
        client.send("org.example.things.Count", more=True)
        for number in range(100):
            reply = await asyncio.to_thread(client.reply)
            assert (reply["parameters"]["number"], reply["continues"]) == (number, True)
        client.close()
        await until(lambda: scene.server.connections == 0)

    assert play(path, talk).refused == []


def test_a_stream_ends_when_its_reader_speaks(path: Path, clients: Callable[[], Client]) -> None:
    async def talk(scene: Scene) -> None:
        client = clients()
        client.send("org.example.things.Count", more=True)
        client.send("org.example.things.Echo", {"text": "never answered"})
        await until(lambda: scene.server.connections == 0)
        with contextlib.suppress(EOFError, ConnectionError):
            while True:
                assert "number" in (await asyncio.to_thread(client.reply))["parameters"]

    play(path, talk)


def test_who_does_not_read_is_dropped(path: Path, clients: Callable[[], Client]) -> None:
    async def talk(scene: Scene) -> None:
        clients().send("org.example.things.Count", more=True)
        await until(lambda: scene.server.connections == 1)
        await until(lambda: scene.server.connections == 0)

    assert play(path, talk).refused == ["too slow"]


def test_connections_are_counted(path: Path, clients: Callable[[], Client]) -> None:
    async def talk(scene: Scene) -> None:
        many = [clients() for _ in range(40)]
        await until(lambda: len(scene.refused) == 8)
        answered = 0
        for client in many:
            with contextlib.suppress(EOFError, ConnectionError):
                answered += "parameters" in await asyncio.to_thread(client.ask, f"{SERVICE}.GetInfo")
        assert answered == 32
        assert scene.server.connections == 32

    scene = play(path, talk, Limits())
    assert scene.refused == ["too many connections"] * 8


def test_others_leave_room_for_root_and_for_us(path: Path) -> None:
    scene = Scene(path, Limits(connections=8, reserved=3, each_user=2))
    has_room = scene.server._has_room
    uids = [1000, 1000, 1001, 1001, 1002]

    async def fill() -> list[bool]:
        rooms = []
        for uid in uids:
            rooms.append(has_room(uid))
            task = asyncio.ensure_future(asyncio.sleep(60))
            scene.server._connections[task] = Peer(1, uid)
        rooms += [has_room(1000), has_room(1003), has_room(0)]
        for task in tuple(scene.server._connections):
            task.cancel()
        return rooms

    assert asyncio.run(fill()) == [True] * 5 + [False, False, True]


def test_who_may_not_ask_is_told_so(path: Path) -> None:
    def nobody(peer: Peer, interface: str) -> None:
        assert (peer.pid > 0, interface) == (True, "org.example.things")
        raise VarlinkError("org.example.things.No", why="because")

    async def talk(scene: Scene) -> None:
        scene.admitted = nobody
        reply = await asked(path, "org.example.things.Echo")
        assert reply == {"error": "org.example.things.No", "parameters": {"why": "because"}}
        assert "parameters" in await asked(path, f"{SERVICE}.GetInfo")

    play(path, talk)


def test_a_fault_of_ours_ends_one_connection_only(path: Path, clients: Callable[[], Client]) -> None:
    async def talk(scene: Scene) -> None:
        with pytest.raises((EOFError, ConnectionError)):
            await asyncio.to_thread(clients().ask, "org.example.things.Broken")
        assert "parameters" in await asked(path, f"{SERVICE}.GetInfo")

    assert play(path, talk).refused == ["failed"]


def test_calls_are_read_as_they_are_meant() -> None:
    call = parse_call(b'{"method":"a.b.C","parameters":null,"more":1,"oneway":true}')
    assert call is not None
    assert (call.interface, call.method, call.parameters, call.more, call.oneway) == (
        "a.b",
        "C",
        {},
        False,
        True,
    )


def test_what_strict_readers_refuse_is_replaced() -> None:
    deep: object = "end"
    for _ in range(100):
        deep = [deep]
    sent = encode({"name\udc80": "a\udcff", "bad": float("nan"), "deep": deep, "other": {1, 2}.__class__})
    assert sent.endswith(b"\0")
    assert b"NaN" not in sent
    assert b"\\udc" not in sent.replace(b"\\\\", b"")
    assert b'"bad":null' in sent
    assert b'"end"' not in sent
