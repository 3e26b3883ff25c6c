"""What is made of the options and the configuration."""

from __future__ import annotations

from oomguardd.guard.options import Options, make_watch, orders_of
from oomguardd.launch.command import load_config
from oomguardd.model import Level
from oomguardd.sections import Config, KillSettings


def test_orders() -> None:
    kill = KillSettings(grace_s=3, max_per_minute=7, mrelease=False, max_processes=9)
    orders = orders_of(Config(kill=kill))
    assert (orders.patience.grace_s, orders.max_per_minute, orders.max_processes) == (3, 7, 9)
    assert (orders.mrelease, orders.dry_run) == (False, False)


def test_a_watch_of_this_machine() -> None:
    faults: list[str] = []
    watch = make_watch(load_config(Options()), lambda where, error: faults.append(f"{where}: {error}"))
    try:
        look = watch.look()
        assert look.sample["mem_total"] > look.sample["mem_available"] > 0
        assert look.assessment.level in tuple(Level)
        assert watch.totals().ram_bytes > 0
        assert watch.time_to_act(look.sample) >= 0
        assert faults == []
    finally:
        watch.close()
