"""SIGTERM ends the reporter within what systemd gives it, whatever hangs."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.shell.reporting import Reporting, kill_fields, reporting

STOP_S = 5.0
"""TimeoutStopSec= of oomguardd-reporter.service."""


def ends_in_time(place: Reporting) -> bool:
    """Whether it ended by itself, and before systemd would have ended it."""
    assert place.process is not None
    began_s = time.monotonic()
    place.process.send_signal(signal.SIGTERM)
    place.run(lambda: place.process is None or place.process.poll() is not None, 2 * STOP_S)
    return place.process.poll() == 0 and time.monotonic() - began_s < STOP_S


@contextlib.contextmanager
def locked(directory: str) -> Iterator[None]:
    """By somebody who reads without an end."""
    with contextlib.closing(sqlite3.connect(f"{directory}/history.db", isolation_level=None)) as db:
        db.execute("BEGIN EXCLUSIVE")
        yield


def test_while_another_process_holds_the_history() -> None:
    with reporting() as place:
        place.start()
        place.outbox.put_vital("kill", 1, **kill_fields(1))
        assert place.run(lambda: place.outbox.acked == 1)
        with locked(place.history):
            place.outbox.put_vital("kill", 1, **kill_fields(2))
            place.run(lambda: False, 0.5)
            assert ends_in_time(place), place.written()[-2000:]


def test_while_it_cannot_read_the_history_at_its_start() -> None:
    with reporting() as place:
        place.start()
        assert place.run(lambda: (Path(place.history) / "history.db").exists())
        place.kill(signal.SIGTERM)
        with locked(place.history):
            words = ["--socket", str(place.directory / "guard.sock"), "--config", str(place.config)]
            place.process = subprocess.Popen([sys.executable, "-m", "oomguardd.reporter", *words])
            inherited = Path(f"/proc/{place.process.pid}/status")
            # From here on it handles SIGTERM, and reads.
            assert place.run(lambda: handles(inherited, signal.SIGTERM))
            place.run(lambda: False, 0.2)
            assert ends_in_time(place)


def handles(status: Path, number: signal.Signals) -> bool:
    caught = next(line for line in status.read_text().splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught.split()[1], 16) >> (number - 1) & 1)


def test_while_the_textfiles_disk_hangs() -> None:
    with tempfile.TemporaryDirectory(prefix="oomguard-textfile-", dir="/tmp") as name:
        directory = Path(name)
        directory.chmod(0o777)
        with reporting() as place:
            text = place.config.read_text()
            place.config.write_text(text.replace("[metrics]", f'[metrics]\ntextfile = "{directory}/x.prom"'))
            pid = place.start()
            assert place.run(lambda: (directory / "x.prom").exists())
            # Whoever opens it for writing waits for a reader, as on a disk that does not answer.
            os.mkfifo(directory / f"x.prom.{pid}.tmp")
            (directory / f"x.prom.{pid}.tmp").chmod(0o666)
            place.outbox.put_vital("kill", 1, **kill_fields(1))
            assert place.run(lambda: place.outbox.acked == 1)
            place.run(lambda: False, 1.0)
            assert ends_in_time(place), place.written()[-2000:]
