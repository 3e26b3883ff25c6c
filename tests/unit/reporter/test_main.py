"""The reporter as a process: what it prints, when it confirms, how it ends."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from oomguardd.reporter.__main__ import main
from tests.shell.reporting import CONFIG


class Guard:
    """A listener, and the reporter that it talks to."""

    def __init__(self, directory: Path) -> None:
        # Whoever the reporter becomes must be able to connect.
        directory.chmod(0o777)
        self.config = directory / "oomguard.toml"
        self.config.write_text(CONFIG.format(directory))
        self.path = directory / "guard.sock"
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(str(self.path))
        self.path.chmod(0o666)
        self.listener.listen()
        self.listener.settimeout(20)
        self.started: list[subprocess.Popen[bytes]] = []

    @property
    def command(self) -> list[str]:
        words = ("--socket", str(self.path), "--config", str(self.config))
        return [sys.executable, "-m", "oomguardd.reporter", *words]

    def start(self, *options: str, **environ: str) -> tuple[subprocess.Popen[bytes], socket.socket]:
        reporter = subprocess.Popen(
            [*self.command, *options], stderr=subprocess.PIPE, env={**os.environ, **environ}
        )
        self.started.append(reporter)
        peer, _ = self.listener.accept()
        peer.settimeout(20)
        assert json.loads(peer.recv(4096))["hello"] == 1
        return reporter, peer


@pytest.fixture
def guard() -> Iterator[Guard]:
    # Not tmp_path: its parents are closed to other users.
    directory = Path(f"/tmp/oomguard-test-{os.getpid()}-{time.monotonic_ns()}")
    directory.mkdir()
    made = Guard(directory)
    with contextlib.closing(made.listener):
        yield made
    for reporter in made.started:  # of a test that failed
        if reporter.poll() is None:
            reporter.kill()
            reporter.wait()
    shutil.rmtree(directory)


def send(peer: socket.socket, seq: int, **fields: object) -> None:
    record = {"kind": "stopping", "run": "r", "seq": seq, "time_s": 1.7e9, "priority": 5, **fields}
    peer.send(json.dumps(record).encode())


def ended(reporter: subprocess.Popen[bytes]) -> str:
    """What it wrote, once it has ended by SIGTERM, with status 0."""
    reporter.send_signal(signal.SIGTERM)
    _, written = reporter.communicate(timeout=20)
    assert reporter.returncode == 0
    return written.decode()


def test_records_become_lines_and_are_confirmed(guard: Guard) -> None:
    reporter, peer = guard.start()
    send(peer, 1, why="SIGTERM\n2023-11-14 emerg forged")
    assert json.loads(peer.recv(4096)) == {"ack": 1}
    line = ended(reporter)
    peer.close()
    assert line.startswith("2023-11-1")
    assert line.endswith(" notice  stopping: SIGTERM\\n2023-11-14 emerg forged\n")


def test_what_arrives_before_the_end_is_written(guard: Guard) -> None:
    reporter, peer = guard.start()
    for seq in range(1, 9):
        send(peer, seq, why=f"number {seq}")
    written = ended(reporter)
    peer.close()
    assert [f"number {seq}" in written for seq in range(1, 9)] == [True] * 8


def test_the_level_hides_and_still_confirms(guard: Guard) -> None:
    reporter, peer = guard.start("--log-level", "warning")
    send(peer, 1, priority=6, why="hidden")
    assert json.loads(peer.recv(4096)) == {"ack": 1}
    send(peer, 2, priority=4, why="shown")
    assert json.loads(peer.recv(4096)) == {"ack": 2}
    written = ended(reporter)
    peer.close()
    assert "shown" in written
    assert "hidden" not in written


def test_nothing_is_confirmed_that_is_not_written(guard: Guard) -> None:
    reporter, peer = guard.start()
    assert reporter.stderr is not None
    sent = 0
    confirmed = 0
    peer.settimeout(1)
    with contextlib.suppress(TimeoutError):  # nobody reads its pipe: at some point it must stop confirming
        while sent < 1000:
            sent += 1
            send(peer, sent, why="x" * 390)
            confirmed = json.loads(peer.recv(4096))["ack"]
    assert 100 < confirmed < sent < 1000
    peer.settimeout(20)
    while confirmed < sent:
        os.read(reporter.stderr.fileno(), 1 << 16)
        confirmed = json.loads(peer.recv(4096))["ack"]
    assert confirmed == sent
    ended(reporter)
    peer.close()


def test_sigterm_ends_it_although_its_pipe_is_full(guard: Guard) -> None:
    reporter, peer = guard.start()
    peer.settimeout(0.5)
    with contextlib.suppress(TimeoutError):
        for seq in range(1, 1000):
            send(peer, seq, why="x" * 390)
            peer.recv(4096)
    reporter.send_signal(signal.SIGTERM)
    assert reporter.wait(20) == 0
    reporter.communicate()
    peer.close()


def test_a_reader_that_went_away_does_not_end_it(guard: Guard) -> None:
    reporter, peer = guard.start()
    assert reporter.stderr is not None
    reporter.stderr.close()
    for seq in (1, 2):  # others are still to be told, and the history has it
        send(peer, seq)
        assert json.loads(peer.recv(4096)) == {"ack": seq}
    reporter.send_signal(signal.SIGTERM)
    assert reporter.wait(20) == 0
    peer.close()


def test_systemd_is_told_and_the_journal_gets_priorities(guard: Guard, tmp_path: Path) -> None:
    notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notify.bind(str(guard.path.parent / "notify"))
    (guard.path.parent / "notify").chmod(0o666)
    notify.settimeout(20)
    reading, writing = os.pipe()
    status = os.fstat(writing)
    reporter = subprocess.Popen(
        guard.command,
        stderr=writing,
        env={
            **os.environ,
            "NOTIFY_SOCKET": str(guard.path.parent / "notify"),
            "JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}",
        },
    )
    os.close(writing)
    peer, _ = guard.listener.accept()
    assert notify.recv(4096).startswith(b"READY=1")
    send(peer, 1, time_s=time.time(), why="x")
    reporter.send_signal(signal.SIGTERM)
    assert reporter.wait(20) == 0
    with open(reading, "rb") as log:
        assert log.read() == b"<5>stopping: x\n"
    assert notify.recv(4096) == b"STOPPING=1"
    peer.close()
    notify.close()
    (guard.path.parent / "notify").unlink()


def test_a_bad_configuration_does_not_silence_it(guard: Guard) -> None:
    guard.config.write_text("[guard]\nsokcet = 3\n")
    reporter, peer = guard.start(STATE_DIRECTORY=str(guard.path.parent / "state"))
    send(peer, 1)
    assert json.loads(peer.recv(4096)) == {"ack": 1}
    written = ended(reporter)
    peer.close()
    assert "the reporter runs on its defaults" in written
    assert "sokcet" in written


def test_usage(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as wrong:
        main(["--no-such-option"])
    assert wrong.value.code == 2
    assert main(["--log-level", "loud", "--socket", "/x"]) == 2
    with pytest.raises(SystemExit) as version:
        main(["--version"])
    assert version.value.code == 0
    assert capfd.readouterr().out.startswith("oomguardd ")
