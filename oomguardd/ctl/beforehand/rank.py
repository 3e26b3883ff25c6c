"""`oomguardctl rank`: the candidates now, worst first."""

from __future__ import annotations

import argparse
import time

from oomguardd.config import Config, load
from oomguardd.ctl import arguments
from oomguardd.ctl.beforehand import company, ranking
from oomguardd.ctl.beforehand.look import Looker, blind_spots, look_around
from oomguardd.ctl.beforehand.world import World
from oomguardd.ctl.console import Console
from oomguardd.ctl.screen import Screen
from oomguardd.ctl.senses import Senses
from oomguardd.ctl.text import bullets, fit, paragraph
from oomguardd.ctl.verb import Verb
from oomguardd.engine.readings import reading_words
from oomguardd.engine.together import Keep, keep_of
from oomguardd.kernel.clock import monotonic_s
from oomguardd.model import Sample
from oomguardd.policies.set import PolicySet
from oomguardd.sensors import SIGNAL_OF, SIGNALS

DEFAULT_COUNT = 10
DEFAULT_PERIOD_S = 2.0

_SHOWN = ("mem_available", "swap_free", "psi_some_avg10", "psi_full_avg10")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-n",
        metavar="N",
        type=arguments.count,
        help=f"so many candidates, or all (default: {DEFAULT_COUNT}; with --json all)",
    )
    parser.add_argument(
        "--watch",
        metavar="SECONDS",
        nargs="?",
        type=arguments.seconds(0.2, 3600),
        const=DEFAULT_PERIOD_S,
        help=f"again and again, every so many seconds (default: {DEFAULT_PERIOD_S:g}); q ends it",
    )


def run(args: argparse.Namespace, console: Console) -> int:
    """The exit status. ConfigError, Trouble, OSError."""
    view = View(load(args.config, SIGNALS))
    if args.watch is None:
        _print(view, args.n, console)
    elif console.is_terminal and not console.as_json:
        _redraw(view, args.n, args.watch, console)
    else:
        _repeat(view, args.n, args.watch, console)
    return 0


class View:
    """Looks at everybody, and words it."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._policies = PolicySet(config.policies, config.rules)
        self._senses = Senses()
        self._looker = Looker()

    def look(self) -> tuple[World, Keep, Sample]:
        """Everybody now. SensorError, OSError."""
        world = look_around(self._looker, self._senses, self._config, self._policies, company.NEEDS)
        keep = keep_of(world.limits, world.totals, self._config.kill.max_processes)
        return world, keep, self._senses.sample(monotonic_s())

    def lines(self, most: int, width: int, console: Console, height: int = 0) -> list[str]:
        """For people; with a `height`, as many candidates as fit."""
        world, keep, sample = self.look()
        shown = [reading_words(name, sample, SIGNAL_OF) for name in _SHOWN if name in sample]
        first = paragraph(f"{self._senses.domain}: {', '.join(shown)}", width)
        unseen = bullets(blind_spots(world, self._looker.proc_fd), width, indent=0)
        room = max(1, height - len(first) - len(unseen)) if height else 0
        return [*first, *ranking.page(world, keep, most, width, console.paint, room), *unseen]

    def fields(self, most: int) -> dict[str, object]:
        """For programs."""
        world, keep, sample = self.look()
        return {
            "kind": "rank",
            "time_s": round(time.time(), 3),
            "domain": self._senses.domain,
            "readings": {name: round(value, 3) for name, value in sample.items()},
            **ranking.fields(world, keep, most),
            "unseen": blind_spots(world, self._looker.proc_fd),
        }


def _print(view: View, most: int | None, console: Console) -> None:
    if console.as_json:
        console.put_json(view.fields(most or arguments.ALL))
    else:
        console.say(view.lines(most or DEFAULT_COUNT, console.width, console))


def _repeat(view: View, most: int | None, period_s: float, console: Console) -> None:
    """Not on a terminal: one table after the other, until somebody ends it."""
    while True:
        _print(view, most, console)
        if not console.as_json:
            console.say("")
        console.out.flush()
        time.sleep(period_s)


def _redraw(view: View, most: int | None, period_s: float, console: Console) -> None:
    with Screen(console) as screen:
        while True:
            width, height = console.size() or (80, 24)
            lines = view.lines(most or arguments.ALL, width, console, 0 if most else height - 1)
            screen.draw([fit(f"every {period_s:g} s, q ends", width), *lines])
            if not screen.wait(period_s):
                return


VERB = Verb(
    "rank",
    "the processes that could be killed now, worst first, with every term of their points",
    "Points are thousandths of RAM and swap: memory of each kind, oom_score_adj, and what policies and rules"
    " add or take. The first one is who would be killed now. Exempt are those who would not be at all.",
    add_arguments,
    run,
)
