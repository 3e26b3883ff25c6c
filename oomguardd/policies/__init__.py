"""Opinions on candidates, in points. A new policy is one file and one name in POLICIES."""

from __future__ import annotations

from oomguardd.policies.base import Policy, Scene

POLICIES: tuple[type[Policy], ...] = ()
"""In the order in which they are shown; the order changes no result."""

__all__ = ["POLICIES", "Policy", "Scene"]
