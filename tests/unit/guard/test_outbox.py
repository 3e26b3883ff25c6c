"""What the outbox keeps, sends again and gives up, with real peers."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from oomguardd.guard import records
from oomguardd.guard.outbox import Outbox, shorten
from oomguardd.model import Member, Party, Totals, Weighed
from tests.shell.rig import candidate, open_fds
from tests.unit.guard.office import Record, numbers, office, received


def test_a_record_has_what_all_have(tmp_path: Path) -> None:
    with office(tmp_path) as place, place.reporter() as sock:
        place.outbox.put("level", 5, level="warn")
        (record,) = received(sock)
        assert record["time_s"] == pytest.approx(time.time(), abs=60)
        del record["time_s"]
        assert record == {"kind": "level", "run": "run1", "seq": 1, "priority": 5, "level": "warn"}


def test_what_came_before_the_first_reporter_is_told_to_it(tmp_path: Path) -> None:
    with office(tmp_path) as place:
        for _ in range(3):
            place.outbox.put("level", 5)
        with place.reporter() as sock:
            assert numbers(received(sock)) == [1, 2, 3]


RECORD = 92
"""Bytes of a record without fields, or a little more."""


def test_a_stopped_reporter_holds_up_nobody_and_misses_nothing(tmp_path: Path) -> None:
    """Its buffer is full after some hundred records; when it reads again it gets all of them, in order."""
    text = "x" * 1000
    with office(tmp_path, ring=16 << 20) as place, place.reporter() as sock:
        began_s = time.monotonic()
        for number in range(2000):
            place.outbox.put_vital("kill", 1, number=number, text=text)
        place.outbox.put_state("state", 6)
        assert time.monotonic() - began_s < 10
        assert place.outbox.dropped == 1
        got: list[Record] = []

        def read_on() -> bool:
            got.extend(received(sock))
            return len(got) >= 2000

        assert place.run(read_on)
        assert numbers(got) == list(range(1, 2001))
        assert [record["number"] for record in got] == list(range(2000))
        place.outbox.put_state("state", 6)
        assert [record["kind"] for record in received(sock)] == ["state"]


def test_state_is_never_told_before_what_was_kept(tmp_path: Path) -> None:
    with office(tmp_path, ring=16 << 20) as place, place.reporter() as sock:
        for _ in range(1000):
            place.outbox.put_vital("kill", 1, text="x" * 1000)
        received(sock)  # there is room again, but the loop has not run yet
        place.outbox.put_state("state", 6)
        assert place.outbox.dropped == 1
        assert "state" not in [record["kind"] for record in received(sock)]


def test_after_a_reconnect_it_goes_on_where_it_was(tmp_path: Path) -> None:
    with office(tmp_path) as place:
        with place.reporter() as sock:
            for _ in range(5):
                place.outbox.put("level", 5)
            assert numbers(received(sock)) == [1, 2, 3, 4, 5]
        place.outbox.put("level", 5)
        place.settle()
        assert place.outbox.peers == 0
        with place.reporter("run1", 3) as again:
            assert numbers(received(again)) == [4, 5, 6]


@pytest.mark.parametrize(("run", "last"), [("another", 5), ("", 0), ("run1", 99), ("run1", -3)])
def test_a_number_of_another_run_means_nothing(tmp_path: Path, run: str, last: int) -> None:
    with office(tmp_path) as place:
        for _ in range(3):
            place.outbox.put("level", 5)
        with place.reporter(run, last) as sock:
            assert numbers(received(sock)) == [1, 2, 3]


def test_a_new_reporter_is_not_told_what_another_has_written(tmp_path: Path) -> None:
    with office(tmp_path) as place:
        with place.reporter() as sock:
            for _ in range(3):
                place.outbox.put("level", 5)
            sock.send(b'{"ack":2}')
            place.settle()
        with place.reporter() as other:
            assert numbers(received(other)) == [3]


def test_a_full_ring_gives_up_what_is_not_vital_first(tmp_path: Path) -> None:
    with office(tmp_path, ring=4 * RECORD) as place:
        place.outbox.put_vital("kill", 1)
        place.outbox.put("level", 5)
        place.outbox.put_vital("outcome", 5)
        place.outbox.put("level", 5)
        for _ in range(2):
            place.outbox.put_vital("kill", 1)
        assert place.outbox.dropped == 2
        with place.reporter() as sock:
            assert numbers(received(sock)) == [1, 3, 5, 6]
        place.outbox.put_vital("kill", 1)
        assert place.outbox.dropped == 3  # nothing else is left: the oldest
        assert len(list(place.outbox.unseen())) == 4


def test_what_was_written_out_is_given_up_before_anything_else(tmp_path: Path) -> None:
    with office(tmp_path, ring=2 * RECORD) as place, place.reporter() as sock:
        place.outbox.put_vital("kill", 1)
        sock.send(b'{"ack":1}')
        place.settle()
        place.outbox.put("level", 5)
        place.outbox.put_vital("kill", 1)
        assert place.outbox.dropped == 0


def test_unseen_are_the_vital_ones_that_nobody_has_confirmed(tmp_path: Path) -> None:
    with office(tmp_path) as place, place.reporter() as sock:
        for _ in range(3):
            place.outbox.put_vital("kill", 1)
        place.outbox.put("level", 5)
        sock.send(b'{"ack":2}')
        place.settle()
        assert [json.loads(data)["seq"] for data in place.outbox.unseen()] == [3]


def test_a_record_too_long_for_a_datagram_is_shortened(tmp_path: Path) -> None:
    with office(tmp_path) as place, place.reporter() as sock:
        place.outbox.put_vital("kill", 1, kill_id=7, spared=["x" * 1000] * 100, why="y" * 70_000)
        (record,) = received(sock)
        assert record["shortened"] is True
        assert (record["kill_id"], record["seq"], record["why"]) == (7, 1, "y" * 1000)
        assert "spared" not in record


def test_how_many_have_died_is_never_forgotten() -> None:
    party = records.party(Party("swarm", (Member(7, 1, "bomb", 5), Member(8, 1, "bomb", 4)), "/x"))
    short = json.loads(shorten(json.dumps({"kind": "kill", "kill_id": 1, "party": party}).encode()))
    assert short["party"] == {"unit": "swarm", "cgroup": "/x", "count": 2, "held_bytes": 9}


def test_anything_can_be_put() -> None:
    """Names are the law of their owners: half a surrogate, no number, an object."""
    outbox = Outbox("run1")
    outbox.put_vital(
        "kill", 1, comm="\udcff\x00\n", value=float("nan"), thing=object(), none=None, raw=b"\xff"
    )
    (data,) = outbox.unseen()
    assert json.loads(data)["comm"] == "\udcff\x00\n"
    assert b"\n" not in data


def test_without_a_loop_records_are_only_kept() -> None:
    outbox = Outbox("run1")
    outbox.put_vital("kill", 1)
    outbox.put_state("state", 6)
    outbox.hear_all()
    outbox.close()
    assert len(list(outbox.unseen())) == 1


def test_the_last_words_are_heard_without_the_loop(tmp_path: Path) -> None:
    with office(tmp_path) as place, place.reporter() as sock:
        for _ in range(3):
            place.outbox.put_vital("kill", 1)
        for number in (1, 2, 3):
            sock.send(json.dumps({"ack": number}).encode())
        place.outbox.hear_all()
        assert list(place.outbox.unseen()) == []


def test_descriptors_are_given_back(tmp_path: Path) -> None:
    fds = open_fds()
    with office(tmp_path) as place:
        for _ in range(20):
            with place.reporter():
                place.outbox.put("level", 5)
            place.settle()
    assert open_fds() == fds


def test_a_name_of_anybodys_choice_does_not_push_the_victim_out_of_its_record(tmp_path: Path) -> None:
    """Six candidates with the longest and worst of cgroup paths, before and after it is cut."""
    worst = candidate(9, cgroup="\ufffd" * 4000, comm="\ufffd" * 15)
    weighed = records.weighed(Weighed(worst, 1, (), 1), Totals(1 << 30, 0))
    assert len(str(weighed["cgroup"])) < 300
    uncut = {**weighed, "cgroup": worst.cgroup}
    member = Member(9, 1, "\ufffd" * 1000, 1)
    party = records.party(
        Party("unit", (member,) * 1000, "\ufffd" * 4000, False, "\ufffd" * 4000, "\ufffd" * 4000)
    )
    with office(tmp_path) as place, place.reporter() as sock:
        place.outbox.put_vital(
            "kill", 1, victim=weighed, runners_up=[weighed] * 5, conditions=["x <1%"], party=party
        )
        place.outbox.put_vital("kill", 1, victim=uncut, runners_up=[uncut] * 5, conditions=["x <1%"])
        whole, shortened = received(sock)
        assert len(whole["runners_up"]) == 5
        assert (whole["party"]["count"], len(whole["party"]["members"])) == (1000, records.MEMBERS_MAX)
        assert shortened["shortened"] is True
        for record in (whole, shortened):
            assert (record["victim"]["pid"], record["conditions"]) == (9, ["x <1%"])


def test_long_explanations_are_given_up_before_kills(tmp_path: Path) -> None:
    with office(tmp_path, ring=20_000) as place:
        for number in range(40):
            victim = {"pid": number, "comm": "hog", "uid": 0, "held_bytes": 1, "cgroup": "x" * 3000}
            place.outbox.put_vital("kill", 1, kill_id=number, victim=victim, triggers=["low"])
        assert place.outbox.dropped == 0
        with place.reporter() as sock:
            got = received(sock)
    assert [record["victim"]["pid"] for record in got] == list(range(40))
    assert got[0]["triggers"] == ["low"]
