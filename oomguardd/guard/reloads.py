"""Another configuration while running: asked for by SIGHUP, read by another process, applied between ticks.

Rule of this file: a wrong configuration changes nothing, and the log says why.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from oomguardd.guard import records
from oomguardd.guard.loader import Loaded, Loader
from oomguardd.guard.loop import Guard
from oomguardd.guard.options import Options, orders_of
from oomguardd.guard.outbox import Outbox
from oomguardd.kernel.clock import monotonic_s
from oomguardd.kernel.notify import Notifier
from oomguardd.policies.set import PolicySet
from oomguardd.sections import SECTIONS, Config

LATE = ("socket", "lag_limit_s", "lock_memory", "realtime")
"""Settings of the guard that are read only at its start."""


class Reloads:
    """One at a time; asked again meanwhile, it reads once more."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        options: Options,
        guard: Guard,
        outbox: Outbox,
        notifier: Notifier,
        retuned: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._options = options
        self._guard = guard
        self._outbox = outbox
        self._notifier = notifier
        self._retuned = retuned
        self._loader: Loader | None = None
        self._again = False
        """Asked while reading."""

    def ask(self) -> None:
        """At the next tick that is calm: it takes a process."""
        self._guard.reload = self._start
        self._guard.wake()

    def close(self) -> None:
        if self._loader is not None:
            self._loader.close()

    def _start(self) -> None:
        self._notifier.send("RELOADING=1", f"MONOTONIC_USEC={int(monotonic_s() * 1e6)}")
        if self._loader is not None:
            self._again = True  # what that one reads may be old
            return
        try:
            self._loader = Loader(self._loop, self._options, self._loaded)
        except OSError as error:
            self._loaded([f"the process that reads the configuration cannot be started: {error.strerror}"])

    def _loaded(self, loaded: Loaded) -> None:
        self._loader = None
        if self._again:
            self._again = False
            self.ask()
            return
        if isinstance(loaded, Config):
            changes = apply(loaded, self._guard)
            self._retuned()
            self._outbox.put(
                "reloaded",
                5,
                sources=list(loaded.sources),
                changes=changes,
                triggers=records.triggers(loaded.triggers),
                dry_run=loaded.guard.dry_run,
            )
            self._notifier.send("READY=1")
        else:
            self._outbox.put("reload_failed", 3, problems=loaded)
            self._notifier.send(
                "READY=1", "STATUS=the new configuration is wrong, the old one stays in force"
            )


def apply(config: Config, guard: Guard) -> list[str]:
    """Puts it into force; what has changed, in words."""
    old, guard.config = guard.config, config
    guard.policies = PolicySet(config.policies, config.rules)
    guard.watch.retune(config.triggers, config.pace.fill_rate_bytes_per_s, config.pace.swap_rate_bytes_per_s)
    guard.striker.orders = orders_of(config)
    select = config.select
    guard.striker.scout.resize(select.shortlist, select.runners_up, select.swarm)
    changes = [name for name in SECTIONS if old.section(name) != config.section(name)]
    changes += [
        name for name in ("triggers", "rules", "protects") if getattr(old, name) != getattr(config, name)
    ]
    if any(getattr(old.guard, name) != getattr(config.guard, name) for name in LATE):
        changes.append("socket, lag_limit, lock_memory and realtime change at the next start only")
    guard.wake()  # the present sleep was computed from the old ones
    return changes
