"""What the command line asks for, and what is made of it and the configuration."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace

from oomguardd.config import BUILT_IN, Config, load
from oomguardd.engine.episode import Patience
from oomguardd.engine.pace import Speeds
from oomguardd.guard import harden
from oomguardd.guard.errors import StartError
from oomguardd.guard.strike import Orders
from oomguardd.guard.watch import Watch
from oomguardd.kernel.files import SensorError
from oomguardd.kernel.memcg import find_container
from oomguardd.model import Domain
from oomguardd.sensors import SIGNALS, container_sensors, machine_sensors


@dataclass(frozen=True, slots=True)
class Options:
    """The command line."""

    config: str | None = None
    dry_run: bool = False
    reporter: bool = True
    socket: str | None = None
    log_level: str | None = None


def load_config(options: Options) -> Config:
    """The configuration files with the command line on top. ConfigError with all that is wrong."""
    config = load(options.config, SIGNALS)
    guard = config.guard
    if options.dry_run:
        guard = replace(guard, dry_run=True)
    if options.socket is not None:
        guard = replace(guard, socket=os.path.abspath(options.socket))
    elif os.geteuid() != 0 and config.origin("guard.socket") == BUILT_IN:
        guard = replace(guard, socket=_own_socket())
    log = config.log if options.log_level is None else replace(config.log, level=options.log_level)
    return replace(config, guard=guard, log=log)


def _own_socket() -> str:
    """Where an ordinary user may put one."""
    uid = os.geteuid()
    return f"{os.environ.get('XDG_RUNTIME_DIR') or f'/tmp/oomguard-{uid}'}/oomguard/guard.sock"


def make_watch(config: Config, fault: Callable[[str, Exception], None]) -> Watch:
    """The machine's, or in a container that of its limit. StartError where memory cannot be read at all."""
    container = find_container()
    speeds = Speeds(
        config.pace.fill_rate_bytes_per_s or harden.fill_rate(), config.pace.swap_rate_bytes_per_s
    )
    try:
        if container is not None:
            domain = Domain("container", container.directory)
            limited, pressure, activity = container_sensors(container)
            return Watch(domain, limited, (pressure, activity), config.triggers, speeds, fault)
        machine, stalls, reclaim = machine_sensors()
        return Watch(Domain("machine"), machine, (stalls, reclaim), config.triggers, speeds, fault)
    except (OSError, SensorError) as error:
        raise StartError(f"memory cannot be read: {error}; is /proc mounted?") from None


def orders_of(config: Config) -> Orders:
    """The settings of the room that kills."""
    kill = config.kill
    return Orders(
        Patience(kill.grace_s, kill.stuck_after_s, kill.settle_s),
        kill.max_per_minute,
        kill.stand_down_s,
        kill.mrelease,
        config.guard.dry_run,
    )
