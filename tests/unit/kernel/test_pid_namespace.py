"""Which process a number means, here and in other pid namespaces."""

from __future__ import annotations

import os
import threading

import pytest

from oomguardd.kernel.files import open_dir
from oomguardd.kernel.pid_namespace import Numbers, parse_numbers, read_numbers

STATUS = b"Name:\tbash\nUmask:\t0022\nState:\tS (sleeping)\nTgid:\t42\nNgid:\t0\nPid:\t43\nNSpid:\t43\t7\t1\n"


def test_all_of_it() -> None:
    assert parse_numbers(STATUS) == Numbers(42, (7, 1), "S", "bash")


def test_before_linux_4_1() -> None:
    assert parse_numbers(STATUS.partition(b"NSpid")[0]) == Numbers(42, (), "S", "bash")


def test_a_hostile_name_changes_nothing() -> None:
    named = STATUS.replace(b"bash", b"x\\nTgid:\\t1: \xff")
    assert parse_numbers(named) == Numbers(42, (7, 1), "S", "x\\nTgid:\\t1: \ufffd")


@pytest.mark.parametrize("data", [b"", b"garbage", b"Tgid:\tx\n", b"Name:\ta\n", b"Tgid:\t1\nNSpid:\t1\tx\n"])
def test_what_is_no_such_file(data: bytes) -> None:
    assert parse_numbers(data) is None


def test_ourselves_and_our_threads() -> None:
    proc_fd = open_dir("/proc")
    leave = threading.Event()
    thread = threading.Thread(target=leave.wait)
    thread.start()
    try:
        own, other = read_numbers(proc_fd, os.getpid()), read_numbers(proc_fd, thread.native_id or 0)
        assert own is not None
        assert other is not None
        assert own.process == other.process == os.getpid()
        assert read_numbers(proc_fd, 1 << 30) is None
    finally:
        leave.set()
        thread.join()
        os.close(proc_fd)
