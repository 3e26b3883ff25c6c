"""Where kernel logs come from: a file, compressed or not, standard input, or the journal.

Rule of this file: a log of any size is read in pieces, and a line without an end does not fill the memory.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import os
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from typing import TextIO, cast

from oomguardd.ctl.console import Trouble
from oomguardd.units import printable

Stream = io.BufferedIOBase

_CHUNK_BYTES = 1 << 20
_LONGEST_LINE_BYTES = 1 << 16

_QUIET_S = 2.0
"""What is over sooner needs no progress."""
_REFRESH_S = 0.2

_PACKED: dict[bytes, Callable[[io.BufferedReader], Stream]] = {
    b"\x1f\x8b": lambda stream: gzip.GzipFile(fileobj=stream),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ": lzma.LZMAFile,
}
_ZSTD = b"\x28\xb5\x2f\xfd"


class Progress:
    """How far we are, on a terminal, once it takes long."""

    def __init__(self, err: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._err = err if err.isatty() else None
        self._clock = clock
        self._next_s = clock() + _QUIET_S
        self._shown = False
        self.found = 0

    def show(self, read_bytes: int) -> None:
        """So much was read. Costs nothing most of the time."""
        if self._err is not None and self._clock() >= self._next_s:
            self._next_s = self._clock() + _REFRESH_S
            self._shown = True
            print(
                f"\r{read_bytes >> 20} MiB read, {self.found} found\x1b[K", end="", file=self._err, flush=True
            )

    def clear(self) -> None:
        """Before anything else is printed."""
        if self._shown and self._err is not None:
            self._shown = False
            print("\r\x1b[K", end="", file=self._err, flush=True)


@contextlib.contextmanager
def opened(name: str) -> Iterator[Stream]:
    """The file, or standard input for `-`, unpacked if need be. OSError, Trouble."""
    if name == "-":
        if sys.stdin is None:
            raise Trouble("there is no standard input: name a FILE, or use --journal")
        yield _unpacked(cast("io.BufferedReader", sys.stdin.buffer), "standard input")
        return
    with open(name, "rb") as stream:
        yield _unpacked(stream, name)


def _unpacked(stream: io.BufferedReader, name: str) -> Stream:
    start = stream.peek(6)[:6]
    if start.startswith(_ZSTD):
        raise Trouble(
            f"{name}: packed with zstd, which is not read here; try: zstdcat FILE | oomguardctl decode -"
        )
    for magic, unpack in _PACKED.items():
        if start.startswith(magic):
            return unpack(stream)
    return stream


@contextlib.contextmanager
def journal(boot: str, program: str = "journalctl") -> Iterator[Stream]:
    """The kernel's messages of one boot, or of `all`. Trouble when they cannot be had."""
    which = ["_TRANSPORT=kernel"] if boot == "all" else ["--dmesg", f"--boot={boot}"]
    command = [program, "--no-pager", "--quiet", "--output=short-iso", *which]
    environ = {**os.environ, "LC_ALL": "C"}
    with tempfile.TemporaryFile() as complaints:
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=complaints, env=environ
            )
        except OSError as error:
            raise Trouble(
                f"{program} cannot be run ({error.strerror}); try: dmesg | oomguardctl decode -"
            ) from None
        with process:
            try:
                assert process.stdout is not None
                yield cast("io.BufferedReader", process.stdout)
                status = process.wait()
            finally:
                process.kill()
        complaints.seek(0)
        said = printable(complaints.read(400).decode(errors="replace").strip())
    if status:
        raise Trouble(
            f"{program} failed: {said or f'status {status}'} (root and group systemd-journal may read it)"
        )


def lines_of(stream: Stream, name: str, progress: Progress) -> Iterator[str]:
    """The lines, without their ends. What is no UTF-8 is escaped. Trouble for damaged packing."""
    read_bytes, rest = 0, b""
    while True:
        try:
            chunk = stream.read(_CHUNK_BYTES)
        except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
            raise Trouble(f"{name}: damaged after {read_bytes >> 10} KiB ({error})") from None
        if not chunk:
            break
        read_bytes += len(chunk)
        progress.show(read_bytes)
        whole, newline, tail = chunk.rpartition(b"\n")
        if newline:
            yield from (rest + whole).decode(errors="backslashreplace").split("\n")
            rest = tail
        else:
            rest += tail
        rest = rest[:_LONGEST_LINE_BYTES]
    if rest:
        yield rest.decode(errors="backslashreplace")
