"""What ends the start: nothing after arming is fatal."""

from __future__ import annotations


class StartError(Exception):
    """The guard cannot do its work at all; the message says why, and the remedy."""
