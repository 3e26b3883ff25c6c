"""oomguardctl: how things stand, what would happen, and what has happened. One file a verb; a new one is
one name in VERBS.
"""

from __future__ import annotations

from oomguardd.ctl import check, decode, explain, history, rank, record, report, show, simulate, status

VERBS = (
    status.VERB,
    rank.VERB,
    explain.VERB,
    check.VERB,
    record.VERB,
    simulate.VERB,
    history.VERB,
    show.VERB,
    report.VERB,
    decode.VERB,
)
