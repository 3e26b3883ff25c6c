"""`oomguardctl status`: how it is asked, what scripts go by, and how events are followed."""

from __future__ import annotations

import io
import json
import os
import socket
import threading
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from oomguardd.config import Config, load
from oomguardd.ctl.console import Console, Trouble
from oomguardd.ctl.now import status
from oomguardd.ctl.now.control import Line, Unreachable, places
from oomguardd.ctl.now.follow import Shown, follow
from oomguardd.engine.words import Fields
from oomguardd.reporter.control.server import open_control
from oomguardd.reporter.present import Present
from oomguardd.sensors import SIGNALS
from tests.unit.reporter.serve import Reporter
from tests.unit.reporter.talk import (
    NOW_S,
    armed,
    calm,
    present_of,
    pressed,
    record,
    started,
    tick,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "manager"


@pytest.fixture
def reporters(path: Path) -> Iterator[Callable[[Present], Reporter]]:
    running: list[Reporter] = []

    def serve(present: Present) -> Reporter:
        running.append(Reporter(path, present))
        return running[-1]

    yield serve
    for reporter in running:
        reporter.close()


class Watched(io.StringIO):
    """Output; `then` is done in a thread of its own when so many lines are there."""

    def __init__(self, lines: int, then: Callable[[], None]) -> None:
        super().__init__()
        self._lines = lines
        self._then = then

    def write(self, text: str) -> int:
        before, written = self.getvalue().count("\n"), super().write(text)
        if before < self._lines <= self.getvalue().count("\n"):
            threading.Thread(target=self._then).start()
        return written


def console(as_json: bool = False) -> Console:
    return Console(io.StringIO(), io.StringIO(), {}, as_json)


def run(path: Path, *words: str) -> tuple[int, str, str]:
    """Exit status, output, complaints."""
    parser = ArgumentParser()
    status.add_arguments(parser)
    parser.add_argument("--config")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args(["--socket", str(path), "--config", "/dev/null", *words])
    used = console(args.json)
    code = status.run(args, used)
    assert isinstance(used.out, io.StringIO)
    assert isinstance(used.err, io.StringIO)
    return code, used.out.getvalue(), used.err.getvalue()


@pytest.mark.parametrize(
    ("present", "code"),
    [
        (calm(), 0),
        (present_of(started(), tick(level="warn")), 0),
        (present_of(started()), 1),
        (present_of(started(), armed(), connected=False), 1),
        (pressed(), 3),
        (present_of(started(), tick(level="kill")), 3),
    ],
)
def test_the_exit_status_says_how_it_is(
    path: Path, reporters: Callable[[Present], Reporter], present: Present, code: int
) -> None:
    reporters(present)
    found, out, err = run(path)
    assert (found, err) == (code, "")
    assert "health" in out


def test_json_is_the_reply(path: Path, reporters: Callable[[Present], Reporter]) -> None:
    reporters(calm())
    code, out, _ = run(path, "--json")
    found = json.loads(out)
    assert (code, found["kind"], found["ok"], found["level"]) == (0, "status", True, "calm")
    assert found["guard"]["ticks"] == 2305


def test_nobody_answers(path: Path) -> None:
    for left_behind in (False, True):
        if left_behind:
            open_control(str(path)).close()
        code, out, err = run(path)
        assert (code, out) == (69, "")
        assert "systemctl status oomguardd" in err
        code, out, err = run(path, "--json")
        assert (code, json.loads(out)["ok"], err) == (69, False, "")


def test_a_reporter_that_hangs(path: Path) -> None:
    late = pytest.raises(Unreachable, match=r"does not answer within 0\.2 s")
    with open_control(str(path)), Line([str(path)], timeout_s=0.2) as line, late:
        line.call("Status")


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (b"{\0", "no oomguardd-reporter"),
        (b"[]\0", "no oomguardd-reporter"),
        (b'{"parameters":{"a":NaN}}\0', "no oomguardd-reporter"),
        (b'{"error":"a.b","parameters":{"method":"M\x1b"}}\0', "no oomguardd-reporter"),
        (b'{"error":"a.b","parameters":{"method":"M"}}\0', r"answers a\.b \(M\)"),
        (
            b'{"error":"io.oomguard.Manager.NotPermitted","parameters":{"why":"because"}}\0',
            "you may not ask: because",
        ),
        (b"", "the reporter has closed it"),
    ],
)
def test_odd_answers(path: Path, reply: bytes, words: str) -> None:
    def serve(listener: socket.socket) -> None:
        peer, _ = listener.accept()
        with peer:
            peer.recv(4096)
            peer.sendall(reply)

    with open_control(str(path)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        with Line([str(path)], timeout_s=5) as line, pytest.raises(Trouble, match=words):
            line.call("Status")
        thread.join()


def test_where_the_socket_is_looked_for(tmp_path: Path) -> None:
    name = "io.oomguard.Manager"
    environ = {"XDG_RUNTIME_DIR": "/run/user/1000"}
    system, own = f"/run/oomguard/{name}", f"/run/user/1000/oomguard/{name}"
    assert places(Config(), environ, 1000) == [system, own]
    assert places(Config(), {}, 1000) == [system, f"/tmp/oomguard-1000/oomguard/{name}"]
    assert places(Config(), environ, 0) == [system]
    assert places(Config(), environ, 1000, "/a") == ["/a"]
    file = tmp_path / "oomguard.toml"
    file.write_text('[control]\nsocket = "/b"\n')
    assert places(load(str(file), SIGNALS), environ, 1000) == ["/b"]
    file.write_text('[guard]\nsocket = "/c/guard.sock"\n')
    assert places(load(str(file), SIGNALS), environ, 1000) == [f"/c/{name}"]
    file.write_text('[control]\nsocket = "off"\n')
    with pytest.raises(Trouble, match=r"oomguard\.toml.*control\.socket"):
        places(load(str(file), SIGNALS), environ, 1000)


def test_the_second_place_is_asked_when_the_first_is_empty(
    path: Path, tmp_path: Path, reporters: Callable[[Present], Reporter]
) -> None:
    reporters(calm())
    with Line([str(tmp_path / "nothing"), str(path)]) as line:
        assert line.path == str(path)
        assert line.call("Status")["level"] == "calm"
        assert len(line.call("Kills", count=1)["kills"]) == 1  # type: ignore[arg-type]


def test_a_wrong_configuration_does_not_keep_from_asking(
    path: Path, tmp_path: Path, reporters: Callable[[Present], Reporter]
) -> None:
    reporters(calm())
    file = tmp_path / "oomguard.toml"
    file.write_text("[nonsense]\n")
    code, out, err = run(path, "--config", str(file))
    assert (code, "calm" in out) == (0, True)
    assert "the configuration is wrong" in err


def gaps(*numbers: int) -> list[dict[str, object]]:
    return [record("gap", 9, number, why="suspend\n\x1b", lost_s=number) for number in numbers]


def test_events_are_followed_across_restarts_and_shown_once(
    path: Path, reporters: Callable[[Present], Reporter]
) -> None:
    first = reporters(calm())
    first.do(first.server.take(gaps(1, 2, 3)))
    out, err = Watched(2, first.close), io.StringIO()
    naps = 0

    def nap(seconds: float) -> None:
        nonlocal naps
        naps += 1
        if naps == 1:
            second = reporters(calm())  # the guard sends again what was not confirmed, and goes on
            second.do(second.server.take(gaps(3, 4)))
            out._lines, out._then = 3, second.close
        elif "reporter is back" in err.getvalue() and naps > 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        follow(lambda: Line([str(path)]), Console(out, err, {}, as_json=True), 2, nap)
    assert [json.loads(line)["seq"] for line in out.getvalue().splitlines()] == [2, 3, 4]
    assert err.getvalue().count("waiting for it") == 2


def test_events_as_the_log_has_them(path: Path, reporters: Callable[[Present], Reporter]) -> None:
    one = reporters(calm())
    one.do(one.server.take(gaps(3)))
    out = Watched(1, one.close)

    def stop(seconds: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        follow(lambda: Line([str(path)]), Console(out, io.StringIO(), {}), 9, stop)
    assert "notice  3 s were lost to a suspend\\n\\x1b: readings" in out.getvalue()
    assert out.getvalue().count("\n") == 1


def test_what_was_shown_is_remembered_but_not_for_ever() -> None:
    shown = Shown()
    assert [shown.is_new(Fields(record("gap", 0, seq))) for seq in (1, 2, 1)] == [True, True, False]
    made_here = {"kind": "kernel_kill", "seq": 0, "key": "kmsg:7", "time_s": NOW_S}
    assert [shown.is_new(Fields(made_here)), shown.is_new(Fields(made_here))] == [True, False]
    for seq in range(10, 5000):
        shown.is_new(Fields(record("gap", 0, seq)))
    assert len(shown._known) == len(shown._order) == 2000


@pytest.mark.parametrize(
    ("text", "number"), [("0", 0), ("20", 20), ("all", 1_000_000), ("9999999999", 10**6)]
)
def test_numbers_of_events(text: str, number: int) -> None:
    assert status.backlog(text) == number


@pytest.mark.parametrize("text", ["", "-1", "x", "1.5", "²"])
def test_what_is_no_number_of_events(text: str) -> None:
    with pytest.raises(ArgumentTypeError):
        status.backlog(text)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to make a directory of somebody else's")
def test_a_socket_that_anybody_may_have_put_there_is_not_believed(
    tmp_path: Path, reporters: Callable[[Present], Reporter], path: Path
) -> None:
    reporters(calm())
    if not str(path).startswith("/tmp/"):
        pytest.skip("the temporary directory is elsewhere")
    os.chown(tmp_path, 4711, 4711)
    with pytest.raises(Unreachable, match="belongs to somebody else"):
        Line([str(path)])
