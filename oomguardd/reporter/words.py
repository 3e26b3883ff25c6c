"""Records in words, as every sink that shows them does it."""

from __future__ import annotations

from collections.abc import Mapping

from oomguardd.engine.explain import describe
from oomguardd.engine.words import as_number, safe
from oomguardd.reporter.inbox import Record
from oomguardd.sensors import SIGNAL_OF

PRIORITY_OF_UNKNOWN = 5


def words_of(record: Record) -> list[str]:
    """As `describe`. Whatever goes wrong, it must not end us: the guard would send the same record again."""
    try:
        return describe(record, SIGNAL_OF)
    except Exception as error:
        return [f"a record of kind {safe(record.get('kind'))} has no words: {safe(repr(error))}"]


def priority_of(record: Mapping[str, object]) -> int:
    """syslog(3)'s."""
    priority = as_number(record.get("priority"))
    return PRIORITY_OF_UNKNOWN if priority is None else int(priority)


def time_of(record: Mapping[str, object]) -> float:
    """Seconds since the epoch; 0 if the record does not say."""
    return as_number(record.get("time_s")) or 0.0
