"""Holds one thread of a process, as a fault that never ends would, until the process is gone: hold PID. See
ptrace(2); a stop signal would hold all threads, the watchdog's too."""

from __future__ import annotations

import ctypes
import os
import sys

PTRACE_SEIZE = 0x4206
PTRACE_INTERRUPT = 0x4207
WALL = 0x40000000  # __WALL


def main() -> int:
    pid = int(sys.argv[1])
    libc = ctypes.CDLL(None, use_errno=True)
    for request in (PTRACE_SEIZE, PTRACE_INTERRUPT):
        if libc.ptrace(request, pid, None, None) != 0:
            print(os.strerror(ctypes.get_errno()), file=sys.stderr)
            return 1
    while True:
        _, status = os.waitpid(pid, WALL)
        if os.WIFEXITED(status) or os.WIFSIGNALED(status):
            return 0


if __name__ == "__main__":
    sys.exit(main())
