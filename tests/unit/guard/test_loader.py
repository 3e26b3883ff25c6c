"""The configuration, read by a process of its own: a value, all that is wrong, or nothing at all."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from oomguardd.guard.loader import Loaded, Loader, parse_loaded
from oomguardd.guard.options import Options
from oomguardd.sections import Config, to_wire
from tests.shell.rig import DEADLINE_S, TRIGGERS, event_loop, open_fds


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    with event_loop() as made:
        yield made


def children() -> set[str]:
    return {pid for file in Path("/proc/self/task").glob("*/children") for pid in file.read_text().split()}


def nothing_left(loop: asyncio.AbstractEventLoop, before: set[str], fds: int) -> bool:
    deadline_s = time.monotonic() + DEADLINE_S
    while (children() != before or open_fds() != fds) and time.monotonic() < deadline_s:
        loop.run_until_complete(asyncio.sleep(0.01))
    return children() == before and open_fds() == fds


def read(loop: asyncio.AbstractEventLoop, options: Options) -> Loaded:
    """What one reading came to; it leaves no child and no descriptor."""
    before, fds = children(), open_fds()
    found: list[Loaded] = []
    Loader(loop, options, found.append)
    deadline_s = time.monotonic() + DEADLINE_S
    while not found and time.monotonic() < deadline_s:
        loop.run_until_complete(asyncio.sleep(0.01))
    assert nothing_left(loop, before, fds)
    (loaded,) = found
    return loaded


def test_a_good_file_is_a_configuration(loop: asyncio.AbstractEventLoop, tmp_path: Path) -> None:
    file = tmp_path / "oomguard.toml"
    file.write_text("[kill]\ngrace = '7s'\n")
    socket = str(tmp_path / "guard.sock")
    loaded = read(loop, Options(config=str(file), dry_run=True, socket=socket, log_level="debug"))
    assert isinstance(loaded, Config)
    assert loaded.kill.grace_s == 7
    assert loaded.sources == (str(file),)
    assert (loaded.guard.dry_run, loaded.guard.socket, loaded.log.level) == (True, socket, "debug")
    assert "low-memory" in [trigger.name for trigger in loaded.triggers]


@pytest.mark.parametrize(
    ("text", "word"), [("[kil]\n", "kill"), ("[kill]\ngrace = 7\n", "grace"), ("]", "oomguard.toml")]
)
def test_of_a_bad_one_all_that_is_wrong(
    loop: asyncio.AbstractEventLoop, tmp_path: Path, text: str, word: str
) -> None:
    file = tmp_path / "oomguard.toml"
    file.write_text(text)
    loaded = read(loop, Options(config=str(file)))
    assert isinstance(loaded, list)
    assert any(word in problem and str(file) in problem for problem in loaded)


def test_a_file_that_is_not_there(loop: asyncio.AbstractEventLoop, tmp_path: Path) -> None:
    loaded = read(loop, Options(config=str(tmp_path / "missing.toml")))
    assert isinstance(loaded, list)
    assert any("missing.toml" in problem for problem in loaded)


def test_closed_before_it_has_read(loop: asyncio.AbstractEventLoop, tmp_path: Path) -> None:
    """Even one that would never end (a disk that does not answer) leaves nobody behind."""
    file = tmp_path / "oomguard.toml"
    file.touch()
    before, fds = children(), open_fds()
    found: list[Loaded] = []
    loader = Loader(loop, Options(config=str(file)), found.append)
    (reader,) = (int(pid) for pid in children() - before)
    os.kill(reader, signal.SIGSTOP)
    loader.close()
    loader.close()
    try:
        assert nothing_left(loop, before, fds)
    finally:
        if str(reader) in children():
            os.kill(reader, signal.SIGKILL)
    assert found == []


def test_what_was_said_is_understood_without_loss() -> None:
    config = Config(triggers=TRIGGERS)
    assert parse_loaded(json.dumps({"config": to_wire(config)}).encode()) == config
    assert parse_loaded(b'{"problems": ["one", 2]}') == ["one", "2"]


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"garbage",
        b"\xff\xfe",
        b"null",
        b"[]",
        b"3",
        b"{}",
        b'{"config": null}',
        b'{"config": {}}',
        b'{"config": {"kill": 3}}',
        b'{"config": [1]}',
        b'{"problems": null}',
        b'{"problems": 3}',
        b"[" * 100_000,
        json.dumps({"config": to_wire(Config(triggers=TRIGGERS))}).encode()[:-40],
    ],
)
def test_garbage_on_the_pipe_is_a_problem(said: bytes) -> None:
    loaded = parse_loaded(said)
    assert isinstance(loaded, list)
    assert len(loaded) == 1
    assert "failed" in loaded[0]
