"""What is to change on the machine itself: swap, tmpfs, huge pages, pressure, other daemons."""

from __future__ import annotations

from collections.abc import Iterator

from oomguardd.engine.words import duration, percent, safe, size
from oomguardd.incidents.case import Case
from oomguardd.incidents.remedy import GIB, Advice, rounded_bytes, setting_size, shell_word
from oomguardd.incidents.timeline import onset_s

FAST_S = 20.0
"""A fall that takes no longer fills any swap, too: swap buys it seconds."""

SHMEM_PART = 0.25
"""From this part of RAM in tmpfs and shared memory on, that is where memory is."""

HUGE_PART = 0.3
SWAP_LEFT = 0.1

_ZRAM = "/etc/systemd/zram-generator.conf (package systemd-zram-generator or zram-generator)"
THRASHING_PCT = 30.0


def tmpfs(case: Case) -> Iterator[Advice]:
    """Files in memory: killing does not free them."""
    shmem, total = case.reading("shmem"), case.reading("mem_total")
    if not shmem or not total or shmem < SHMEM_PART * total:
        return
    most = setting_size(rounded_bytes(0.1 * total))
    yield Advice(
        "Empty or bound what is kept in tmpfs and shared memory",
        f"{size(shmem)} of {size(total)} were in it. It belongs to no process: killing frees it only with"
        " the last one that maps it, and files in /tmp or /dev/shm stay. The first two commands show who"
        " has it.",
        "as root",
        "df -h -t tmpfs    # files\nipcs -m -p        # segments, and who made them\n"
        f"mount -o remount,size={most} /dev/shm    # a bound, where that is it",
    )


def huge_pages(case: Case) -> Iterator[Advice]:
    """A pool nobody else can use."""
    pool, total = case.reading("hugetlb"), case.reading("mem_total")
    if not pool or not total or pool < HUGE_PART * (total + pool):
        return
    yield Advice(
        "Make the pool of huge pages as small as what uses it",
        f"{size(pool)} are set aside for it; nobody else gets any of that, used or not. HugePages_Free in"
        " /proc/meminfo says how much is unused.",
        "/etc/sysctl.d/50-hugepages.conf, and `sysctl --system`",
        "vm.nr_hugepages = 0    # or the pages that are used",
    )


def no_swap(case: Case) -> Iterator[Advice]:
    """Without swap what is not used stays in memory, and there is no time between full and over."""
    if case.reading("swap_total") != 0 or _limited(case):
        return
    total = case.reading("mem_total") or 0.0
    onset = onset_s(case)
    if onset is not None and -onset < FAST_S:
        return  # it would have been filled as fast: said where nothing else is
    if total < GIB / 2:
        return
    half = setting_size(rounded_bytes(min(total / 2, 8 * GIB)))
    yield Advice(
        "Add compressed swap",
        "This machine has none, so what nobody has used for hours cannot make room. zram takes no disk: it"
        f" keeps {half} of such memory in about a third of that.",
        _ZRAM,
        "[zram0]\nzram-size = min(ram / 2, 8192)\ncompression-algorithm = zstd",
    )


def full_swap(case: Case) -> Iterator[Advice]:
    """Swap that was full, or that everything waited for."""
    free, total = case.reading("swap_free"), case.reading("swap_total")
    if free is None or not total or _limited(case):
        return
    stall = worst_stall_pct(case)
    if stall is not None and stall >= THRASHING_PCT and free > SWAP_LEFT * total:
        yield _thrashing(case, stall, free)
    elif (
        free <= SWAP_LEFT * total
        and (case.victim.number("swap_bytes") or 0.0) > 0.3 * total
        and _in_unit(case)
    ):
        used = size(case.victim.number("swap_bytes"))
        yield Advice(
            "Keep it out of swap",
            f"{used} of {size(total)} swap were its own: it filled that before memory, and everybody else"
            " waited for the disk meanwhile. Without swap it reaches its limit at once.",
            f"systemctl edit {shell_word(case.owner.unit)}",
            "[Service]\nMemorySwapMax=0",
        )


def _thrashing(case: Case, stall: float, free: float) -> Advice:
    onset = onset_s(case)
    how_long = f" {duration(-onset)} long" if onset is not None else ""
    compressed = (case.reading("zram_used") or 0.0) > 0
    if compressed:
        return Advice(
            "Make zram smaller, or add memory",
            f"All tasks waited for memory {percent(stall)} of the time although {size(free)} of swap were"
            " free: what is in use does not fit, and compressing it only takes turns.",
            _ZRAM,
            "[zram0]\nzram-size = ram / 4",
        )
    return Advice(
        "Put swap on zram in front of the disk",
        f"All tasks waited for memory {percent(stall)} of the time{how_long}, while {size(free)} of swap"
        " were still free: it was too slow, not too small. Compressed memory is a hundred times as fast.",
        _ZRAM,
        "[zram0]\nzram-size = min(ram / 2, 8192)\ncompression-algorithm = zstd\nswap-priority = 100",
    )


def worst_stall_pct(case: Case) -> float | None:
    """The highest `full` pressure before the kill; None if that is not measured."""
    names = ("psi_full_10s", "psi_full_avg10")
    seen = [m.values[name] for m in case.moments if m.at_s <= 0 for name in names if name in m.values]
    seen += [case.readings[name] for name in names if name in case.readings]
    return max(seen, default=None)


def no_pressure(case: Case) -> Iterator[Advice]:
    """A guard that cannot feel stalls."""
    if not case.ours or not case.readings or any(name.startswith("psi_") for name in case.readings):
        return
    yield Advice(
        "Switch on pressure stall information",
        "The readings have no pressure: without it a machine that thrashes with memory still free is not"
        " noticed.",
        "on the kernel's command line (/etc/default/grub, then update-grub and a reboot; Linux 4.20 and"
        " later)",
        "psi=1",
    )


def rivals(case: Case) -> Iterator[Advice]:
    """Two daemons that do not know of each other."""
    names = {case.kill.text("by", "")} if case.kind == "foreign_kill" else set()
    names |= {event.text("by", "") for event in case.events("foreign_kill")}
    known = sorted(names & _UNITS.keys())
    for name in known:
        yield Advice(
            f"Leave one of oomguardd and {safe(name)} running",
            f"{safe(name)} killed here too. Two daemons kill one victim each for the same shortage, by"
            " rules that know nothing of each other.",
            "as root",
            f"systemctl disable --now {_UNITS[name]}",
        )


_UNITS = {
    "earlyoom": "earlyoom.service",
    "systemd-oomd": "systemd-oomd.socket systemd-oomd.service",
    "nohang": "nohang.service",
    "nohang-desktop": "nohang-desktop.service",
    "oomd": "oomd.service",
    "bustd": "bustd.service",
}


def _in_unit(case: Case) -> bool:
    """Whose limits systemd sets, and nobody else."""
    owner = case.owner
    return owner.unit.endswith(".service") and not (
        owner.container or owner.pod or owner.job or owner.user_unit
    )


def _limited(case: Case) -> bool:
    """A cgroup's limit was reached: the machine's swap is another matter."""
    return case.kill.text("constraint", "none") == "memcg"
