"""What the striker tells, one record per event, put into the outbox after the deed.

Rule of this file: nothing here decides or waits.
"""

from __future__ import annotations

import signal
from collections.abc import Sequence
from typing import NamedTuple

from oomguardd.engine.episode import Episode, Event, Stage
from oomguardd.engine.triggers import Assessment
from oomguardd.guard import records
from oomguardd.guard.outbox import Outbox
from oomguardd.guard.scout import Found
from oomguardd.kernel.process import inspect
from oomguardd.model import Candidate, Member, Sample, Verdict


class Took(NamedTuple):
    """When the steps of a decision were made, on the monotonic clock, and what they cost."""

    began_s: float
    gather_s: float
    """How long it took to find those who die with the victim."""
    decided_s: float
    signalled_s: float
    major_faults: int


class Report:
    """The voice of one domain."""

    def __init__(self, outbox: Outbox, domain: str, proc_fd: int) -> None:
        self._outbox = outbox
        self._domain = domain
        self._proc_fd = proc_fd

    def kill(
        self,
        episode: Episode,
        number: signal.Signals,
        dry_run: bool,
        sample: Sample,
        assessment: Assessment,
        found: Found,
        took: Took,
    ) -> None:
        """Somebody was signalled, or in a dry run would have been."""
        # Who dies with the victim is part of the judgement.
        judge_s = found.judge_s + took.gather_s
        self._outbox.put_vital(
            "kill",
            1,
            kill_id=episode.kill_id,
            signal=number.name,
            dry_run=dry_run,
            domain=self._domain,
            **records.cause(assessment),
            readings=records.readings(sample),
            **records.verdict(found.verdict),
            party=records.party(episode.party),
            timings={
                "sense_s": round(took.decided_s - took.began_s - found.scan_s - judge_s, 6),
                "scan_s": round(found.scan_s, 6),
                "judge_s": round(judge_s, 6),
                "signal_s": round(took.signalled_s - took.decided_s, 6),
                "total_s": round(took.signalled_s - took.began_s, 6),
            },
            scanned=found.scanned,
            ahead=found.ahead,
            major_faults=took.major_faults,
        )

    def escalated(self, episode: Episode, event: Event) -> None:
        """SIGTERM was not enough."""
        why = "the level rose to kill" if event is Event.LEVEL_ROSE else "its grace time is over"
        self._outbox.put_vital(
            "escalated",
            1,
            kill_id=episode.kill_id,
            pid=episode.victim.pid,
            comm=episode.victim.comm,
            count=episode.count,
            signal="SIGKILL",
            why=why,
        )

    def outcome(
        self,
        before: Episode,
        event: Event,
        after: Episode,
        now_s: float,
        available_bytes: float | None,
        reaped: bool | None,
        living: Sequence[Member],
    ) -> None:
        """It is over, or stuck: then with those who are still `living`, otherwise with what is available
        after the last death."""
        victim = before.victim
        gone = after.stage is Stage.GONE
        alive = None if gone else inspect(self._proc_fd, living[0].pid if living else victim.pid, 0.0)
        self._outbox.put_vital(
            "outcome",
            5 if gone else 2,
            kill_id=before.kill_id,
            pid=victim.pid,
            comm=victim.comm,
            foreign=before.foreign,
            outcome=_outcome(before, event),
            after_s=round(now_s - before.began_s, 4),
            state=alive.state if alive else "",
            count=before.count,
            living=[] if gone else [[m.pid, m.comm, m.held_bytes] for m in living[: records.MEMBERS_MAX]],
            held_bytes=before.held_bytes,
            available_before_bytes=before.available_before_bytes,
            available_after_bytes=available_bytes,
            reaped=reaped,
            why="we may not signal it (CAP_KILL)" if event is Event.REFUSED else "",
        )

    def nobody(self, sample: Sample, assessment: Assessment, verdict: Verdict) -> None:
        """Somebody should die, and nobody may."""
        self._outbox.put_vital(
            "nobody",
            2,
            **records.cause(assessment),
            why="no process may be taken and is worth it",
            spared=[list(s) for s in verdict.spared[: records.SPARED_MAX]],
            shmem_bytes=sample.get("shmem", 0.0),
            readings=records.readings(sample),
        )

    def limit(self, per_minute: int, assessment: Assessment) -> None:
        """Too many have died for it to be right."""
        self._outbox.put_vital("limit", 1, per_minute=per_minute, level=records.LEVEL_WORDS[assessment.level])

    def untold(self, where: str, error: str) -> None:
        """The victim's unit does not know of it."""
        self._outbox.put("fault", 4, where=where, error=error, count=1)

    def foreign(self, victim: Candidate) -> None:
        """Somebody else is faster."""
        self._outbox.put(
            "foreign", 5, pid=victim.pid, comm=victim.comm, why="its SIGKILL is already on the way"
        )

    def stand_down(self, why: str, for_s: float, kernel_kills: int) -> None:
        """Somebody else was faster."""
        self._outbox.put("stand_down", 5, why=why, for_s=for_s, kernel_kills=kernel_kills)


def _outcome(before: Episode, event: Event) -> str:
    if event is Event.DIED:
        return "died late" if before.stage is Stage.STUCK else "died"
    return {Event.VANISHED: "vanished", Event.REFUSED: "refused"}.get(event, "stuck")
