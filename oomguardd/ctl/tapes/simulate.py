"""`oomguardctl simulate FILE`: what a configuration would have done on a recorded machine."""

from __future__ import annotations

import argparse

from oomguardd.config import load
from oomguardd.ctl.console import Console
from oomguardd.ctl.senses import TOTAL_OF
from oomguardd.ctl.tapes import playing
from oomguardd.ctl.tapes.difference import Difference
from oomguardd.ctl.tapes.playback import Flaw, Frame
from oomguardd.ctl.tapes.replay import Replay
from oomguardd.ctl.tapes.tally import Moment
from oomguardd.ctl.tapes.tape import Tape
from oomguardd.ctl.text import bullets
from oomguardd.ctl.verb import Verb
from oomguardd.engine.words import counted, safe
from oomguardd.sensors import SIGNALS

_MOST_FLAWS = 5
"""So many are told one by one."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a recording that `oomguardctl record` has written")
    parser.add_argument(
        "--against",
        metavar="FILE",
        help="another configuration: tell only where the two would have done something else",
    )
    parser.add_argument(
        "-v",
        "--verbose",
        action="store_true",
        help="every moment, and of every victim each term of its points",
    )
    parser.add_argument(
        "--stubborn",
        action="store_true",
        help="assume that no victim heeds SIGTERM (default: each dies at once)",
    )


def run(args: argparse.Namespace, console: Console) -> int:
    """The exit status: 1 if a part of the recording could not be used. ConfigError, Trouble, OSError."""
    names = [args.config or "the configuration in force", *([args.against] if args.against else [])]
    configs = [load(args.config, SIGNALS), *([load(args.against, SIGNALS)] if args.against else [])]
    tape = Tape(args.file)
    try:
        replays = [Replay(config, tape.header, TOTAL_OF, args.stubborn) for config in configs]
        player = Player(replays, names, args.verbose, console)
        player.put_head(args.file, tape)
        for one in tape:
            if isinstance(one, Frame):
                player.play(one)
            else:
                player.complain(args.file, one)
        player.put_end()
    finally:
        tape.close()
    return 1 if player.flaws else 0


class Player:
    """Plays each moment with one configuration, or with two, and tells what comes of it at once."""

    def __init__(self, replays: list[Replay], names: list[str], verbose: bool, console: Console) -> None:
        self.flaws = 0
        self._replays = replays
        self._names = names
        self._verbose = verbose
        self._console = console
        self._difference = Difference()
        self._signals: set[str] = set()
        """All that the recording has readings of."""

    def put_head(self, file: str, tape: Tape) -> None:
        if not self._console.as_json:
            head = playing.head(file, tape.header)
            letters = [f"{letter}: {safe(name)}" for letter, name in zip("AB", self._names, strict=False)]
            more = letters if len(self._names) > 1 else [f"configuration: {safe(self._names[0])}"]
            self._console.say(bullets([*head, *more], self._console.width, indent=0))

    def play(self, frame: Frame) -> None:
        """The next moment."""
        self._signals |= frame.sample.keys()
        moments = [replay.step(frame) for replay in self._replays]
        if len(moments) == 1:
            self._put(moments[0])
            return
        if self._difference.note(moments) or self._verbose:
            for letter, moment in zip("AB", moments, strict=True):
                self._put(moment, letter, always=True)

    def _put(self, moment: Moment, letter: str = "", always: bool = False) -> None:
        if self._console.as_json:
            if always or self._verbose or playing.is_told(moment):
                mark = {"configuration": letter} if letter else {}
                self._console.put_json(mark | playing.moment_fields(moment))
            return
        width, verbose = self._console.width, self._verbose
        self._console.say(playing.moment_lines(moment, letter, verbose, always, width, self._console.paint))

    def complain(self, file: str, flaw: Flaw) -> None:
        """A line that could not be used."""
        self.flaws += 1
        if self.flaws <= _MOST_FLAWS:
            self._console.complain(f"{file}: line {flaw.line}: {flaw.why}")

    def put_end(self) -> None:
        if self.flaws > _MOST_FLAWS:
            self._console.complain(f"{counted(self.flaws, 'line')} in all could not be used")
        if self._console.as_json:
            for letter, replay in zip("AB", self._replays, strict=False):
                mark = {"configuration": letter} if len(self._replays) > 1 else {}
                missing = replay.unread(self._signals)
                self._console.put_json(mark | playing.summary_fields(replay.tally, missing, self.flaws))
            return
        said: list[str] = []
        for letter, replay in zip("AB", self._replays, strict=False):
            title = f"{letter}: " if len(self._replays) > 1 else ""
            said += ["", f"{title}{playing.summary_title(replay.tally)}"]
            said += [f"  {line}" for line in playing.summary(replay.tally, replay.unread(self._signals))]
        if len(self._replays) > 1:
            said += ["", *self._difference.words([replay.tally for replay in self._replays])]
        width = self._console.width
        for line in said:
            indent = len(line) - len(line.lstrip())
            self._console.say(bullets([line.strip()], width, indent) if line else "")


VERB = Verb(
    "simulate",
    "what a configuration would have done on a recorded machine",
    "Plays the recording against the decisions of the guard itself. Whoever would have been killed is left"
    " out from then on, and what it held counts as available; readings of pressure stay as recorded.",
    add_arguments,
    run,
)
