"""What makes a record the same as another, and the name that an incident has for people. Pure but for the
calendar: both follow from the record alone, so that they are the same wherever and whenever they are made.
"""

from __future__ import annotations

import hashlib
import time

from oomguardd.engine.words import as_number
from oomguardd.history.incident import INCIDENT_KINDS, Record

DIGEST_DIGITS = 6
"""Sixteen million names within one second; two that are alike get more digits from the store."""


def identity_of(record: Record) -> str | None:
    """A guard's record: its run and number. One that the reporter made: its `key`. None for what is not kept,
    such as the guard's looks."""
    key, run, seq = record.get("key"), record.get("run"), record.get("seq")
    if isinstance(seq, int) and not isinstance(seq, bool) and seq > 0 and isinstance(run, str):
        return storable(f"{run}/{seq}")
    return storable(f"key/{key}") if isinstance(key, str) and key else None


def storable(text: str) -> str:
    """The text with half characters, which JSON can spell and UTF-8 cannot, escaped."""
    return text.encode("utf-8", "backslashreplace").decode()


def is_incident(record: Record) -> bool:
    """Whether the record begins an incident of its own."""
    return record.get("kind") in INCIDENT_KINDS


def time_of(record: Record) -> float:
    """When it was made (wall clock); 0 if it does not say."""
    return as_number(record.get("time_s")) or 0.0


def incident_id(record: Record, digits: int = DIGEST_DIGITS) -> str:
    """`20261123-143012-3fa9c1`: the time in UTC and a digest of the record's identity."""
    digest = hashlib.sha256((identity_of(record) or "").encode()).hexdigest()
    return f"{_utc(time_of(record))}-{digest[:digits]}"


def _utc(time_s: float) -> str:
    try:
        return time.strftime("%Y%m%d-%H%M%S", time.gmtime(time_s))
    except (OverflowError, ValueError, OSError):  # a year that no calendar has
        return "00000000-000000"
