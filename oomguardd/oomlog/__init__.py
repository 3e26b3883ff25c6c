"""PURE: decodes the kernel's own OOM reports, of 2.6.8 to today, out of any log."""

from __future__ import annotations

from oomguardd.oomlog.decoder import Decoder, decode
from oomguardd.oomlog.plain import to_json
from oomguardd.oomlog.report import Memcg, Memory, Report, Task, Trigger, Usage, Victim, Zone
from oomguardd.oomlog.words import Explanation, explain, explain_parts

__all__ = [
    "Decoder",
    "Explanation",
    "Memcg",
    "Memory",
    "Report",
    "Task",
    "Trigger",
    "Usage",
    "Victim",
    "Zone",
    "decode",
    "explain",
    "explain_parts",
    "to_json",
]
