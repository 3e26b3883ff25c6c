"""Who is to see what. Pure.

Everybody: warnings, because everybody can close something; and the end of a process of one's own. Those who
look after the machine: everybody's.
"""

from __future__ import annotations

from collections.abc import Iterable

from oomguardd.notifiers.wording import KILLS, Facts

ADMINISTRATORS = ("adm", "sudo", "wheel")
"""Groups whose members may read the whole journal (adm, wheel), or everything (sudo)."""


def sees_all(show: str, uid: int, groups: Iterable[str]) -> bool:
    """What `--show` means for this user: own, all, or auto."""
    if show == "auto":
        return uid == 0 or not set(ADMINISTRATORS).isdisjoint(groups)
    return show == "all"


def concerns(kind: str, facts: Facts, uid: int, everything: bool) -> bool:
    """Whether this user is to see it. The end of a process whose owner is not known is for those who see
    everything."""
    return kind not in KILLS or everything or facts.get("uid") == uid
