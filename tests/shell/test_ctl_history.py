"""`oomguardctl history` and `show` as commands, on a history as a reporter leaves it."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from oomguardd.ctl.__main__ import main
from oomguardd.history.readings import Rows
from oomguardd.history.store import open_store
from tests.unit.history.scene import MIB, NOON_S, kernel_kill, kill, outcome, record, started

EVIL = "\x1b[31mevil\n\u202e"
ROOM = 64 << 20
FOREVER_S = 1e9


class Done(NamedTuple):
    status: object
    stdout: str
    stderr: str


def run(*words: str, encoding: str = "utf-8", **environ: str) -> Done:
    """The command, in this process: a Python of its own takes most of a second."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding, write_through=True) for _ in range(2))
    before = dict(os.environ)
    os.environ.update({"TZ": "UTC", **environ})
    time.tzset()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status: object = main(words)
    except SystemExit as ended:
        status = ended.code
    finally:
        os.environ.clear()
        os.environ.update(before)
        time.tzset()
    said = [stream.buffer.getvalue().decode(encoding) for stream in (out, err)]
    return Done(status, *said)


def ctl(*words: str, code: int = 0, **environ: str) -> str:
    done = run(*words, **environ)
    assert done.status == code, done.stdout + done.stderr
    return done.stdout if code == 0 else done.stderr


def ctl_json(*words: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in ctl(*words, "--json").splitlines()]


def events() -> list[dict[str, Any]]:
    chrome = "/user.slice/user-1000.slice/user@1000.service/app.slice/app-chrome-1.scope"
    party = {
        "unit": "cgroup",
        "count": 3,
        "held_bytes": 900 * MIB,
        "members": [[801, "sh", 1], [802, "cc1", 9]],
    }
    return [
        started(1, NOON_S - 9000),
        record("level", 2, NOON_S - 5.5, level="warn", was="calm", triggers=["early"], readings={}),
        kill(3, NOON_S, kill_id=1, pid=700),
        outcome(4, 1, NOON_S + 0.25, pid=700),
        kill(5, NOON_S + 600, kill_id=2, pid=801, party=party, dry_run=True),
        kernel_kill("boot/1", NOON_S + 1200, why=["limit of /system.slice/app.service"]),
        kernel_kill(
            "boot/2", NOON_S + 1800, pid=900, comm=EVIL, cgroup="/" + EVIL, constraint="none", limit_cgroup=""
        ),
        {"kind": "foreign_kill", "key": "e", "seq": 0, "time_s": NOON_S + 2400, "priority": 4}
        | {"by": "earlyoom", "pid": 950, "comm": "chrome", "cgroup": chrome, "why": "SIGTERM"},
        {"kind": "exit", "key": "x", "seq": 0, "time_s": NOON_S + 2500, "priority": 6}
        | {"by": "unknown", "pid": 960, "comm": "sleep", "cgroup": "/", "signal": "SIGKILL"},
    ]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("history")
    rows = Rows()
    with closing(open_store(str(path), ROOM, FOREVER_S, lambda: NOON_S)) as store:
        store.append(events())
        store.add_readings(
            [
                rows.row(
                    NOON_S + at, {"mem_total": 1000.0 * MIB, "mem_available": (300 + 4 * at) * float(MIB)}
                )
                for at in range(-60, 61)
            ]
        )
    return str(path)


def test_every_kill_is_listed_the_newest_last(directory: str) -> None:
    title, *lines = ctl("history", "--directory", directory, COLUMNS="200").splitlines()
    assert title.split()[:4] == ["ID", "WHEN", "BY", "VICTIM"]
    assert [line.split()[4] for line in lines] == ["oomguardd"] * 2 + ["kernel"] * 2 + ["earlyoom"]
    first, dry, limit, _, app = lines
    for word in ("20261123-120000-", "Nov 23 12:00:00", "leak[700]", "leaky.service", "800 MiB", "790 MiB"):
        assert word in first
    assert "low-memory" in first
    assert "died 100 ms" in first
    assert "dry run" in dry
    assert "and 2 others" in dry
    assert "limit of /system.slice/app.service" in limit
    assert "app-chrome-1.scope" in app


@pytest.mark.parametrize("width", [40, 80])
def test_no_line_is_wider_than_the_terminal(directory: str, width: int) -> None:
    for words in (("history",), ("history", "--all"), ("history", "--pid", "1"), ("show", "20261123-1200")):
        lines = ctl(*words, "--directory", directory, COLUMNS=str(width)).splitlines()
        code = [line for line in lines if line.startswith("    ")]  # to be copied, so never cut
        assert max(len(line) for line in lines if line not in code) <= width, words


@pytest.mark.parametrize("verb", [("history",), ("history", "--all"), ("show", "20261123-1230")])
def test_a_hostile_name_is_only_a_name(directory: str, verb: tuple[str, ...]) -> None:
    said = ctl(*verb, "--directory", directory, COLUMNS="200")
    assert "\\x1b[31mevil\\n\\u202e" in said
    assert "\\\\x1b" not in said, "escaped twice"
    assert "\x1b" not in said
    assert "\u202e" not in said


def test_who_killed_that_process(directory: str) -> None:
    def found(pid: int) -> list[dict[str, Any]]:
        return ctl_json("history", "--directory", directory, "--pid", str(pid))

    assert [(row["by"], row["pid"]) for row in found(700)] == [("oomguardd", 700)]
    assert [(row["by"], row["pid"]) for row in found(802)] == [("oomguardd", 801)], "who died with the victim"
    assert [(row["by"], row["why"]) for row in found(815)] == [
        ("kernel", "limit of /system.slice/app.service")
    ]
    assert [row["by"] for row in found(950)] == ["earlyoom"]
    assert [(row["by"], row["kind"], row["id"]) for row in found(960)] == [("unknown", "exit", "")]
    assert found(4242) == []
    assert "no kill of process 4242" in ctl("history", "--directory", directory, "--pid", "4242")


@pytest.mark.parametrize(
    ("words", "pids"),
    [
        (("--unit", "leaky"), [700, 801]),
        (("--unit", "leaky.service"), [700, 801]),
        (("--unit", "app-chrome-1.scope"), [950]),
        (("--unit", "leak"), []),
        (("--kind", "kernel_kill"), [815, 900]),
        (("--since", "2026-11-23 12:20"), [815, 900, 950]),
        (("--since", "2026-11-24"), []),
        (("-n", "2"), [900, 950]),
        (("--unit", "app", "-n", "1"), [815]),
    ],
)
def test_only_some(directory: str, words: tuple[str, ...], pids: list[int]) -> None:
    assert [row["pid"] for row in ctl_json("history", "--directory", directory, *words)] == pids


def test_every_record(directory: str) -> None:
    assert [each["kind"] for each in ctl_json("history", "--directory", directory, "--all")] == [
        each["kind"] for each in events()
    ]
    assert "level warn, was calm" in ctl("history", "--all", "--directory", directory, COLUMNS="200")


def test_one_of_them_from_beginning_to_end(directory: str) -> None:
    said = ctl("show", "20261123-1200", "--directory", directory, COLUMNS="120")
    for words in ("leak[700], by oomguardd", "-5.5 s  level warn", "+0.2 s  leak[700] died", "spared, init"):
        assert words in said
    (curve,) = (line for line in said.splitlines() if "mem_available" in line and "▁" in line)
    assert "60 MiB" in curve
    assert "what to change" in said


def test_where_no_curve_can_be_written_there_are_figures(directory: str) -> None:
    said = ctl("show", "20261123-1200", "--directory", directory, COLUMNS="120", encoding="ascii")
    assert said.isascii()
    assert "mem_available  60 MiB  300 MiB  540 MiB" in said


def test_for_programs_all_of_it(directory: str) -> None:
    (whole,) = ctl_json("show", "20261123-1200", "--directory", directory)
    assert whole["kill"]["victim"]["pid"] == 700
    assert whole["outcome"]["outcome"] == "died"
    assert [each["kind"] for each in whole["events"]] == ["level", "kill", "outcome"]
    assert len(whole["readings"]) == 121
    assert whole["triggers"][0]["bounds"] == [["mem_available", True, 10.0, True]]
    assert whole["summary"]["freed_bytes"] == 790 * MIB
    assert all(isinstance(each, str) and each for each in whole["advice"])


def test_an_id_may_be_short(directory: str) -> None:
    *_, newest = ctl_json("history", "--directory", directory)
    for name in ("last", newest["id"], newest["id"][:15], newest["id"][-6:]):
        assert ctl_json("show", name, "--directory", directory)[0]["id"] == newest["id"]
    assert ctl_json("show", "--directory", directory)[0]["id"] == newest["id"]
    assert "may be" in ctl("show", "2026", "--directory", directory, code=1)
    assert "no incident" in ctl("show", "\x1b'", "--directory", directory, code=1)


def test_what_is_not_there_is_said_with_the_remedy(tmp_path: Path, directory: str) -> None:
    for verb in ("history", "show"):
        assert "--directory" in ctl(verb, "--directory", str(tmp_path), code=1)
    open_store(str(tmp_path), ROOM, FOREVER_S).close()
    assert "empty" in ctl("history", "--directory", str(tmp_path))
    assert "no kills yet" in ctl("show", "--directory", str(tmp_path), code=1)
    (tmp_path / "history.db").write_bytes(b"x" * 5000)
    assert "damaged" in ctl("history", "--directory", str(tmp_path), code=1)
    assert "--all" in ctl("history", "--all", "--pid", "1", "--directory", directory, code=2)


def test_a_bad_time_is_wrong_usage(directory: str) -> None:
    for since in ("yesterday", "-1d", "99999-01-01", "2026-13-01"):
        assert "--since" in ctl("history", f"--since={since}", "--directory", directory, code=2)


def test_the_place_comes_from_the_configuration(directory: str, tmp_path: Path) -> None:
    config = tmp_path / "oomguard.toml"
    config.write_text(f'[history]\ndirectory = "{directory}"\n')
    assert len(ctl_json("history", "--config", str(config))) == 5
    config.write_text("[history]\ndirectory = 7\n")
    done = run("history", "--config", str(config), HOME=str(tmp_path))
    assert "history.directory" in done.stderr, "and not hidden by it"


def test_a_users_own_history_is_found(directory: str, tmp_path: Path) -> None:
    config = tmp_path / "oomguard.toml"
    config.write_text(f'[history]\ndirectory = "{tmp_path}/none"\n')
    (tmp_path / "oomguard").symlink_to(directory)
    with_own = run("history", "--config", str(config), "--json", XDG_STATE_HOME=str(tmp_path))
    assert "none/history.db" in with_own.stderr, "what is configured is not replaced"
    empty = tmp_path / "empty.toml"
    empty.write_text("")
    done = run("history", "--config", str(empty), "--json", XDG_STATE_HOME=str(tmp_path))
    if os.path.exists("/var/lib/oomguard/history.db"):
        assert f"your own: --directory {tmp_path}/oomguard" in done.stderr, (
            "two histories, and which is which"
        )
    else:
        assert len(done.stdout.splitlines()) == 5


def test_the_command_itself(directory: str) -> None:
    words = [sys.executable, "-m", "oomguardd.ctl", "history", "--directory", directory]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
    assert len(done.stdout.splitlines()) == 6
    assert done.stderr == ""
