"""One guest: QEMU with the image as a snapshot, the job on a second drive, swap on a third.

The console goes to a file, for the error message. What the job says comes as JSON lines over the second
serial port, so that nothing of it is lost when the guest dies in the middle.
"""

from __future__ import annotations

import atexit
import ctypes
import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .image import Image

ACCEL = os.environ.get("OOMGUARD_VM_ACCEL") or "tcg,thread=multi"
# Without cx16: now and then, cmpxchg16b spoils the flags under emulation (QEMU 7.2) and the guest panics.
CPU = "max,-cx16"
RAM_MIB = 1024
SWAP_MIB = 512
BOOT_LIMIT_S = 240.0  # 15 s on a quiet host
PR_SET_PDEATHSIG = 1

_LIBC = ctypes.CDLL(None)
_RUNNING: set[subprocess.Popen[bytes]] = set()


class GuestFailed(Exception):
    """The guest did not boot, fell silent or went away; the message has the end of its console."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What is booted."""

    image: Image
    kernel: str
    """A suite that the image has the kernel of."""
    psi: bool = True


class Guest:
    """A running guest. `say()` yields what its job says until it ends."""

    def __init__(self, machine: Machine, job: Path, work: Path) -> None:
        self._console = work / "console.log"
        swap = work / "swap.raw"
        with swap.open("wb") as stream:
            stream.truncate(SWAP_MIB << 20)
        self._process = subprocess.Popen(
            _command(machine, job, swap, self._console),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=(work / "qemu.log").open("wb"),
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )
        self._qemu_log = work / "qemu.log"
        self._rest = b""
        self.first: dict[str, Any] = {}
        """What it said when it had booted."""
        _RUNNING.add(self._process)

    def say(self, silence_limit_s: float) -> dict[str, Any] | None:
        """The next thing that the job says; None when the guest has gone.

        Raises GuestFailed when it said nothing for so long.
        """
        assert self._process.stdout is not None
        stdout = self._process.stdout.fileno()
        deadline_s = time.monotonic() + silence_limit_s
        while True:
            line, newline, rest = self._rest.partition(b"\n")
            if newline:
                self._rest = rest
                if line.startswith(b"{"):
                    return dict(json.loads(line))
                continue
            ready, _, _ = select.select([stdout], [], [], max(0.0, deadline_s - time.monotonic()))
            if not ready:
                raise GuestFailed(f"silent for {silence_limit_s:.0f} s\n{self.tail()}")
            chunk = os.read(stdout, 1 << 16)
            if not chunk:
                return None
            self._rest += chunk

    def tail(self, lines: int = 40) -> str:
        """The end of the console, and what QEMU itself said."""
        console = self._console.read_text(errors="replace") if self._console.exists() else ""
        return "\n".join([*console.splitlines()[-lines:], self._qemu_log.read_text(errors="replace")])

    def end(self) -> None:
        _end(self._process)


@contextmanager
def running(machine: Machine, job: Path, work: Path) -> Iterator[Guest]:
    """A booted guest (second try included), ended afterwards whatever happens."""
    guest = _boot(machine, job, work)
    try:
        yield guest
    finally:
        guest.end()


def _boot(machine: Machine, job: Path, work: Path) -> Guest:
    for last_try in (False, True):
        guest = Guest(machine, job, work)
        try:
            if first := guest.say(BOOT_LIMIT_S):
                guest.first = first
                return guest
            failure = GuestFailed(f"ended while booting\n{guest.tail()}")
        except GuestFailed as error:
            failure = error
        except BaseException:
            guest.end()
            raise
        guest.end()
        if last_try:
            raise failure
        print(f"vm: boot failed, trying once more: {failure}", flush=True)
    raise AssertionError("unreachable")


def _command(machine: Machine, job: Path, swap: Path, console: Path) -> list[str]:
    kernel = machine.image.kernel(machine.kernel)
    append = "root=/dev/vda rw console=ttyS0 panic=-1 systemd.show_status=no quiet loglevel=4"
    drives = [
        f"file={machine.image.root},format=raw,if=virtio,snapshot=on",
        f"file={job},format=raw,if=virtio,readonly=on",
        f"file={swap},format=raw,if=virtio,cache=unsafe",
    ]
    return [
        "qemu-system-x86_64",
        *("-accel", ACCEL, "-cpu", CPU, "-smp", "2", "-m", str(RAM_MIB)),
        "-mem-prealloc",  # or the first scenario pays for the host's page faults
        *("-nodefaults", "-display", "none", "-no-reboot"),
        *("-kernel", f"{kernel}/vmlinuz", "-initrd", f"{kernel}/initrd"),
        *("-append", f"{append} psi={int(machine.psi)}"),
        *(word for drive in drives for word in ("-drive", drive)),
        *("-serial", f"file:{console}", "-serial", "stdio"),
    ]


def _die_with_parent() -> None:
    _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdout is not None:
        process.stdout.close()
    _RUNNING.discard(process)


@atexit.register
def _end_all() -> None:
    for process in list(_RUNNING):
        _end(process)
