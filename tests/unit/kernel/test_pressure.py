"""PSI files and triggers."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from oomguardd.kernel.files import SensorError
from oomguardd.kernel.pressure import Stall, arm_trigger, open_trigger, parse_pressure

LIVE = "/proc/pressure/memory"
SOME = b"some avg10=1.50 avg60=2.25 avg300=0.00 total=1500000\n"
FULL = b"full avg10=0.50 avg60=0.25 avg300=0.00 total=500000\n"

live_psi = pytest.mark.skipif(not os.path.exists(LIVE), reason="this kernel has no PSI")


def test_both_lines() -> None:
    pressure = parse_pressure(SOME + FULL)
    assert pressure.some == Stall(1.5, 2.25, 0.0, 1.5)
    assert pressure.full == Stall(0.5, 0.25, 0.0, 0.5)


def test_without_full() -> None:
    assert parse_pressure(SOME).full == Stall(0.0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        FULL,
        SOME[:40],
        SOME + FULL[:20],
        SOME.replace(b"1.50", b"nan"),
        SOME.replace(b"1.50", b"inf"),
        SOME.replace(b"1.50", b"-1"),
        SOME.replace(b"total", b"sum"),
        SOME.replace(b"1500000", b""),
    ],
)
def test_anything_else_is_an_error(data: bytes) -> None:
    with pytest.raises(SensorError, match="PSI"):
        parse_pressure(data)


@live_psi
def test_the_live_file() -> None:
    pressure = parse_pressure(Path(LIVE).read_bytes())
    assert pressure.some.total_s >= pressure.full.total_s >= 0


def test_what_is_written(tmp_path: Path) -> None:
    path = tmp_path / "memory"
    path.write_bytes(b"")
    opened = open_trigger(str(path))
    assert opened is not None
    fd, source = opened
    os.close(fd)
    assert source == "direct"
    assert path.read_bytes() == b"some 150000 1000000\0"


@live_psi
def test_a_trigger_of_the_live_kernel() -> None:
    opened = open_trigger(LIVE)
    assert opened is not None, "even the unprivileged get a window of 2 s"
    fd, source = opened
    try:
        assert source in ("direct", "slow_window")
        with pytest.raises(OSError, match="busy") as second:
            arm_trigger(fd, 300_000, 2_000_000)
        assert second.value.errno == errno.EBUSY
    finally:
        os.close(fd)


@live_psi
def test_the_last_digit_of_the_window_is_not_lost() -> None:
    fd = os.open(LIVE, os.O_RDWR)
    try:
        # 1 s short of a digit is 0.1 s, which is less than the stall: EINVAL is what a lost digit looks like.
        arm_trigger(fd, 1_900_000, 2_000_000)
        assert os.pread(fd, 4, 0) == b"some"
    finally:
        os.close(fd)


def test_the_given_descriptor_comes_first(tmp_path: Path) -> None:
    path = tmp_path / "pressure/memory"
    path.parent.mkdir()
    path.write_bytes(b"")
    given = os.open(path, os.O_RDWR)
    try:
        assert open_trigger("/nonexistent", given) == (given, "openfile")
    finally:
        os.close(given)


def test_a_descriptor_of_something_else_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_bytes(b"data")
    given = os.open(path, os.O_RDWR)
    try:
        assert open_trigger("/nonexistent", given) is None
        assert path.read_bytes() == b"data"
    finally:
        os.close(given)


def test_no_trigger_where_there_is_no_file(tmp_path: Path) -> None:
    assert open_trigger(str(tmp_path / "memory")) is None
    closed = os.open(tmp_path, os.O_RDONLY)
    try:
        assert open_trigger(str(tmp_path / "memory"), closed) is None
        assert os.fstat(closed).st_ino > 0, "the given descriptor stays the caller's"
    finally:
        os.close(closed)
