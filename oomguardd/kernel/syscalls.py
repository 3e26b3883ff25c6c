"""System calls that Python has no function for. Looked up at import, so that a call needs nothing but the
call.

Each releases the interpreter lock while it runs, so that one which blocks may run in a thread of its own.
"""

from __future__ import annotations

import ctypes
import os
import sys

MCL_CURRENT = 1
MCL_FUTURE = 2
MCL_ONFAULT = 4  # lock pages as they are touched, instead of touching them all

_SYS_PROCESS_MRELEASE = 448  # numbers from 424 on are the same on every architecture
_SYS_KCMP = {"x86_64": 312, "aarch64": 272, "riscv64": 272}
_KCMP_VM = 1
_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_NAME = 15
_PR_SET_NO_NEW_PRIVS = 38

_libc = ctypes.CDLL(None, use_errno=True)

_mlockall = _libc.mlockall
_mlockall.argtypes = (ctypes.c_int,)
_trim = getattr(_libc, "malloc_trim", None)  # glibc only
_munlockall = _libc.munlockall
_munlockall.argtypes = ()
_prctl = _libc.prctl
_prctl.argtypes = (ctypes.c_int, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong)
_mrelease = _libc.syscall
_mrelease.argtypes = (ctypes.c_long, ctypes.c_int, ctypes.c_uint)
_mrelease.restype = ctypes.c_long
_kcmp = _libc["syscall"]  # another object than _libc.syscall, with arguments of its own
_kcmp.argtypes = (ctypes.c_long, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_ulong, ctypes.c_ulong)
_kcmp.restype = ctypes.c_long
# A 32-bit interpreter has other numbers, whatever machine it runs on.
_kcmp_number = _SYS_KCMP.get(os.uname().machine) if sys.maxsize > 1 << 32 else None


def lock_memory(flags: int = MCL_CURRENT) -> OSError | None:
    """mlockall(2): keep our pages in memory. The error (ENOMEM, EPERM: CAP_IPC_LOCK or RLIMIT_MEMLOCK) or
    None."""
    return _outcome(_mlockall(flags), "mlockall")


def trim_heap() -> None:
    """malloc_trim(3): give back to the kernel what the C library keeps for later. Nothing where it has no
    such call."""
    if _trim is not None:
        _trim(0)


def unlock_memory() -> OSError | None:
    """munlockall(2)."""
    return _outcome(_munlockall(), "munlockall")


def process_mrelease(pidfd: int) -> int:
    """process_mrelease(2), Linux 5.15: free the memory of a dying process now, in our own time; blocks
    meanwhile.

    0, or errno: ESRCH (its memory has gone already), EINVAL (not dying, or it shares its memory with one
    that is not), EAGAIN (partly done, call again), EINTR, ENOSYS.
    """
    return 0 if _mrelease(_SYS_PROCESS_MRELEASE, pidfd, 0) == 0 else ctypes.get_errno()


def same_memory(pid: int, other: int) -> bool | None:
    """kcmp(2), KCMP_VM: whether two processes share one address space; true of two that have none, too
    (kernel threads, zombies).

    None if it cannot be told: one of them has gone (ESRCH), we may not trace them (EPERM), or the kernel has
    no such call (CONFIG_KCMP).
    """
    if _kcmp_number is None:
        return None
    result: int = _kcmp(_kcmp_number, pid, other, _KCMP_VM, 0, 0)
    return None if result < 0 else result == 0


def set_dumpable(dumpable: bool) -> OSError | None:
    """PR_SET_DUMPABLE: whether others of our uid may trace us, and a crash may dump our memory."""
    return _set(_PR_SET_DUMPABLE, int(dumpable), "PR_SET_DUMPABLE")


def set_name(name: str) -> OSError | None:
    """PR_SET_NAME: what ps and top call this thread (of a process: its main thread); at most 15 bytes."""
    text = ctypes.create_string_buffer(name.encode()[:15])
    return _outcome(_prctl(_PR_SET_NAME, ctypes.addressof(text), 0, 0, 0), "PR_SET_NAME")


def set_death_signal(signal: int) -> OSError | None:
    """PR_SET_PDEATHSIG: get `signal` when the parent thread dies. Lost on exec of a set-uid program and
    on fork."""
    return _set(_PR_SET_PDEATHSIG, signal, "PR_SET_PDEATHSIG")


def set_no_new_privs() -> OSError | None:
    """PR_SET_NO_NEW_PRIVS: from now on no exec grants anything. Cannot be taken back."""
    return _set(_PR_SET_NO_NEW_PRIVS, 1, "PR_SET_NO_NEW_PRIVS")


def _set(option: int, value: int, name: str) -> OSError | None:
    return _outcome(_prctl(option, value, 0, 0, 0), name)


def _outcome(result: int, name: str) -> OSError | None:
    if result == 0:
        return None
    error = ctypes.get_errno()
    return OSError(error, os.strerror(error), name)
