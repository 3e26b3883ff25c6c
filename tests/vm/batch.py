"""Sends scenarios through guests: one boot for as many as can share it, another when a guest dies."""

from __future__ import annotations

import json
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import image, qemu
from .guest.scenarios import Scenario
from .image import SUITE, Recipe
from .qemu import Guest, GuestFailed, Machine

HERE = Path(__file__).parent
CHECKOUT = HERE.parent.parent
SILENCE_LIMIT_S = 330.0  # a hog's limit (180 s) and settling (25 s), with a host that is busy elsewhere
Result = dict[str, Any]
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Batch:
    """What is to be done on one kernel. Daemons that share a scenario run one after the other on the same
    guest, so that they meet the same conditions."""

    runs: tuple[tuple[Scenario, str], ...]
    """Scenario and daemon."""
    kernel: str = SUITE
    recipe: Recipe = image.SCENARIOS
    checks: tuple[str, ...] = ()
    """What else the first guest does: "badness", "telling" (CHECKS in guest/runner.py)."""


def run(batch: Batch, tell: Tell) -> Generator[Result, None, None]:
    """One result for each run and check, as they come.

    A scenario in which the guest died has `error` in its result. `tell` is told how it goes.
    """
    built = image.build(batch.recipe)
    image.ensure_tools()
    for psi in (True, False):
        runs = [(scenario.name, daemon) for scenario, daemon in batch.runs if scenario.psi is psi]
        boot = Boot(Machine(built, batch.kernel, psi), runs, list(batch.checks if psi else ()), tell)
        while boot.runs or boot.checks:
            yield from boot.run()


class Boot:
    """What one guest has to do; after a guest that died, what the next one has to."""

    def __init__(self, machine: Machine, runs: list[tuple[str, str]], checks: list[str], tell: Tell) -> None:
        self.runs = runs
        self.checks = checks
        self._machine = machine
        self._tell_anyone = tell

    def run(self) -> Iterator[Result]:
        self._began_s = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="oomguard-vm-") as directory:
            work = Path(directory)
            job = _pack(work, self.runs, self.checks)
            with qemu.running(self._machine, job, work) as guest:
                self._tell(f"psi={int(self._machine.psi)}, {guest.first}")
                failure = yield from self._listen(guest)
        if failure or self.runs or self.checks:
            yield self._blame(failure or "the guest ended without a result")

    def _listen(self, guest: Guest) -> Generator[Result, None, str]:
        """Passes on what the guest finds; returns why it stopped early, or nothing."""
        try:
            while said := guest.say(SILENCE_LIMIT_S):
                if said["event"] == "end":
                    return ""
                if said["event"] == "error":
                    return str(said["text"])
                self._tell(_digest(said))
                if said["event"] == "check":
                    self.checks.remove(said["check"])
                    yield said
                if said["event"] == "result":
                    self.runs.remove((said["scenario"], said["daemon"]))
                    yield said
        except GuestFailed as error:
            return str(error)
        return f"the guest went away\n{guest.tail()}"

    def _blame(self, failure: str) -> Result:
        """The result of what it was doing when it failed, so that the next boot goes on behind that."""
        if self.checks:
            check = self.checks.pop(0)
            self._tell(f"{check}: {failure}")
            return {"check": check, "error": failure}
        scenario, daemon = self.runs.pop(0) if self.runs else ("end", "")
        self._tell(f"{scenario} {daemon}: {failure}")
        return {"scenario": scenario, "daemon": daemon, "error": failure}

    def _tell(self, text: str) -> None:
        self._tell_anyone(f"vm: {time.monotonic() - self._began_s:4.0f} s: {text}")


def _digest(said: Result) -> str:
    hidden = ("event", "log", "scene", "rows")
    return " ".join(f"{key}={value}" for key, value in said.items() if key not in hidden)


def _pack(work: Path, runs: list[tuple[str, str]], checks: list[str]) -> Path:
    """The drive that carries the job in: a bare tar file."""
    actors = work / "actors"
    compile_ = ["gcc", "-static", "-O2", "-pthread", "-Wall", "-o", str(actors), str(HERE / "guest/actors.c")]
    subprocess.run(compile_, check=True)
    order = work / "job.json"
    order.write_text(json.dumps({"runs": runs, "checks": checks}))
    path = work / "job.tar"
    with tarfile.open(path, "w") as tar:
        ours = (CHECKOUT / name for name in ("oomguardd", "systemd", "packaging"))
        for source in (actors, order, HERE / "guest", *ours):
            if source.exists():
                tar.add(source, source.name, filter=_as_root)
    return path


def _as_root(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    if "__pycache__" in member.name:
        return None
    member.uid = member.gid = 0
    member.mode |= 0o555 if member.isdir() else 0o444
    return member
