"""`oomguardctl decode`, the real command: every source, every end, on any terminal."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import pty
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Any

import pytest

from oomguardd.ctl.__main__ import main
from oomguardd.ctl.afterwards.decode_input import Progress, lines_of
from oomguardd.ctl.afterwards.decode_page import page
from oomguardd.ctl.console import Console
from oomguardd.ctl.text import width_of
from oomguardd.oomlog import decode
from tests.oomlogs import HERE, NAMES
from tests.oomlogs import lines_of as log_lines
from tests.shell import forked

GLOBAL = HERE / "lab-6.12.107-global.log"
TWO = HERE / "08-4.19.0-rc2.log"


def run(*words: str, stdin: bytes = b"", path: str = "") -> subprocess.CompletedProcess[bytes]:
    return forked.run(["decode", *words], stdin, {"PATH": path} if path else {})


def told(*words: str, stdin: bytes = b"", path: str = "") -> str:
    """Standard output of a run that finds something and complains of nothing."""
    done = run(*words, stdin=stdin, path=path)
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout.decode()


def refused(*words: str, code: int = 1, stdin: bytes = b"", path: str = "") -> str:
    """What it complains of."""
    done = run(*words, stdin=stdin, path=path)
    assert done.returncode == code
    assert b"Traceback" not in done.stderr
    return done.stderr.decode()


def test_a_file_in_words() -> None:
    said = told(str(GLOBAL))
    assert said.startswith("1. The machine was out of memory (117.208 s after boot, kernel 6.12.107+deb13")
    for part in (
        "The kernel killed python3[175]",
        "Swap was full",
        "What would prevent it",
        "killed  175  python3",
    ):
        assert part in said


def test_several_reports_are_summed_up() -> None:
    said = told(str(TWO))
    assert "2. The machine was out of memory" in said
    assert said.endswith("2 reports; killed: a.out 1 time, java 1 time.\n")


@pytest.mark.parametrize("name", NAMES)
def test_json_is_one_object_a_report(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["decode", str(HERE / name), "--json"]) == 0
    objects: list[dict[str, Any]] = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["kind"] for one in objects] == ["oom_report"] * len(list(decode(log_lines(name))))
    assert all(one["words"]["what"] and one["words"]["why"] for one in objects)


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_packed_or_not_from_a_file_or_a_pipe(pack: Any, tmp_path: Path) -> None:
    plain = told(str(GLOBAL))
    packed = pack(GLOBAL.read_bytes())
    file = tmp_path / "kern.log.1"
    file.write_bytes(packed)
    assert told(str(file)) == plain
    assert told("-", stdin=packed) == plain
    assert told(stdin=packed) == plain


def test_damaged_packing_tells_what_it_has(tmp_path: Path) -> None:
    noise = b"".join(b"[ 200.%d] noise %d\n" % (at, at * at) for at in range(400_000))
    packed = gzip.compress(GLOBAL.read_bytes() + noise)
    file = tmp_path / "cut.gz"
    file.write_bytes(packed[: len(packed) // 2])
    done = run(str(file))
    assert done.returncode == 1
    assert b"python3[175]" in done.stdout
    assert b"damaged after" in done.stderr
    file.write_bytes(packed[:30] + b"garbage" * 20)
    assert "damaged after 0 KiB" in refused(str(file))
    file.write_bytes(b"\x28\xb5\x2f\xfd rest")
    assert "zstdcat" in refused(str(file))


def test_nothing_found_and_nothing_there(tmp_path: Path) -> None:
    empty = tmp_path / "empty.log"
    empty.touch()
    assert "no report of the kernel's OOM killer" in refused(str(empty))
    assert "no report" in refused("-", stdin=b"\0\xff\xfe\n" * 1000)
    assert "No such file" in refused(str(tmp_path / "none.log"))
    assert "Is a directory" in refused(str(tmp_path))
    assert "not both" in refused("--journal", str(GLOBAL), code=2)
    assert "--boot is for" in refused("--boot", "all", str(GLOBAL), code=2)
    assert "is no boot" in refused("--journal", "--boot", "a b", code=2)
    assert "no number from 1 on" in refused("-n", "x", str(GLOBAL), code=2)


@pytest.fixture
def journalctl(tmp_path: Path) -> tuple[Path, str]:
    """One of our own, that says how it was called."""
    script = tmp_path / "journalctl"
    script.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/called\nsed "s/] /] web-7 kernel: /" {GLOBAL}\n')
    script.chmod(0o755)
    return tmp_path, f"{tmp_path}:{os.environ['PATH']}"


def test_the_journal(journalctl: tuple[Path, str]) -> None:
    folder, path = journalctl
    assert "web-7" in told("--journal", path=path)
    assert (folder / "called").read_text() == "--no-pager --quiet --output=short-iso --dmesg --boot=0\n"
    told("--journal", "--boot", "-1", path=path)
    assert "--dmesg --boot=-1" in (folder / "called").read_text()
    told("--journal", "--boot", "all", path=path)
    assert "_TRANSPORT=kernel" in (folder / "called").read_text()


def test_a_journal_that_cannot_be_read(journalctl: tuple[Path, str]) -> None:
    folder, path = journalctl
    (folder / "journalctl").write_text("#!/bin/sh\necho No permission >&2\nexit 1\n")
    said = refused("--journal", path=path)
    assert "No permission" in said
    assert "systemd-journal" in said
    assert "dmesg | oomguardctl decode -" in refused("--journal", path="/nonexistent")


@pytest.mark.parametrize("width", [20, 40, 60, 80, 120])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    checked = 0
    for name in NAMES:
        console = Console(io.StringIO(), io.StringIO(), {"COLUMNS": str(width)})
        for report in decode(log_lines(name)):
            lines = page(report, 1, 1 << 30, console)
            assert max(map(width_of, lines)) <= width, name
            checked += 1
    assert checked > len(NAMES)


def test_all_processes_when_wanted() -> None:
    few, every = told(str(HERE / "13-6.1.1-arch.log")), told(str(HERE / "13-6.1.1-arch.log"), "-n", "all")
    assert "and 104 more" in few
    assert "xscreensaver-sy" in every
    assert "xscreensaver-sy" not in few


def test_names_cannot_write_to_the_terminal() -> None:
    line = b"Out of memory: Killed process 7 (\x1b[2J\xff\xc2\x9b) total-vm:8kB, anon-rss:8kB, file-rss:0kB\n"
    done = run("-", stdin=line)
    assert done.returncode == 0
    assert b"\x1b" not in done.stdout
    assert b"\xc2\x9b" not in done.stdout


def test_whoever_reads_may_stop(tmp_path: Path) -> None:
    file = tmp_path / "many.log"
    file.write_bytes(GLOBAL.read_bytes() * 300)
    command = f"{sys.executable} -m oomguardd.ctl decode {file} --json | head -n 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, timeout=60)
    assert done.stderr == b""
    assert json.loads(done.stdout)["victims"][0]["pid"] == 175


def test_progress_only_on_a_terminal_and_only_when_it_takes_long() -> None:
    leader, follower = pty.openpty()
    settings = termios.tcgetattr(follower)
    settings[1] &= ~termios.OPOST
    termios.tcsetattr(follower, termios.TCSANOW, settings)
    now_s = [0.0]
    with os.fdopen(follower, "w") as terminal:
        progress = Progress(terminal, lambda: now_s[0])
        progress.show(1 << 20)
        progress.clear()
        now_s[0] = 2.5
        progress.found = 3
        progress.show(7 << 20)
        progress.clear()
        assert os.read(leader, 200) == b"\r7 MiB read, 3 found\x1b[K\r\x1b[K"
    os.close(leader)
    quiet = io.StringIO()
    Progress(quiet, lambda: 1e9).show(1)
    assert quiet.getvalue() == ""


def test_a_line_without_an_end_does_not_fill_the_memory() -> None:
    class Endless(io.RawIOBase):
        left = 200

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            self.left -= 1
            buffer[:] = b"x" * len(buffer)
            return len(buffer) if self.left >= 0 else 0

    stream = io.BufferedReader(Endless(), 1 << 20)
    lines = list(lines_of(stream, "x", Progress(io.StringIO())))
    assert max(map(len, lines)) <= 1 << 16


def test_fifty_megabytes_in_less_than_five_seconds(tmp_path: Path) -> None:
    line = "[{:12.6f}] usb 1-2: new high-speed USB device number {} using xhci_hcd, idVendor=1d6b\n"
    reports = [(HERE / name).read_bytes() for name in NAMES if name.startswith("lab-")]
    file = tmp_path / "kern.log"
    with file.open("wb") as log:
        for at in range(300):
            log.write("".join(line.format(3000 + at, number) for number in range(1800)).encode())
            log.write(reports[at % len(reports)])
    size_bytes = file.stat().st_size
    assert size_bytes > 45 << 20
    before_s = time.monotonic()
    said = told(str(file), "--json")
    took_s = time.monotonic() - before_s
    assert len(said.splitlines()) >= 290
    assert took_s * (50 << 20) / size_bytes < 5, f"{took_s:.1f} s for {size_bytes >> 20} MiB"
