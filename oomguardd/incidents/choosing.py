"""Whether the right one was chosen: advice on rules and points."""

from __future__ import annotations

from collections.abc import Iterator

from oomguardd.engine.words import Fields, as_number, digits, safe, size, who
from oomguardd.incidents.case import Case
from oomguardd.incidents.remedy import OWN_FILE, Advice, match_table, protect, rule
from oomguardd.model import Owner
from oomguardd.runtimes import owner_of

NEARLY = 0.8
"""A second candidate that holds so much of what the victim did might as well have been taken."""

TWICE = 2.0

DATABASES = frozenset(
    {"postgres", "mysqld", "mariadbd", "mongod", "redis-server", "valkey-server", "clickhouse-serv", "etcd"}
)
"""Their end is a recovery, and everybody who depends on them fails; names as the kernel cuts them."""

SESSIONS = frozenset(
    {
        "Xorg",
        "Xwayland",
        "gnome-shell",
        "kwin_wayland",
        "kwin_x11",
        "plasmashell",
        "sway",
        "Hyprland",
        "cinnamon",
    }
    | {"xfce4-session", "sshd", "systemd", "tmux: server", "screen", "qemu-system-x86", "qemu-kvm"}
)
"""Others live in them, so more is lost than what was held."""

INFLATED_POINTS = 100.0


def precious(case: Case) -> Iterator[Advice]:
    """What should not be chosen as long as there is anybody else."""
    comm = case.victim.text("comm", "")
    if comm not in DATABASES and comm not in SESSIONS:
        return
    what = (
        "A database that is killed has to recover, and all that depends on it fails meanwhile"
        if comm in DATABASES
        else "Others live in it, so its end takes more than what it held"
    )
    match = match_of(case.victim, case.owner)
    if case.kind == "kernel_kill":
        change = protect(f"keep-{_name(comm)}", match, -500)
        yield Advice(
            f"Have the kernel spare {safe(comm)}", f"{what}. The kernel knows no rules.", OWN_FILE, change
        )
        return
    change = rule(f"keep-{_name(comm)}", match, "avoid")
    title = f"Have {safe(comm)} taken last"
    yield Advice(title, f"{what}. avoid takes 300 points off; never exempts it.", OWN_FILE, change)


def inflated(case: Case) -> Iterator[Advice]:
    """Points that something else than memory gave, while a larger one lived on."""
    held = case.victim.number("held_bytes")
    others = [Fields(other) for other in case.kill.each("runners_up")]
    larger = [o for o in others if held and (o.number("held_bytes") or 0.0) >= TWICE * held]
    if not larger or not case.ours or case.count > 1:
        return
    hog = max(larger, key=lambda o: o.number("held_bytes") or 0.0)
    given = list(_given(case.victim))
    adj = case.victim.number("oom_score_adj") or 0.0
    said = [f"{digits(points)} of them by {name}" for name, points in given]
    if adj > 0:
        said.append(f"its oom_score_adj is {adj:.0f}")
    because = f" ({', '.join(said)})" if said else ""
    match = match_of(hog, owner_of(_cgroup(hog)))
    yield Advice(
        f"Have {who(hog)} taken first",
        f"It held {size(hog.number('held_bytes'))}, the victim {size(held)}: points other than those for"
        f" memory decided{because}. If the larger one is the problem, say so.",
        OWN_FILE,
        rule(f"first-{_name(hog.text('comm'))}", match, "prefer"),
    )


def _given(process: Fields) -> Iterator[tuple[str, float]]:
    for item in process.each("adjustments"):
        points = as_number(item[1]) if isinstance(item, (list, tuple)) and len(item) == 3 else None
        if points is not None and points >= INFLATED_POINTS / 2:
            yield safe(item[0]), points  # type: ignore[index]


def close(case: Case) -> Iterator[Advice]:
    """Two alike: chance decided."""
    others = [Fields(other) for other in case.kill.each("runners_up")]
    held = case.victim.number("held_bytes")
    if not others or not held or not case.ours or case.count > 1:
        return
    second = others[0]
    second_held = second.number("held_bytes") or 0.0
    if not NEARLY * held <= second_held < TWICE * held or second.text("comm") == case.victim.text("comm"):
        return
    match = match_of(case.victim, case.owner)
    yield Advice(
        f"Say which of the two is worth more, {case.victim.text('comm')} or {second.text('comm')}",
        f"{who(second)} held {size(second_held)}, nearly as much as the victim's {size(held)}: next time it"
        " may be the other one. If the wrong one was taken, write this.",
        OWN_FILE,
        rule(f"keep-{_name(case.victim.text('comm'))}", match, "avoid"),
    )


def match_of(process: Fields, owner: Owner) -> str:
    """The `match` that tells it apart best: what no user can choose comes first, and what anybody can
    goes with whose it is."""
    own = owner.unit.endswith(".service") and not owner.unit.startswith("user@")
    if own and not owner.runtime and not owner.user_unit:
        return match_table("unit", owner.unit)
    if owner.container:
        return match_table("container", owner.container)
    uid = process.number("uid")
    whose = int(uid) if uid is not None and 0 <= uid < 1 << 32 else None
    if owner.app:
        return match_table("app", owner.app, whose)
    comm = process.raw.get("comm")
    return match_table("name", comm if isinstance(comm, str) else "", whose)


def _cgroup(process: Fields) -> str:
    cgroup = process.raw.get("cgroup")
    return cgroup if isinstance(cgroup, str) else ""


_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_-")


def _name(comm: str) -> str:
    name = "".join(char if char in _LETTERS else "-" for char in comm.lower()).strip("-")
    return name or "it"
