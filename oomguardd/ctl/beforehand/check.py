"""`oomguardctl check`: the configuration, and what it means for the processes of this moment."""

from __future__ import annotations

import argparse
import os
import stat
from collections.abc import Iterable, Iterator, Sequence

from oomguardd.config import Config, ConfigError, load
from oomguardd.ctl.beforehand.counts import Count, Voice, count_protects, count_rules, needs_of, voices
from oomguardd.ctl.beforehand.look import Looker, blind_spots, look_around
from oomguardd.ctl.beforehand.world import World
from oomguardd.ctl.console import Console
from oomguardd.ctl.senses import Senses
from oomguardd.ctl.text import Column, bullets, fit, paragraph, table
from oomguardd.ctl.verb import Verb
from oomguardd.engine.words import counted, safe, size
from oomguardd.model import Candidate
from oomguardd.policies.protect import protected_words
from oomguardd.policies.set import PolicySet
from oomguardd.sensors import SIGNALS
from oomguardd.telling import Telling
from oomguardd.units import quote

_COUNT_COLUMNS = (
    Column("NAME", left=True, least=8),
    Column("MATCHES"),
    Column("DECIDES"),
    Column("DOES", left=True),
    Column("MATCH", left=True, least=12),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", nargs="?", help="as --config FILE")
    parser.add_argument("--strict", action="store_true", help="exit with status 1 on warnings, too")
    parser.add_argument(
        "--protected",
        action="store_true",
        help="print the built-in list of what is never killed, and whom it covers now",
    )


def run(args: argparse.Namespace, console: Console) -> int:
    """The exit status. Trouble, SensorError, OSError."""
    try:
        config = load(args.file or args.config, SIGNALS)
    except ConfigError as error:
        if not console.as_json:
            raise
        problems = [str(problem) for problem in error.problems]
        console.put_json({"kind": "check", "ok": False, "problems": problems})
        return 1
    looker = Looker()
    policies = PolicySet(config.policies, config.rules)
    world = look_around(looker, Senses(), config, policies, needs_of(config) | {"exe"})
    found = Findings(config, world, blind_spots(world, looker.proc_fd))
    if console.as_json:
        console.put_json(found.fields())
    else:
        console.say(found.lines(console, args.protected))
    return 1 if args.strict and found.warnings else 0


class Findings:
    """What there is to say about a configuration that can be loaded."""

    def __init__(self, config: Config, world: World, unseen: Sequence[str]) -> None:
        self._config = config
        self._world = world
        self._unseen = unseen
        self.rules = count_rules(config, world.processes)
        self.protects = count_protects(config, world.processes)
        self.voices = voices(world, config.policies)
        counts = (*self.rules, *self.protects)
        self.warnings = [
            *config.warnings,
            *(count.warning for count in counts if count.warning),
            *absent_files(config.telling),
        ]

    def protected(self) -> list[tuple[Candidate, str]]:
        """Whom the built-in list covers now, the biggest first."""
        policy = self._config.section("policy.protect")
        if not policy.in_force:
            return []
        scene, processes = self._world.scene, self._world.processes
        found = [(c, why) for c in processes if (why := policy.spare(c, scene))]
        return sorted(found, key=lambda pair: -pair[0].held_bytes)

    def lines(self, console: Console, with_list: bool) -> list[str]:
        """For people."""
        width = console.width
        sources = ", ".join(map(safe, self._config.sources)) or "no file, built-in defaults"
        lines = [
            *paragraph(f"configuration: {sources}", width),
            *paragraph(f"compared with the {counted(len(self._world.processes), 'process')} of now", width),
        ]
        lines += self._table("rules", self.rules, width, console)
        lines += self._table("protections (oom_score_adj)", self.protects, width, console)
        lines += ["", *self._policies(width)]
        lines += ["", *(self._protected_list(width) if with_list else self._protected_line(width))]
        lines += self._warned(width, console)
        return lines

    def _table(self, what: str, counts: Sequence[Count], width: int, console: Console) -> list[str]:
        if not counts:
            return [f"no {what}"]
        rows = [
            (safe(one.name), str(one.matches), str(one.decides), one.does, safe(one.match)) for one in counts
        ]
        title, *lines = table(_COUNT_COLUMNS, rows, width - 2)
        said = fit(f"{what}, in their order; the first one that matches decides:", width)
        return ["", said, f"  {console.paint(title, 'bold')}", *(f"  {line}" for line in lines)]

    def _policies(self, width: int) -> list[str]:
        words = [f"policy {_voice_words(voice)}" for voice in self.voices]
        off = [policy.name for policy in self._config.policies if not policy.in_force]
        return bullets([*words, *([f"off: {', '.join(off)}"] if off else [])], width, indent=0)

    def _protected_line(self, width: int) -> list[str]:
        names = [f"{safe(c.comm)}[{c.pid}]" for c, _ in self.protected()]
        some = f": {', '.join(names[:10])}{', ...' if len(names) > 10 else ''}" if names else ""
        said = f"the built-in list (policy protect) covers {counted(len(names), 'process')} now{some}"
        return paragraph(f"{said} (--protected prints the list)", width)

    def _protected_list(self, width: int) -> list[str]:
        covered = self.protected()
        lines = paragraph("the built-in list of what is never killed (policy protect):", width)
        lines += bullets(protected_words(), width)
        lines += paragraph(f"it covers {counted(len(covered), 'process')} now:", width)
        rows = [(str(c.pid), safe(c.comm), size(c.held_bytes), safe(why)) for c, why in covered]
        columns = (
            Column("PID"),
            Column("COMMAND", left=True, least=8),
            Column("HOLDS"),
            Column("WHY", left=True, least=12),
        )
        return lines + ([f"  {line}" for line in table(columns, rows, width - 2)] if rows else [])

    def _warned(self, width: int, console: Console) -> list[str]:
        lines = [""]
        for warning in self.warnings:
            first, *rest = paragraph(f"warning: {safe(warning, 1000)}", width)
            lines += [console.paint(first, "yellow"), *rest]
        lines += bullets(map(safe, self._unseen), width, indent=0)
        number = len(self.warnings)
        return [*lines, counted(number, "warning") if number else "no warnings"]

    def fields(self) -> dict[str, object]:
        """For programs."""
        return {
            "kind": "check",
            "ok": True,
            "problems": [],
            "warnings": self.warnings,
            "sources": list(self._config.sources),
            "processes": len(self._world.processes),
            "rules": _count_fields(self.rules),
            "protects": _count_fields(self.protects),
            "policies": [_voice_fields(voice) for voice in self.voices],
            "policies_off": [policy.name for policy in self._config.policies if not policy.in_force],
            "protected": [[c.pid, c.comm, c.held_bytes, why] for c, why in self.protected()],
            "protected_list": protected_words(),
            "unseen": list(self._unseen),
        }


def absent_files(telling: Telling) -> Iterator[str]:
    """What telling needs and is not there now."""
    metrics = telling.metrics
    named = [
        *((f"hook.{hook.name}.run", hook.run[0], True) for hook in telling.hooks if hook.run),
        *(
            (f"metrics.{key}", path, False)
            for key in ("token_file", "tls_cert", "tls_key")
            if (path := getattr(metrics, key)) and metrics.enabled
        ),
    ]
    for key, path, is_program in named:
        mode = _mode(path)
        if mode == 0:
            yield f"{key}: {quote(path)} is not there (correct the path, or create it)"
        elif mode and is_program and not (stat.S_ISREG(mode) and mode & 0o111):
            yield f"{key}: {quote(path)} cannot be run (chmod +x, or name a program)"


def _mode(path: str) -> int | None:
    """Type and rights of that file; 0 if it is not there, None if that is not for this user to see."""
    try:
        return os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return 0
    except OSError:
        return None


def _count_fields(counts: Iterable[Count]) -> list[dict[str, object]]:
    return [one._asdict() | {"above": list(one.above)} for one in counts]


def _voice_fields(voice: Voice) -> dict[str, object]:
    return {
        "name": voice.policy.name,
        "exempts": voice.exempts,
        "lowers": voice.lowers,
        "raises": voice.raises,
    }


def _voice_words(voice: Voice) -> str:
    said = [
        f"{verb} {number}"
        for verb, number in (("exempts", voice.exempts), ("lowers", voice.lowers), ("raises", voice.raises))
        if number
    ]
    return f"{voice.policy.name}: {', '.join(said) or 'has nothing to say about anybody'}"


VERB = Verb(
    "check",
    "the configuration: errors, warnings, and how many running processes each rule matches now",
    "A rule that matches nobody, or only those about whom a rule above it decides, is a warning.",
    add_arguments,
    run,
)
