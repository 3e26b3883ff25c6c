"""What a rule's text is compared with: a glob over the whole text, or a regular expression anywhere in it.

glob.py and regex.py say how these are written. Either takes time in proportion to the text, never more.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from oomguardd.policies.automaton import Automaton
from oomguardd.policies.glob import Token, parse_glob
from oomguardd.policies.regex import IGNORE_CASE, parse_regex
from oomguardd.policies.syntax import ANY, Anchor, Chars, Either, Node, Repeat, Sequence

LONGEST_TEXT = 4096
"""Characters; what comes after them is not looked at."""

LONGEST_PATTERN = 4096
"""Characters: what is longer is not written by a person."""

MOST_NEEDLES = 8
"""Texts of which one must occur; each costs one search."""


class Pattern(ABC):
    """A glob or a regular expression, compiled."""

    __slots__ = ("text",)

    cost = 0
    """How its time compares with that of others, in no unit."""

    def __init__(self, text: str) -> None:
        self.text = text
        """As it was written."""

    @abstractmethod
    def matches(self, text: str) -> bool:
        """Whether the text is one of those that it stands for."""

    @property
    def needles(self) -> tuple[str, ...]:
        """Texts one of which is in every text that matches, for a first look; empty if none is known."""
        longest = max(self.pieces or ("",), key=len)
        return (longest,) if longest else ()

    @property
    def pieces(self) -> tuple[str, ...] | None:
        """What a glob without ? and [] has between its stars, all there is if it has none; else None."""
        return None

    @property
    def literal(self) -> str | None:
        """The only text that a glob matches; None for any other pattern."""
        pieces = self.pieces
        return pieces[0] if pieces is not None and len(pieces) == 1 else None


class Exact(Pattern):
    """A glob without wildcards."""

    __slots__ = ("_wanted",)

    def __init__(self, text: str, wanted: str) -> None:
        super().__init__(text)
        self._wanted = wanted

    def matches(self, text: str) -> bool:
        return text == self._wanted

    @property
    def pieces(self) -> tuple[str, ...]:
        return (self._wanted,)


class Stars(Pattern):
    """A glob with no wildcard but stars: the first place that fits each piece is the best one."""

    __slots__ = ("_first", "_last", "_middle", "_shortest")

    cost = 1

    def __init__(self, text: str, pieces: tuple[str, ...]) -> None:
        super().__init__(text)
        self._first = pieces[0]
        self._middle = tuple(piece for piece in pieces[1:-1] if piece)
        self._last = pieces[-1]
        self._shortest = sum(map(len, pieces))

    def matches(self, text: str) -> bool:
        text = text[:LONGEST_TEXT]
        if not text.startswith(self._first) or not text.endswith(self._last):
            return False
        if len(text) < self._shortest:
            return False
        at, end = len(self._first), len(text) - len(self._last)
        for piece in self._middle:
            at = text.find(piece, at, end) + len(piece)
            if at < len(piece):
                return False
        return True

    @property
    def pieces(self) -> tuple[str, ...]:
        return (self._first, *self._middle, self._last)


class Contains(Pattern):
    """A regular expression that is nothing but literal text."""

    __slots__ = ("_wanted",)

    cost = 2

    def __init__(self, text: str, wanted: str) -> None:
        super().__init__(text)
        self._wanted = wanted

    def matches(self, text: str) -> bool:
        return self._wanted in text[:LONGEST_TEXT]

    @property
    def needles(self) -> tuple[str, ...]:
        return (self._wanted,) if self._wanted else ()


class Searched(Pattern):
    """Anything else. Most texts lack what must occur, and are not searched."""

    __slots__ = ("_automaton", "_fold", "_needles")

    cost = 3

    def __init__(self, text: str, node: Node, fold: bool) -> None:
        super().__init__(text)
        self._automaton = Automaton(node)
        self._fold = fold
        self._needles = needles_of(node)

    def matches(self, text: str) -> bool:
        text = text[:LONGEST_TEXT]
        if self._fold:
            text = lower(text)
        if self._needles:
            for needle in self._needles:
                if needle in text:
                    break
            else:
                return False
        return self._automaton.search(text)

    @property
    def needles(self) -> tuple[str, ...]:
        return () if self._fold else self._needles


def compile_glob(text: str) -> Pattern:
    """Raises ValueError, which says where and what to write instead."""
    _check_length(text)
    tokens = parse_glob(text)
    pieces = _pieces(tokens)
    if pieces is None:
        return Searched(text, Sequence((Anchor("^"), *map(_node, tokens), Anchor("$"))), fold=False)
    return Stars(text, pieces) if len(pieces) > 1 else Exact(text, pieces[0])


def compile_regex(text: str) -> Pattern:
    """Raises ValueError, which says where and what to write instead."""
    _check_length(text)
    node = parse_regex(text)
    fold = text.startswith(IGNORE_CASE)
    wanted = exact(node)
    if wanted is not None and not fold:
        return Contains(text, wanted)
    return Searched(text, node, fold)


def _check_length(text: str) -> None:
    if len(text) > LONGEST_PATTERN:
        raise ValueError(f"more than {LONGEST_PATTERN} characters: write a shorter one")


def _pieces(tokens: tuple[Token, ...]) -> tuple[str, ...] | None:
    """What is between the stars; None if it has other wildcards, too."""
    pieces = [""]
    for token in tokens:
        if token is None:
            pieces.append("")
        elif isinstance(token, str):
            pieces[-1] += token
        else:
            return None
    return tuple(pieces)


def _node(token: Token) -> Node:
    if token is None:
        return Repeat(Chars(ANY), 0, None)
    return Chars(((ord(token), ord(token)),), token) if isinstance(token, str) else token


def lower(text: str) -> str:
    """Of ASCII letters only, so that no character becomes two."""
    return text.lower() if text.isascii() else text.translate(_LOWER)


_LOWER = {code: code + 32 for code in range(65, 91)}


def exact(node: Node) -> str | None:
    """The only text that it matches."""
    if isinstance(node, Chars):
        return node.exact or None
    if not isinstance(node, Sequence):
        return None
    parts = [exact(part) for part in node.parts]
    return None if None in parts else "".join(part for part in parts if part is not None)


def needles_of(node: Node) -> tuple[str, ...]:
    """Texts one of which is in every text that matches, as long as can be; empty if none is known."""
    if isinstance(node, Either):
        found = [needles_of(branch) for branch in node.branches]
        together = tuple(dict.fromkeys(needle for some in found for needle in some))
        return together if all(found) and len(together) <= MOST_NEEDLES else ()
    if isinstance(node, Repeat):
        return needles_of(node.part) if node.least else ()
    run = ""
    best: tuple[str, ...] = ()
    for part in node.parts if isinstance(node, Sequence) else (node,):
        text = exact(part)
        if text is None:
            best = max(best, needles_of(part) if not isinstance(part, Chars | Anchor) else (), key=_worth)
            run = run if isinstance(part, Anchor) else ""
        else:
            run += text
            best = max(best, (run,) if run else (), key=_worth)
    return best


def _worth(some: tuple[str, ...]) -> int:
    return min(map(len, some), default=0)
