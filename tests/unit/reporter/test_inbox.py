"""The reporter's side of the socket, against a real listener that misbehaves in every way."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from oomguardd.reporter.inbox import MAX_DATAGRAM_BYTES, Inbox, Record, Seen, parse_record, seq_of


def kept(seq: int, run: str = "r1", **more: object) -> bytes:
    return json.dumps({"kind": "gap", "run": run, "seq": seq, **more}).encode()


class Guard:
    """A listener that does what a test tells it."""

    def __init__(self, path: Path) -> None:
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(str(path))
        self.listener.listen()
        self.listener.settimeout(10)

    def accept(self) -> socket.socket:
        peer, _ = self.listener.accept()
        peer.settimeout(10)
        return peer

    @staticmethod
    def heard(peer: socket.socket) -> object:
        return json.loads(peer.recv(4096))


@pytest.fixture
def guard(tmp_path: Path) -> Iterator[Guard]:
    made = Guard(tmp_path / "guard.sock")
    with contextlib.closing(made.listener):
        yield made


class Client:
    """An inbox being read, with what it handed out; each record is confirmed."""

    def __init__(self, path: Path) -> None:
        self.got: list[Record] = []
        self.stopping = asyncio.Event()
        self.inbox = Inbox(str(path), self.stopping, time.time)
        self.task = asyncio.ensure_future(self._read())

    async def _read(self) -> None:
        async for record in self.inbox.records():
            self.got.append(record)
            await self.inbox.confirm(record)

    async def until(self, count: int) -> None:
        while len(self.got) < count:
            await asyncio.sleep(0.005)

    async def stop(self) -> None:
        self.stopping.set()
        await asyncio.wait_for(self.task, 5)

    def words(self) -> list[tuple[object, ...]]:
        return [(record["kind"], record["seq"], record.get("count", "")) for record in self.got]


def run(scenario: object) -> None:
    assert asyncio.iscoroutine(scenario)
    asyncio.run(asyncio.wait_for(scenario, 20))


def test_hello_then_each_record_is_confirmed(guard: Guard, tmp_path: Path) -> None:
    async def scenario() -> None:
        client = Client(tmp_path / "guard.sock")
        peer = await asyncio.to_thread(guard.accept)
        assert await asyncio.to_thread(guard.heard, peer) == {"hello": 1, "run": "", "last": 0}
        peer.send(kept(1))
        assert await asyncio.to_thread(guard.heard, peer) == {"ack": 1}
        peer.send(kept(0))
        peer.send(kept(2))
        assert await asyncio.to_thread(guard.heard, peer) == {"ack": 2}, "what is not kept is not confirmed"
        await client.stop()
        peer.close()
        assert client.words() == [("gap", 1, ""), ("gap", 0, ""), ("gap", 2, "")]

    run(scenario())


def test_after_a_reconnect_nothing_is_handed_out_twice(guard: Guard, tmp_path: Path) -> None:
    async def scenario() -> None:
        client = Client(tmp_path / "guard.sock")
        peer = await asyncio.to_thread(guard.accept)
        peer.send(kept(1))
        peer.send(kept(2))
        await client.until(2)
        peer.close()
        peer = await asyncio.to_thread(guard.accept)
        assert await asyncio.to_thread(guard.heard, peer) == {"hello": 1, "run": "r1", "last": 2}
        for seq in (1, 2, 3):
            peer.send(kept(seq))
        await client.until(3)
        await client.stop()
        peer.close()
        assert client.words() == [("gap", 1, ""), ("gap", 2, ""), ("gap", 3, "")]

    run(scenario())


def test_lost_records_are_counted_and_a_new_run_starts_anew(guard: Guard, tmp_path: Path) -> None:
    async def scenario() -> None:
        client = Client(tmp_path / "guard.sock")
        peer = await asyncio.to_thread(guard.accept)
        for datagram in (kept(1), kept(5), kept(1, "r2"), kept(2, "r2"), kept(3, "r3")):
            peer.send(datagram)
        await client.until(7)
        await client.stop()
        peer.close()
        assert client.words() == [
            ("gap", 1, ""),
            ("lost", 0, 3),
            ("gap", 5, ""),
            ("gap", 1, ""),
            ("gap", 2, ""),
            ("lost", 0, 2),
            ("gap", 3, ""),
        ]

    run(scenario())


def test_malformed_datagrams_are_survived_and_told_once(guard: Guard, tmp_path: Path) -> None:
    async def scenario() -> None:
        client = Client(tmp_path / "guard.sock")
        peer = await asyncio.to_thread(guard.accept)
        for datagram in (
            b"{",
            b"\xff\xfe",
            b"[]",
            b"{}",
            b'{"kind": 3}',
            b"[" * 30_000,
            b"x" * 70_000,
            kept(1),
        ):
            await asyncio.to_thread(peer.send, datagram)
        await client.until(2)
        await client.stop()
        peer.close()
        assert client.words() == [("fault", 0, ""), ("gap", 1, "")]

    run(scenario())


def test_stopping_hands_out_what_has_arrived(guard: Guard, tmp_path: Path) -> None:
    async def scenario() -> None:
        client = Client(tmp_path / "guard.sock")
        peer = await asyncio.to_thread(guard.accept)
        await asyncio.to_thread(guard.heard, peer)
        for seq in range(1, 9):  # net.unix.max_dgram_qlen is 10 on a bare kernel
            peer.send(kept(seq))
        await client.stop()  # in the same turn of the loop: nothing has been read yet
        assert [await asyncio.to_thread(guard.heard, peer) for _ in range(8)] == [
            {"ack": seq} for seq in range(1, 9)
        ]
        peer.close()
        assert len(client.got) == 8

    run(scenario())


def test_a_guard_that_is_not_there_is_waited_for(tmp_path: Path) -> None:
    async def scenario() -> None:
        client = Client(tmp_path / "guard.sock")
        await client.until(1)  # after three attempts one line, and no more
        late = Guard(tmp_path / "guard.sock")
        peer = await asyncio.to_thread(late.accept)
        peer.send(kept(1))
        await client.until(2)
        await client.stop()
        peer.close()
        late.listener.close()
        assert [record["kind"] for record in client.got] == ["fault", "gap"]
        assert "No such file" in str(client.got[0]["error"])

    run(scenario())


def test_stopping_does_not_wait_for_the_back_off(tmp_path: Path) -> None:
    async def scenario() -> float:
        client = Client(tmp_path / "nobody.sock")
        await asyncio.sleep(0.5)
        began_s = time.monotonic()
        await client.stop()
        return time.monotonic() - began_s

    assert asyncio.run(scenario()) < 1


@pytest.mark.parametrize(
    "datagram", [b"", b"nul", b"3", b"[1]", b"{}", b'{"kind": []}', b" " * (MAX_DATAGRAM_BYTES + 1)]
)
def test_what_is_no_record(datagram: bytes) -> None:
    assert isinstance(parse_record(datagram), str)


def test_numbers_of_records() -> None:
    assert [seq_of({"seq": seq}) for seq in (3, 0, -1, True, "3", None, 2.0)] == [3, 0, 0, 0, 0, 0, 0]


def test_the_first_record_of_a_reporters_life_loses_nothing() -> None:
    seen = Seen()
    assert seen.admit("r1", 300) == 0
    assert seen.admit("r1", 300) is None
    assert seen.admit("r1", 302) == 1
    assert seen.admit("r1", 0) == 0
    assert seen.admit("r2", 1) == 0


def test_what_the_history_has_is_taken_again_and_nothing_counts_as_lost() -> None:
    seen = Seen(kept_run="r1", kept=7)
    assert seen.admit("r1", 5) == 0, "the guard begins with what nobody has confirmed"
    assert [seen.is_kept({"run": "r1", "seq": seq}) for seq in (5, 7, 8, 0)] == [True, True, False, False]
    assert not seen.is_kept({"run": "r2", "seq": 5})
    assert [seen.admit("r1", seq) for seq in (6, 6, 7, 8)] == [0, None, 0, 0]
    assert Seen(kept_run="r1", kept=7).admit("r1", 11) == 3, "8 to 10 are nowhere"
    assert Seen(kept_run="r1", kept=7).admit("r2", 3) == 2
