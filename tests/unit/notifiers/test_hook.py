"""Hooks that run programs: real children, that read, print, hang, fork and die."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from oomguardd.notifiers.base import Gear, Notice, NotifyError
from oomguardd.notifiers.hook import Program, environment, make
from oomguardd.telling import Hook, Telling

NOTICE = Notice(
    kind="kill",
    time_s=1700000000.25,
    summary="hog was ended",
    body="It held 2 GiB.",
    facts={"kind": "kill", "time_s": 1700000000.25, "pid": 4711, "comm": "a b;$(reboot)", "dry_run": False},
    record={"kind": "kill", "run": "abc", "seq": 7, "victim": {"pid": 4711}},
    explanation=("killed hog", "  because"),
)


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(scenario, 30))


def program(*command: str, timeout_s: float = 10.0) -> Program:
    return Program(Hook("test", ("kill",), run=command, timeout_s=timeout_s), "box")


async def tell(*command: str, timeout_s: float = 10.0) -> str:
    """Empty, or why it failed; nothing is left of it in either case."""
    made = program(*command, timeout_s=timeout_s)
    made.start()
    before = set(os.listdir("/proc/self/fd"))
    try:
        await made.tell([NOTICE])
    except NotifyError as error:
        return str(error)
    finally:
        await made.close()
        assert set(os.listdir("/proc/self/fd")) <= before
    return ""


def python(script: str) -> tuple[str, str, str]:
    return sys.executable, "-c", script


def test_the_event_is_data(tmp_path: Path) -> None:
    async def scenario() -> None:
        script = (
            f"import json, os, sys; open('{tmp_path}/got', 'w').write(json.dumps("
            "[sys.argv, json.load(sys.stdin), dict(os.environ), os.getcwd()]))"
        )
        assert await tell(*python(script), "one argument; $HOME") == ""

    run(scenario())
    arguments, event, environ, cwd = json.loads((tmp_path / "got").read_text())
    assert arguments[1:] == ["one argument; $HOME"]
    assert event["id"] == "abc-7"
    assert event["time"] == "2023-11-14T22:13:20.250Z"
    assert event["record"]["victim"] == {"pid": 4711}
    assert event["text"] == "box: hog was ended\nIt held 2 GiB."
    assert event["explanation"] == ["killed hog", "  because"]
    assert environ.pop("LC_CTYPE", "C.UTF-8"), "Python's own doing"
    assert environ == {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LANG": "C.UTF-8",
        "HOME": "/",
        "OOMGUARD_EVENT": "kill",
        "OOMGUARD_TIME": "2023-11-14T22:13:20.250Z",
        "OOMGUARD_SUMMARY": "hog was ended",
        "OOMGUARD_PID": "4711",
        "OOMGUARD_COMM": "a b;$(reboot)",
        "OOMGUARD_DRY_RUN": "0",
    }
    assert cwd == "/"


def test_what_it_inherits(tmp_path: Path) -> None:
    async def scenario() -> None:
        script = (
            f"import os; open('{tmp_path}/got', 'w').write('|'.join(["
            "open('/proc/self/status').read(), str(os.getsid(0) == os.getpid()),"
            " str(sorted(os.listdir('/proc/self/fd')))]))"
        )
        held = os.open("/dev/null", os.O_RDONLY)
        os.set_inheritable(held, True)
        try:
            assert await tell(*python(script)) == ""
        finally:
            os.close(held)

    run(scenario())
    status, leads, descriptors = (tmp_path / "got").read_text().split("|")
    blocked = next(line for line in status.splitlines() if line.startswith("SigBlk"))
    assert set(blocked.split()[1]) == {"0"}
    assert leads == "True", "a session of its own"
    assert descriptors == "['0', '1', '2', '3', '4']", "3 and 4 are its own: the file and the listing"


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (
            "import sys; print('first'); sys.exit('cannot reach \\x1b the pager')",
            "status 1, its last words: ",
        ),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "ended with SIGSEGV"),
    ],
)
def test_a_failure_says_why(script: str, said: str) -> None:
    async def scenario() -> None:
        failure = await tell(*python(script))
        assert said in failure
        assert failure.isprintable()

    run(scenario())


def test_a_program_that_is_not_there() -> None:
    async def scenario() -> None:
        assert await tell("/no/such/program") == "/no/such/program: No such file or directory"
        assert await tell("/etc/passwd") == "/etc/passwd: Permission denied"

    run(scenario())


def test_one_that_hangs_is_ended_with_all_it_started(tmp_path: Path) -> None:
    async def scenario() -> None:
        script = (
            "import os, signal, subprocess, time\n"
            "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
            "child = subprocess.Popen(['/bin/sleep', '1000'])\n"
            f"open('{tmp_path}/pid', 'w').write(str(child.pid))\n"
            "print('waiting', flush=True); time.sleep(1000)\n"
        )
        began_s = time.monotonic()
        failure = await tell(*python(script), timeout_s=0.5)
        assert failure == "ended after 500 ms: it took too long, its last words: waiting"
        assert 1.4 < time.monotonic() - began_s < 5, "SIGTERM was ignored, SIGKILL came a second later"

    run(scenario())
    assert_gone(int((tmp_path / "pid").read_text()))


def assert_gone(pid: int) -> None:
    for _ in range(200):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return
        if state == "Z":  # somebody else's to wait for
            return
        time.sleep(0.01)
    raise AssertionError(f"{pid} lives on")


def test_what_it_leaves_behind_ends_with_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        script = f"/bin/sleep 1000 & echo $! > {tmp_path}/pid"
        began_s = time.monotonic()
        assert await tell("/bin/sh", "-c", script) == ""
        assert time.monotonic() - began_s < 5, "the child holds the pipe, and we do not wait for that"

    run(scenario())
    assert_gone(int((tmp_path / "pid").read_text()))


def test_output_without_end_costs_nothing() -> None:
    async def scenario() -> None:
        began_s = time.process_time()
        failure = await tell("/usr/bin/yes", timeout_s=1.0)
        assert failure.endswith("its last words: y")
        assert time.process_time() - began_s < 0.5

    run(scenario())


def test_cancelled_in_the_middle(tmp_path: Path) -> None:
    async def scenario() -> None:
        made = program("/bin/sh", "-c", f"echo $$ > {tmp_path}/pid; exec sleep 1000")
        telling = asyncio.ensure_future(made.tell([NOTICE]))
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
            await asyncio.sleep(0.01)
        telling.cancel()
        await asyncio.gather(telling, return_exceptions=True)
        await made.close()

    run(scenario())
    assert not Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}").exists(), "not even as a zombie"


def test_cancelled_while_it_starts(tmp_path: Path) -> None:
    """Its file comes from a disk that is slow: nobody waits any more when it runs at last."""
    loop_stood_still_s = 0.0

    async def scenario() -> None:
        nonlocal loop_stood_still_s
        (tmp_path / "slow").write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 1000\n")
        (tmp_path / "slow").chmod(0o755)
        made = program(str(tmp_path / "slow"))
        telling = asyncio.ensure_future(made.tell([NOTICE]))
        await asyncio.sleep(0)
        telling.cancel()
        await asyncio.gather(telling, return_exceptions=True)
        closing = asyncio.ensure_future(made.close())
        while not closing.done():
            began_s = time.monotonic()
            await asyncio.sleep(0.001)
            loop_stood_still_s = max(loop_stood_still_s, time.monotonic() - began_s)

    run(scenario())
    assert loop_stood_still_s < 0.5, "nobody is waited for in the loop"
    with contextlib.suppress(FileNotFoundError):  # it may have ended before it could say who it is
        pid = (tmp_path / "pid").read_text().strip()
        assert not pid or not Path(f"/proc/{pid}").exists(), "not even as a zombie"


def test_a_large_event_fits() -> None:
    async def scenario() -> None:
        big = Notice("kill", 1.0, "s", "", {}, {"kind": "kill", "text": "x" * 300_000})
        made = program(*python("import sys; sys.exit(0 if len(sys.stdin.read()) > 300000 else 1)"))
        await made.tell([big])
        await made.close()
        assert not made._dying

    run(scenario())


def test_which_hooks_are_made() -> None:
    hooks = (
        Hook("a", ("kill",), run=("/bin/true",)),
        Hook("b", ("warn",), url="http://x/"),
    )
    (only,) = make(Telling(hooks=hooks), Gear(missing=lambda what, cost, remedy: None, host="box"))
    assert only.label == "hook:a"
    assert only.wants(NOTICE)
    assert not only.wants(Notice("warn", 1.0, "", "", {}, {}))


def test_environment_is_printable() -> None:
    facts = {"comm": "x\n\x1b[31m\0\udcff", "kind": "kill"}
    found = environment(Notice("kill", 1.0, "a\nb", "", facts, {}))
    assert found["OOMGUARD_COMM"] == "x\\n\\x1b[31m\\x00\\xff"
    assert found["OOMGUARD_SUMMARY"] == "a\\nb"
    assert "OOMGUARD_KIND" not in found
