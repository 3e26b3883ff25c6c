"""What one cgroup says about the memory of those in it, on top of what those above it say (v2).

See "Memory" in Documentation/admin-guide/cgroup-v2.rst, and systemd.resource-control(5) for the preference.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from oomguardd.kernel.files import read_small
from oomguardd.model import Memcg

_UNLIMITED = 1 << 62
_TRUE = (b"1", b"yes", b"y", b"true", b"t", b"on")  # systemd's parse_boolean()
_PREFERENCES = (("user.oomd_omit", "omit"), ("user.oomd_avoid", "avoid"))


class Level(NamedTuple):
    """A cgroup with all above it; without arguments, the root."""

    memcg: Memcg = Memcg()
    effective_bytes: int = _UNLIMITED
    """The most protection that its children can have."""


def read_level(fd: int, path: str, above: Level) -> Level:
    """The cgroup of that descriptor (open for reading), below `above`.

    Where the memory controller is not switched on, its memory is counted in the next cgroup above.
    """
    memcg = above.memcg
    preference, preference_uid = _preference(fd)
    if preference:
        memcg = memcg._replace(preference=preference, preference_uid=preference_uid)
    if not memcg.oom_group and is_oom_group(fd):
        memcg = memcg._replace(oom_group=path)
    current = _read_bytes(fd, "memory.current")
    if current is None:
        return Level(memcg, above.effective_bytes)
    # A child cannot be given more than its parent has. What the parent has and no child claims is shared out
    # to them all (memory_recursiveprot, which systemd mounts with), hence the largest share of all levels.
    effective = 0
    if above.effective_bytes:
        own = max(_read_bytes(fd, "memory.low") or 0, _read_bytes(fd, "memory.min") or 0)
        effective = min(own, above.effective_bytes)
    share = min(1.0, effective / current) if current else 0.0
    high = _read_bytes(fd, "memory.high")
    over = 0 if high is None else current - high
    memcg = memcg._replace(
        current_bytes=current,
        protected_share=max(memcg.protected_share, share),
        over_high_bytes=max(memcg.over_high_bytes, over),
    )
    return Level(memcg, effective)


def is_oom_group(fd: int) -> bool:
    """Whether the kernel kills all in it together."""
    return _read(fd, "memory.oom.group").strip() == b"1"


def _preference(fd: int) -> tuple[str, int]:
    """systemd's ManagedOOMPreference= and who owns the cgroup; "" if it has none."""
    try:
        present = os.listxattr(fd)
        for name, preference in _PREFERENCES:
            if name in present and os.getxattr(fd, name).strip().lower() in _TRUE:
                return preference, os.fstat(fd).st_uid
    except OSError:
        pass
    return "", 0


def _read_bytes(fd: int, name: str) -> int | None:
    data = _read(fd, name).strip()
    if data == b"max":
        return _UNLIMITED
    try:
        return int(data)
    except ValueError:
        return None


def _read(fd: int, name: str) -> bytes:
    """Empty where it cannot be read: the files differ with the kernel and with what is switched on."""
    try:
        return read_small(fd, name, 64)
    except OSError:
        return b""
