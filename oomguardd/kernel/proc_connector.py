"""The netlink proc connector (Documentation/driver-api/connector.rst), narrowed to what ends badly.

On a busy machine thousands of processes come and go each second, and every one would wake us. A filter on the
socket (SO_ATTACH_FILTER, every kernel has it) drops all but the few in the kernel; the filter that the
connector itself has (NONZERO_EXIT) came with Linux 6.6 and lets each failed `grep` through.
"""

from __future__ import annotations

import ctypes
import socket
import struct

NETLINK_CONNECTOR = 11
PROC_GROUP = 1
RECEIVE_BYTES = 65536
_BUFFER_BYTES = 1 << 20
"""Room for some thousand deaths."""

_SO_RCVBUFFORCE = 33
_SO_ATTACH_FILTER = 26
_LOAD_WORD, _JUMP_EQUAL, _RETURN = 0x20, 0x15, 0x06
_AND, _TO_X, _JUMP_EQUAL_X = 0x54, 0x07, 0x1D

# nlmsghdr has 16 bytes, cn_msg 20; then come what u32, cpu u32, timestamp u64, and of an exit pid, tgid, code
_WHAT, _PID, _TGID, _CODE = 36, 52, 56, 60
_ACKNOWLEDGEMENT, _EXIT = 0, 0x8000_0000
_SIGKILL, _SIGTERM, _STATUS_137 = 9, 15, 137 << 8


def _swapped(value: int) -> int:
    """As the filter sees it, which reads big-endian what the kernel wrote in its own order."""
    return int.from_bytes(struct.pack("=I", value), "big")


def _program() -> list[tuple[int, int, int, int]]:
    """Classic BPF, (code, jump if true, jump if false, operand): passes the answer to our request, and the
    end of a process (not of one of its threads) by SIGKILL or SIGTERM, core dump or not, or with status
    137."""
    return [
        (_LOAD_WORD, 0, 0, _WHAT),
        (_JUMP_EQUAL, 10, 0, _swapped(_ACKNOWLEDGEMENT)),
        (_JUMP_EQUAL, 0, 10, _swapped(_EXIT)),
        (_LOAD_WORD, 0, 0, _PID),
        (_TO_X, 0, 0, 0),
        (_LOAD_WORD, 0, 0, _TGID),
        (_JUMP_EQUAL_X, 0, 6, 0),
        (_LOAD_WORD, 0, 0, _CODE),
        (_JUMP_EQUAL, 3, 0, _swapped(_STATUS_137)),
        (_AND, 0, 0, _swapped(0x7F)),
        (_JUMP_EQUAL, 1, 0, _swapped(_SIGKILL)),
        (_JUMP_EQUAL, 0, 1, _swapped(_SIGTERM)),
        (_RETURN, 0, 0, 0xFFFF),
        (_RETURN, 0, 0, 0),
    ]


def open_connector() -> socket.socket:
    """A non-blocking socket that hears of such ends once it has asked for them. OSError: before Linux 6.6
    only CAP_NET_ADMIN may."""
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC, NETLINK_CONNECTOR)
    try:
        sock.setblocking(False)
        _attach(sock)
        try:
            sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_BYTES)
        except PermissionError:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
        sock.bind((0, PROC_GROUP))
    except OSError:
        sock.close()
        raise
    return sock


def _attach(sock: socket.socket) -> None:
    program = b"".join(struct.pack("=HBBI", *each) for each in _program())
    held = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("@HP", len(_program()), ctypes.addressof(held))
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, header)
