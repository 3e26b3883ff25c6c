"""`[[rule]]` and `[[protect]]` tables: their keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from oomguardd.config.match import ACCOUNTS, Accounts, Match, parse_match
from oomguardd.config.tables import Draft, TableReader
from oomguardd.model import KILL_UNITS
from oomguardd.rules import AVOID_POINTS, MATCH_KEYS, PREFER_POINTS, Protect, Rule
from oomguardd.settings import setting, settings_of
from oomguardd.units import choice

DO_POINTS = {"never": 0.0, "avoid": AVOID_POINTS, "prefer": PREFER_POINTS}
"""The words for `do`, and how many points each adds."""

POINTS = "points"
"""What Rule.do is when the file has a number instead of a word."""

_MATCH = "match"
_NEEDS_MATCH = 'match = { ... }, such as { name = "postgres" }'


@dataclass(frozen=True, slots=True)
class RuleSettings:
    """What a rule says besides its match."""

    do: str = setting(
        "avoid",
        choice(*DO_POINTS),
        '"never" exempts it: it is not killed, nor with others; "avoid" takes'
        f' {-AVOID_POINTS:.0f} points away, and "prefer" adds {PREFER_POINTS:.0f}.',
    )
    points: float = setting(
        "-50",
        float,
        "Instead of `do`, so many points: -1000 to 1000, thousandths of RAM and swap as in oom_score_adj."
        " More than 0 counts only for a process that holds a thousandth itself.",
        low="-1000",
        high="1000",
    )
    kill: str = setting(
        "process",
        choice(*KILL_UNITS),
        'What is killed when it is chosen: "process" (it and whoever shares its memory), "tree" (its'
        ' descendants as well), or all of its "cgroup", systemd "unit", "container", "pod" or Slurm "job".'
        " Where somebody would be among them who is never killed, it is less.",
    )
    enabled: bool = setting("true", bool, "false removes the rule.")


@dataclass(frozen=True, slots=True)
class ProtectSettings:
    """What a protection says besides its match."""

    oom_score_adj: int = setting(
        "-500",
        int,
        "What matching processes have at most; a higher value is lowered to this one. -1000: never killed.",
        low="-1000",
        high="1000",
    )
    enabled: bool = setting("true", bool, "false removes the protection.")


RULE_SETTINGS = {row.key: row for row in settings_of(RuleSettings)}
PROTECT_SETTINGS = {row.key: row for row in settings_of(ProtectSettings)}


class _MatchReader(TableReader):
    """What both kinds of tables have: a match, settings, and a switch."""

    settings = RULE_SETTINGS

    def __init__(self, accounts: Accounts = ACCOUNTS) -> None:
        super().__init__()
        self.doubts: list[tuple[str, str]] = []
        """Of the tables in force: dotted key, and what is odd about it with the remedy."""
        self._accounts = accounts

    def parse(self, key: str, raw: object) -> Any:
        if key == _MATCH:
            return parse_match(raw, self._accounts)
        if key in self.settings:
            return self.settings[key].parse_toml(raw)
        if key in (row.name for row in MATCH_KEYS):
            raise ValueError(f"belongs to match (write match = {{ {key} = ... }})")
        known = [_MATCH, *self.settings]
        raise self.no_such_key(key, known, f"there are name, {', '.join(known)}")

    def drafts_in_force(self) -> list[Draft]:
        """Those with a match that are not switched off; notes what is wrong or odd about their match."""
        found = []
        for draft in self.drafts.values():
            if draft.broken:
                continue
            if _MATCH not in draft.values:
                self.undefined(draft, _MATCH, _NEEDS_MATCH)
            elif draft.values.get("enabled", True):
                found.append(draft)
                match: Match = draft.values[_MATCH]
                dotted = f"{self.noun}.{draft.name}.{_MATCH}"
                self.doubts += [(f"{dotted}.{key}", text) for key, text in match.doubts]
        return found


class RuleReader(_MatchReader):
    """Merges the rule tables of several files."""

    noun = "rule"

    def displaced(self, later: Draft) -> tuple[str, ...]:
        """`do` and `points` stand for each other, and who is never killed is not killed together."""
        if "do" in later.values:
            return (POINTS, "kill") if later.values["do"] == "never" else (POINTS,)
        return ("do",) if POINTS in later.values else ()

    def finish(self) -> tuple[Rule, ...]:
        """All that are enabled, in the order in which they were first named."""
        return tuple(rule for draft in self.drafts_in_force() if (rule := self._rule(draft)) is not None)

    def _rule(self, draft: Draft) -> Rule | None:
        values = draft.values
        do, points, kill = values.get("do", ""), values.get(POINTS), values.get("kill", "")
        if do and points is not None:
            self.problem(draft, POINTS, f'contradicts do = "{do}" (keep one of them)')
        elif do == "never" and kill:
            self.problem(draft, "kill", 'contradicts do = "never" (keep one of them)')
        elif points == 0:
            self.problem(draft, POINTS, '0 changes nothing (write do = "never" to spare, or remove it)')
        elif not do and points is None and not kill:
            remedy = 'add do = "never", "avoid" or "prefer", points = -50, or kill = "unit"'
            self.problem(draft, "", f"says nothing about what matches ({remedy})")
        else:
            clauses = values[_MATCH].clauses
            if points is not None:
                return Rule(draft.name, clauses, POINTS, points, kill)
            return Rule(draft.name, clauses, do, DO_POINTS.get(do, 0.0), kill)
        return None


class ProtectReader(_MatchReader):
    """Merges the protect tables of several files."""

    noun = "protect"
    settings = PROTECT_SETTINGS

    def finish(self) -> tuple[Protect, ...]:
        """All that are enabled, in the order in which they were first named."""
        return tuple(
            protect for draft in self.drafts_in_force() if (protect := self._protect(draft)) is not None
        )

    def _protect(self, draft: Draft) -> Protect | None:
        if "oom_score_adj" not in draft.values:
            self.problem(draft, "oom_score_adj", "is missing (write oom_score_adj = -500 above the match)")
            return None
        return Protect(draft.name, draft.values[_MATCH].clauses, draft.values["oom_score_adj"])
