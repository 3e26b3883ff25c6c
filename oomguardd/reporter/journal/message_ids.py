"""MESSAGE_ID of every kind of record. What each means is explained in packaging/oomguard.catalog.

Rule of this file: an id is random, made once (`uuid.uuid4().hex`) and then for ever that of its kind:
people's filters and alerts hold on to it.
"""

from __future__ import annotations

from collections.abc import Mapping

MESSAGE_IDS: Mapping[str, str] = {
    "started": "b3c5500aeb6340ddb0c0b871d15264ad",
    "missing": "4524686787164c2aa8882a25ac0c09e6",
    "adjusted": "fefdf993025c4ab2bb30b0a936332a41",
    "armed": "cc6f77c58f0e4cb0a429065ed0eec54c",
    "level": "58e38232d72f4081ae53e0ff049808d0",
    "state": "e6980b0ff8044458a670b0cd3c251a62",
    "kill": "637e1036b6124ed1a858200d2b05fb60",
    "escalated": "f2b9cd94d0a74d0ab6ff9661034a6689",
    "outcome": "29a980f9276b485191c46308976396c0",
    "nobody": "1cdb17dd34a74fabb96076025c842a78",
    "limit": "cd52a3f713734656885083eb33c1d210",
    "stand_down": "498767f0dde5498cb5655f9f4cbaf80a",
    "foreign": "632b1744045c48d7938b2ce76ef967a8",
    "reloaded": "ee26042b2977448881c366bad7b7a5b7",
    "reload_failed": "c19eac09322e4dff8aa75d6919883acb",
    "gap": "bf9fbea234d14d8fbf9de974abb56e0a",
    "stalled": "6b7c6ce75e7d4aaa8165e700e177c4b2",
    "fault": "4a607568f80d47d79c127197c2432bc5",
    "lost": "7256bfa8511649ccb24800b4e4995297",
    "stopping": "6ac73dbb70df47d8a213070ccf889171",
    "kernel_kill": "17a36ba94ee34f22857e247ab012b8b0",
    "foreign_kill": "4f1109bf0b45458d8013f0944105c99e",
    "exit": "f1ac745717e14d65a8b874c17d5e61f9",
}
"""Kind -> id. The line that the guard itself puts into a unit's journal has its own: guard/mark.py."""
