"""Nothing is lost and nothing is there twice, however often the reporter dies."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
from collections import Counter
from pathlib import Path

from oomguardd.history.store import StoreError, read_store
from oomguardd.reporter.keeper import TALLY
from oomguardd.reporter.metrics.tally import Tally
from tests.shell.reporting import kill_fields, outcome_fields, reporting

KILLS = 100
DEATHS = (20, 50, 80)


def test_a_hundred_kills_with_a_reporter_that_is_killed_three_times() -> None:
    with reporting() as place:
        place.start()
        for number in range(1, KILLS + 1):
            place.outbox.put_vital("kill", 1, **kill_fields(number, 5000 + number))
            place.outbox.put_vital("outcome", 5, **outcome_fields(number, 5000 + number))
            if number in DEATHS:
                place.kill()  # with some written, some on the way and some not yet read
                place.start()
            place.run(lambda: False, 0.01)
        assert place.run(lambda: place.outbox.acked == 2 * KILLS), place.written()[-4000:]
        place.kill(signal.SIGTERM)
        with read_store(place.history) as reader:
            found = reader.map_kills(lambda kill: int(str(kill.record["kill_id"])))
        assert Counter(found) == Counter(range(1, KILLS + 1))
        assert counted(Path(place.history)) == KILLS


def test_what_only_the_history_has_is_logged_by_the_next_reporter() -> None:
    """The log stands still while the history is written, and then the reporter dies."""
    with reporting() as place:
        log = place.log
        place.log = place.directory / "standing-still"
        os.mkfifo(place.log)
        unread = os.open(place.log, os.O_RDWR | os.O_NONBLOCK)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(unread, b"x" * 512)
        try:
            place.start()
            place.outbox.put_vital("kill", 1, **kill_fields(1, 5001))
            place.outbox.put_vital("outcome", 5, **outcome_fields(1, 5001))
            assert place.run(lambda: kills_in(place.history) == [1])
            place.kill()
        finally:
            os.close(unread)
        assert place.outbox.acked == 0
        place.log = log
        place.start()
        assert place.run(lambda: place.outbox.acked == 2), place.written()[-4000:]
        assert place.written().count("killed leak[5001]") == 1
        assert "lost" not in place.written()
        place.kill(signal.SIGTERM)
        assert kills_in(place.history) == [1]
        assert counted(Path(place.history)) == 1


def kills_in(directory: str) -> list[int]:
    with contextlib.suppress(StoreError), read_store(directory) as reader:
        return list(reader.map_kills(lambda kill: int(str(kill.record["kill_id"]))))
    return []


def counted(directory: Path) -> float:
    """Kills that the metrics will go on from."""
    with contextlib.closing(sqlite3.connect(directory / "history.db")) as db:
        (text,) = db.execute("SELECT value FROM meta WHERE key = ?", (TALLY,)).fetchone()
    return sum(Tally.from_json(json.loads(text)).counts["oomguard_kills_total"].values())
