"""Recordings that are played: what would have been done, and what is made of damaged ones."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oomguardd.config import load
from oomguardd.ctl.console import Trouble
from oomguardd.ctl.senses import TOTAL_OF
from oomguardd.ctl.tapes.difference import Difference
from oomguardd.ctl.tapes.playback import Decoder, Flaw, Frame, frames
from oomguardd.ctl.tapes.recording import KEY_EVERY, Encoder
from oomguardd.ctl.tapes.replay import Replay
from oomguardd.ctl.tapes.tally import Decision, Moment, Remark
from oomguardd.ctl.tapes.tape import Tape
from oomguardd.model import Memcg
from oomguardd.rules import Clause, Rule
from oomguardd.sections import Config
from oomguardd.sensors import SIGNALS
from tests.fakes import MIB
from tests.tapes import DATABASE, TOTALS, header, leaking, process, write


def config(*rules: Rule, **kill: Any) -> Config:
    built_in = load(None, SIGNALS, default_path="/nowhere/oomguard.toml")
    return replace(built_in, rules=rules, kill=replace(built_in.kill, **kill))


def never(name: str) -> Rule:
    return Rule(f"keep-{name}", (Clause("name", texts=(name,)),), "never")


def lines_of(recording: list[str]) -> list[bytes]:
    return [f"{line}\n".encode() for line in recording]


def play(recording: list[str], replay: Replay) -> list[Moment]:
    found = frames(lines_of(recording)[1:], Decoder(header()))
    return [replay.step(frame) for frame in found if isinstance(frame, Frame)]


def replay_of(configuration: Config, stubborn: bool = False) -> Replay:
    return Replay(configuration, header(), TOTAL_OF, stubborn)


def killed(replay: Replay) -> list[str]:
    return [kill.comm for kill in replay.tally.kills]


def remarks(moments: list[Moment]) -> list[str]:
    return [event.kind for moment in moments for event in moment.events if isinstance(event, Remark)]


def test_the_leak_dies_and_what_it_held_counts_as_available() -> None:
    replay = replay_of(config())
    moments = play(leaking(14), replay)
    assert killed(replay) == ["leak"]
    kill = replay.tally.kills[0]
    after = next(moment for moment in moments if moment.t_s > kill.t_s)
    assert after.sample["mem_available"] > kill.held_bytes
    assert replay.tally.seen_s[kill.identity] == 13.0, "until when the recording has it"


def test_who_must_not_die_does_not() -> None:
    replay = replay_of(config(never("leak")))
    play(leaking(14), replay)
    assert killed(replay) == ["database"]


def test_nobody_left_to_kill_is_said_once_a_minute() -> None:
    replay = replay_of(config(never("leak"), never("database")))
    assert remarks(play(leaking(14), replay)) == ["nobody"]


def test_a_stubborn_victim_is_ended_when_its_grace_is_over() -> None:
    replay = replay_of(config(grace_s=1.0), stubborn=True)
    moments = play(leaking(14), replay)
    assert killed(replay) == ["leak"]
    assert remarks(moments) == ["escalated"]


def test_the_limit_of_kills_in_a_minute_holds() -> None:
    others = [process(pid, 60, comm=f"hog{pid}", age_s=5.0) for pid in range(100, 116)]
    replay = replay_of(config(max_per_minute=1, settle_s=0.0))
    moments = play(leaking(12, 4, others), replay)
    assert len(replay.tally.kills) == 1
    assert "limit" in remarks(moments)


def test_somebody_elses_victim_is_waited_for() -> None:
    dying = process(40, 600, comm="hog", dying=True)
    replay = replay_of(config())
    moments = play(leaking(4, 40, [dying, process(41, 250)]), replay)
    assert remarks(moments)[:1] == ["waiting"]
    assert not replay.tally.kills


def test_kills_of_the_kernel_are_counted() -> None:
    lines = leaking(14)
    for at in (12, 13, 14):
        fields = json.loads(lines[at])
        fields["readings"]["oom_kills"] = 1.0 if at > 12 else 0.0
        lines[at] = json.dumps(fields)
    replay = replay_of(config())
    play(lines, replay)
    assert replay.tally.kernel_kills == 1


def test_what_is_not_in_a_recording_is_named() -> None:
    assert "psi_full_10s" in replay_of(config()).unread({"mem_available"})


def test_a_decision_has_the_whole_world() -> None:
    moments = play(leaking(14), replay_of(config()))
    decision = next(event for moment in moments for event in moment.events if isinstance(event, Decision))
    assert [w.candidate.comm for w in decision.world.ranked] == ["leak", "database"]
    assert [member.comm for member in decision.party.members] == ["leak"]


def test_two_configurations_are_compared() -> None:
    difference, lines = Difference(), leaking(14)
    one, two = replay_of(config()), replay_of(config(never("leak")))
    for pair in zip(play(lines, one), play(lines, two), strict=True):
        difference.note(pair)
    said = "\n".join(difference.words([one.tally, two.tally]))
    assert "with A only: leak[30]" in said
    assert "with B only: database[20]" in said


def test_equal_configurations_do_not_differ() -> None:
    difference, lines = Difference(), leaking(14)
    one, two = replay_of(config()), replay_of(config())
    pairs = zip(play(lines, one), play(lines, two), strict=True)
    assert not any(difference.note(pair) for pair in pairs)
    assert difference.words([one.tally, two.tally])[0].startswith("no difference")


def test_what_was_recorded_is_played() -> None:
    memcg = Memcg(5, 0.5, 7, "avoid", 0, "/a")
    one = process(7, 3, comm='we"ird\n\udcff', ancestors=("bash", "sshd"), cgroup="/a", memcg=memcg, exe=None)
    encoder = Encoder()
    grown = replace(one, rss_anon_bytes=9 * MIB, oom_score_adj=300, age_s=102.0)
    moments = [[one], [one, DATABASE], [grown], []]
    lines = [
        encoder.line(float(t), {"mem_available": 1.0}, 5, TOTALS, people).encode() + b"\n"
        for t, people in enumerate(moments)
    ]
    found = []
    for frame in frames(lines, Decoder(header())):
        assert isinstance(frame, Frame)
        assert frame.hidden_bytes == 5
        found.append(frame.processes)
    assert found[0] == (one,)
    assert [c.pid for c in found[1]] == [7, 20]
    assert found[2] == (grown,)
    assert found[3] == ()


def test_a_damaged_line_costs_what_it_held_until_everything_is_repeated() -> None:
    lines = lines_of(leaking(KEY_EVERY + 2, 1))
    lines[2] = b'{"t": 1.0, "readings": {"mem_avail\n'
    found = list(frames(lines[1:], Decoder(header())))
    flaws = [one for one in found if isinstance(one, Flaw)]
    assert [flaw.line for flaw in flaws] == [3]
    assert "no JSON" in flaws[0].why
    assert len(found) == KEY_EVERY + 2


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"[1]\n", "no JSON object"),
        (b"\xff\xfe\n", "no JSON"),
        (b'{"t": NaN, "readings": {}}\n', "NaN"),
        (b'{"t": 1e999, "readings": {}}\n', "no usable number"),
        (b'{"t": true, "readings": {}}\n', "no usable number"),
        (b'{"t": 1}\n', "readings: missing"),
        (b'{"t": 1, "readings": {"a": "b"}}\n', "a: missing or of the wrong type"),
        (b'{"t": 1, "readings": {}, "new": [{"pid": 1}]}\n', "missing"),
        (b'{"t": 1, "readings": {}, "set": [[1, 2]]}\n', "another length"),
        (b'{"t": 1, "readings": {}, "cgroups": {"/": [1]}}\n', "cgroup"),
        (b'{"t": 1, "readings": {}, "totals": [0, 0]}\n', "RAM and swap"),
        (b"[" * 100_000 + b"\n", "nested too deeply"),
        (b'{"t": 1, "readings": {', "cut off"),
    ],
)
def test_what_is_wrong_with_a_line_is_said(line: bytes, why: str) -> None:
    (found,) = frames([line], Decoder(header()))
    assert isinstance(found, Flaw)
    assert why in found.why


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_line_breaks_the_player(data: st.DataObject) -> None:
    lines = lines_of(leaking(6))[1:]
    at = data.draw(st.integers(0, len(lines) - 1))
    where = data.draw(st.integers(0, len(lines[at]) - 1))
    lines[at] = lines[at][:where] + data.draw(st.binary(max_size=6)) + lines[at][where + 1 :]
    replay = replay_of(config())
    for one in frames(lines, Decoder(header())):
        if isinstance(one, Frame):
            replay.step(one)
    assert replay.tally.moments <= 6


def test_a_tape_is_read_plain_and_compressed(tmp_path: Path) -> None:
    plain = write(tmp_path / "a", leaking(5))
    packed = tmp_path / "b"  # by its content, not its name
    packed.write_bytes(gzip.compress(Path(plain).read_bytes()))
    for path in (plain, str(packed)):
        tape = Tape(path)
        assert tape.header.hostname == "box"
        assert len(list(tape)) == 5
        tape.close()


def test_a_compressed_tape_that_was_cut_off_gives_what_it_has(tmp_path: Path) -> None:
    path = tmp_path / "cut.gz"
    path.write_bytes(gzip.compress("\n".join(leaking(50, 7)).encode())[:-300])
    tape = Tape(str(path))
    found = list(tape)
    tape.close()
    assert isinstance(found[0], Frame)
    assert isinstance(found[-1], Flaw)
    assert "cut off" in found[-1].why


def test_a_damaged_compressed_tape_gives_what_it_has(tmp_path: Path) -> None:
    data = bytearray(gzip.compress("\n".join(leaking(200, 3)).encode()))
    data[len(data) // 2] ^= 0xFF
    data[-6] ^= 0xFF
    path = tmp_path / "bad.gz"
    path.write_bytes(data)
    tape = Tape(str(path))
    assert isinstance(list(tape)[-1], Flaw)
    tape.close()


@pytest.mark.parametrize(
    ("first", "why"),
    [
        ("", "no recording"),
        ("root:x:0:0", "no recording"),
        ('{"kind": "other"}', "no recording"),
        ('{"kind": "oomguard-recording", "version": 99}', "version 99"),
        ('{"kind": "oomguard-recording", "version": 1}', "interval_s"),
    ],
)
def test_what_is_no_recording_is_refused(tmp_path: Path, first: str, why: str) -> None:
    with pytest.raises(Trouble, match="line 1") as caught:
        Tape(write(tmp_path / "x", [first]))
    assert why in str(caught.value)
