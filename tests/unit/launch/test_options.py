"""The command line over the configuration."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from oomguardd.config import ConfigError
from oomguardd.guard.options import Options
from oomguardd.launch.arguments import options_of, parse
from oomguardd.launch.command import load_config


def written(path: Path, text: str) -> str:
    file = path / "oomguard.toml"
    file.write_text(text)
    return str(file)


def test_the_command_line_wins(tmp_path: Path) -> None:
    file = written(tmp_path, '[guard]\nsocket = "/run/x/y.sock"\n[log]\nlevel = "error"\n')
    config = load_config(Options(file))
    assert (config.guard.dry_run, config.log.level) == (False, "error")
    assert config.guard.socket == "/run/x/y.sock"
    config = load_config(Options(file, dry_run=True, socket="/here.sock", log_level="debug"))
    assert (config.guard.dry_run, config.log.level) == (True, "debug")
    assert config.guard.socket == "/here.sock"


def test_dry_run_of_the_file_stays(tmp_path: Path) -> None:
    """A reload must not begin to kill because the command line said nothing."""
    assert load_config(Options(written(tmp_path, "[guard]\ndry_run = true\n"))).guard.dry_run


def test_a_wrong_file_is_an_error_with_all_problems(tmp_path: Path) -> None:
    file = written(tmp_path, "[kill]\ngrase = 1\n[pace]\nmargin = 0.5\n")
    with pytest.raises(ConfigError) as caught:
        load_config(Options(file))
    assert len(caught.value.problems) == 2


def test_arguments() -> None:
    assert options_of(parse([])) == Options()
    args = parse(["--config", "f", "--dry-run", "--no-reporter", "--socket", "s", "--log-level", "debug"])
    assert options_of(args) == Options(os.path.abspath("f"), True, False, os.path.abspath("s"), "debug")


@pytest.mark.parametrize("wrong", [["--json"], ["--log-level", "loud"], ["--unknown"], ["stray"]])
def test_wrong_usage_is_status_2(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(wrong)
    assert caught.value.code == 2
    assert "usage" in capsys.readouterr().err
