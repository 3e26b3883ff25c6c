"""Which of several reports a line belongs to, where no caller's mark says it.

Rule of this file: what only one of them can have decides; then where each of them is; then the newer one.
"""

from __future__ import annotations

from collections.abc import Sequence

from oomguardd.oomlog.draft import Draft
from oomguardd.oomlog.kinds import Kind, is_of_memcg

_NEXT_LINES = 5
"""A process that is younger than the table dies right behind the others of its group. A line may be four."""


def by_fitness(drafts: list[Draft], kind: Kind, text: str) -> list[Draft]:
    """The open ones that may have that line, likeliest first; given newest first."""
    if len(drafts) < 2:
        return drafts
    of_memcg = is_of_memcg(kind, text)
    fit = [draft for draft in drafts if of_memcg is None or draft.is_of_memcg in (None, of_memcg)]
    return sorted(
        fit or drafts,
        key=lambda draft: (
            of_memcg is not None and draft.is_of_memcg is None,
            draft.section not in kind.after,
        ),
    )


def named(pid: int, ours: Sequence[Draft]) -> Draft | None:
    """The open report that has said whom it would kill, and meant that process."""
    for draft in ours:
        meant = draft.announced.pid if draft.announced else draft.chosen
        if meant == pid and not draft.victims:
            return draft
    return None


def whose(pid: int, at: int, drafts: Sequence[Draft], ours: Sequence[Draft]) -> Draft | None:
    """The report that the death of that process, told in line `at`, is of; None: of one that the log has not.

    `drafts` are all, oldest first; `ours` are those without an end, newest first.
    """
    found = named(pid, ours)
    if found is not None:
        return found
    for draft in reversed(drafts):
        if pid in draft.victims:
            return draft
    for draft in reversed(drafts):
        if draft.group is not None and (pid in draft.rows or at - draft.last_at <= _NEXT_LINES):
            return draft
    willing = [draft for draft in ours if draft.may_take(pid)]
    return min(willing, key=lambda draft: pid not in draft.rows, default=None)
