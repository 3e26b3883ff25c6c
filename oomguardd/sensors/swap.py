"""How much the free swap is worth: a page in zram still costs memory, one in a file or partition none."""

from __future__ import annotations

from typing import NamedTuple

from oomguardd.kernel.files import HeldFile, SensorError
from oomguardd.kernel.zram import SwapArea, Zram, parse_mm_stat, parse_swaps

_ENOUGH_BYTES = 16 << 20
"""Below that a device's ratio is that of a few pages, and mostly its own overhead."""

_USUAL_RATIO = 0.5
"""zram's documentation says to expect 2:1."""


class SwapWorth(NamedTuple):
    """In bytes."""

    free: int
    """What can still be swapped out before it costs as much memory as it gives."""
    zram_used: int
    """The memory that zram takes now."""


class SwapSensor:
    """Follows the swap areas that are zram. Anything that cannot be read counts as an ordinary one."""

    def __init__(self, proc_root: str, sys_root: str) -> None:
        self._proc_root = proc_root
        self._sys_root = sys_root
        self._swaps: HeldFile | None = None
        self._devices: dict[str, HeldFile] = {}

    def probe(self) -> None:
        """Look which areas are zram; swapon may happen at any time."""
        if self._swaps is None:
            try:
                self._swaps = HeldFile(f"{self._proc_root}/swaps", in_records=True)
            except OSError:
                return
        names = {area.zram for area in self._areas()} - {""}
        for name in set(self._devices) - names:
            self._devices.pop(name).close()
        for name in names - set(self._devices):
            device = _open(f"{self._sys_root}/block/{name}/mm_stat")
            if device is not None:
                self._devices[name] = device

    def worth(self, swap_free: int) -> SwapWorth:
        """`swap_free` is meminfo's. Reads nothing where nothing is zram."""
        if not self._devices:
            return SwapWorth(swap_free, 0)
        nominal = usable = used = 0
        for area in self._areas():
            device = self._devices.get(area.zram)
            zram = _read(device) if device is not None else None
            if zram is not None:
                nominal += area.size_bytes - area.used_bytes
                usable += usable_bytes(area, zram)
                used += zram.used_bytes
        elsewhere = max(0, swap_free - nominal)
        return SwapWorth(min(swap_free, elsewhere + usable), used)

    def close(self) -> None:
        """May be called twice."""
        if self._swaps is not None:
            self._swaps.close()
            self._swaps = None
        for device in self._devices.values():
            device.close()
        self._devices.clear()

    def _areas(self) -> tuple[SwapArea, ...]:
        try:
            return parse_swaps(self._swaps.read()) if self._swaps is not None else ()
        except OSError:
            return ()


def usable_bytes(area: SwapArea, zram: Zram) -> int:
    """The memory that filling the rest of a zram area would gain: what goes in, less what it takes
    compressed."""
    free = area.size_bytes - area.used_bytes
    ratio = zram.used_bytes / zram.orig_bytes if zram.orig_bytes >= _ENOUGH_BYTES else _USUAL_RATIO
    ratio = min(ratio, 1.0)
    if zram.limit_bytes and ratio > 0:
        free = min(free, int(max(0, zram.limit_bytes - zram.used_bytes) / ratio))
    return int(free * (1 - ratio))


def _open(path: str) -> HeldFile | None:
    try:
        return HeldFile(path, size=256)
    except OSError:
        return None


def _read(device: HeldFile) -> Zram | None:
    try:
        return parse_mm_stat(device.read())
    except (OSError, SensorError):
        return None  # reset or unplugged just now; the next probe forgets it
