"""Where two configurations decide differently on the same recording.

Rule of this file: pure.
"""

from __future__ import annotations

from collections.abc import Sequence

from oomguardd.ctl.tapes.tally import Decision, Kill, Moment, Tally
from oomguardd.engine.words import counted, duration, listed, safe

_MOST_NAMES = 8


class Difference:
    """Hears both moment by moment."""

    def __init__(self) -> None:
        self.moments = 0
        """In which something else is done."""

    def note(self, moments: Sequence[Moment]) -> bool:
        """Whether they differ in what is done."""
        one, two = map(_done, moments)
        differ = one != two
        self.moments += differ
        return differ

    def words(self, tallies: Sequence[Tally]) -> list[str]:
        """What it comes to."""
        if not self.moments:
            return ["no difference: both would have killed the same at the same moments"]
        one, two = ({kill.identity: kill for kill in tally.kills} for tally in tallies)
        said = [f"different in {counted(self.moments, 'moment')}:"]
        for title, those in (
            ("killed with A only", [kill for identity, kill in one.items() if identity not in two]),
            ("killed with B only", [kill for identity, kill in two.items() if identity not in one]),
        ):
            if those:
                said.append(f"  {title}: {listed([_name(kill) for kill in those], _MOST_NAMES)}")
        later = [
            f"{_name(kill)} after {duration(kill.t_s)} with A, {duration(two[identity].t_s)} with B"
            for identity, kill in one.items()
            if identity in two and kill.t_s != two[identity].t_s
        ]
        said += [f"  killed with both: {listed(later, _MOST_NAMES)}"] if later else []
        return said


def _done(moment: Moment) -> list[object]:
    return [
        (
            event.signal,
            event.victim.candidate.identity,
            sorted((m.pid, m.start_ticks) for m in event.party.members),
        )
        if isinstance(event, Decision)
        else event.kind
        for event in moment.events
    ]


def _name(kill: Kill) -> str:
    return f"{safe(kill.comm)}[{kill.identity[0]}]"
