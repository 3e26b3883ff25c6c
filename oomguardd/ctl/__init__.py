"""oomguardctl: how things stand, what would happen, and what has happened. One file a verb; a new one is
one name in VERBS.
"""

from __future__ import annotations

from oomguardd.ctl.afterwards import decode, history, report, show
from oomguardd.ctl.beforehand import check, explain, rank
from oomguardd.ctl.now import status
from oomguardd.ctl.tapes import record, simulate

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
