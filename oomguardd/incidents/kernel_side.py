"""The kernel's own kills: which limit was too small, or why the kernel came first."""

from __future__ import annotations

from collections.abc import Iterator

from oomguardd.engine.words import safe, size
from oomguardd.incidents.case import Case
from oomguardd.incidents.ending import EARLIER
from oomguardd.incidents.places import Limit, place_of
from oomguardd.incidents.remedy import OWN_FILE, Advice, rounded_bytes, shell_word
from oomguardd.incidents.summary import memcg_limit
from oomguardd.runtimes import owner_of

MORE = 1.5
"""A limit that was reached says only that it was too small, not by how much."""

SHMEM_PART = 0.3
COSTLY_ORDER = 3
"""PAGE_ALLOC_COSTLY_ORDER: from more pages in a row on the kernel gives up sooner than it kills."""


def limit_reached(case: Case) -> Iterator[Advice]:
    """A cgroup had its memory used up, whatever the machine had left."""
    if not _of_memcg(case):
        return
    limit, path = memcg_limit(case), case.kill.raw.get("limit_cgroup")
    path = path if isinstance(path, str) else case.cgroup
    owner = owner_of(path)
    if path.startswith("/kubepods") and not owner.pod:
        yield _allocatable(path)
        return
    where, change = "how near it is to its limit", _look(path)
    if limit and (owner.unit or owner.container or owner.job):
        most = rounded_bytes(MORE * limit)
        _, where, change = place_of(owner, Limit(rounded_bytes(0.9 * most), most))
    left = case.reading("mem_available")
    room = f" The machine itself had {size(left)} left." if left is not None else ""
    sized = f" of {size(limit)}" if limit else ""
    yield Advice(
        "Raise the limit, or find what grew",
        f"The limit{sized} of {safe(path)} was reached: the kernel enforces it alone, and oomguardd has no"
        f" say in it.{room} If it is a leak, a higher limit only makes it last longer; memory.peak and the"
        " kernel's task table tell which it is.",
        where,
        change,
    )


def _allocatable(path: str) -> Advice:
    return Advice(
        "Have the pods ask for what they use",
        f"The limit is that of {safe(path)}, all pods of the node together: their containers' limits add up"
        " to more than the node has. Requests that are true keep the scheduler from placing too many here.",
        "each container in its manifest",
        "resources:\n  requests:\n    memory: 1Gi    # what it really uses\n  limits:\n    memory: 1Gi",
    )


def _look(path: str) -> str:
    directory = shell_word(f"/sys/fs/cgroup{path}")
    return f"cd {directory} && grep . memory.max memory.peak memory.events" if directory else ""


def tmpfs_in_limit(case: Case) -> Iterator[Advice]:
    """Files in memory count against a cgroup's limit, too."""
    stats = case.kill.fields("report").fields("memcg").fields("stats")
    shmem, limit = stats.number("shmem"), memcg_limit(case)
    if not _of_memcg(case) or not shmem or not limit or shmem < SHMEM_PART * limit:
        return
    yield Advice(
        "Move its files out of memory",
        f"{size(shmem)} of its {size(limit)} were in tmpfs and shared memory (/dev/shm, an emptyDir with"
        " medium: Memory, a tmpfs mount). That counts against the limit, and no kill frees it.",
        "in the container's or unit's mounts",
        "du -xsh /dev/shm /tmp /run    # in its mount namespace",
    )


def half_dead(case: Case) -> Iterator[Advice]:
    """One process of a service was killed and the rest goes on without it."""
    unit = case.owner.unit
    tasks = case.kill.fields("report").each("tasks")
    if case.kind != "kernel_kill" or not unit.endswith(".service") or case.owner.container or len(tasks) < 2:
        return
    word = shell_word(unit)
    if not word or case.count > 1 or not _of_memcg(case):
        return
    yield Advice(
        f"Say what becomes of {safe(unit)} when one of it is killed",
        f"The kernel killed one of {len(tasks)} processes. By default systemd then stops the whole unit;"
        " continue suits a master that replaces its workers, and kill ends all at once, so that Restart="
        " starts it clean.",
        f"systemctl edit {word}",
        "[Service]\nOOMPolicy=kill\nRestart=on-failure\nRestartSec=5s",
    )


def kernel_first(case: Case) -> Iterator[Advice]:
    """The whole machine was out of memory and we had not acted."""
    if case.kind != "kernel_kill" or case.kill.text("constraint", "") != "none" or case.asked_for:
        return
    order = case.kill.fields("report").number("order") or 0.0
    if order >= COSTLY_ORDER:
        return
    levels = {moment.level for moment in case.moments if moment.at_s <= 0 and moment.level}
    if not levels:
        yield Advice(
            "Have oomguardd run",
            "The kernel's OOM killer acted for want of memory, and there is no reading of the guard from"
            " the minute before: it was not running, or could not be heard.",
            "as root",
            "systemctl enable --now oomguardd\nsystemctl status oomguardd",
        )
        return
    seen = "calm" if levels <= {"calm"} else "in need"
    yield Advice(
        "Act earlier than the kernel",
        f"The guard was there and saw the machine {seen}, but the kernel was first."
        + (" Its thresholds were never reached." if seen == "calm" else ""),
        OWN_FILE,
        EARLIER,
    )


def fragmented(case: Case) -> Iterator[Advice]:
    """Free memory, but not in one piece."""
    order = case.kill.fields("report").number("order") or 0.0
    if case.kind != "kernel_kill" or order < COSTLY_ORDER:
        return
    total = (
        case.reading("mem_total") or case.kill.fields("report").fields("memory").number("ram_bytes") or 0.0
    )
    kept = max(128 << 20, min(0.02 * total, 2 << 30))
    yield Advice(
        "Keep more memory free for large pieces",
        f"{2 ** min(order, 20):.0f} pages in a row were wanted. That fails on fragmented memory with much"
        " of it free; a higher reserve lets the kernel move pages in time.",
        "/etc/sysctl.d/50-reserve.conf, and `sysctl --system`",
        f"vm.min_free_kbytes = {int(kept // 1024)}",
    )


def few_nodes(case: Case) -> Iterator[Advice]:
    """Only some of the machine's memory was allowed."""
    constraint = case.kill.text("constraint", "")
    if constraint not in ("cpuset", "memory_policy"):
        return
    unit = shell_word(case.owner.unit) if case.owner.unit.endswith(".service") else ""
    what = "cpuset" if constraint == "cpuset" else "memory policy"
    yield Advice(
        "Allow it more memory nodes",
        f"Its {what} confines it to some of the machine's NUMA nodes, and those were full while others may"
        " have had room.",
        f"systemctl edit {unit}" if unit else "where it is started",
        "[Service]\nAllowedMemoryNodes=\nNUMAPolicy=preferred"
        if unit
        else "numactl --preferred=NODE COMMAND",
    )


def _of_memcg(case: Case) -> bool:
    return case.kind == "kernel_kill" and case.kill.text("constraint", "") == "memcg"
