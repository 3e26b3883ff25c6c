"""All those who die by one decision: from the first look at them to those who are born meanwhile.

Rule of this file: nothing is frozen for longer than it takes to list and signal it, and never what holds us.
"""

from __future__ import annotations

import math
import os
import signal
import time
from collections.abc import Iterable

from oomguardd.census.muster import Late, Muster
from oomguardd.engine.episode import Event
from oomguardd.engine.together import Keep, alone
from oomguardd.guard.actuator import Actuator
from oomguardd.kernel.clock import boottime_s
from oomguardd.model import Candidate, Party, Weighed

SWEEPS = 10
"""So often those who were born meanwhile are looked for, after a signal and again after the last death. Of a
fork bomb the second time finds some; frozen, it has no third."""
FREEZE_S = 0.005
"""What runs is frozen within a millisecond; what hangs in the kernel is not waited for."""
FREEZE_LOOK_S = 0.0005
NEWBORN_S = 0.05
"""Who starts later than this after the signal is not of the same party: a service that was restarted is (by
default) 100 ms younger."""


class Mates:
    """One party, while it is being killed."""

    __slots__ = ("keep", "party", "rounds", "signalled_s", "victim")

    def __init__(self, victim: Candidate, party: Party, keep: Keep) -> None:
        self.victim = victim
        self.party = party
        self.keep = keep
        self.rounds = 0
        """How often more of it were found after all were dead."""
        self.signalled_s = 0.0
        """CLOCK_BOOTTIME."""


class Company:
    """The parties of one domain. Without a `muster` every victim dies alone."""

    def __init__(self, muster: Muster | None) -> None:
        self.actuator: Actuator | None = None
        self._muster = muster
        self._all: dict[int, Mates] = {}

    def gather(self, victim: Weighed, keep: Keep, hint: Iterable[int]) -> Party:
        """As Muster.gather()."""
        if self._muster is None:
            return alone(victim.candidate, why=victim.kill_why)
        return self._muster.gather(victim, keep, hint)

    def seize(self, kill_id: int, victim: Candidate, party: Party, keep: Keep) -> Event | None:
        """As Actuator.seize(). Who could not be seized is of the party no more."""
        if self.actuator is None:
            return Event.REFUSED
        failed = self.actuator.seize(kill_id, party)
        if failed is None:
            held = self.actuator.living(kill_id) if len(party.members) > 1 else party.members
            self._all[kill_id] = Mates(victim, party._replace(members=held), keep)
        return failed

    def party(self, kill_id: int) -> Party:
        """As it is by now, with those who were born meanwhile; empty if it is not held."""
        mates = self._all.get(kill_id)
        return Party() if mates is None else mates.party

    def send(self, kill_id: int, number: signal.Signals) -> Event | None:
        """To all of them, and if it kills, to those who are born meanwhile. None: delivered."""
        mates, actuator = self._all.get(kill_id), self.actuator
        if mates is None or actuator is None:
            return Event.VANISHED
        mates.signalled_s = boottime_s()
        if number is not signal.SIGKILL or mates.party.unit == "process":
            return actuator.send(kill_id, number)
        if mates.party.whole and self._kill_at_once(kill_id, mates):
            actuator.send(kill_id, number)  # they are dying; should there be more of them later, it is known
            return None
        if mates.party.unit == "tree":
            self._take_in(kill_id, mates)  # once their parents are dead, nobody tells whose they were
        failed = actuator.send(kill_id, number)
        if failed is None:
            self._sweep(kill_id, mates)
        return failed

    def more(self, kill_id: int) -> bool:
        """Whether there were more of them when all were dead; those have got SIGKILL now."""
        mates = self._all.get(kill_id)
        if mates is None or mates.party.unit == "process" or mates.rounds >= SWEEPS:
            return False
        mates.rounds += 1
        if not self._join(kill_id, mates, mates.signalled_s + NEWBORN_S):
            return False
        mates.signalled_s = boottime_s()
        self._sweep(kill_id, mates)
        return True

    def release(self, kill_id: int) -> None:
        """Let go of them."""
        self._all.pop(kill_id, None)
        if self.actuator is not None:
            self.actuator.release(kill_id)

    def _kill_at_once(self, kill_id: int, mates: Mates) -> bool:
        """All of a cgroup, in one step of the kernel's, after one more look at who is in it."""
        muster = self._muster
        if muster is None or muster.cgroups is None:
            return False
        clear = self._take_in(kill_id, mates).clear
        mates.party = mates.party._replace(whole=clear)
        return clear and muster.cgroups.kill(mates.party.cgroup)

    def _sweep(self, kill_id: int, mates: Mates) -> None:
        frozen = False
        try:
            for _ in range(SWEEPS):
                if not self._join(kill_id, mates):
                    return
                frozen = frozen or self._freeze(mates)
        finally:
            self._thaw(mates, frozen)

    def _join(self, kill_id: int, mates: Mates, born_by_s: float = math.inf) -> bool:
        """Kill those who are not of the party yet; False if there are none."""
        if self.actuator is None or not self._take_in(kill_id, mates, born_by_s).members:
            return False
        self.actuator.send(kill_id, signal.SIGKILL)
        return True

    def _take_in(self, kill_id: int, mates: Mates, born_by_s: float = math.inf) -> Late:
        """Take hold of those who belong to the party by now."""
        if self._muster is None or self.actuator is None:
            return Late()
        late = self._muster.latecomers(mates.victim, mates.party, mates.keep, born_by_s)
        if late.members:
            mates.party = mates.party._replace(members=mates.party.members + late.members)
            self.actuator.join(kill_id, late.members)
        return late

    def _freeze(self, mates: Mates) -> bool:
        """Stop all in its cgroup for the moment, so that nobody is born there. True if that was ordered.

        Not where it holds us, who could never let it go on, or init; and not a tree, which has no cgroup.
        """
        muster, cgroup = self._muster, mates.party.cgroup
        if muster is None or muster.cgroups is None or not cgroup:
            return False
        if muster.cgroups.frozen(cgroup) is not False:
            return False  # somebody else has frozen it, and it is theirs to thaw
        if muster.holds_any(cgroup, (1, os.getpid(), *mates.keep.untouchable)):
            return False
        if not muster.cgroups.freeze(cgroup, True):
            return False
        until_s = time.monotonic() + FREEZE_S
        while muster.cgroups.frozen(cgroup) is False and time.monotonic() < until_s:
            time.sleep(FREEZE_LOOK_S)
        return True

    def _thaw(self, mates: Mates, by_us: bool) -> None:
        """Let them go on. If all of them die, also those whom somebody else has frozen: on v1 they could not
        die otherwise."""
        cgroups = self._muster.cgroups if self._muster is not None else None
        cgroup = mates.party.cgroup
        if cgroups is not None and cgroup and (by_us or (mates.party.whole and cgroups.frozen(cgroup))):
            cgroups.freeze(cgroup, False)
