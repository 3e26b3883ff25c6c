"""How one of our processes starts another of ours: in a new interpreter, and never with the current
directory in its path.
"""

from __future__ import annotations

import os
import sys

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_START = (
    "import sys; sys.path = [*filter(None, sys.path), {root!r}]; from {module} import main; sys.exit(main())"
)


def command(module: str, *arguments: str) -> list[str]:
    """The arguments of an exec that runs `main()` of our `module`."""
    return [sys.executable, "-c", _START.format(root=_ROOT, module=module), *arguments]
