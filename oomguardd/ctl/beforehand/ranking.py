"""The candidates as a table, for a terminal of any width or for a program.

Rule of this file: pure; no line is wider than the width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from oomguardd.ctl.arguments import ALL
from oomguardd.ctl.beforehand.company import party_of
from oomguardd.ctl.beforehand.world import World
from oomguardd.ctl.terms import kernel_terms, owner_words, policy_terms, to_points, weighed_fields
from oomguardd.ctl.text import Column, fit, pad, paragraph, table, width_of
from oomguardd.engine.together import Keep
from oomguardd.engine.words import counted, digits, safe, size
from oomguardd.model import PAGE_BYTES, Candidate, Party, Weighed

WIDE = 110
"""From here on there is room for owner and kill unit in the line of their process."""

_COLUMNS = (
    Column("POINTS"),
    Column("PID"),
    Column("COMMAND", left=True, least=8),
    Column("HOLDS"),
    Column("ANON"),
    Column("FILE"),
    Column("SHM"),
    Column("SWAP"),
    Column("PT"),
    Column("ADJ"),
    Column("POLICY"),
)
_WIDE_COLUMNS = (Column("KILLS", left=True), Column("OWNER", left=True, least=10))
_DETAIL_INDENT = 7
_NAMES_WIDTH = 40
"""Names get a line of their own where there is less room behind the reason."""
MOST_NAMES = 12

Paint = Callable[[str, str], str]


def page(world: World, keep: Keep, most: int, width: int, paint: Paint, height: int = 0) -> list[str]:
    """What there is, the `most` worst candidates with their terms, and who is exempt. With a `height` only as
    many candidates as leave room for the rest, but one at least."""
    above, below = [*head(world, width), ""], ["", *exempt_lines(world, keep, width)]
    ranked = world.ranked[: min(most, height or most)]
    if not ranked:
        return [*above, "nobody could be killed", *below]
    title, *blocks = _candidates(world, keep, ranked, width, paint)
    room = height - len(above) - len(title) - len(below) - 1 if height else ALL
    shown = list(title)
    number = 0
    for block in blocks:
        if number and len(shown) + len(block) - len(title) > room:
            break
        shown += block
        number += 1
    if len(world.ranked) > number:
        shown.append(fit(f"and {len(world.ranked) - number} more (-n all shows them)", width))
    return [*above, *shown, *below]


def head(world: World, width: int) -> list[str]:
    """What is measured against, and how many there are."""
    totals = world.totals
    swap = f"{size(totals.swap_bytes)} swap" if totals.swap_bytes else "no swap"
    dying = world.verdict.dying
    lines = [
        f"{size(totals.ram_bytes)} RAM, {swap}; one point is {size(totals.point_pages * PAGE_BYTES)}."
        f" {len(world.ranked)} of {counted(len(world.processes), 'process')} could be killed."
    ]
    if dying is not None:
        lines.append(
            f"{safe(dying.comm)}[{dying.pid}] is being killed already, and would be waited for first."
        )
    return [line for text in lines for line in paragraph(text, width)]


def _candidates(
    world: World, keep: Keep, ranked: Iterable[Weighed], width: int, paint: Paint
) -> list[list[str]]:
    """The title, and for each candidate its lines."""
    wide = width >= WIDE
    columns = (*_COLUMNS, *_WIDE_COLUMNS) if wide else _COLUMNS
    rows, details = [], []
    for w in ranked:
        party = party_of(w, world.processes, keep)
        cells = _cells(w, world)
        rows.append((*cells, party.unit, safe(owner_words(w.candidate.owner))) if wide else cells)
        details.append(list(_details(w, world, party, wide)))
    title, *lines = table(columns, rows, width, gap=2 if wide else 1)
    blocks = [[paint(title, "bold")]]
    for at, (line, more) in enumerate(zip(lines, details, strict=True)):
        below = [fit(f"{pad(points, _DETAIL_INDENT, left=False)} {words}", width) for points, words in more]
        blocks.append([line if at else paint(line, "red"), *below])
    return blocks


def _cells(w: Weighed, world: World) -> tuple[str, ...]:
    totals, c = world.totals, w.candidate
    terms = [digits(term.points) for term in kernel_terms(c, totals)]
    policy = sum(term.points for term in policy_terms(w, totals))
    held = size(c.held_bytes)
    return (digits(to_points(w.pages, totals)), str(c.pid), safe(c.comm), held, *terms, digits(policy))


def _details(w: Weighed, world: World, party: Party, wide: bool) -> Iterable[tuple[str, str]]:
    """Below the line: points and words."""
    for term in policy_terms(w, world.totals):
        sign = "+" if term.points > 0 else ""
        yield f"{sign}{digits(term.points)}", f"{safe(term.name)}: {safe(term.why)}"
    owner = owner_words(w.candidate.owner)
    if owner and not wide:
        yield "", f"runs in {safe(owner)}"
    words = company_words(party)
    if words:
        yield "", words


def company_words(party: Party) -> str:
    """Who dies together with the victim; empty for the victim alone."""
    others = len(party.members) - 1
    why = f" ({safe(party.why)})" if party.why else ""
    reduced = f"; {safe(party.reduced)}" if party.reduced else ""
    if not others:
        return f"alone{why}{reduced}" if reduced else ""
    place = f" {safe(party.cgroup.rpartition('/')[2])}" if party.cgroup else ""
    return f"with {others} more of its {party.unit}{place}{why}, {size(party.held_bytes)} in all{reduced}"


def exempt_lines(world: World, keep: Keep, width: int) -> list[str]:
    """Who is exempt and why, those with the same reason together, the biggest first. Who is too small to be
    killed alone, and dies with the victim, is not."""
    victim = world.verdict.victim
    party = party_of(victim, world.processes, keep) if victim is not None else Party()
    doomed = {member.pid for member in party.members}
    exempt = [(c, why) for c, why in world.exempt if c.pid not in doomed]
    small = f"too small: its death would give back less than {size(world.limits.smallest_bytes)}"
    groups: dict[str, list[Candidate]] = {}
    for c, why in exempt:
        groups.setdefault(small if world.too_small(c) else why, []).append(c)
    lines = [f"exempt: {counted(len(exempt), 'process')} and {world.kernel_threads} kernel threads"]
    rows = [
        (len(some), sum(c.held_bytes for c in some), why, [f"{safe(c.comm)}[{c.pid}]" for c in some])
        for why, some in groups.items()
    ]
    for number, held, why, names in sorted(rows, key=lambda row: (row[2] == small, -row[1])):
        said = f"  {number} ({size(held)}), {safe(why)}:"
        room = width - width_of(said) - 1
        if room >= _NAMES_WIDTH:
            lines.append(f"{said} {_listed(names, room)}")
        else:
            lines += [*paragraph(said.strip(), width, 2), f"    {_listed(names, width - 4)}"]
    return [fit(line, width) for line in lines]


def _listed(names: list[str], room: int) -> str:
    """As many of the names as there is room for."""
    kept: list[str] = []
    for name in names[:MOST_NAMES]:
        more = f" and {len(names) - len(kept) - 1} more"
        if kept and width_of(", ".join([*kept, name])) + len(more) > room:
            break
        kept.append(name)
    rest = len(names) - len(kept)
    return ", ".join(kept) + (f" and {rest} more" if rest else "")


def fields(world: World, keep: Keep, most: int) -> dict[str, object]:
    """For programs."""
    ranked = world.ranked[:most]
    return {
        "totals": {"ram_bytes": world.totals.ram_bytes, "swap_bytes": world.totals.swap_bytes},
        "page_bytes": PAGE_BYTES,
        "processes": len(world.processes),
        "kernel_threads": world.kernel_threads,
        "killable": len(world.ranked),
        "smallest_victim_bytes": world.limits.smallest_bytes,
        "dying": world.verdict.dying.pid if world.verdict.dying else None,
        "candidates": [
            weighed_fields(w, world.totals) | party_fields(party_of(w, world.processes, keep)) for w in ranked
        ],
        "exempt": [[c.pid, c.comm, c.held_bytes, why] for c, why in world.exempt],
    }


def party_fields(party: Party) -> dict[str, object]:
    """For programs: who dies together."""
    return {
        "party": {
            "unit": party.unit,
            "cgroup": party.cgroup,
            "why": party.why,
            "reduced": party.reduced,
            "held_bytes": party.held_bytes,
            "members": [[member.pid, member.comm, member.held_bytes] for member in party.members],
        }
    }
