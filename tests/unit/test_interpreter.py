"""Which code a process of ours runs that another one has started."""

from __future__ import annotations

import subprocess
from pathlib import Path

from oomguardd import __version__
from oomguardd.interpreter import command


def test_it_is_ours_whatever_else_is_installed(tmp_path: Path) -> None:
    other = tmp_path / "site-packages" / "oomguardd"
    other.mkdir(parents=True)
    (other / "__init__.py").write_text("raise SystemExit('another version')")
    done = subprocess.run(
        command("oomguardd.ctl.__main__", "--version"),
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path / "site-packages",
        env={"PYTHONPATH": str(other.parent)},
    )
    assert (done.stdout, done.stderr) == (f"oomguardd {__version__}\n", "")
