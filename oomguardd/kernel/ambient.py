"""Ambient capabilities: what programs that we execute are given of ours. See capabilities(7), prctl(2)."""

from __future__ import annotations

import ctypes
import os

_PR_CAP_AMBIENT = 47  # Linux 4.3
_PR_CAP_AMBIENT_CLEAR_ALL = 4

_prctl = ctypes.CDLL(None, use_errno=True).prctl
_prctl.argtypes = (ctypes.c_int, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong)


def clear_ambient() -> OSError | None:
    """What we may do ourselves stays; no program that this thread, or one that it starts later, executes gets
    any of it (unless we are root)."""
    if _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) == 0:
        return None
    error = ctypes.get_errno()
    return OSError(error, os.strerror(error), "PR_CAP_AMBIENT")
