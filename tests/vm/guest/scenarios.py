"""The scenarios, as one table. Read by both sides: the host for the names, the guest to run them.

A hog's size is chosen for the guest of 1 GiB: three times its memory, so that only a kill ends it. The
innocent is big enough to be a tempting victim and small enough to be the wrong one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

HOG_S = 60
"""A hog gives up after so long: a scenario ends even with a daemon that does nothing."""
FAST = ("leak", "0", "3000", str(HOG_S))


@dataclass(frozen=True, slots=True)
class Scenario:
    """What happens on the machine. Arguments are those of `actors`."""

    name: str
    hog: tuple[str, ...] = FAST
    innocent_mib: int = 100
    innocent_adj: int = 0
    idle: int = 0
    """So many more processes that wait."""
    swap: bool = False
    psi: bool = True
    """Needs a boot with, or without, pressure readings."""
    freeze: str = ""
    """A unit whose main process is stopped (SIGSTOP) before the hog starts."""
    hold: bool = False
    """The guard's main thread is held before the hog starts: its watchdog gives it up, systemd starts it
    again.
    """
    box_mib: int = 0
    """A memory limit: hog and daemon run in the foreground in a container of that size."""
    only: str = ""
    """The daemon that this is about, if not all."""


SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("fast-leak"),
        Scenario("slow-leak", ("leak", "40", "3000", str(HOG_S))),
        # 40 x 24 MiB do not fit; each is small, so the innocent must be smaller.
        Scenario("forty", ("herd", "40", "24", "30"), innocent_mib=8),
        Scenario("protected-innocent", innocent_mib=400, innocent_adj=-900),
        Scenario("ignores-sigterm", (*FAST, "stubborn")),
        Scenario("zombie-leader", (*FAST, "zombie")),
        Scenario("shared-memory", (*FAST, "shared")),
        Scenario("many-processes", idle=1500),
        Scenario("swap", swap=True),
        Scenario("swap-slow-leak", ("leak", "40", "3000", str(HOG_S)), swap=True),
        Scenario("reporter-stopped", freeze="oomguardd-reporter.service", only="oomguardd"),
        Scenario("journald-stopped", freeze="systemd-journald.service"),
        Scenario("guard-stalled", hold=True, only="oomguardd"),
        Scenario("container", box_mib=300, only="oomguardd"),
        Scenario("no-psi", psi=False),
    )
}


def pairs(daemons: Iterable[str], names: list[str] | None = None) -> list[tuple[Scenario, str]]:
    """Each scenario, of all or of those named, with each of the daemons that it makes sense with."""
    wanted = [s for s in SCENARIOS.values() if not names or s.name in names]
    return [(s, daemon) for s in wanted for daemon in daemons if s.only in ("", daemon)]
