"""What a pattern consists of, however it was written; glob.py and regex.py make it, automaton.py runs it."""

from __future__ import annotations

from typing import NamedTuple

LAST_CODE = 0x10FFFF

Ranges = tuple[tuple[int, int], ...]
"""Of code points; the first and the last of each are included. Sorted, and none touches the next."""

WORD_RANGES: Ranges = ((48, 57), (65, 90), (95, 95), (97, 122))
"""\\w, of ASCII only, as in RE2."""

ANY: Ranges = ((0, LAST_CODE),)


class Chars(NamedTuple):
    """One character out of a set."""

    ranges: Ranges
    exact: str = ""
    """The one character that it is, in lower case if both cases match; empty if it is more than one."""


class Anchor(NamedTuple):
    """A condition on the gap between two characters: ^, $, b or B."""

    kind: str


class Sequence(NamedTuple):
    parts: tuple[Node, ...]


class Either(NamedTuple):
    branches: tuple[Node, ...]


class Repeat(NamedTuple):
    part: Node
    least: int
    most: int | None
    """None: without an end."""


Node = Chars | Anchor | Sequence | Either | Repeat


def normal(ranges: Ranges, negated: bool = False) -> Ranges:
    """Sorted, joined, and turned round if `negated`."""
    joined: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if joined and low <= joined[-1][1] + 1:
            joined[-1] = joined[-1][0], max(high, joined[-1][1])
        else:
            joined.append((low, high))
    if not negated:
        return tuple(joined)
    starts = [0, *(high + 1 for _, high in joined)]
    ends = [*(low - 1 for low, _ in joined), LAST_CODE]
    return tuple((low, high) for low, high in zip(starts, ends, strict=True) if low <= high)


def size(node: Node) -> int:
    """Positions with all repeats written out; what matches nothing counts as one, so that it ends, too."""
    if isinstance(node, Chars | Anchor):
        return 1
    if isinstance(node, Repeat):
        return size(node.part) * max(1, node.least if node.most is None else node.most)
    return max(1, sum(size(part) for part in inner(node)))


def inner(node: Node) -> tuple[Node, ...]:
    """What it consists of."""
    if isinstance(node, Sequence):
        return node.parts
    if isinstance(node, Either):
        return node.branches
    return (node.part,) if isinstance(node, Repeat) else ()


def has_boundary(node: Node) -> bool:
    if isinstance(node, Anchor):
        return node.kind in ("b", "B")
    return any(has_boundary(part) for part in inner(node))
