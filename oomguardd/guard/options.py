"""What the command line asks for, and what is made of it and the configuration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from oomguardd.engine.episode import Patience
from oomguardd.engine.pace import Speeds
from oomguardd.guard import harden
from oomguardd.guard.errors import StartError
from oomguardd.guard.strike import Orders
from oomguardd.guard.watch import Watch
from oomguardd.kernel.files import SensorError
from oomguardd.kernel.memcg import find_container
from oomguardd.model import Domain
from oomguardd.sections import Config
from oomguardd.sensors import container_sensors, machine_sensors


@dataclass(frozen=True, slots=True)
class Options:
    """The command line. `config` and `socket` are absolute paths."""

    config: str | None = None
    dry_run: bool = False
    reporter: bool = True
    socket: str | None = None
    log_level: str | None = None


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
        kill.max_processes,
    )
