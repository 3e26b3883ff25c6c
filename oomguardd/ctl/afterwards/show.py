"""`oomguardctl show`: one incident from beginning to end."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from oomguardd.ctl.afterwards.archive import add_directory, open_history
from oomguardd.ctl.afterwards.curves import can_draw, curve_lines
from oomguardd.ctl.afterwards.killed import Row, row_of, victim_words
from oomguardd.ctl.console import Console, Trouble
from oomguardd.ctl.moments import time_words
from oomguardd.ctl.text import bullets, fit, paragraph
from oomguardd.ctl.verb import Verb
from oomguardd.engine.explain import describe
from oomguardd.engine.words import safe
from oomguardd.history.identity import time_of
from oomguardd.history.incident import Incident, Record
from oomguardd.history.queries import LAST, Kill
from oomguardd.history.store import StoreError
from oomguardd.incidents.advice import advise
from oomguardd.sensors import SIGNAL_OF

_MOMENT_WIDTH = 8
"""` -59.9 s`"""

_AT_ONCE_S = 0.05
_CODE = "    "


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "id",
        metavar="ID",
        nargs="?",
        default=LAST,
        help="as `history` shows it, or as much of it as is unique; last (which is the default): the newest",
    )
    add_directory(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    """The exit status. Trouble."""
    with open_history(args, console) as history:
        try:
            incident = history.incident(args.id)
        except (LookupError, StoreError) as error:
            raise Trouble(str(error.args[0])) from None
    if console.as_json:
        console.put_json(fields_of(incident))
    else:
        console.say(lines_of(incident, console, can_draw(console.out.encoding)))
    return 0


def fields_of(incident: Incident) -> dict[str, object]:
    """For programs: everything that is known."""
    return {
        "kind": "incident",
        "id": incident.id,
        "time_s": incident.time_s,
        "kill": incident.kill,
        "outcome": incident.outcome,
        "summary": _row(incident).fields(),
        "events": list(incident.events),
        "readings": [reading._asdict() for reading in incident.readings],
        "triggers": list(incident.triggers),
        "advice": [str(each) for each in advise(incident)],
    }


def lines_of(incident: Incident, console: Console, drawn: bool) -> list[str]:
    """For people."""
    width, row = console.width, _row(incident)
    headline = f"{incident.id}  {time_words(incident.time_s)}  {victim_words(row)}, by {safe(row.by)}"
    lines = [console.paint(fit(headline, width), "bold")]
    lines += paragraph(", ".join(_facts(row)), width)
    lines += ["", console.paint("what happened", "bold"), *_story(incident, width)]
    readings = curve_lines(incident, SIGNAL_OF, width - 2, drawn)
    lines += ["", console.paint("readings", "bold")]
    lines += [f"  {line}" for line in readings] or ["  none were taken around it"]
    lines += ["", console.paint("what to change", "bold")]
    return [*lines, *(line for each in advise(incident) for line in _advice(str(each), width))]


def _advice(text: str, width: int) -> list[str]:
    """Paragraphs, and what to write, which is indented and not to be wrapped: it is there to be copied."""
    lines: list[str] = []
    for line in text.splitlines():
        if line.startswith(_CODE):
            lines.append(line if line.isprintable() else safe(line))
        else:
            lines += bullets([safe(line.strip(), 2000)], width)
    return lines


def _row(incident: Incident) -> Row:
    escalated = any(_belongs(each, incident) and each.get("kind") == "escalated" for each in incident.events)
    return row_of(Kill(incident.id, incident.kill, incident.outcome, escalated))


def _facts(row: Row) -> list[str]:
    known = (("run by", row.runs_it), ("because of", row.why), ("outcome:", row.outcome))
    return [f"{what} {safe(said)}" for what, said in known if said]


def _story(incident: Incident, width: int) -> list[str]:
    """Each event at its time, seen from the kill: in full what belongs to it, the others in one sentence."""
    lines: list[str] = []
    for event in incident.events:
        words = describe(event, SIGNAL_OF)
        own = _belongs(event, incident)
        lines += _dated(time_of(event) - incident.time_s, words if own else words[:1], width)
    return lines


def _belongs(event: Record, incident: Incident) -> bool:
    kill = incident.kill
    if event is kill or event == kill:
        return True
    same = event.get("run") == kill.get("run") and event.get("kill_id") == kill.get("kill_id")
    return same and event.get("kill_id") is not None


def _dated(moment_s: float, words: Sequence[str], width: int) -> list[str]:
    """The sentence behind its moment, and the details below it."""
    first, *details = words
    room = max(20, width - _MOMENT_WIDTH)
    shown = paragraph(first, room, indent=2)
    for line in details:
        text = line.lstrip()
        # Rows of a table are cut where a sentence goes on in the next line.
        shown += [line] if "  " in text else paragraph(text, room, indent=len(line) - len(text))
    moments = (f"{moment_s:+.1f} s" if abs(moment_s) >= _AT_ONCE_S else "0 s", *[""] * (len(shown) - 1))
    return [
        fit(f"{moment:>{_MOMENT_WIDTH}}{line}", width) for moment, line in zip(moments, shown, strict=True)
    ]


VERB = Verb(
    "show",
    "one kill from beginning to end: why, who else was looked at, what came of it, and what to change",
    "The minute before and after, in words and as curves.",
    add_arguments,
    run,
)
