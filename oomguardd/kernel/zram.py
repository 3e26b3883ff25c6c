"""/proc/swaps, and /sys/block/zramN/mm_stat for those swap areas that are memory themselves.

See Documentation/admin-guide/blockdev/zram.rst.
"""

from __future__ import annotations

from typing import NamedTuple

from oomguardd.kernel.files import SensorError

_MOST = 1 << 62
"""More bytes than that are garbage."""


class SwapArea(NamedTuple):
    """One line of /proc/swaps."""

    path: str
    size_bytes: int
    used_bytes: int

    @property
    def zram(self) -> str:
        """The name of its zram device, empty if it is on anything else."""
        name = self.path.rpartition("/")[2]
        return name if name.startswith("zram") and name[4:].isdecimal() else ""


class Zram(NamedTuple):
    """What a zram device holds."""

    orig_bytes: int
    """Before compression,"""
    used_bytes: int
    """and the memory that it takes, with all overhead."""
    limit_bytes: int
    """The most memory that it may take; 0 for no limit."""


def parse_swaps(data: bytes) -> tuple[SwapArea, ...]:
    """The swap areas; a line that is none is left out."""
    areas = []
    for line in data.split(b"\n")[1:]:
        # The path may hold anything but blanks, which the kernel writes in octal.
        words = line.rsplit(None, 4)
        if len(words) == 5 and words[2].isdigit() and words[3].isdigit():
            size, used = int(words[2][:18]) * 1024, int(words[3][:18]) * 1024
            areas.append(
                SwapArea(words[0].decode(errors="replace"), min(size, _MOST), min(used, size, _MOST))
            )
    return tuple(areas)


def parse_mm_stat(data: bytes) -> Zram:
    """SensorError if it is not four numbers or more."""
    words = data.split(None, 4)
    try:
        orig, _, used, limit = (int(word[:20]) for word in words[:4])
        if not (0 <= orig < _MOST and 0 <= used < _MOST and 0 <= limit < _MOST):
            raise ValueError
    except ValueError:
        raise SensorError(f"mm_stat of zram: not its numbers: {data[:100]!r}") from None
    return Zram(orig, used, limit)
