"""What to write into the configuration to have a process spared, or no longer spared.

Rule of this file: pure; every snippet can be loaded as it is, and matches the process that it was made for.
"""

from __future__ import annotations

from typing import NamedTuple

from oomguardd.ctl.beforehand.world import World
from oomguardd.engine.badness import NEVER
from oomguardd.model import Candidate
from oomguardd.sections import BUILT_IN, Config
from oomguardd.settings import toml_string
from oomguardd.units import format_size

_INTERPRETERS = (
    "bash",
    "dash",
    "sh",
    "zsh",
    "busybox",
    "java",
    "node",
    "perl",
    "php",
    "python",
    "ruby",
    "dotnet",
    "mono",
    "electron",
    "Rscript",
    "lua",
    "qemu-",
)
"""Programs that are many things: their path tells little about what a process does."""

_NAME_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_-")
_LONGEST_CMDLINE = 120
KIB, MIB = 1 << 10, 1 << 20


class Advice(NamedTuple):
    """One thing to write."""

    why: str
    """A sentence that ends where the TOML begins."""
    toml: str
    """Empty if there is nothing to write."""


def to_spare(c: Candidate, decides: str) -> Advice:
    """A rule that exempts it. `decides`: the rule that does so far, which it has to stand above."""
    key, value, note = _match_for(c)
    above = f', above rule "{decides}", as the first one that matches decides' if decides else ""
    toml = (
        f'[[rule]]\nname = "spare-{_rule_name(c.comm)}"\nmatch = {{ {key} = {toml_string(value)} }}\n'
        'do = "never"    # or "avoid" (-300 points), or "prefer" (+300 points)\n'
    )
    return Advice(f"To have it spared, write{above}{note}:", toml)


def to_lift(c: Candidate, world: World, config: Config) -> Advice:
    """What makes an exempt process one that can be killed."""
    rule = world.limits.policies.rules.rule_of(c)
    if rule is not None and rule.do == "never":
        origin = config.origin(f"rule.{rule.name}.match")
        where = "" if origin == BUILT_IN else f" in {origin}"
        return Advice(f'To have it killed in need, remove or narrow rule "{rule.name}"{where}.', "")
    for policy in world.limits.policies.policies:
        if policy.spare(c, world.scene):
            return Advice(
                f"To have it killed in need, switch off the policy {policy.name}, for everybody:",
                f"[policy.{policy.name}]\nenabled = false\n",
            )
    if c.oom_score_adj == NEVER:
        return Advice(
            f"Its own oom_score_adj of {NEVER} exempts it (OOMScoreAdjust= of a systemd unit); no rule can"
            " change that.",
            "",
        )
    if world.too_small(c):
        unit = MIB if c.held_bytes >= 2 * MIB else KIB
        least = format_size(c.held_bytes // 2 // unit * unit)
        toml = f"[select]\nsmallest_victim = {toml_string(least)}\n"
        return Advice("To have smaller processes killed, too, write:", toml)
    return Advice("Nothing in the configuration changes that.", "")


def _match_for(c: Candidate) -> tuple[str, str, str]:
    """Key and value that tell it apart best, and what to know about them."""
    owner, exe = c.owner, c.exe or ""
    program = exe.rpartition("/")[2]
    own = owner.unit.endswith(".service") and not owner.unit.startswith("user@")
    if own and not owner.runtime and not owner.user_unit:
        return "unit", escaped(owner.unit), ""
    if owner.app:
        return "app", escaped(owner.app), " (a user can name an application of theirs like that)"
    if exe and not program.startswith(_INTERPRETERS):
        return "exe", escaped(exe), ""
    if c.cmdline and c.cmdline.strip():
        text = c.cmdline[:_LONGEST_CMDLINE]
        star = "*" if len(c.cmdline) > len(text) else ""
        return "cmdline", escaped(text) + star, " (a user can start something of theirs like that)"
    return "name", escaped(c.comm), " (a user can name a process of theirs like that)"


def escaped(text: str) -> str:
    """The glob that matches this text, and with it any byte in the place of one that is no UTF-8, such as the
    rest of a name that the kernel has cut."""
    return "".join(_escaped(char) for char in text)


def _escaped(char: str) -> str:
    if char == "\ufffd" or "\ud800" <= char <= "\udfff":
        return "?"
    return f"\\{char}" if char in "*?[{\\" else char


def _rule_name(comm: str) -> str:
    name = "".join(char if char in _NAME_LETTERS else "-" for char in comm.lower()).strip("-")
    return name or "it"
