"""Where the history and the control socket are, for whoever runs as whom. Pure."""

from __future__ import annotations

import os.path
from collections.abc import Mapping

from oomguardd.sections import BUILT_IN, Config
from oomguardd.telling import ControlSettings, HistorySettings, Telling

CONTROL = os.path.basename(ControlSettings().socket or "")
"""The control socket's file, beside the guard's own."""


def history_directory(config: Config, environ: Mapping[str, str], euid: int) -> str:
    """As configured; otherwise systemd's StateDirectory=, or for an ordinary user one of their own."""
    configured: HistorySettings = (config.telling or Telling()).history
    if config.origin("history.directory") != BUILT_IN:
        return configured.directory
    if environ.get("STATE_DIRECTORY", "").startswith("/"):
        return environ["STATE_DIRECTORY"].partition(":")[0]
    if euid == 0:
        return configured.directory
    state = environ.get("XDG_STATE_HOME", "")
    if not state.startswith("/"):
        state = f"{environ.get('HOME', '').rstrip('/') or '/tmp'}/.local/state"
    return f"{state}/oomguard"


def control_socket(config: Config, guard_socket: str) -> str | None:
    """As configured; otherwise beside the guard's socket. None if it is off."""
    configured: ControlSettings = (config.telling or Telling()).control
    if config.origin("control.socket") != BUILT_IN:
        return configured.socket
    return os.path.join(os.path.dirname(guard_socket), CONTROL)
