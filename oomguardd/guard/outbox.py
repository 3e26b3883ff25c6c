"""The guard's one way of telling anything: a Unix socket (SOCK_SEQPACKET) that never blocks it.

Rule of this file: kill first, tell later. A record is one JSON object in one datagram. Kept records are
numbered
from 1, stay in a bounded ring and are sent again to whoever reconnects and says the last number it saw; state
records are dropped when the peer's buffer is full. Nobody's slowness may reach the tick.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import pwd
import socket
import stat
import struct
import time
from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

from oomguardd.guard.errors import StartError

RING_BYTES = 1 << 20
"""All kept records together. A kill with its end takes 6 KiB, or 1 KiB when it had to be shortened: a
thousand of them outlast a quarter of an hour without a reporter at the default limit of 60 a minute."""
SHORT_BYTES = 700
"""A record below that is not worth shortening."""
RECORD_BYTES = 60_000
"""Below the smallest default socket buffer (net.core.wmem_default is 208 KiB)."""
PEERS = 8
HELLO_S = 10.0
"""Who has said nothing by then is no reporter."""
AGAIN_S = 1.0
LOCK = "lock"
"""Name of the file beside the socket that makes us the only guard on it."""
_CREDENTIALS = struct.Struct("3i")


class Kept(NamedTuple):
    """A record that is kept until it is certain that somebody has it."""

    seq: int
    vital: bool
    """A kill, its end, or why there is none: the last to be given up when the ring is full."""
    datagram: bytes


class Peer:
    """One connected reporter and how far it is. `next_seq` is 0 until it has said hello."""

    __slots__ = ("next_seq", "sock")

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.next_seq = 0


class Outbox:
    """See the head of this file. Before `serve`, records are only kept."""

    def __init__(self, run: str, ring_bytes: int = RING_BYTES) -> None:
        self.run = run
        self.dropped = 0
        """State records that no peer had room for, and kept ones that fell out of a full ring unseen."""
        self.acked = 0
        self._ring: deque[Kept] = deque()
        self._room = ring_bytes
        self._held = 0
        self._seq = 0
        self._peers: dict[int, Peer] = {}
        self._listener: socket.socket | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._uids: frozenset[int] = frozenset()

    @property
    def peers(self) -> int:
        return len(self._peers)

    def put(self, kind: str, priority: int, **fields: object) -> None:
        """A kept record. Never blocks, never raises."""
        self._keep(kind, priority, fields, vital=False)

    def put_vital(self, kind: str, priority: int, **fields: object) -> None:
        """A kill, its end, or why there is none: the last to be given up when the ring is full."""
        self._keep(kind, priority, fields, vital=True)

    def put_state(self, kind: str, priority: int, **fields: object) -> None:
        """Not kept: dropped for a peer that has no room, or has not got everything before."""
        datagram = self._encode(kind, priority, 0, fields)
        for peer in tuple(self._peers.values()):
            if peer.next_seq <= self._seq or not self._send(peer, datagram):
                self.dropped += 1

    def _keep(self, kind: str, priority: int, fields: dict[str, object], vital: bool) -> None:
        self._seq += 1
        datagram = self._encode(kind, priority, self._seq, fields)
        self._ring.append(Kept(self._seq, vital, datagram))
        self._held += len(datagram)
        while self._held > self._room and len(self._ring) > 1:
            self._make_room()
        for peer in tuple(self._peers.values()):
            self._pump(peer)

    def _encode(self, kind: str, priority: int, seq: int, fields: dict[str, object]) -> bytes:
        head = {"kind": kind, "run": self.run, "seq": seq, "time_s": time.time(), "priority": priority}
        return _encode({**head, **fields})

    def unseen(self) -> Iterable[bytes]:
        """Vital records that no reporter has confirmed: to be told in another way before the end."""
        return [kept.datagram for kept in self._ring if kept.vital and kept.seq > self.acked]

    def serve(self, loop: asyncio.AbstractEventLoop, listener: socket.socket, uids: frozenset[int]) -> None:
        """Accept peers of these users from now on."""
        listener.setblocking(False)
        self._loop, self._listener, self._uids = loop, listener, uids
        loop.add_reader(listener.fileno(), self._accept)

    def close(self) -> None:
        """Lets go of every peer and of the listener."""
        for peer in tuple(self._peers.values()):
            self._drop(peer)
        if self._listener is not None and self._loop is not None:
            self._loop.remove_reader(self._listener.fileno())
            self._listener.close()
            self._listener = None

    def hear_all(self) -> None:
        """What the peers have said until now: their last words, when the loop will not run again."""
        for peer in tuple(self._peers.values()):
            while peer.sock.fileno() >= 0 and self._hear(peer):
                pass

    def _make_room(self) -> None:
        """Gives up what is known or matters least; then the explanations of kills, the oldest first; then
        those.
        """
        ring = self._ring
        least = next((i for i, kept in enumerate(ring) if not kept.vital or kept.seq <= self.acked), -1)
        if least < 0:
            long = next((i for i, kept in enumerate(ring) if len(kept.datagram) > SHORT_BYTES), -1)
            if 0 <= long < len(ring) - 1:
                old = ring[long]
                ring[long] = old._replace(datagram=shorten(old.datagram))
                self._held -= len(old.datagram) - len(ring[long].datagram)
                return
            least = 0
        if ring[least].seq > self.acked:
            self.dropped += 1
        self._held -= len(ring[least].datagram)
        del ring[least]

    def _accept(self) -> None:
        if self._listener is None or self._loop is None:
            return
        try:
            sock, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionError):
            return  # it gave up again
        except OSError:  # no descriptor left: asking again at once would only take the processor
            self._loop.remove_reader(self._listener.fileno())
            self._loop.call_later(AGAIN_S, self._accept_again)
            return
        sock.setblocking(False)
        _, uid, _ = _CREDENTIALS.unpack(
            sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        )
        if uid not in self._uids or len(self._peers) >= PEERS:
            sock.close()
            return
        peer = self._peers[sock.fileno()] = Peer(sock)
        self._loop.add_reader(sock.fileno(), self._hear, peer)
        self._loop.call_later(HELLO_S, self._expect_hello, peer)

    def _accept_again(self) -> None:
        if self._listener is not None and self._loop is not None:
            self._loop.add_reader(self._listener.fileno(), self._accept)

    def _expect_hello(self, peer: Peer) -> None:
        if peer.next_seq == 0:
            self._drop(peer)  # it takes a place that a reporter may need

    def _hear(self, peer: Peer) -> bool:
        """Takes in one datagram; False if there was none."""
        try:
            data = peer.sock.recv(4096)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            data = b""
        if not data:
            self._drop(peer)
            return False
        word = _decode(data)
        ack, last = word.get("ack"), word.get("last")
        if isinstance(ack, int) and not isinstance(ack, bool) and ack <= self._seq:
            self.acked = max(self.acked, ack)
        if "hello" in word:
            known = isinstance(last, int) and word.get("run") == self.run and 0 <= last <= self._seq
            peer.next_seq = (last if known and isinstance(last, int) else self.acked) + 1
            self._pump(peer)
        return True

    def _pump(self, peer: Peer) -> None:
        """Sends what the peer has not got; the rest when it has room again."""
        if peer.next_seq == 0:
            return
        for kept in self._ring:
            if kept.seq < peer.next_seq:
                continue
            if not self._send(peer, kept.datagram):
                return
            peer.next_seq = kept.seq + 1
        if self._loop is not None:
            self._loop.remove_writer(peer.sock.fileno())

    def _send(self, peer: Peer, datagram: bytes) -> bool:
        if peer.next_seq == 0 or peer.sock.fileno() < 0:
            return False
        try:
            peer.sock.send(datagram)
        except (BlockingIOError, InterruptedError):
            if self._loop is not None:
                self._loop.add_writer(peer.sock.fileno(), self._pump, peer)
            return False
        except OSError:
            self._drop(peer)
            return False
        return True

    def _drop(self, peer: Peer) -> None:
        fd = peer.sock.fileno()
        if fd < 0 or self._loop is None:
            return
        self._loop.remove_reader(fd)
        self._loop.remove_writer(fd)
        self._peers.pop(fd, None)
        peer.sock.close()


def shorten(datagram: bytes) -> bytes:
    """The record without its explanation: who was killed, how, and why in names."""
    record = _decode(datagram)
    short = {key: value for key, value in record.items() if not isinstance(value, (list, dict))}
    short = {key: value[:1000] if isinstance(value, str) else value for key, value in short.items()}
    victim = record.get("victim")
    if isinstance(victim, dict):
        short["victim"] = {key: victim.get(key) for key in ("pid", "comm", "uid", "held_bytes")}
    party = record.get("party")
    if isinstance(party, dict):
        short["party"] = {key: party.get(key) for key in ("unit", "cgroup", "count", "held_bytes")}
    if isinstance(record.get("triggers"), list):
        short["triggers"] = record["triggers"]
    return json.dumps({**short, "shortened": True}, separators=(",", ":"), default=str).encode()


def _encode(record: dict[str, object]) -> bytes:
    """What does not fit loses first what matters least; who was killed, and why, is never lost."""
    data = json.dumps(record, separators=(",", ":"), default=str).encode()
    for key in ("spared", "runners_up", "readings", "traceback", "problems"):
        if len(data) <= RECORD_BYTES:
            return data
        record = {name: value for name, value in record.items() if name != key} | {"shortened": True}
        data = json.dumps(record, separators=(",", ":"), default=str).encode()
    return data if len(data) <= RECORD_BYTES else shorten(data)


def _decode(data: bytes) -> dict[str, object]:
    try:
        word = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return word if isinstance(word, dict) else {}


def listen(path: str, uids: frozenset[int] = frozenset()) -> tuple[socket.socket, int]:
    """The listening socket, and a lock that makes us the only guard on it. StartError with the remedy.

    As root it belongs to the first of `uids` that is somebody else: nobody but that one and root can even
    connect, so that a flood of strangers costs us nothing. SO_PEERCRED is asked all the same.
    """
    directory = os.path.dirname(path) or "."
    try:
        os.makedirs(directory, 0o755, exist_ok=True)
        owner = os.stat(directory)
        if owner.st_uid not in (0, os.geteuid()) or owner.st_mode & stat.S_IWOTH:
            raise StartError(f"{directory}: others may write there; use --socket in a directory of your own")
        # A file that only we may open: whoever can read a directory can lock it as well.
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        lock = os.open(os.path.join(directory, LOCK), flags, 0o600)
    except OSError as error:
        raise StartError(f"{directory}: {error.strerror}; make it writable or use --socket") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise StartError(f"{path}: another oomguardd is running; stop it or use another --socket") from None
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            os.close(lock)
            raise StartError(f"{path}: exists and is no socket; remove it or use another --socket")
        os.unlink(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        os.close(lock)
        raise StartError(f"{path}: {error.strerror}; remove it or use another --socket") from None
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
    try:
        before = os.umask(0o177)
        try:
            listener.bind(path)
        finally:
            os.umask(before)
        if os.geteuid() == 0 and (others := sorted(uids - {0})):
            os.chown(path, others[0], -1, follow_symlinks=False)
        listener.listen(PEERS)
    except OSError as error:
        listener.close()
        os.close(lock)
        raise StartError(f"{path}: {error.strerror or error}; use another --socket") from None
    return listener, lock


def reporter_uids(user: str) -> frozenset[int]:
    """Who may listen: root, ourselves and the reporter's user, and nobody where there is no such user."""
    uids = {0, os.geteuid()}
    for name in (user, "nobody"):
        with contextlib.suppress(KeyError):
            uids.add(pwd.getpwnam(name).pw_uid)
            break
    return frozenset(uids)
