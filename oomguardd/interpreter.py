"""How one of our processes starts another of ours: in a new interpreter, and never with the current
directory in its path.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_START = (
    # Behind the standard library, before an older one of us that is installed.
    "import sys; p = [*filter(None, sys.path)];"
    " p.insert(next((n for n, x in enumerate(p) if x.endswith('-packages')), len(p)), {root!r});"
    " sys.path = p; from {module} import main; sys.exit(main())"
)


def command(module: str, *arguments: str) -> list[str]:
    """The arguments of an exec that runs `main()` of our `module`."""
    return [sys.executable, "-c", _START.format(root=_ROOT, module=module), *arguments]


def spawn(argv: Sequence[str], stdout: int | None = None) -> int:
    """The pid of a child that runs this. OSError if there can be none; one that cannot run ends with 127.

    fork and exec: vfork, as posix_spawn does it, would have every thread of ours wait until the
    interpreter has been read from a disk that may be busy.
    """
    pid = os.fork()
    if pid:
        return pid
    try:
        if stdout is not None:
            os.dup2(stdout, 1)
        os.execv(argv[0], list(argv))
    finally:
        os._exit(127)
