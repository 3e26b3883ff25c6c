"""Giving nothing of ours to what we execute. In a child, because it cannot be taken back."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]

# capset(2): CAP_KILL becomes inheritable, so that it may become ambient.
CHILD = """
import ctypes, struct
from oomguardd.kernel.ambient import clear_ambient
libc = ctypes.CDLL(None)
header = struct.pack("Ii", 0x20080522, 0)
sets = ctypes.create_string_buffer(24)
assert libc.capget(header, sets) == 0
words = list(struct.unpack("6I", sets.raw))
words[2] |= 1 << 5
assert libc.capset(header, struct.pack("6I", *words)) == 0
assert libc.prctl(47, 2, 5, 0, 0) == 0
def ambient():
    return next(int(line.split()[1], 16) for line in open("/proc/self/status") if line.startswith("CapAmb"))
before = ambient()
assert clear_ambient() is None
print(before, ambient())
"""


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to have a capability")
def test_nothing_is_ambient_afterwards() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CHILD], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("32 0\n", "")
