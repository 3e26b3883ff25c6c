"""Giving up what the guard has and the reporter must not: root, its priority, its immunity.

As a child of the guard the reporter inherits all of it. Every step is harmless where there is
nothing to give up, and what cannot be given up although it should is a `PrivilegeError`.
"""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import signal
from typing import NamedTuple

from oomguardd.kernel.files import open_dir
from oomguardd.kernel.syscalls import set_death_signal, set_no_new_privs

DEFAULT_USER = "oomguard"
FALLBACK_USER = "nobody"


class PrivilegeError(Exception):
    """The message says which privilege would be kept, and the remedy."""


class Account(NamedTuple):
    """Who we become."""

    name: str
    uid: int
    gid: int


def shed(user: str) -> Account | None:
    """Everything in this file but `die_with`, in the one order that works. None if we were not root.

    The own /proc files belong to root once the uid has changed, so oom_score_adj comes first.
    """
    be_killable()
    be_ordinary()
    account = become(user) if os.geteuid() == 0 else None
    if error := set_no_new_privs():
        raise PrivilegeError(f"no_new_privs: {error.strerror} (needs Linux 3.5)")
    return account


def be_killable(proc: str = "/proc") -> bool:
    """Raises an inherited negative oom_score_adj to 0, which everybody may. Whether it is at least 0 now."""
    try:
        proc_fd = open_dir(proc)
    except OSError:
        return False
    try:
        fd = os.open("self/oom_score_adj", os.O_RDWR | os.O_CLOEXEC, dir_fd=proc_fd)
    except OSError:
        return False  # not ours to write: systemd started us as somebody who never was root
    finally:
        os.close(proc_fd)
    try:
        if int(os.pread(fd, 32, 0)) < 0:
            os.write(fd, b"0")
        return int(os.pread(fd, 32, 0)) >= 0
    except (OSError, ValueError):
        return False
    finally:
        os.close(fd)


def be_ordinary() -> None:
    """SCHED_OTHER and nice 0 at best: lowering one's priority is always allowed."""
    with contextlib.suppress(OSError):
        if os.sched_getscheduler(0) != os.SCHED_OTHER:
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    with contextlib.suppress(OSError):
        if os.getpriority(os.PRIO_PROCESS, 0) < 0:
            os.setpriority(os.PRIO_PROCESS, 0, 0)


def account_of(user: str) -> Account:
    """That user or, where there is none (nothing was installed), `nobody`. PrivilegeError."""
    for name in (user, FALLBACK_USER):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(name, entry.pw_uid, entry.pw_gid)
    raise PrivilegeError(
        f"neither a user {user} nor {FALLBACK_USER}: create one, or name another with --user"
    )


def become(user: str) -> Account:
    """For root only: this user in real, effective and saved ids, and in no other group than that of the
    terminals, where a kill is told. PrivilegeError."""
    account = account_of(user)
    try:
        os.setgroups(_terminals())
        os.setresgid(account.gid, account.gid, account.gid)
        os.setresuid(account.uid, account.uid, account.uid)
    except OSError as error:
        raise PrivilegeError(f"cannot become {account.name}: {error.strerror}") from error
    return account


def _terminals() -> list[int]:
    """The group that may write to people's terminals; see tty(4), wall(1)."""
    try:
        return [grp.getgrnam("tty").gr_gid]
    except KeyError:
        return []


def die_with(parent: int) -> bool:
    """SIGTERM for us when this parent dies. False if it is dead already.

    After the change of ids, which clears it; see prctl(2).
    """
    if error := set_death_signal(signal.SIGTERM):
        raise PrivilegeError(f"PR_SET_PDEATHSIG: {error.strerror}")
    return os.getppid() == parent
