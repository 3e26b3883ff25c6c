"""The configuration: /etc/oomguard.toml and its drop-ins. What it can say is in sections.py."""

from oomguardd.config.files import ConfigError, Problem
from oomguardd.config.load import BUILT_IN, DEFAULT_PATH, Config, load
from oomguardd.config.render import config_check, render_default, render_effective
from oomguardd.config.sections import (
    GuardSettings,
    KillSettings,
    LogSettings,
    PaceSettings,
    SelectSettings,
)
from oomguardd.config.triggers import DEFAULT_TRIGGERS

__all__ = [
    "BUILT_IN",
    "DEFAULT_PATH",
    "DEFAULT_TRIGGERS",
    "Config",
    "ConfigError",
    "GuardSettings",
    "KillSettings",
    "LogSettings",
    "PaceSettings",
    "Problem",
    "SelectSettings",
    "config_check",
    "load",
    "render_default",
    "render_effective",
]
