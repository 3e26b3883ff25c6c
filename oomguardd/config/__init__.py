"""The configuration: /etc/oomguard.toml and its drop-ins. What it can say is in oomguardd/sections.py."""

from oomguardd.config.files import ConfigError, Problem
from oomguardd.config.load import DEFAULT_PATH, load
from oomguardd.config.render import config_check, render_effective
from oomguardd.config.shipped import render_default
from oomguardd.config.triggers import DEFAULT_TRIGGERS
from oomguardd.sections import (
    BUILT_IN,
    Config,
    GuardSettings,
    KillSettings,
    LogSettings,
    PaceSettings,
    SelectSettings,
)

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
