"""How it went: advice from what the kill brought, when it came, and what came after."""

from __future__ import annotations

from collections.abc import Iterator

from oomguardd.engine.words import Fields, duration, safe, size
from oomguardd.incidents.case import Case
from oomguardd.incidents.remedy import MIB, OWN_FILE, Advice, shell_word
from oomguardd.incidents.summary import HELPED_PART, available_after, available_before, expected_bytes

SLOW_S = 0.5
"""From the reading to the signal; a scan of 10,000 processes takes a fifth of that."""

LATE_PART = 0.02
"""With less of RAM than this left the kernel itself may act at any moment."""

MANY = 3


def dry_run(case: Case) -> Iterator[Advice]:
    """It was only watched."""
    if not case.dry_run:
        return
    yield Advice(
        "Let it act",
        "In dry run nobody is signalled: the machine was left to itself. If this victim is the one you"
        " would have chosen, nothing speaks against it.",
        f"{OWN_FILE}, then `systemctl restart oomguardd`",
        "[guard]\ndry_run = false",
    )


def stuck(case: Case) -> Iterator[Advice]:
    """It would not die."""
    outcome = case.outcome or Fields(None)
    if outcome.text("outcome", "") not in ("stuck", "died late"):
        return
    yield Advice(
        "Find what it waited for",
        f"SIGKILL did not end it within {duration(outcome.number('after_s'))}, state"
        f" {outcome.text('state', case.victim.text('state'))}. A process in state D waits in the kernel,"
        " mostly for a disk or a network file system that does not answer; no signal reaches it there, and"
        " its memory comes back only afterwards. Mount NFS with softerr, and look at the log of the kernel"
        " from that minute.",
        "who waits, and in what",
        "ps -eo pid,stat,wchan:32,comm | awk '$2 ~ /D/'",
    )


def refused(case: Case) -> Iterator[Advice]:
    """We may not."""
    if not case.outcome or case.outcome.text("outcome", "") != "refused":
        return
    yield Advice(
        "Let oomguardd signal every process",
        "The signal was refused: the guard lacks CAP_KILL, or the process is in a user namespace above it.",
        "systemctl edit oomguardd.service",
        "[Service]\nAmbientCapabilities=CAP_KILL\nCapabilityBoundingSet=CAP_KILL",
    )


def ignored_term(case: Case) -> Iterator[Advice]:
    """SIGTERM alone did nothing."""
    escalated = next(
        (e for e in case.events("escalated") if e.raw.get("kill_id") == case.kill.raw.get("kill_id")), None
    )
    if escalated is None or not case.ours:
        return
    at_s = case.at_s(escalated)
    waited = f" for {duration(at_s)}" if at_s is not None and at_s > 0 else ""
    comm = case.victim.text("comm")
    yield Advice(
        f"Set how long {comm} gets after SIGTERM",
        f"It did not heed SIGTERM{waited} and was ended with SIGKILL. If it only needs longer to clean up,"
        " raise the grace; if it never does, every second of it was lost to everybody.",
        OWN_FILE,
        '[kill]\ngrace = "2s"    # 5s is the default',
    )


def in_vain(case: Case) -> Iterator[Advice]:
    """It died, and memory did not come back."""
    before, after, expected = available_before(case), available_after(case), expected_bytes(case)
    died = case.outcome is not None and case.outcome.text("outcome") in ("died", "died late")
    if not case.ours or not died or before is None or after is None or not expected or expected < 64 * MIB:
        return
    if after - before >= HELPED_PART * expected:
        return
    shmem = case.reading("shmem")
    held = f" {size(shmem)} were in tmpfs and shared memory." if shmem else ""
    yield Advice(
        "Find out who took what it gave back",
        f"{size(expected)} should have come back, and {size(max(0.0, after - before))} did. Either others"
        f" took it at once, or it was shared with somebody who lives on, or it is kept by the kernel.{held}",
        "what has grown since",
        "oomguardctl rank; grep -E 'Shmem|Slab|SUnreclaim|VmallocUsed|Percpu' /proc/meminfo",
    )


def late(case: Case) -> Iterator[Advice]:
    """Hardly anything was left, or the kernel was faster."""
    kernel = [
        e for e in case.events("kernel_kill") if e.text("constraint", "") == "none" and e.raw != case.kill.raw
    ]
    left = case.share("mem_available")
    low = left is not None and left < LATE_PART
    if not case.ours or not (kernel or low):
        return
    said = []
    if low:
        said.append(f"Only {size(case.reading('mem_available'))} were left when it was decided.")
    if kernel:
        said.append(
            f"The kernel's own OOM killer acted in the same minute, on {safe(kernel[0].text('comm'))}."
        )
    yield Advice("Act earlier", " ".join(said), OWN_FILE, EARLIER)


EARLIER = """[[trigger]]
name = "low-memory"
mem_available = ["<15%", "<6G"]

[[trigger]]
name = "very-low-memory"
mem_available = ["<8%", "<3G"]"""
"""Half as much again as the built-in bounds; a trigger of that name changes only these keys."""


def slow(case: Case) -> Iterator[Advice]:
    """The guard itself took long."""
    total, faults = case.kill.fields("timings").number("total_s"), case.kill.number("major_faults") or 0.0
    if not case.ours or total is None or (total < SLOW_S and not faults):
        return
    why = f"From the reading to the signal it took {duration(total)}"
    if faults:
        why += f", with {faults:.0f} page faults that waited for a disk: the guard is not locked in memory"
    yield Advice(
        "Let the guard run undisturbed",
        why + ". It needs to be locked in memory and first in line for the CPU.",
        "systemctl edit oomguardd.service",
        "[Service]\nLimitMEMLOCK=infinity\nLimitRTPRIO=1\nLimitNICE=-20",
    )


def again(case: Case) -> Iterator[Advice]:
    """The same one comes back and is killed again."""
    comm = case.victim.text("comm")
    if case.dry_run:
        return  # nobody died, so it is the same process that would have been killed again
    same = [e for e in case.events("kill", "kernel_kill") if _name_of(e) == comm and not e.flag("dry_run")]
    if len(same) < MANY:
        return
    unit = shell_word(case.owner.unit) if case.owner.unit.endswith(".service") else ""
    yield Advice(
        f"Stop {comm} from coming back",
        f"Processes of that name were killed {len(same)} times within two minutes: somebody starts them"
        " again, and each one takes the memory anew.",
        f"systemctl edit {unit}" if unit else "what starts it again: look at its parent",
        "[Unit]\nStartLimitIntervalSec=10min\nStartLimitBurst=3" if unit else "pstree -s -p -u PID",
    )


def _name_of(event: Fields) -> str:
    return event.fields("victim").text("comm") if event.text("kind") == "kill" else event.text("comm")


def nobody(case: Case) -> Iterator[Advice]:
    """There was nobody left to take."""
    event = next(case.events("nobody"), None)
    if event is None:
        return
    spared = event.each("spared")
    yield Advice(
        "Leave somebody who may be ended",
        f"At level {event.text('level')} nobody could be killed: {event.text('why')}. {len(spared)} were"
        f" spared, and {size(event.number('shmem_bytes'))} were in tmpfs and shared memory.",
        "who is exempt, and by what",
        "oomguardctl rank -n all\noomguardctl check",
    )
