"""What is made of an incident for people: the report page, and what to change. Pure; HTML is text."""

from __future__ import annotations

from oomguardd.incidents.advice import Advice, advise
from oomguardd.incidents.page import page

__all__ = ["Advice", "advise", "page"]
