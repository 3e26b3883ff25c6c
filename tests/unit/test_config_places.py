"""Where history and control socket are."""

from __future__ import annotations

from dataclasses import replace

import pytest

from oomguardd.config import Config
from oomguardd.config.places import control_socket, history_directory
from oomguardd.telling import ControlSettings, HistorySettings, Telling

DEFAULT = Config()


@pytest.mark.parametrize(
    ("environ", "euid", "expected"),
    [
        ({}, 0, "/var/lib/oomguard"),
        ({"STATE_DIRECTORY": "/var/lib/private/oomguard:/x"}, 999, "/var/lib/private/oomguard"),
        ({"XDG_STATE_HOME": "/home/u/.state", "HOME": "/home/u"}, 1000, "/home/u/.state/oomguard"),
        ({"XDG_STATE_HOME": "relative", "HOME": "/home/u/"}, 1000, "/home/u/.local/state/oomguard"),
        ({}, 1000, "/tmp/.local/state/oomguard"),
    ],
)
def test_history(environ: dict[str, str], euid: int, expected: str) -> None:
    assert history_directory(DEFAULT, environ, euid) == expected


def test_what_is_configured_comes_first() -> None:
    telling = Telling(history=HistorySettings(directory="/h"), control=ControlSettings(socket="/c"))
    config = replace(DEFAULT, telling=telling, origins={"history.directory": "f", "control.socket": "f"})
    assert history_directory(config, {"STATE_DIRECTORY": "/s"}, 0) == "/h"
    assert control_socket(config, "/run/oomguard/guard.sock") == "/c"
    off = replace(config, telling=Telling(control=ControlSettings(socket=None)))
    assert control_socket(off, "/run/oomguard/guard.sock") is None


def test_the_control_socket_is_beside_the_guards() -> None:
    assert control_socket(DEFAULT, "/run/oomguard/guard.sock") == "/run/oomguard/io.oomguard.Manager"
    assert control_socket(DEFAULT, "/tmp/x/guard.sock") == "/tmp/x/io.oomguard.Manager"
