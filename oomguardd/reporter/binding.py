"""A Unix socket's file, made with its mode."""

from __future__ import annotations

import os
import socket


def bind_with_mode(listener: socket.socket, path: str, mode: int) -> None:
    """Not chmod() after bind(): whoever owns the directory could put a link there in between, and we may be
    root. OSError. Files that threads make meanwhile could get that mode, too: ours say their own."""
    before = os.umask(~mode & 0o777)
    try:
        listener.bind(path)
    finally:
        os.umask(before)
