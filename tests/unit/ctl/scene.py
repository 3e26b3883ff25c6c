"""Machines of 10 GiB with made-up processes, for the verbs of oomguardctl."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from oomguardd.config import Config, load
from oomguardd.ctl.beforehand.world import World, limits_of, view
from oomguardd.engine.together import Keep, keep_of
from oomguardd.model import Candidate, Totals
from oomguardd.policies.set import PolicySet
from oomguardd.sensors import SIGNALS
from tests.fakes import MIB
from tests.shell.rig import candidate

TOTALS = Totals(8 << 30, 2 << 30)
"""A point is about 10.24 MiB."""

PLAIN = """
[policy.protect]
enabled = false
[policy.growth]
enabled = false
[policy.nice]
enabled = false
[policy.cgroup]
enabled = false
[policy.kubernetes]
enabled = false
[policy.slurm]
enabled = false
[policy.age]
enabled = false
"""
"""No policy at all."""


def configured(folder: Path, text: str = "", plain: bool = True) -> Config:
    """What this TOML says; with `plain` on top of a configuration without policies."""
    file = folder / "oomguard.toml"
    file.write_text((PLAIN if plain else "") + text, encoding="utf-8")
    return load(str(file), SIGNALS)


def process(pid: int, comm: str, held_mib: int = 100, **fields: Any) -> Candidate:
    """One that holds so much anonymous memory."""
    return candidate(pid, comm=comm, rss_anon_bytes=held_mib * MIB, **fields)


def world_of(config: Config, *processes: Candidate) -> World:
    """All of them, judged; nobody else is there."""
    policies = PolicySet(config.policies, config.rules)
    limits = limits_of(config, policies, TOTALS, (), False)
    return view(processes, 0, TOTALS, limits, config.select.swarm)


def keep_in(world: World, config: Config) -> Keep:
    """Who must live in it."""
    return keep_of(world.limits, world.totals, config.kill.max_processes)


def unpainted(text: str, style: str) -> str:
    """For a terminal without colours."""
    return text
