"""The journal followed through a child process, `journalctl -f`: its own client library is no part of Python,
and what it maps is not ours then.

Rule of this file: whatever the child does, it costs a bounded buffer and a restart now and then.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Callable, Mapping, Sequence

from oomguardd.kernel.syscalls import set_death_signal
from oomguardd.notifiers.lasting import lasting
from oomguardd.notifiers.stopping import stop

Entry = Mapping[str, object]

LONGEST_ENTRY_BYTES = 1 << 18
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
STEADY_S = 10.0
"""A child that ran so long was all right."""


def text_of(entry: Entry, field: str) -> str:
    """A field as text; the journal writes what is not printable as a list of bytes. Empty if it is not
    there."""
    value = entry.get(field)
    if isinstance(value, list):
        numbers = [each for each in value if isinstance(each, int) and 0 <= each < 256]
        return bytes(numbers).decode("utf-8", "replace")
    return value if isinstance(value, str) else ""


class JournalFollower:
    """`arguments` say which entries; `on_entry` gets each new one. `on_trouble` gets the reason when the
    journal cannot be followed, once."""

    def __init__(
        self,
        arguments: Sequence[str],
        on_entry: Callable[[Entry], None],
        on_trouble: Callable[[str], None],
        program: str = "journalctl",
        first_pause_s: float = FIRST_PAUSE_S,
    ) -> None:
        self._arguments = arguments
        self._on_entry = on_entry
        self._on_trouble = on_trouble
        self._program = program
        self._first_pause_s = first_pause_s
        self._cursor = ""
        self._troubled = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Returns at once."""
        if self._task is None:
            self._task = lasting(self._run())

    async def close(self) -> None:
        """Ends the child. May be called twice."""
        task, self._task = self._task, None
        if task is not None:
            await stop(task)

    async def _run(self) -> None:
        pause_s = self._first_pause_s
        clock = asyncio.get_running_loop().time
        while True:
            began_s = clock()
            why = await self._follow()
            if clock() - began_s >= STEADY_S:
                pause_s = self._first_pause_s
            elif not self._troubled:
                self._troubled = True
                self._on_trouble(why)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def _command(self) -> list[str]:
        since = [f"--after-cursor={self._cursor}", "--no-tail"] if self._cursor else ["--lines=0"]
        return [self._program, "--follow", "--output=json", "--quiet", *since, *self._arguments]

    async def _follow(self) -> str:
        """One child's life; why it ended."""
        try:
            child = await asyncio.create_subprocess_exec(
                *self._command(),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                limit=LONGEST_ENTRY_BYTES,
                env={**os.environ, "LC_ALL": "C.UTF-8"},
                preexec_fn=_die_with_us,
            )
        except OSError as error:
            return f"{self._program}: {error.strerror}"
        complaint = asyncio.ensure_future(_last_line(child.stderr))
        try:
            await self._read(child.stdout)
            status = await child.wait()
            return await complaint or f"{self._program} ended with status {status}"
        finally:
            complaint.cancel()
            await _end(child)

    async def _read(self, lines: asyncio.StreamReader | None) -> None:
        while lines is not None:
            try:
                line = await lines.readline()
            except ValueError:
                continue  # an entry that is too long; what is buffered of it is dropped
            if not line:
                return
            self._take(line)

    def _take(self, line: bytes) -> None:
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            return
        if isinstance(entry, dict):
            self._cursor = text_of(entry, "__CURSOR")[:1024] or self._cursor
            self._on_entry(entry)


def _die_with_us() -> None:
    """In the child: a reporter that is killed leaves nobody behind."""
    set_death_signal(signal.SIGTERM)


async def _last_line(lines: asyncio.StreamReader | None) -> str:
    """Of what it complained about, in at most 200 characters."""
    last = ""
    while lines is not None:
        try:
            line = await lines.readline()
        except ValueError:
            continue
        if not line:
            break
        last = line.decode("utf-8", "replace").strip()[:200] or last
    return last


async def _end(child: asyncio.subprocess.Process) -> None:
    """It only reads, so that there is nothing that it would have to finish."""
    if child.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await child.wait()
