"""The command in a process of its own, without an interpreter's start, which takes longer than what it does.

The child has pipes and files for its three streams, an environment and an end of its own, as if started by a
shell. That the command can be started so is for a few tests that do.
"""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from typing import NoReturn

from oomguardd.ctl.__main__ import main

_LONGEST_INPUT = 1 << 16
"""As much as a pipe takes while nobody reads."""


def run(
    words: Sequence[str], stdin: bytes = b"", environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """How it ended, and what it wrote."""
    assert len(stdin) < _LONGEST_INPUT
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        reading, writing = os.pipe()
        os.write(writing, stdin)
        os.close(writing)
        child = os.fork()
        if child == 0:
            _become(words, (reading, out.fileno(), err.fileno()), environ or {})
        os.close(reading)
        try:
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        except BaseException:  # the test's time is over
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            raise
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(list(words), status, out.read(), err.read())


def _become(words: Sequence[str], streams: tuple[int, int, int], environ: Mapping[str, str]) -> NoReturn:
    status: object = 70
    try:
        gc.freeze()  # what the tests have is not the command's to look through
        os.environ.update(environ)
        for number, file in enumerate(streams):
            os.dup2(file, number)
        sys.stdin = os.fdopen(0)
        sys.stdout, sys.stderr = os.fdopen(1, "w", encoding="utf-8"), os.fdopen(2, "w", encoding="utf-8")
        status = main(words)
    except SystemExit as end:
        status = end.code or 0
    except BaseException:
        traceback.print_exc()
        status = 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status if isinstance(status, int) else 1)
