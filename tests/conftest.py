"""What many tests start from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes import FakeProc


@pytest.fixture
def proc(tmp_path: Path) -> Iterator[FakeProc]:
    """A calm machine of 1 GiB without swap and without processes."""
    with FakeProc(tmp_path / "root") as fake:
        yield fake
