"""The task table. Its columns have changed six times; the header says which they are.

Values are pages, of which only the kernel knows the size, except pgtables_bytes.
"""

from __future__ import annotations

import re

from oomguardd.oomlog.draft import MOST_TASKS, Draft, Section

NUMBERS = frozenset(
    (
        "uid",
        "tgid",
        "total_vm",
        "rss",
        "rss_anon",
        "rss_file",
        "rss_shmem",
        "nr_ptes",
        "nr_pmds",
        "nr_puds",
        "pgtables_bytes",
        "swapents",
        "cpu",
        "oom_adj",
        "oom_score_adj",
    )
)

_COMMON = ("uid", "tgid", "total_vm", "rss")
_BY_COUNT = {
    6: (*_COMMON, "cpu", "oom_adj"),
    7: (*_COMMON, "", "swapents", "oom_score_adj"),
    8: (*_COMMON, "nr_ptes", "nr_pmds", "swapents", "oom_score_adj"),
    9: (*_COMMON, "nr_ptes", "nr_pmds", "nr_puds", "swapents", "oom_score_adj"),
    10: (*_COMMON, "rss_anon", "rss_file", "rss_shmem", "pgtables_bytes", "swapents", "oom_score_adj"),
}
"""For rows whose header is lost. Of seven, the fifth is page tables in pages or in bytes, or a CPU."""

_HEADER = re.compile(r"^\[ *pid *\](.*)$")
_ROW = re.compile(r"\[ *\d{1,10}\] +-?\d{1,11} +")
_NUMBER = re.compile(r"-?\d{1,19}$")


def take_header(draft: Draft, text: str, again: bool) -> bool:
    """`[  pid  ]   uid  tgid total_vm ...`."""
    found = _HEADER.match(text)
    if not found or draft.rows:
        return False
    draft.columns = tuple(word for word in found.group(1).split() if word in NUMBERS)
    draft.section = Section.TABLE
    return True


def header_score(draft: Draft, text: str) -> int:
    words = text.partition("]")[2].split()
    return sum(1 if word in NUMBERS or word == "name" else -1 for word in words)


def take_state(draft: Draft, text: str, again: bool) -> bool:
    """`Tasks state (memory values in pages):`, before the header since 4.19."""
    if draft.rows:
        return False
    draft.section = Section.TABLE
    return True


def take_row(draft: Draft, text: str, again: bool) -> bool:
    """`[   2102]     0  2102     1873     1000 ... 250 531`."""
    pid = int(text[1 : text.index("]")])
    if (pid in draft.rows and not again) or len(draft.rows) >= MOST_TASKS:
        return False
    row = _row(draft.columns, text)
    if row is None:
        return False
    draft.rows[pid] = row
    return True


def row_score(draft: Draft, text: str) -> int:
    """Columns that are there; nothing more is to be had once the name is."""
    row = _row(draft.columns, text)
    if row is None:
        return len(text.split())
    if not row[2]:
        return 98
    return 99 if _NUMBER.match(row[2]) else 100  # a number can be a name, but hardly half of one


def is_row(text: str) -> bool:
    return _ROW.match(text) is not None


def _row(columns: tuple[str, ...], text: str) -> tuple[tuple[str, ...], tuple[int, ...], str] | None:
    rest = text.partition("]")[2]
    known = columns or _guessed(rest)
    parts = rest.split(None, len(known))
    if len(parts) < len(known) or not known:
        return None
    try:
        numbers = tuple(map(int, parts[: len(known)]))
    except ValueError:
        return None
    if max(map(len, parts[: len(known)])) > 20:
        return None
    return known, numbers, parts[len(known)].rstrip()[:64] if len(parts) > len(known) else ""


def _guessed(rest: str) -> tuple[str, ...]:
    words = rest.split(None, 12)[:-1]
    count = next((at for at, word in enumerate(words) if not _NUMBER.match(word)), len(words))
    return _BY_COUNT.get(count, ())
