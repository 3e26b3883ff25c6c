"""What systemd and the kernel let us do."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from oomguardd.kernel import syscalls
from oomguardd.kernel.capability import effective, parse_effective
from oomguardd.kernel.clock import boottime_s, monotonic_s, suspended_s
from oomguardd.kernel.files import SensorError
from oomguardd.kernel.notify import Notifier, listen_fds, watchdog_interval_s


@pytest.mark.parametrize("abstract", [False, True])
def test_notify_reaches_systemd(tmp_path: Path, abstract: bool) -> None:
    name = f"@oomguardd-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind("\0" + name[1:] if abstract else name)
        notifier = Notifier({"NOTIFY_SOCKET": name})
        assert notifier.connected
        assert notifier.send("READY=1", "STATUS=watching")
        assert systemd.recv(100) == b"READY=1\nSTATUS=watching"
        notifier.close()
        notifier.close()
        assert not notifier.send("READY=1")


def test_notify_never_waits_for_systemd(tmp_path: Path) -> None:
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(path)
        notifier = Notifier({"NOTIFY_SOCKET": path})
        sent = [notifier.send("STATUS=" + "x" * 1000) for _ in range(2000)]
        assert sent[0]
        assert not sent[-1]
        notifier.close()


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "/nonexistent/x"}])
def test_nobody_to_notify(environ: dict[str, str]) -> None:
    notifier = Notifier(environ)
    assert not notifier.connected
    assert not notifier.send("READY=1")
    notifier.close()


@pytest.mark.parametrize(
    ("environ", "interval_s"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "2000000"}, 2.0),
        ({"WATCHDOG_USEC": "2000000", "WATCHDOG_PID": "7"}, 2.0),
        ({"WATCHDOG_USEC": "2000000", "WATCHDOG_PID": "8"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_watchdog(environ: dict[str, str], interval_s: float | None) -> None:
    assert watchdog_interval_s(environ, pid=7) == interval_s


_CHILD = """
import os, sys
sys.path.insert(0, os.getcwd())
from oomguardd.kernel.notify import listen_fds
os.dup2(os.open("/dev/null", os.O_RDONLY), 3)
os.set_inheritable(3, True)
me = str(os.getpid())
found = listen_fds({"LISTEN_PID": me, "LISTEN_FDS": "2", "LISTEN_FDNAMES": "psi:gone"})
assert found == {"psi": 3}, found
assert not os.get_inheritable(3)
assert listen_fds({"LISTEN_PID": me, "LISTEN_FDS": "1"}) == {"unknown": 3}
"""


def test_descriptors_from_systemd() -> None:
    # In a child, because descriptor 3 is somebody's here.
    done = subprocess.run([sys.executable, "-c", _CHILD], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "environ",
    [{}, {"LISTEN_PID": "8", "LISTEN_FDS": "1"}, {"LISTEN_PID": "7", "LISTEN_FDS": "x"}, {"LISTEN_PID": "7"}],
)
def test_no_descriptors_from_systemd(environ: dict[str, str]) -> None:
    assert listen_fds(environ, pid=7) == {}


def test_capabilities() -> None:
    assert parse_effective(b"Name:\tx\nCapEff:\t0000000001004022\n") == {
        "DAC_OVERRIDE",
        "KILL",
        "IPC_LOCK",
        "SYS_RESOURCE",
    }
    assert parse_effective(b"Name:\tx\nCapEff:\t0000000000000000\n") == frozenset()
    for bad in (b"", b"\nCapEff:\tx\n", b"\nCapEff:\t00ff"):
        with pytest.raises(SensorError, match="CapEff"):
            parse_effective(bad)


def test_our_own_capabilities() -> None:
    fd = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY)
    try:
        assert isinstance(effective(fd), frozenset)
        assert "KILL" in effective(fd) or os.getuid() != 0
    finally:
        os.close(fd)


def test_clocks() -> None:
    assert 0 < monotonic_s() <= boottime_s()
    assert suspended_s() >= 0


def test_lock_and_unlock() -> None:
    error = syscalls.lock_memory(syscalls.MCL_CURRENT | syscalls.MCL_ONFAULT)
    assert error is None or isinstance(error, OSError)
    assert syscalls.unlock_memory() is None
    refused = syscalls.lock_memory(1 << 20)
    assert refused is not None
    assert refused.filename == "mlockall"


def test_mrelease_of_the_living_and_of_nothing() -> None:
    pidfd = os.pidfd_open(os.getpid())
    try:
        assert syscalls.process_mrelease(pidfd) != 0, "we are not dying"
    finally:
        os.close(pidfd)
    assert syscalls.process_mrelease(-1) != 0


def test_prctl() -> None:
    code = (
        "import os, sys; sys.path.insert(0, os.getcwd())\n"
        "from oomguardd.kernel.syscalls import *\n"
        "print(set_dumpable(False), set_death_signal(9), set_no_new_privs(), set_death_signal(999).errno)\n"
        "print([x for x in open('/proc/self/status') if x.startswith('NoNewPrivs')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.splitlines() == ["None None None 22", "['NoNewPrivs:\\t1\\n']"], done.stderr


def test_a_child_dies_with_its_parent() -> None:
    code = (
        "import os, signal, sys, time; sys.path.insert(0, os.getcwd())\n"
        "from oomguardd.kernel.syscalls import set_death_signal\n"
        "r, w = os.pipe()\n"
        "if os.fork() == 0:\n"
        "    set_death_signal(signal.SIGKILL); os.write(w, b'x'); time.sleep(60)\n"
        "os.read(r, 1)\n"
    )
    # The grandchild holds our end of the pipe, so that this returns only when it is dead too.
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=30)
    assert done.returncode == 0
