"""Woken by a pressure file. A pipe cannot be urgent, but a socket can: out-of-band data is EPOLLPRI too."""

from __future__ import annotations

import asyncio
import os
import socket

import pytest

from oomguardd.guard.wake import PressureWaker
from oomguardd.kernel.pressure import open_trigger
from tests.shell.rig import event_loop, open_fds


def test_urgent_is_an_event_and_readable_is_not() -> None:
    with event_loop() as loop, socket.create_server(("127.0.0.1", 0)) as server:
        sender = socket.create_connection(server.getsockname())
        receiver, _ = server.accept()
        with sender, receiver:
            woken: list[int] = []
            waker = PressureWaker(loop, os.dup(receiver.fileno()), lambda: woken.append(1))
            sender.send(b"ordinary")
            loop.run_until_complete(asyncio.sleep(0.05))
            assert woken == []
            sender.send(b"!", socket.MSG_OOB)
            loop.run_until_complete(asyncio.sleep(0.05))
            assert woken
            waker.close()


def test_one_that_only_fails_is_let_go_of() -> None:
    """Its cgroup is gone: the kernel would say so thousands of times a second."""
    fds = open_fds()
    with event_loop() as loop:
        readable, writable = os.pipe()
        woken: list[int] = []
        waker = PressureWaker(loop, writable, lambda: woken.append(1))
        os.close(readable)  # a pipe without a reader is EPOLLERR for ever
        loop.run_until_complete(asyncio.sleep(0.05))
        assert woken == []
        waker.close()
        waker.close()
    assert open_fds() == fds


def test_closed_is_closed() -> None:
    fds = open_fds()
    with event_loop() as loop:
        left, right = os.pipe()
        waker = PressureWaker(loop, left, lambda: None)
        waker.close()
        os.close(right)
    assert open_fds() == fds


def test_a_real_trigger_does_not_spin() -> None:
    opened = open_trigger("/proc/pressure/memory")
    if opened is None:
        pytest.skip("this kernel gives us no pressure trigger")
    with event_loop() as loop:
        woken: list[int] = []
        waker = PressureWaker(loop, opened[0], lambda: woken.append(1))
        loop.run_until_complete(asyncio.sleep(0.3))
        waker.close()
    assert len(woken) <= 2
