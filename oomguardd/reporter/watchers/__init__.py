"""What others kill: the kernel's OOM killer, other daemons, anybody's SIGKILL. Nothing in here kills."""

from oomguardd.reporter.watchers.desk import Places
from oomguardd.reporter.watchers.watchers import Watchers

__all__ = ["Places", "Watchers"]
