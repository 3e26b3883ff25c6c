"""What other daemons say that they did, and what of it was ours."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from oomguardd.engine.blame import OOMD, SIGKILL, SIGTERM
from oomguardd.reporter.watchers.others import (
    HOLD_S,
    OOMD_MESSAGE,
    SAME_S,
    Claim,
    Claims,
    claim_of,
    marked,
    rivals,
    why_of,
)
from oomguardd.reporter.watchers.ours import Ours
from tests.fakes import FakeProc

SCOPE = "/user.slice/user-1000.slice/user@1000.service/app.slice/app-x.scope"


def earlyoom(message: str, unit: str = "earlyoom.service") -> Claim | None:
    return claim_of({"MESSAGE": message, "_SYSTEMD_UNIT": unit}, 50.0)


@pytest.mark.parametrize(
    "message",
    [
        'sending SIGTERM to process 42 uid 1000 "tail": oom_score 667, VmRSS 2 MiB, cmdline "tail"',
        'sending SIGTERM to process 42 uid 1000 "tail": badness 303, VmRSS 1234 MiB',
        'sending SIGTERM to process 42 "tail": badness 303, VmRSS 1234 MiB',
    ],
)
def test_earlyooms_lines(message: str) -> None:
    claim = earlyoom(message)
    assert claim is not None
    assert (claim.by, claim.signal, claim.pid, claim.comm) == ("earlyoom", SIGTERM, 42, "tail")
    assert why_of(claim) == ["SIGTERM to 1 process, as its log says"]


def test_nohangs_line_has_a_name_only() -> None:
    claim = claim_of(
        {"MESSAGE": "  [ OK ] Sending SIGKILL to tail: 1", "_SYSTEMD_UNIT": "nohang.service"}, 50.0
    )
    assert claim is not None
    assert (claim.by, claim.signal, claim.pid, claim.comm) == ("nohang", SIGKILL, 0, "tail")


def test_a_manager_has_seen_oomds_marks() -> None:
    message = "app-x.scope: systemd-oomd killed 3 process(es) in this unit."
    manager = {"_UID": "1000", "_SYSTEMD_UNIT": "user@1000.service", "USER_UNIT": "app-x.scope"}
    claim = claim_of({"MESSAGE": message, "MESSAGE_ID": OOMD_MESSAGE, **manager}, 50.0)
    assert claim is not None
    assert (claim.by, claim.unit, claim.processes) == (OOMD, "app-x.scope", 3)
    assert why_of(claim)[0].startswith("SIGKILL to 3 processes in app-x.scope")


def test_the_systems_manager_tells_of_its_units() -> None:
    claim = claim_of({"MESSAGE_ID": OOMD_MESSAGE, "UNIT": "a.service", "_UID": "0"}, 50.0)
    assert claim is not None
    assert claim.unit == "a.service"


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"MESSAGE": 5},
        {"MESSAGE": 'sending SIGKILL to process 42 uid 0 "x": y', "_SYSTEMD_UNIT": "evil.service"},
        {"MESSAGE": "mem avail: 12 of 15 MiB", "_SYSTEMD_UNIT": "earlyoom.service"},
        {"MESSAGE": "x", "MESSAGE_ID": OOMD_MESSAGE, "_UID": "0"},
        {"MESSAGE_ID": OOMD_MESSAGE, "UNIT": "sshd.service"},
        {"MESSAGE_ID": OOMD_MESSAGE, "UNIT": "sshd.service", "_UID": "1000"},
        {"MESSAGE_ID": OOMD_MESSAGE, "UNIT": "a.service", "_UID": "7", "_SYSTEMD_UNIT": "user@7.service"},
        {"MESSAGE_ID": OOMD_MESSAGE, "USER_UNIT": "a", "_UID": "7", "_SYSTEMD_UNIT": "user@8.service"},
    ],
)
def test_what_is_no_claim(entry: dict[str, object]) -> None:
    assert claim_of(entry, 50.0) is None


def test_two_witnesses_of_one_kill_are_one() -> None:
    claims = Claims()
    claims.add(marked(SCOPE, 0, 50.0), 0.0)
    claims.add(Claim(OOMD, 50.2, SIGKILL, "the manager logged", unit="app-x.scope", processes=4), 0.2)
    claims.add(marked(SCOPE, 3, 50.4), 0.4)
    assert claims.due(HOLD_S - 0.1) == []
    (claim,) = claims.due(HOLD_S)
    assert (claim.cgroup, claim.unit, claim.processes) == (SCOPE, "app-x.scope", 4)
    assert claims.due(HOLD_S + 1) == []


def test_sigkill_after_sigterm_is_one_kill_with_two_traces() -> None:
    claims = Claims()
    term = Claim("earlyoom", 50.0, SIGTERM, "its log says", pid=42)
    claims.add(term, 0.0)
    assert len(claims.due(2.0)) == 1
    claims.add(term._replace(signal=SIGKILL, time_s=60.0), 10.0)
    assert claims.due(20.0) == []
    assert [act.signal for act in claims.acts()] == [SIGTERM, SIGKILL]
    claims.due(SAME_S + 10)
    claims.add(term, SAME_S + 11)
    assert len(claims.due(SAME_S + 20)) == 1, "another kill by now"


def test_another_unit_is_another_kill() -> None:
    claims = Claims()
    claims.add(marked(SCOPE, 1, 50.0), 0.0)
    claims.add(Claim(OOMD, 50.0, SIGKILL, "w", unit="other.scope"), 0.0)
    assert len(claims.due(5.0)) == 2


def kill(**more: object) -> dict[str, object]:
    victim = {"pid": 42, "comm": "tail", "cgroup": SCOPE}
    party = {"cgroup": SCOPE, "count": 2, "members": [[42, "tail", 1], [43, "sh", 1]]}
    plain = {"kind": "kill", "run": "r", "kill_id": 3, "signal": "SIGTERM", "time_s": 100.0}
    return {**plain, "victim": victim, "party": party, **more}


def test_our_own_marks_are_ours() -> None:
    ours = Ours()
    ours.take(kill())
    assert ours.meant(SCOPE, "", 101.0)
    assert ours.meant(SCOPE.rpartition("/")[0], "", 101.0), "the unit above"
    assert ours.meant("", "app-x.scope", 101.0)
    assert not ours.meant("/system.slice", "", 101.0)
    assert not ours.meant("", "other.scope", 101.0)
    assert not ours.meant(SCOPE, "", 200.0)


def test_a_dry_run_kills_nobody() -> None:
    ours = Ours()
    ours.take(kill(dry_run=True))
    assert ours.acts() == []


def test_all_of_a_party_are_ours_and_sigkill_follows() -> None:
    ours = Ours()
    ours.take(kill())
    ours.take({"kind": "escalated", "run": "r", "kill_id": 3, "time_s": 103.0})
    ours.take({"kind": "escalated", "run": "other", "kill_id": 3, "time_s": 104.0})
    assert [(act.signal, act.time_s, sorted(act.pids)) for act in ours.acts()] == [
        (SIGTERM, 100.0, [42, 43]),
        (SIGKILL, 103.0, [42, 43]),
    ]


def test_the_kernel_and_we_at_once() -> None:
    ours = Ours()
    ours.take(kill())
    own, words = ours.about([43], 100.5)
    assert own is not None
    assert words == "oomguardd had sent it SIGTERM 500 ms before (kill 3)"
    other, words = ours.about([99], 100.5)
    assert other is None
    assert words == "oomguardd's own victim tail[42] had not died yet (kill 3)"
    ours.take({"kind": "outcome", "run": "r", "kill_id": 3, "outcome": "died"})
    assert ours.about([99], 100.6) == (None, "")


@pytest.mark.parametrize(
    "record",
    [
        {"kind": "kill"},
        {"kind": "kill", "victim": 5, "party": []},
        {"kind": "kill", "victim": {"pid": True}, "party": {"members": [5, [], [None]]}},
        {"kind": "outcome"},
        {},
    ],
)
def test_odd_records_are_no_kills(record: dict[str, object]) -> None:
    ours = Ours()
    ours.take(record)
    assert ours.acts() == []


def test_who_runs(tmp_path: Path) -> None:
    with FakeProc(tmp_path) as proc:
        proc.add(1, comm="systemd")
        proc.add(20, comm="systemd-oomd")
        proc.add(30, comm="earlyoom")
        proc.add(40, comm="nohang-desktop"[:15])
        proc.add(50, comm="earlyoomer")
        fd = os.open(proc.proc_root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            assert sorted(filter(None, rivals(fd))) == ["earlyoom", "nohang-desktop", "systemd-oomd"]
        finally:
            os.close(fd)
