"""Sockets of root's in a directory of somebody else's."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from oomguardd.reporter.binding import bind_with_mode


@pytest.mark.parametrize("mode", [0o600, 0o660, 0o666])
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_its_mode_is_that_whatever_the_umask(tmp_path: Path, mode: int, umask: int) -> None:
    before = os.umask(umask)
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            bind_with_mode(listener, str(tmp_path / "socket"), mode)
            with (
                pytest.raises(OSError, match="Address already in use"),
                socket.socket(socket.AF_UNIX) as again,
            ):
                bind_with_mode(again, str(tmp_path / "socket"), mode)
        assert os.umask(umask) == umask
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "socket").stat().st_mode) == mode


NO_CHMOD = """
import sys
from oomguardd.reporter.control.server import open_control
from oomguardd.reporter.metrics.server import open_listener

def hook(event, arguments):
    if event == "os.chmod":
        raise SystemExit(f"chmod of {arguments}: its owner may have put a link there")

sys.addaudithook(hook)
for name, opened in (("control", open_control), ("metrics", open_listener)):
    opened(f"{sys.argv[1]}/{name}").close()
"""


def test_nobody_can_put_a_link_in_between(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", NO_CHMOD, str(tmp_path)], check=True, timeout=50)
    modes = {name: stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("control", "metrics")}
    assert modes == {"control": 0o666, "metrics": 0o666}
