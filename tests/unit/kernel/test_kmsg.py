"""/dev/kmsg: its records, and reading them from a file that ends where the log does."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from oomguardd.kernel.kmsg import KernelLog, Message, parse_message

RECORD = b"6,339,5140900,-,caller=T123;NET: Registered\\x0a family 10\n SUBSYSTEM=net\n DEVICE=n1\n"


def test_a_record_without_its_dictionary() -> None:
    line = "6,339,5140900,-,caller=T123;NET: Registered\\x0a family 10"
    assert parse_message(RECORD) == Message(0, 339, 5.1409, line)


def test_who_else_wrote_is_known_by_the_facility() -> None:
    message = parse_message(b"30,1,2,-;systemd[1]: Killed process 1 (init)\n")
    assert message is not None
    assert message.facility == 3


@pytest.mark.parametrize(
    "data",
    [b"", b"\n", b"6,1;x", b"a,b,c,-;x", b"6,1,2,-", b";", b"6," + b"9" * 5000 + b",2,-;x", b"\xff\xfe;\x00"],
)
def test_garbage_is_no_record(data: bytes) -> None:
    assert parse_message(data) is None


def test_only_what_is_new_is_read(tmp_path: Path) -> None:
    path = tmp_path / "kmsg"
    path.write_bytes(b"6,1,1,-;old\n")
    log = KernelLog(str(path))
    try:
        assert log.read() == ([], False)
        with path.open("ab") as file:
            file.write(RECORD)
        messages, lost = log.read()
        assert [message.sequence for message in messages] == [339]
        assert not lost
    finally:
        log.close()
        log.close()


def test_no_log_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        KernelLog(str(tmp_path / "none"))


@pytest.mark.skipif(not os.access("/dev/kmsg", os.R_OK), reason="the kernel's log may not be read here")
def test_the_real_one_can_be_polled_and_is_at_its_end() -> None:
    log = KernelLog()
    try:
        messages, lost = log.read()
        assert len(messages) < 100, "began at the end"
        assert not lost
        assert not os.get_blocking(log.fileno())
    finally:
        log.close()
