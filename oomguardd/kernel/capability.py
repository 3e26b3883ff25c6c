"""What we are allowed to do. See capabilities(7)."""

from __future__ import annotations

from oomguardd.kernel.files import SensorError, read_small

CAPABILITIES = {
    "DAC_OVERRIDE": 1,
    "KILL": 5,
    "IPC_LOCK": 14,
    "SYS_PTRACE": 19,
    "SYS_NICE": 23,
    "SYS_RESOURCE": 24,
}
"""Name (without CAP_) -> bit, of those that make a difference to us. See linux/capability.h."""


def parse_effective(status: bytes) -> frozenset[str]:
    """The names, out of /proc/PID/status. SensorError if it does not say."""
    _, found, rest = status.partition(b"\nCapEff:")
    line, newline, _ = rest.partition(b"\n")
    try:
        if not found or not newline:
            raise ValueError
        bits = int(line, 16)
    except ValueError:
        raise SensorError("/proc/self/status: no line CapEff") from None
    return frozenset(name for name, bit in CAPABILITIES.items() if bits >> bit & 1)


def effective(proc_fd: int, pid: str = "self") -> frozenset[str]:
    """Which of CAPABILITIES that process has in effect. SensorError, OSError."""
    return parse_effective(read_small(proc_fd, f"{pid}/status"))
