"""The second loop of defence: if the main loop is late, the process is given up and started again by systemd.

Rule of this file: nothing here needs the interpreter. faulthandler's own thread is C, waits on a monotonic
clock
(so that a suspended machine is not late), and works while the main thread sits in a page fault with the
interpreter lock in its hands. What it saw goes to a file on tmpfs, which cannot block, and the next guard
tells it.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os

EVIDENCE = "stalled"
"""Name of the evidence file beside the socket."""


class Warden:
    """Call `expect` before every sleep; what comes later than that plus the limit ends the process."""

    def __init__(self, directory: str, limit_s: float) -> None:
        self.limit_s = limit_s
        self._path = os.path.join(directory, EVIDENCE)
        self._fd = -1

    def take_evidence(self) -> str:
        """What the warden of the previous guard wrote before it gave it up; empty if there is nothing."""
        try:
            fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            return ""
        try:
            text = os.read(fd, 16384).decode(errors="replace")
        finally:
            os.close(fd)
        with contextlib.suppress(OSError):
            os.unlink(self._path)
        return text

    def open(self) -> OSError | None:
        """Makes the evidence file, before arming: from then on no file is opened for writing."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            self._fd = os.open(self._path, flags, 0o600)
        except OSError as error:
            return error
        return None

    def expect(self, within_s: float) -> None:
        """The main loop will be here again within that time, or the process ends with status 1."""
        if self._fd >= 0:
            with contextlib.suppress(RuntimeError):  # no thread to be had now: the next tick tries again
                faulthandler.dump_traceback_later(within_s + self.limit_s, exit=True, file=self._fd)

    def close(self) -> None:
        """Ends the watch and removes an empty evidence file."""
        faulthandler.cancel_dump_traceback_later()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            with contextlib.suppress(OSError):
                os.unlink(self._path)
