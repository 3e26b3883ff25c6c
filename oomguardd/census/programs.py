"""What can only be read by waiting: command lines, and programs whose path needs proof.

Rule of this file: each has threads of its own. Who makes readers of their command line wait keeps nobody's
program from being proved.
"""

from __future__ import annotations

from typing import NamedTuple

from oomguardd.census.ahead import THREADS, ReadAhead, Reading
from oomguardd.kernel.lookup import FileId
from oomguardd.kernel.process import start_ticks
from oomguardd.kernel.program import Claim, read_claim, read_cmdline, read_genuine_exe
from oomguardd.model import Candidate


class _Named(NamedTuple):
    """What another program changes, as a rule: it is read again then."""

    pid: int
    start_ticks: int
    comm: str


class _Running(NamedTuple):
    """What another program changes for sure."""

    pid: int
    start_ticks: int
    path: str
    file: FileId | None


class Programs:
    """Remembers what was read of a bounded number of processes. Nothing is read before `start`."""

    def __init__(self, proc_fd: int, threads: int = THREADS) -> None:
        self._proc_fd = proc_fd
        self._cmdlines = ReadAhead[_Named]("cmdline", self._read_cmdline, threads)
        self._exes = ReadAhead[_Running]("exe", self._read_exe, threads)

    @property
    def stuck(self) -> int:
        """How many threads have been waiting for one process for more than a second."""
        return self._cmdlines.stuck + self._exes.stuck

    def start(self) -> None:
        """May be called twice."""
        self._cmdlines.start()
        self._exes.start()

    def cmdline(self, c: Candidate, within_s: float = 0.0) -> str | None:
        """Its arguments if they are known within that time; otherwise they will be later."""
        return self._cmdlines.get(_Named(c.pid, c.start_ticks, c.comm), within_s)

    def exe(self, c: Candidate, claim: Claim, within_s: float = 0.0) -> str | None:
        """The path that it claims, if that is proved within that time; None if it is not, or not yet."""
        return self._exes.get(_Running(c.pid, c.start_ticks, claim.path, claim.file), within_s)

    def close(self) -> None:
        """Ends those threads that are not stuck. May be called twice."""
        self._cmdlines.close()
        self._exes.close()

    def _read_cmdline(self, key: _Named) -> Reading:
        text = read_cmdline(self._proc_fd, key.pid)
        # Empty in the middle of an exec: not a word to remember.
        return Reading(text, text != "" and start_ticks(self._proc_fd, key.pid) == key.start_ticks)

    def _read_exe(self, key: _Running) -> Reading:
        text = read_genuine_exe(self._proc_fd, key.pid)
        claim = read_claim(self._proc_fd, key.pid)
        same = claim is not None and (claim.path, claim.file) == (key.path, key.file)
        return Reading(text, same and start_ticks(self._proc_fd, key.pid) == key.start_ticks)
