"""A recording, read line by line: as much of it as can be used, and what is wrong with the rest.

Rule of this file: one line at a time is in memory, whatever the file's size.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from oomguardd.ctl.console import Trouble
from oomguardd.ctl.tapes.playback import Decoder, Flaw, Frame, frames, parse_header

LINE_MAX_BYTES = 64 << 20
"""A hundred thousand processes; what is longer is no line of ours."""
_GZIP = b"\x1f\x8b"


class Tape:
    """An open recording; iterate over it once. Trouble if it is none."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._cut = ""
        raw = open(path, "rb")  # noqa: SIM115  # closed by close()
        packed = raw.peek(2)[:2] == _GZIP
        self._file: BinaryIO = gzip.GzipFile(fileobj=raw) if packed else raw  # type: ignore[assignment]
        self._raw = raw
        first = next(self._lines(), b"")
        try:
            self.header = parse_header(first)
        except ValueError as error:
            self.close()
            raise Trouble(f"{path}: line 1: {self._cut or error}") from None

    def __iter__(self) -> Iterator[Frame | Flaw]:
        number = 1
        for one in frames(self._lines(), Decoder(self.header)):
            number += 1
            yield one
        if self._cut:
            yield Flaw(number + 1, self._cut)

    def close(self) -> None:
        self._file.close()
        self._raw.close()

    def _lines(self) -> Iterator[bytes]:
        """To the end, or to where it cannot be decompressed any more; then `_cut` says why."""
        try:
            while line := self._file.readline(LINE_MAX_BYTES):
                yield line
        except EOFError:
            self._cut = "cut off: the compressed data ends here"
        except (zlib.error, gzip.BadGzipFile):
            self._cut = "the compressed data is damaged from here on"
