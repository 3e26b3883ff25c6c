"""Whether a text matches, in time proportional to its length: no pattern can make the guard hang.

Each character of a pattern is a *position* (Glushkov 1961), and a set of positions is one integer. What can
follow a position depends on the gap between two characters alone, because ^, $ and \\b hold in some gaps
and not in others: so there is one table of followers for each kind of gap, in which they are plain yes or
no. Sets that were reached are remembered as states of a deterministic automaton, up to a bound.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from oomguardd.policies.syntax import (
    LAST_CODE,
    WORD_RANGES,
    Anchor,
    Chars,
    Either,
    Node,
    Ranges,
    Repeat,
    Sequence,
    has_boundary,
    size,
)

MOST_POSITIONS = 1000
"""Of one pattern, with its repeats written out. RE2 bounds repeats to the same number."""

MOST_JUMPS = 250
"""Ways to go on but to the next position: each is tried with a character that was not met there before."""

MOST_CLASSES = 255
"""Kinds of characters that a pattern tells apart: each is one byte of the text as the automaton reads it."""

ROOM = 4096
"""Followers that are remembered of one pattern, 8 bytes each; when they are full, all are forgotten."""

EDGE, OTHER, WORD = 0, 1, 2
"""What is beside a gap: the text's beginning or end, a character, or one that \\w stands for."""

UNKNOWN, DEAD, ACCEPTED, START = 0, 1, 2, 3
"""Followers that are no states, and the first state."""


class _Part(NamedTuple):
    """What of a pattern's part matters to its neighbours."""

    empty: bool
    """Whether it can match without a character."""
    first: int
    last: int


class _Gap(NamedTuple):
    """What may happen in one kind of gap; sets of positions are integers."""

    empty: bool
    first: int
    last: int
    shift: int
    """Positions that the next position may follow."""
    jumps: tuple[tuple[int, int], ...]
    """Positions, and what else may follow them."""


class _Builder:
    """The followers of all positions in one kind of gap; positions are numbered in the order of the text."""

    def __init__(self, before: int, after: int) -> None:
        self._holds = {
            "^": before == EDGE,
            "$": after == EDGE,
            "b": (before == WORD) != (after == WORD),
            "B": (before == WORD) == (after == WORD),
        }
        self.chars: list[Chars] = []
        self._follow: list[int] = []

    def gap(self, node: Node) -> _Gap:
        whole = self._part(node)
        shift = 0
        jumps: dict[int, int] = {}
        for position, follow in enumerate(self._follow):
            bit, following = 1 << position, 2 << position
            shift |= bit if follow & following else 0
            rest = follow & ~following
            if rest:
                jumps[rest] = jumps.get(rest, 0) | bit
        return _Gap(*whole, shift, tuple((origins, rest) for rest, origins in jumps.items()))

    def _part(self, node: Node) -> _Part:
        if isinstance(node, Chars):
            self.chars.append(node)
            self._follow.append(0)
            bit = 1 << len(self.chars) - 1
            return _Part(False, bit, bit)
        if isinstance(node, Anchor):
            return _Part(self._holds[node.kind], 0, 0)
        if isinstance(node, Sequence):
            return self._chain([self._part(part) for part in node.parts])
        if isinstance(node, Either):
            return self._either([self._part(branch) for branch in node.branches])
        return self._repeat(node)

    def _either(self, branches: list[_Part]) -> _Part:
        first = last = 0
        for branch in branches:
            first |= branch.first
            last |= branch.last
        return _Part(any(branch.empty for branch in branches), first, last)

    def _repeat(self, node: Repeat) -> _Part:
        times = max(1, node.least) if node.most is None else node.most
        copies = [self._part(node.part) for _ in range(times)]
        if node.most is None:
            self._link(copies[-1].last, copies[-1].first)
        return self._chain(copies, node.least)

    def _chain(self, parts: list[_Part], needed: int | None = None) -> _Part:
        """One after the other, from behind, so that each is linked once; after the first `needed` it may
        end.
        """
        whole = _Part(True, 0, 0)
        for number in range(len(parts) - 1, -1, -1):
            part = parts[number]
            self._link(part.last, whole.first)
            whole = _Part(
                (part.empty and whole.empty) or (needed is not None and number >= needed),
                part.first | (whole.first if part.empty else 0),
                whole.last | (part.last if whole.empty else 0),
            )
        return whole

    def _link(self, origins: int, followers: int) -> None:
        while origins:
            bit = origins & -origins
            self._follow[bit.bit_length() - 1] |= followers
            origins ^= bit


class _Classes(dict[int, int]):
    """Code point -> number of its class, for str.translate."""

    def __init__(self, cuts: list[int], numbers: list[int]) -> None:
        super().__init__()
        self._cuts = cuts
        self._numbers = numbers

    def __missing__(self, code: int) -> int:
        number = self._numbers[bisect_right(self._cuts, code) - 1]
        if code < 256:  # the rest of Unicode is not worth the memory
            self[code] = number
        return number


class Automaton:
    """Searches texts for one pattern. Not for two threads at once."""

    def __init__(self, node: Node) -> None:
        """Raises ValueError with a remedy if it is too big."""
        if size(node) > MOST_POSITIONS:
            raise ValueError(
                f"it needs more than {MOST_POSITIONS} characters with its repeats written out: "
                "write smaller repeats, or * for any number"
            )
        words = has_boundary(node)
        sides = (EDGE, OTHER, WORD) if words else (EDGE, OTHER)
        builders = {(before, after): _Builder(before, after) for before in sides for after in sides}
        self._gaps = {sides: builder.gap(node) for sides, builder in builders.items()}
        if any(len(gap.jumps) > MOST_JUMPS for gap in self._gaps.values()):
            raise ValueError(
                f"it can go on in more than {MOST_JUMPS} ways: write smaller repeats, or fewer of ? * |"
            )
        self._anchored = not any(
            gap.first or gap.empty for (before, _), gap in self._gaps.items() if before != EDGE
        )
        chars = builders[EDGE, EDGE].chars
        cuts, masks = _divide(chars, words)
        kinds = [WORD if words and _within(cut, WORD_RANGES) else OTHER for cut in cuts]
        numbers: dict[tuple[int, int], int] = {}
        found = [numbers.setdefault(pair, len(numbers)) for pair in zip(masks, kinds, strict=True)]
        if len(numbers) > MOST_CLASSES:
            raise ValueError(f"it tells more than {MOST_CLASSES} kinds of characters apart: write less")
        self._classes = _Classes(cuts, found)
        self._class_sets = tuple(numbers)
        self._most_states = START + max(16, ROOM // len(numbers))
        self._rows: list[list[int]] = []
        """Of each state, the follower by each class of characters."""
        self._keys: list[tuple[int, int]] = []
        """Of each state, the positions that were reached, and what is before the gap."""
        self._states: dict[tuple[int, int], int] = {}
        self._forget()

    def search(self, text: str) -> bool:
        """Whether it matches anywhere."""
        rows = self._rows
        state = START
        for number in text.translate(self._classes).encode("latin-1"):
            follower = rows[state][number]
            if follower < START:
                if follower == UNKNOWN:
                    follower = self._step(state, number)
                if follower == DEAD:
                    return False
                if follower == ACCEPTED:
                    return True
            state = follower
        reached, before = self._keys[state]
        gap = self._gaps[before, EDGE]
        return gap.empty or reached & gap.last != 0

    def _step(self, state: int, number: int) -> int:
        """The follower of a state by a character of that class, which is worked out once."""
        reached, before = self._keys[state]
        mask, kind = self._class_sets[number]
        gap = self._gaps[before, kind]
        if gap.empty or reached & gap.last:
            follower = ACCEPTED
        else:
            followers = gap.first | (reached & gap.shift) << 1
            for origins, others in gap.jumps:
                if reached & origins:
                    followers |= others
            key = followers & mask, kind
            if self._anchored and not key[0]:
                follower = DEAD
            else:
                known = self._states.get(key)
                if known is None and len(self._rows) >= self._most_states:
                    self._forget()
                    return self._add(key)
                follower = self._add(key) if known is None else known
        self._rows[state][number] = follower
        return follower

    def _add(self, key: tuple[int, int]) -> int:
        self._states[key] = len(self._rows)
        self._keys.append(key)
        self._rows.append([UNKNOWN] * len(self._class_sets))
        return len(self._rows) - 1

    def _forget(self) -> None:
        """Only the state before the first character remains; a search that is under way goes on."""
        nowhere = (0, EDGE)
        self._rows[:] = [[] for _ in range(START)]
        self._keys[:] = [nowhere] * START
        self._states.clear()
        self._add(nowhere)


def _divide(chars: list[Chars], words: bool) -> tuple[list[int], list[int]]:
    """Where the pattern begins to treat characters differently, and the positions that take each part."""
    positions: dict[Ranges, int] = {}
    for position, one in enumerate(chars):
        positions[one.ranges] = positions.get(one.ranges, 0) | 1 << position
    told_apart: Iterable[Ranges] = (*positions, WORD_RANGES) if words else positions
    cuts = sorted({0, *_ends(told_apart)})
    masks = [0] * len(cuts)
    for ranges, mask in positions.items():
        for low, high in ranges:
            for index in range(bisect_right(cuts, low) - 1, bisect_right(cuts, high)):
                masks[index] |= mask
    return cuts, masks


def _ends(many: Iterable[Ranges]) -> Iterator[int]:
    for ranges in many:
        for low, high in ranges:
            yield low
            if high < LAST_CODE:
                yield high + 1


def _within(code: int, ranges: Ranges) -> bool:
    return any(low <= code <= high for low, high in ranges)
