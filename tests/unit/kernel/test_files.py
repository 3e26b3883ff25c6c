"""Reading small files: what is cut, what grows, what is gone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from oomguardd.kernel.files import HeldFile, line_number, open_dir, read_small


def test_a_file_longer_than_one_read(tmp_path: Path) -> None:
    content = bytes(range(256)) * 40
    (tmp_path / "x").write_bytes(content)
    fd = open_dir(str(tmp_path))
    try:
        assert read_small(fd, "x", 100) == content
        assert read_small(fd, "x", len(content)) == content
        assert read_small(fd, "x", 1 << 16) == content
        with pytest.raises(FileNotFoundError):
            read_small(fd, "y")
    finally:
        os.close(fd)


@pytest.mark.parametrize("size", [1, 7, 10, 4096])
@pytest.mark.parametrize("in_records", [False, True])
def test_a_held_file_is_read_from_its_start_each_time(tmp_path: Path, size: int, in_records: bool) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"0123456789")
    held = HeldFile(str(path), size=size, in_records=in_records)
    assert held.read() == b"0123456789"
    path.write_bytes(b"abc")
    assert held.read() == b"abc"
    path.write_bytes(b"")
    assert held.read() == b""
    held.close()
    held.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        held.read()


def test_a_held_file_below_a_directory_is_whole_on_the_live_kernel() -> None:
    fd = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY)
    held = HeldFile("vmstat", fd, size=1000, in_records=True)
    try:
        names = [line.split()[0] for line in held.read().splitlines()]
        assert names == [line.split()[0] for line in Path("/proc/vmstat").read_bytes().splitlines()]
    finally:
        held.close()
        os.close(fd)


@pytest.mark.parametrize(
    ("data", "number"),
    [
        (b"a 1\nb 22\nc 3\n", 22),
        (b"\nb 22\n", 22),
        (b"\nb -1\n", -1),
        (b"b 22\n", None),
        (b"\nb 22", None),
        (b"\nb \n", None),
        (b"\nb x\n", None),
        (b"\nbb 22\n", None),
        (b"\nb " + b"9" * 5000 + b"\n", None),
    ],
)
def test_line_number(data: bytes, number: int | None) -> None:
    assert line_number(data, b"\nb ") == number
