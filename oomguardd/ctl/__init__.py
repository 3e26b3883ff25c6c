"""oomguardctl: see before it happens. One file a verb; a new one is one name in VERBS."""

from __future__ import annotations

from oomguardd.ctl import check, explain, rank, record, simulate

VERBS = (rank.VERB, explain.VERB, check.VERB, record.VERB, simulate.VERB)
