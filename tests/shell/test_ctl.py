"""The real command, in every documented form, on the machine that the tests run on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from oomguardd.ctl.__main__ import main
from tests.shell import forked
from tests.tapes import leaking, write

MARK = f"holder-of-{os.getpid()}"
"""Other tests may be running."""
HOLDER = f"import time; held = bytearray(40 << 20); print('ready', flush=True); time.sleep(60) # {MARK}"
RULES = """
[[rule]]
name = "mine"
match = { name = "python*" }
do = "avoid"

[[rule]]
name = "nobody"
match = { name = "no-such-thing" }
do = "never"

[[rule]]
name = "shadowed"
match = { name = "python*", user = 0 }
do = "prefer"

[[protect]]
name = "shell"
match = { name = "no-such-shell" }
oom_score_adj = -500
"""


def ctl(*words: str, code: int = 0, **environ: str) -> str:
    """Standard output of the command, which must end with that status."""
    done = run(*words, **environ)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


def run(*words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    done = forked.run(words, environ=environ)
    return subprocess.CompletedProcess(words, done.returncode, done.stdout.decode(), done.stderr.decode())


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "oomguardd.ctl", *words]


def ctl_json(*words: str, code: int = 0) -> list[dict[str, Any]]:
    return [json.loads(line) for line in ctl(*words, "--json", code=code).splitlines()]


@pytest.fixture(scope="module")
def holder() -> Iterator[int]:
    """A process that holds enough to be a candidate."""
    with subprocess.Popen([sys.executable, "-c", HOLDER], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield process.pid
        process.kill()


@pytest.fixture
def none(tmp_path: Path) -> str:
    """A configuration without anything."""
    path = tmp_path / "none.toml"
    path.write_text("")
    return str(path)


@pytest.fixture
def rules(tmp_path: Path) -> str:
    path = tmp_path / "rules.toml"
    path.write_text(RULES)
    return str(path)


def test_rank_has_the_holder_with_terms_that_add_up(holder: int, none: str) -> None:
    (report,) = ctl_json("rank", "--config", none)
    mine = next(c for c in report["candidates"] if c["pid"] == holder)
    assert mine["rss_anon_bytes"] >= 40 << 20
    assert sum(term[1] for term in mine["terms"]) == pytest.approx(mine["points"], abs=0.1)
    points = [c["points"] for c in report["candidates"]]
    assert points == sorted(points, reverse=True)


@pytest.mark.parametrize("width", [40, 80, 132])
def test_no_line_is_wider_than_the_terminal(holder: int, none: str, width: int) -> None:
    for words in (("rank", "-n", "all"), ("explain", str(holder)), ("check", "--protected")):
        lines = ctl(*words, "--config", none, COLUMNS=str(width)).splitlines()
        code = [line for line in lines if line.startswith("    ")]
        assert lines
        assert max(len(line) for line in lines if line not in code) <= width, words


def test_rank_shows_as_many_as_asked_for(holder: int, none: str) -> None:
    (report,) = ctl_json("rank", "-n", "1", "--config", none)
    assert len(report["candidates"]) == 1
    assert "exempt" in ctl("rank", "-n", "1", "--config", none)


def test_rank_watches_until_it_is_interrupted(holder: int, none: str) -> None:
    with subprocess.Popen(
        command("rank", "-n", "1", "--watch", "0.2", "--json", "--config", none), stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        found = [json.loads(process.stdout.readline()) for _ in range(2)]
        process.send_signal(signal.SIGINT)
        process.stdout.read()
    assert found[0]["time_s"] < found[1]["time_s"]
    assert process.returncode == 130


def test_a_reader_that_has_seen_enough_is_no_error(none: str) -> None:
    with subprocess.Popen(
        command("rank", "-n", "all", "--config", none), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        said = process.stderr.read()
    assert b"Traceback" not in said


def test_explain_tells_about_a_candidate(holder: int, none: str) -> None:
    said = ctl("explain", str(holder), "--config", none)
    assert f"[{holder}]" in said
    assert "[[rule]]" in said
    (report,) = ctl_json("explain", str(holder), "--config", none)
    assert report["pid"] == holder
    assert report["verdict"] in ("victim", "candidate")


def test_what_explain_advises_works(holder: int, tmp_path: Path, none: str) -> None:
    (report,) = ctl_json("explain", str(holder), "--config", none)
    path = tmp_path / "advised.toml"
    path.write_text(report["advice"]["toml"])
    (after,) = ctl_json("explain", str(holder), "--config", str(path))
    assert after["verdict"] == "exempt"
    assert "says never" in after["exempt"]


def test_explain_says_why_a_rule_does_not_match(holder: int, rules: str) -> None:
    said = ctl("explain", str(holder), "--config", rules)
    assert '"mine" decides' in said
    assert '"nobody"' in said
    assert "does not match" in said


def test_explain_knows_threads(none: str) -> None:
    ready, leave = threading.Event(), threading.Event()

    def wait() -> None:
        ready.set()
        leave.wait()

    thread = threading.Thread(target=wait)
    thread.start()
    assert ready.wait(10)
    try:
        said = ctl("explain", str(thread.native_id), "--config", none)
    finally:
        leave.set()
        thread.join()
    assert f"thread of process {os.getpid()}" in said


def test_explain_has_words_for_who_is_no_candidate(none: str) -> None:
    with subprocess.Popen(["true"]) as zombie:
        os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
        assert "has ended" in ctl("explain", str(zombie.pid), "--config", none)
    assert run("explain", str(zombie.pid)).stderr.startswith("oomguardctl: there is no process")
    assert "init" in ctl("explain", "1", "--config", none)
    ctl("explain", str(zombie.pid), "--config", none, code=1)
    ctl("explain", "abc", code=2)
    ctl("explain", "0", code=2)


def test_check_counts_whom_each_rule_is_about(holder: int, rules: str) -> None:
    (report,) = ctl_json("check", rules)
    by_name = {rule["name"]: rule for rule in report["rules"]}
    assert by_name["mine"]["matches"] == by_name["mine"]["decides"] >= 1
    assert by_name["nobody"]["matches"] == 0
    assert by_name["shadowed"]["decides"] == 0
    assert report["protects"][0]["matches"] == 0
    warned = "\n".join(report["warnings"])
    for name in ("nobody", "shadowed", "shell"):
        assert name in warned
    assert report["policies"]


def test_check_ends_as_it_should(rules: str, none: str, tmp_path: Path) -> None:
    assert "warning" in ctl("check", rules)
    ctl("check", rules, "--strict", code=1)
    ctl("check", "--config", none, "--strict")
    wrong = tmp_path / "wrong.toml"
    wrong.write_text('[[rule]]\nname = "a"\nmatch = { name = "x" }\ndo = "sometimes"\n[kill]\ngrace = "x"\n')
    done = run("check", str(wrong))
    assert done.returncode == 1
    assert "rule.a.do" in done.stderr
    assert "kill.grace" in done.stderr
    (report,) = ctl_json("check", str(wrong), code=1)
    assert (report["ok"], len(report["problems"])) == (False, 2)
    assert run("check", str(tmp_path / "none-such.toml")).returncode == 1


def test_check_warns_of_files_that_are_not_there(tmp_path: Path) -> None:
    config, text = tmp_path / "telling.toml", tmp_path / "text"
    text.touch(0o644)
    config.write_text(
        "".join(
            f'[[hook]]\nname = "{name}"\non = "kill"\nrun = ["{path}"]\n'
            for name, path in (("gone", "/nonexistent/x"), ("text", text), ("good", sys.executable))
        )
        + '[metrics]\ntoken_file = "/nonexistent/token"\n'
    )
    (report,) = ctl_json("check", str(config), "--strict", code=1)
    gone, not_run, token = report["warnings"]
    assert gone.startswith('hook.gone.run: "/nonexistent/x" is not there')
    assert not_run.startswith("hook.text.run: ")
    assert "cannot be run" in not_run
    assert token.startswith('metrics.token_file: "/nonexistent/token" is not there')


def test_check_prints_the_built_in_list(none: str) -> None:
    said = ctl("check", "--protected", "--config", none)
    assert "systemd-journald" in said
    assert "sshd" in said


def test_a_machine_is_recorded_and_played(holder: int, tmp_path: Path, none: str) -> None:
    for name in ("r", "r.gz"):
        path = str(tmp_path / name)
        assert "3 moments" in ctl("record", path, "--for", "400ms", "--interval", "200ms")
        *_, summary = ctl_json("simulate", path, "--config", none)
        assert (summary["kind"], summary["moments"], summary["unusable_lines"]) == ("summary", 3, 0)
    assert str(holder) in (tmp_path / "r").read_text()


def test_a_real_process_is_chosen_from_a_recording(holder: int, tmp_path: Path) -> None:
    file = tmp_path / "at-once.toml"
    file.write_text(
        f"""
[[trigger]]
name = "at-once"
level = "terminate"
mem_available = "<100%"
[[rule]]
name = "holder"
match = {{ cmdline_regex = "# {MARK}$" }}
kill = "process"
[[rule]]
name = "others"
match = {{ name = "*" }}
do = "never"
"""
    )
    path = str(tmp_path / "r.gz")
    ctl("record", path, "--for", "300ms", "--interval", "100ms")
    *_, summary = ctl_json("simulate", path, "--config", str(file))
    assert [(kill["pid"], kill["signal"]) for kill in summary["kills"]] == [(holder, "SIGTERM")]
    (kill,) = summary["kills"]
    assert kill["held_bytes"] >= 40 << 20
    assert kill["lived_until_s"] > kill["t_s"], "the recording has it to its end"


def test_a_full_disk_is_said_and_what_fits_is_kept(tmp_path: Path, none: str) -> None:
    path = tmp_path / "r"
    done = subprocess.run(
        ["sh", "-c", 'ulimit -f 16; trap "" XFSZ; exec "$@"', "sh", *command("record", str(path))],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert "the file has what could be written" in done.stderr
    assert "cut off" in run("simulate", str(path), "--config", none).stderr


def test_a_redacted_recording_has_no_arguments(holder: int, tmp_path: Path) -> None:
    path = tmp_path / "r"
    ctl("record", str(path), "--for", "100ms", "--redact", "-n", "5")
    text = path.read_text()
    assert "bytearray" not in text
    assert json.loads(text.splitlines()[0])["hostname"] == ""
    assert len(json.loads(text.splitlines()[1])["new"]) <= 5


def test_a_recording_that_is_interrupted_is_complete(tmp_path: Path, none: str) -> None:
    path = tmp_path / "r"
    with subprocess.Popen(command("record", str(path), "--for", "1m", "--interval", "100ms")) as process:
        until_s = time.monotonic() + 20
        while time.monotonic() < until_s and not any(
            part.stat().st_size > 3000 for part in tmp_path.iterdir()
        ):
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
    assert process.returncode == 0
    assert "summary" in ctl_json("simulate", str(path), "--config", none)[-1]["kind"]


def test_simulate_says_who_would_have_been_killed(tmp_path: Path, none: str) -> None:
    recording = write(tmp_path / "leak", leaking(14))
    said = ctl("simulate", recording, "--config", none)
    assert "SIGTERM to leak[30]" in said
    assert "1 kill" in said
    *moments, summary = ctl_json("simulate", recording, "--config", none, "-v")
    assert len(moments) == 14
    assert [kill["comm"] for kill in summary["kills"]] == ["leak"]
    assert "anonymous memory" in ctl("simulate", recording, "--config", none, "--verbose")


def test_simulate_compares_two_configurations(tmp_path: Path, none: str) -> None:
    recording = write(tmp_path / "leak", leaking(14))
    other = tmp_path / "b.toml"
    other.write_text('[[rule]]\nname = "a"\nmatch = { name = "leak" }\ndo = "never"\n')
    said = ctl("simulate", recording, "--config", none, "--against", str(other))
    assert "killed with A only: leak[30]" in said
    assert "killed with B only: database[20]" in said
    assert "no difference" in ctl("simulate", recording, "--config", none, "--against", none)


def test_simulate_uses_what_it_can_of_a_damaged_recording(tmp_path: Path, none: str) -> None:
    lines = leaking(14)
    lines[3] = lines[3][:20]
    done = run("simulate", write(tmp_path / "bad", lines), "--config", none)
    assert done.returncode == 1
    assert "bad: line 4: no JSON" in done.stderr
    assert "SIGTERM to leak[30]" in done.stdout
    (tmp_path / "cut").write_text("\n".join(leaking(14))[:-20])
    assert "line 15: cut off" in run("simulate", str(tmp_path / "cut"), "--config", none).stderr
    assert "no recording" in run("simulate", none).stderr
    ctl("simulate", str(tmp_path / "none-such"), code=1)


def test_the_command_can_be_started() -> None:
    done = subprocess.run(command("check", "--json"), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["kind"] == "check"


def test_the_command_explains_itself() -> None:
    whole = ctl("--help")
    for verb in ("rank", "explain", "check", "record", "simulate"):
        assert verb in whole
        assert "--json" in ctl(verb, "--help")
    assert ctl("--version").startswith("oomguardd ")
    ctl(code=2)
    ctl("no-such-verb", code=2)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize("verb", ["rank", "check"])
def test_an_ordinary_user_sees_what_they_may(verb: str) -> None:
    status, said = as_nobody([verb, "--json"])
    assert os.waitstatus_to_exitcode(status) == 0, said
    assert json.loads(said)["kind"] == verb


def as_nobody(argv: list[str]) -> tuple[int, str]:
    """In a child of ours, because the interpreter may lie where others cannot start it."""
    read, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            sys.stdout = sys.stderr = os.fdopen(write_end, "w")
            os._exit(main(argv))
        finally:
            os._exit(70)
    os.close(write_end)
    with os.fdopen(read) as file:
        said = file.read()
    return os.waitpid(child, 0)[1], said
