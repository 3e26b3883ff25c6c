"""Ten thousand ticks on this machine: what one needs, all have."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest

from oomguardd.guard.loop import Guard
from oomguardd.guard.options import Options, make_watch, orders_of
from oomguardd.guard.scout import Scout
from oomguardd.guard.strike import Striker
from oomguardd.guard.warden import Warden
from oomguardd.kernel.files import open_dir
from oomguardd.kernel.notify import Notifier
from oomguardd.kernel.process import own_ancestors
from oomguardd.launch.command import load_config
from oomguardd.model import Condition, Level, Trigger
from oomguardd.sections import Config, GuardSettings, LogSettings
from tests.shell.rig import Recorder, open_fds

TICKS = 10_000
HOG = "import sys, time; held = b'x' * (64 << 20); sys.stdout.write('x'); sys.stdout.flush(); time.sleep(600)"
ALWAYS = Trigger("always", Level.TERM, (Condition("mem_available", True, 101, True, "<101%"),))


class Forgetful(Recorder):
    """What it was told is not what may grow here."""

    def _encode(self, kind: str, priority: int, seq: int, fields: dict[str, object]) -> bytes:
        data = super()._encode(kind, priority, seq, fields)
        self.records.clear()
        return data


@pytest.mark.parametrize("kind", ["calm", "dry run at its worst"])
def test_ticks_do_not_grow(tmp_path: Path, kind: str) -> None:
    config = Config(
        guard=GuardSettings(dry_run=True),
        log=LogSettings(state_interval_s=0.0),
        triggers=load_config(Options()).triggers if kind == "calm" else (ALWAYS,),
    )
    fds = open_fds()
    proc_fd = open_dir("/proc")
    outbox = Forgetful(ring_bytes=4096)
    watch = make_watch(config, lambda where, error: pytest.fail(f"{where}: {error}"))
    striker = Striker(
        "machine", proc_fd, Scout(proc_fd, 64, 5), outbox, watch.look, lambda: None, orders_of(config)
    )
    warden = Warden(str(tmp_path), 60.0)
    guard = Guard(config, watch, striker, outbox, warden, Notifier({}), lambda: own_ancestors(proc_fd))
    hog = subprocess.Popen(
        [sys.executable, "-c", HOG], stdout=subprocess.PIPE
    )  # a dry run needs somebody to choose
    try:
        assert hog.stdout is not None
        assert hog.stdout.read(1) == b"x"
        for _ in range(300):
            guard.tick()
        gc.collect()
        tracemalloc.start()
        try:
            for _ in range(200):
                guard.tick()
            gc.collect()
            before, _ = tracemalloc.get_traced_memory()
            for _ in range(TICKS):
                guard.tick()
            gc.collect()
            after, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert guard.ticks == TICKS + 500
        assert after - before < 32 * 1024
        assert striker.kills >= (1 if kind != "calm" else 0)
    finally:
        hog.kill()
        hog.communicate()
        warden.close()
        watch.close()
        os.close(proc_fd)
    assert open_fds() == fds
