"""Those who die by one decision, as words."""

from __future__ import annotations

from oomguardd.engine.words import Fields, as_number, count, listed, path, safe, size, who

MOST_MEMBERS = 10


def party_count(party: Fields) -> float:
    """How many they are; 0 where the record has no party."""
    return party.number("count") or 0


def party_words(party: Fields, victim: Fields) -> str:
    """`301 processes of app-x.scope (swarm of forkbomb, 750 MiB)`."""
    cgroup = party.text("cgroup", "")
    place = f" of {path(cgroup.rpartition('/')[2] or '/')}" if cgroup else ""
    return (
        f"{count(party_count(party))} processes{place}"
        f" ({_unit_words(party, victim)}, {size(party.number('held_bytes'))})"
    )


def _unit_words(party: Fields, victim: Fields) -> str:
    unit = party.text("unit")
    if unit == "swarm":
        return f"swarm of {victim.text('comm')}"
    if unit == "process":
        return f"{who(victim)} and what shares its memory"
    return f"the {unit} of {who(victim)}"


def party_lines(party: Fields) -> list[str]:
    """Who they are, who wanted it so, and why they are not more; nothing about a process alone of which
    nobody wanted anything else."""
    lines = []
    number = party_count(party)
    if number > 1:
        names = [member_words(item) for item in party.each("members")[:MOST_MEMBERS]]
        more = f" and {count(number - len(names))} more" if number > len(names) else ""
        lines.append(f"killed together: {listed(names, MOST_MEMBERS)}{more}")
    if why := party.text("why", ""):
        lines.append(f"what is killed ({party.text('unit')}): {why}")
    if reduced := party.text("reduced", ""):
        lines.append(f"reduced: {reduced}")
    return lines


def member_words(item: object) -> str:
    """`forkbomb[4711] 2.5 MiB`."""
    if isinstance(item, (list, tuple)) and len(item) == 3:
        return f"{safe(item[1])}[{safe(item[0])}] {size(as_number(item[2]))}"
    return safe(item)
