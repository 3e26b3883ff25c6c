"""Which uids are people's. See login.defs(5), and "Users, Groups, UIDs and GIDs on systemd Systems"."""

from __future__ import annotations

FIRST_PERSON = 1000
_SERVICES = range(60578, 65535)
"""Greeters', Debian's static ones (its slurm is 64030), those of DynamicUser= (61184 to 65519), and nobody;
below them are the people of systemd-homed."""


def is_person(uid: int) -> bool:
    """Whether somebody may log in as that user. A container's own users count as such, too: their uids are
    mapped to where those of large directories begin.
    """
    return uid >= FIRST_PERSON and uid not in _SERVICES
