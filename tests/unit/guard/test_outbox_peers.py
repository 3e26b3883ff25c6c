"""Who may connect to the outbox, and what strangers and nonsense come to."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
from pathlib import Path

import pytest

from oomguardd.guard.errors import StartError
from oomguardd.guard.outbox import PEERS, listen, reporter_uids
from tests.shell.rig import open_fds
from tests.unit.guard.office import numbers, office, received


def test_nothing_before_hello(tmp_path: Path) -> None:
    with office(tmp_path) as place, place.connect() as sock:
        place.outbox.put("level", 5)
        place.outbox.put_state("state", 6)
        place.settle()
        assert received(sock) == []


@pytest.mark.parametrize(
    "garbage",
    [
        b"\xff\xfe\x00",
        b"{",
        b"[]",
        b"null",
        b"3",
        b"[" * 4000,
        b"x" * 8000,
        b'{"ack":"1"}',
        b'{"ack":null}',
        b'{"ack":1e999}',
        b'{"ack":999999}',
        b'{"ack":-1}',
        b'{"ack":true}',
        b'{"ack":' + b"9" * 4000 + b"}",
    ],
)
def test_garbage_from_a_peer_changes_nothing(tmp_path: Path, garbage: bytes) -> None:
    with office(tmp_path) as place, place.reporter() as sock:
        place.outbox.put_vital("kill", 1)
        sock.send(garbage)
        place.settle()
        assert len(list(place.outbox.unseen())) == 1
        place.outbox.put("level", 5)
        assert numbers(received(sock)) == [1, 2]


@pytest.mark.parametrize("last", ["7", None, [], {}, True, 1.5])
def test_hello_with_nonsense_starts_from_the_first(tmp_path: Path, last: object) -> None:
    with office(tmp_path) as place, place.connect() as sock:
        place.outbox.put("level", 5)
        sock.send(json.dumps({"hello": {}, "run": ["run1"], "last": last}).encode())
        place.settle()
        assert numbers(received(sock)) == [1]


def test_an_empty_datagram_is_an_end(tmp_path: Path) -> None:
    """That is what a closed peer looks like; the record goes to the next one."""
    with office(tmp_path) as place, place.reporter() as sock:
        sock.send(b"")
        place.settle()
        assert place.outbox.peers == 0
        place.outbox.put("level", 5)
        with place.reporter() as again:
            assert numbers(received(again)) == [1]


def test_foreign_users_are_refused(tmp_path: Path) -> None:
    with office(tmp_path, uids=frozenset({os.geteuid() + 12345})) as place:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with sock:
            sock.connect(place.path)
            sock.send(b'{"hello":1,"run":"","last":0}')
            place.outbox.put("level", 5)
            place.settle()
            assert place.outbox.peers == 0
            with contextlib.suppress(ConnectionResetError):
                assert sock.recv(100) == b""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_process_of_another_user_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents[:3]:
        if parent.stat().st_uid == os.geteuid() and parent.name.startswith("pytest"):
            parent.chmod(0o755)
    with office(tmp_path, uids=frozenset({0})) as place:
        place.outbox.put_vital("kill", 1)
        os.chmod(place.path, 0o666)  # the second fence is to hold where the first is down
        pid = os.fork()
        if pid == 0:
            status = 3
            try:
                os.setresuid(65533, 65533, 65533)
                with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
                    sock.connect(place.path)
                    with contextlib.suppress(OSError):
                        sock.send(b'{"hello":1,"run":"","last":0}')
                    sock.settimeout(20)
                    try:
                        status = 1 if sock.recv(100) else 0
                    except ConnectionResetError:
                        status = 0
            finally:
                os._exit(status)
        ended: list[int] = []

        def gone() -> bool:
            found, status = os.waitpid(pid, os.WNOHANG)
            ended.extend([os.waitstatus_to_exitcode(status)] if found else [])
            return bool(ended)

        assert place.run(gone)
        assert ended == [0]


def test_no_more_peers_than_there_is_room_for(tmp_path: Path) -> None:
    with office(tmp_path) as place, contextlib.ExitStack() as stack:
        for _ in range(PEERS):
            stack.enter_context(place.connect())
        extra = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET))
        extra.connect(place.path)
        place.settle()
        assert place.outbox.peers == PEERS
        assert extra.recv(100) == b""


def test_one_guard_on_a_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "deep/guard.sock")
    listener, lock = listen(path)
    with listener, pytest.raises(StartError, match="another oomguardd"):
        listen(path)
    os.close(lock)
    again, lock = listen(path)  # what a dead one left behind is no hindrance
    again.close()
    os.close(lock)


def test_a_socket_where_none_can_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    fds = open_fds()
    with pytest.raises(StartError, match="socket"):
        listen(str(tmp_path / "file/guard.sock"))
    with pytest.raises(StartError, match="socket"):
        listen(str(tmp_path / ("x" * 200)))
    assert open_fds() == fds


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_strangers_cannot_even_connect(tmp_path: Path) -> None:
    listener, lock = listen(str(tmp_path / "guard.sock"), frozenset({0, 4711}))
    status = (tmp_path / "guard.sock").stat()
    assert (status.st_uid, status.st_mode & 0o777) == (4711, 0o600)
    listener.close()
    os.close(lock)


def test_who_may_listen() -> None:
    assert {0, os.geteuid()} <= reporter_uids("root")
    assert len(reporter_uids("no-such-user-here")) <= 3


def test_whoever_can_read_the_directory_cannot_lock_us_out(tmp_path: Path) -> None:
    path = str(tmp_path / "run" / "guard.sock")
    os.makedirs(os.path.dirname(path))
    reader = os.open(os.path.dirname(path), os.O_RDONLY)
    fcntl.flock(reader, fcntl.LOCK_EX)
    try:
        listener, lock = listen(path)
        with pytest.raises(StartError, match="another oomguardd"):
            listen(path)
        listener.close()
        os.close(lock)
        os.chmod(os.path.dirname(path), 0o777)
        with pytest.raises(StartError, match="others may write"):
            listen(path)
    finally:
        os.close(reader)
