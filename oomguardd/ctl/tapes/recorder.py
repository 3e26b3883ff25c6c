"""Writes a recording: line after line, into a file that appears under its name when it is complete."""

from __future__ import annotations

import contextlib
import gzip
import os
import stat
from collections.abc import Callable
from typing import Protocol

from oomguardd.ctl.arguments import ALL
from oomguardd.ctl.beforehand.look import Looker
from oomguardd.ctl.console import Trouble
from oomguardd.ctl.senses import Senses
from oomguardd.ctl.tapes.recording import Encoder
from oomguardd.ctl.tapes.redact import Redaction
from oomguardd.kernel.clock import monotonic_s

LEAST_BYTES = 1 << 20
"""Who holds less is no candidate, whatever is configured, and would make the file large."""

NEEDS = frozenset({"exe", "cmdline", "ancestors", "memcg"})
"""Any configuration may be tried on the recording."""


class _Sink(Protocol):
    def write(self, data: bytes, /) -> int | None: ...


class Writer:
    """Lines into a new file of mode 0600, compressed if its name ends in .gz. Trouble if it cannot be."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._part = f"{path}.part{os.getpid()}"
        _refuse_odd(path)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            fd = os.open(self._part, flags, 0o600)
        except OSError as error:
            raise Trouble(f"{path}: cannot be written: {error.strerror}") from None
        self._raw = os.fdopen(fd, "wb", buffering=0)
        packed = path.endswith(".gz")
        self._file: _Sink = gzip.GzipFile("", "wb", 6, self._raw) if packed else self._raw
        self.written_bytes = 0
        """Before compression."""

    def put(self, line: str) -> None:
        """OSError if it could not be written."""
        data = line.encode("ascii") + b"\n"
        while data:  # an unbuffered file may take a part only
            taken = self._file.write(data) or 0
            data = data[taken:]
            self.written_bytes += taken

    def flush(self) -> None:
        """OSError."""
        if isinstance(self._file, gzip.GzipFile):
            self._file.flush()

    def finish(self) -> int:
        """The file under its own name, and its size. OSError; then what could be written is there."""
        try:
            if isinstance(self._file, gzip.GzipFile):
                self._file.close()
            os.fsync(self._raw.fileno())
        finally:
            size = os.fstat(self._raw.fileno()).st_size
            self._raw.close()
            os.rename(self._part, self.path)
        return size

    def discard(self) -> None:
        """No file at all."""
        self._raw.close()
        with contextlib.suppress(OSError):
            os.unlink(self._part)


def _refuse_odd(path: str) -> None:
    """A device or a directory would be replaced by our file."""
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        return
    if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode)):
        raise Trouble(f"{path}: is not a regular file (name a file that may be written or replaced)")


class Recorder:
    """Makes lines of what it sees."""

    def __init__(
        self,
        looker: Looker,
        senses: Senses,
        redact: Redaction,
        most: int,
        clock: Callable[[], float] = monotonic_s,
    ) -> None:
        self._looker = looker
        self._senses = senses
        self._redact = redact
        self._most = most
        self._clock = clock
        self._encoder = Encoder()
        self._began_s = clock()
        self.moments = 0
        self.lasted_s = 0.0
        """From the first to the last."""

    def line(self) -> str:
        """This moment. SensorError, OSError."""
        now_s = self._clock()
        sample = self._senses.sample(now_s)
        crowd = self._looker.crowd(NEEDS, LEAST_BYTES)
        people = crowd.processes
        if self._most < ALL:
            people = tuple(sorted(people, key=lambda c: c.held_bytes, reverse=True)[: self._most])
        self.moments += 1
        self.lasted_s = now_s - self._began_s
        return self._encoder.line(
            self.lasted_s,
            sample,
            self._senses.hidden_bytes(),
            self._senses.totals(),
            map(self._redact, people),
        )
