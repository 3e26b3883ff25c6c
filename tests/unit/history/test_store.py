"""What is written: once, all or nothing, and within its bounds."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from oomguardd.history.database import FILE, JOURNAL, SCHEMA
from oomguardd.history.identity import incident_id
from oomguardd.history.readings import Rows
from oomguardd.history.store import RECORD_BYTES, Store, StoreError, open_store, read_store
from tests.unit.history.scene import (
    NOON_S,
    RUN,
    TRIGGERS,
    YEAR_S,
    kernel_kill,
    kill,
    outcome,
    record,
    started,
    tick,
)

ROOM = 64 << 20


def store_in(path: Path, size: int = ROOM, age_s: float = YEAR_S, now_s: float = NOON_S) -> Store:
    return open_store(str(path), size, age_s, lambda: now_s)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(store_in(tmp_path)) as made:
        yield made


def all_events(path: Path) -> list[dict[str, object]]:
    with read_store(str(path)) as reader:
        return [dict(event) for event in reader.map_events(lambda event: event)]


def test_an_event_is_there_once(store: Store, tmp_path: Path) -> None:
    first = [started(), kill(2), kernel_kill("boot/17")]
    assert store.append(first) == first
    assert store.append([kill(2), kernel_kill("boot/17"), outcome(3, 2)]) == [outcome(3, 2)]
    assert store.append([kill(2), kill(2)]) == []
    assert len(all_events(tmp_path)) == 4


def test_the_same_number_of_another_run_is_another_event(store: Store) -> None:
    store.append([kill(2)])
    other = kill(2) | {"run": "ffff"}
    assert store.append([other]) == [other]


def test_looks_are_no_events(store: Store, tmp_path: Path) -> None:
    assert store.append([tick(NOON_S), record("state", 0), {"kind": "fault", "seq": 0}]) == []
    assert all_events(tmp_path) == []


def test_unknown_is_what_append_would_return(store: Store) -> None:
    store.append([kill(2)])
    batch = [kill(2), kill(3), kill(3), tick(NOON_S), kernel_kill("a")]
    assert store.unknown(batch) == [kill(3), kernel_kill("a")]
    assert store.append(batch) == [kill(3), kernel_kill("a")]


def test_meta_comes_with_the_records(store: Store, tmp_path: Path) -> None:
    store.append([kill(2)], {"tally": "one"})
    store.close()
    again = store_in(tmp_path)
    assert again.meta("tally") == "one"
    assert again.meta("other") is None
    again.close()


def test_how_far_the_guard_was_heard(store: Store) -> None:
    assert store.seen() == ("", 0)
    store.append([kill(7), kill(8), kernel_kill("x")])
    assert store.seen() == (RUN, 8)
    store.append([kernel_kill("y")])
    assert store.seen() == (RUN, 8)


def test_recent_begins_with_the_last_start(store: Store) -> None:
    store.append([kill(5) | {"run": "old"}, started(1), kill(2), outcome(3, 2)])
    assert [event["kind"] for event in store.recent()] == ["started", "kill", "outcome"]
    assert list(store_in(Path(store.directory) / "empty").recent()) == []


def test_recent_of_a_long_run_has_its_beginning_and_its_end(store: Store) -> None:
    store.append([started(1), *(record("level", seq) for seq in range(2, 1500))])
    found = [event["seq"] for event in store.recent()]
    assert found[:200] == list(range(1, 201))
    assert found[-500:] == list(range(1000, 1500))
    assert len(found) < 710


def test_an_incident_has_the_same_name_everywhere(tmp_path: Path) -> None:
    names = []
    for place in ("a", "b"):
        with closing(store_in(tmp_path / place)) as one:
            one.append([kill(2), kernel_kill("k", NOON_S + 1.5)])
        with read_store(str(tmp_path / place)) as reader:
            names.append([each.id for each in reader.kills()])
    assert names[0] == names[1] == [incident_id(kill(2)), incident_id(kernel_kill("k", NOON_S + 1.5))]
    assert names[0][0].startswith("20261123-120000-")


def test_names_that_are_alike_are_told_apart(store: Store, tmp_path: Path) -> None:
    """Thousands in one second: as many names."""
    count = 6000
    store.append([kill(seq) for seq in range(1, count + 1)])
    with read_store(str(tmp_path)) as reader:
        names = {each.id for each in reader.kills()}
    assert len(names) == count


@pytest.mark.parametrize(
    "hostile",
    [
        {"time_s": 1e300},
        {"time_s": "now"},
        {"time_s": None, "kill_id": 1 << 80},
        {"run": "\ud800"},
        {"kind": "kill", "kill_id": "x", "victim": "nobody"},
        {"victim": {"comm": "\ud800\x00'; DROP TABLE events; --"}},
        {"readings": [1], "triggers": {"a": 1}},
    ],
)
def test_nothing_in_a_record_can_spoil_the_history(
    store: Store, tmp_path: Path, hostile: dict[str, object]
) -> None:
    bad = kill(2) | hostile
    assert store.append([bad]) == [bad]
    with read_store(str(tmp_path)) as reader:
        assert reader.incident("last").kill["seq"] == 2
        assert len(reader.kills()) == 1


def test_a_record_that_is_too_large_loses_its_tables(store: Store, tmp_path: Path) -> None:
    big = kernel_kill("big", report={"tasks": ["x" * 100] * 5000}, note="y" * 300_000)
    store.append([big])
    (found,) = all_events(tmp_path)
    assert found["pid"] == big["pid"]
    assert found["shortened"] is True
    assert len(json.dumps(found)) < RECORD_BYTES


def fill(store: Store, first: int, count: int, now_s: float = NOON_S) -> None:
    """Kills with readings around them, a minute apart."""
    rows = Rows()
    for seq in range(first, first + count):
        time_s = now_s + 60 * seq
        store.append([kill(seq, time_s, note="z" * 3000)])
        sample = [
            rows.row(time_s + at, {"mem_available": float(seq * at), "swap_free": 0.1}) for at in range(60)
        ]
        store.add_readings(sample)


def test_it_stays_below_its_size_and_the_oldest_go(tmp_path: Path) -> None:
    size = 1 << 20
    with closing(store_in(tmp_path, size)) as store:
        store.append([started(1)])
        for turn in range(6):
            fill(store, 2 + turn * 100, 100)
            files = (FILE, JOURNAL)
            assert sum((tmp_path / name).stat().st_size for name in files) <= size
        kinds = [event["kind"] for event in store.recent()]
        assert kinds[0] == "started", "what is in force is never forgotten"
    with read_store(str(tmp_path)) as reader:
        numbers = [each.record["seq"] for each in reader.kills()]
        newest = reader.incident("last")
    assert numbers[-1] == 601
    assert numbers == list(range(602 - len(numbers), 602))
    assert 50 < len(numbers) < 300
    assert list(newest.triggers) == TRIGGERS
    assert len(newest.readings) > 50


def test_a_smaller_bound_makes_the_file_smaller(tmp_path: Path) -> None:
    with closing(store_in(tmp_path)) as store:
        fill(store, 1, 600)
        assert (tmp_path / FILE).stat().st_size > 2 << 20
        store.retune(1 << 20, YEAR_S)
        fill(store, 700, 1)
        assert (tmp_path / FILE).stat().st_size <= 1 << 20
        assert store.append([kill(700, NOON_S)]) == []


def test_what_is_too_old_goes(tmp_path: Path) -> None:
    with closing(store_in(tmp_path)) as store:
        store.append([started(1, NOON_S - 5000)])
        fill(store, 2, 30, NOON_S - 4000)
        old = kill(50, NOON_S)
    with closing(store_in(tmp_path, age_s=3600.0)) as store:
        store.append([old])
    found = all_events(tmp_path)
    assert [event["kind"] for event in found if float(str(event["time_s"])) < NOON_S - 3600] == ["started"]
    assert len(found) > 2
    with sqlite3.connect(tmp_path / FILE) as db:
        (oldest,) = db.execute("SELECT min(last_s) FROM readings").fetchone()
        assert oldest >= NOON_S - 3600 - 60


def test_a_clock_that_is_wrong_for_a_moment_does_not_empty_it(tmp_path: Path) -> None:
    with closing(store_in(tmp_path)) as store:
        store.append([kill(seq) for seq in range(1, 200)])
    with closing(store_in(tmp_path, now_s=NOON_S + 50 * YEAR_S)) as store:
        store.append([kill(200, NOON_S + 50 * YEAR_S)])
    assert len(all_events(tmp_path)) > 150


def test_a_file_that_was_removed_is_made_again(store: Store, tmp_path: Path) -> None:
    store.append([kill(1)])
    (tmp_path / FILE).unlink()
    assert store.append([kill(2)]) == [kill(2)]
    assert [event["seq"] for event in all_events(tmp_path)] == [2]
    assert store.notes == []


def test_triggers_that_nobody_needs_go(tmp_path: Path) -> None:
    with closing(store_in(tmp_path, age_s=3600.0)) as store:
        for seq in range(1, 20):
            changed = [dict(TRIGGERS[0], name=f"t{seq}")]
            store.append([record("reloaded", 2 * seq, NOON_S - 90_000 + seq, triggers=changed)])
            store.append([kill(2 * seq + 1, NOON_S - 90_000 + seq)])
        store.append([kill(100)])
        store.append([kill(101)])
    with read_store(str(tmp_path)) as reader:
        assert reader.incident("last").triggers[0]["name"] == "t19"
    with sqlite3.connect(tmp_path / FILE) as db:
        assert db.execute("SELECT count(*) FROM setups").fetchone() == (1,)


def test_a_newer_schema_is_refused_and_left_alone(tmp_path: Path) -> None:
    store_in(tmp_path).close()
    with sqlite3.connect(tmp_path / FILE) as db:
        db.execute(f"PRAGMA user_version = {SCHEMA + 1}")
    before = (tmp_path / FILE).read_bytes()
    with pytest.raises(StoreError, match="newer oomguardd"):
        store_in(tmp_path)
    with pytest.raises(StoreError, match="newer oomguardd"):
        read_store(str(tmp_path))
    assert (tmp_path / FILE).read_bytes() == before


def test_somebody_elses_database_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / FILE) as db:
        db.execute("CREATE TABLE precious(a)")
    with pytest.raises(StoreError, match="not a history of oomguardd"):
        store_in(tmp_path)


def test_what_is_no_database_is_moved_aside_and_told(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"this is no database at all, but long enough for a header" * 20)
    (tmp_path / JOURNAL).write_bytes(b"nor a journal")
    with closing(store_in(tmp_path)) as store:
        assert store.append([kill(2)]) == [kill(2)]
        (note,) = store.notes
    assert "damaged" in note
    (kept,) = (path for path in tmp_path.iterdir() if "damaged" in path.name and "journal" not in path.name)
    assert kept.name in note
    assert kept.read_bytes().startswith(b"this is no database")


def test_damage_that_shows_later_begins_a_new_file(tmp_path: Path) -> None:
    with closing(store_in(tmp_path)) as store:
        fill(store, 1, 50)
        with (tmp_path / FILE).open("r+b") as file:
            for page in range(1, os.path.getsize(tmp_path / FILE) // 4096):
                file.seek(page * 4096)
                file.write(b"\xff" * 4096)
        store.close()
        new = [kill(seq) for seq in range(900, 910)]
        assert store.append(new) == new
        assert len(store.notes) == 1
        assert store.append(new) == []


def test_only_the_newest_damaged_file_is_kept(tmp_path: Path) -> None:
    for turn in range(3):
        (tmp_path / FILE).write_bytes(b"garbage" * 100)
        store_in(tmp_path, now_s=NOON_S + 60 * turn).close()
    assert len([path for path in tmp_path.iterdir() if ".damaged-" in path.name]) == 1


def test_a_directory_that_cannot_be_is_told_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="history"):
        store_in(tmp_path / "file" / "below")
