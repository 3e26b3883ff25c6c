"""Regular expressions, read: the part of RE2's syntax (github.com/google/re2/wiki/Syntax) that rules need.

Literals, classes, \\d \\w \\s \\D \\W \\S (of ASCII), groups, |, * + ? {m} {m,} {m,n} and their lazy forms,
^ $ \\A \\z \\b \\B, \\t \\n \\r \\f \\v \\xHH, and (?i) at the start. A dot is any character, a line break
too, and $ is the very end, so that nobody slips past a rule by a line break in an argument. What only a
matcher that backtracks can do is an error that says what to write instead.
"""

from __future__ import annotations

from typing import NoReturn

from oomguardd.policies.syntax import (
    ANY,
    WORD_RANGES,
    Anchor,
    Chars,
    Either,
    Node,
    Ranges,
    Repeat,
    Sequence,
    normal,
)

MOST_GROUPS = 50
"""Inside of each other: each takes a few calls on Python's stack."""

IGNORE_CASE = "(?i)"

CLASSES: dict[str, Ranges] = {
    "d": ((48, 57),),
    "w": WORD_RANGES,
    "s": ((9, 13), (32, 32)),
}
CONTROLS = {"t": "\t", "n": "\n", "r": "\r", "f": "\f", "v": "\v"}
ANCHORS = {"A": "^", "z": "$", "b": "b", "B": "B"}

LOOKAROUND = "looking around is not supported: write an earlier rule for what is to be left out"
UNSUPPORTED_GROUPS = {
    "?=": LOOKAROUND,
    "?!": LOOKAROUND,
    "?<=": LOOKAROUND,
    "?<!": LOOKAROUND,
    "?P=": "a reference to a group is not supported: write its text again",
    "?P": "a named group is not supported: write (...)",
    "?<": "a named group is not supported: write (...)",
    "?>": "an atomic group is not supported: write (?:...)",
    "?(": "a condition is not supported: write (a|b)",
    "?#": "a comment is not supported: leave it out",
    "?i": "(?i) is only supported for the whole expression: write it at the very start",
    "?s": "(?s) is not supported: leave it out, a dot is any character anyway",
    "?m": "(?m) is not supported: leave it out, the text is one line",
    "?x": "(?x) is not supported: leave it out, and the blanks and comments too",
}
"""What comes after the bracket -> what is wrong; the longest that fits is meant."""

ESCAPES = {
    "Z": "\\Z is not supported: write $",
    "Q": "\\Q is not supported: escape each character",
    "p": "\\p is not supported: write a class, such as [a-zA-Z]",
    "P": "\\P is not supported: write a class, such as [^a-zA-Z]",
    "0": "\\0 is not supported: write \\x00",
}


def parse_regex(text: str) -> Node:
    """Raises ValueError with the place and a remedy."""
    fold = text.startswith(IGNORE_CASE)
    reader = _Reader(text, len(IGNORE_CASE) if fold else 0, fold)
    node = reader.either()
    if not reader.done:
        reader.fail("')' without '(': write \\)")
    return node


def both_cases(ranges: Ranges) -> Ranges:
    """With the other case of each ASCII letter."""
    others: Ranges = ()
    for low, high in ranges:
        for first, last, shift in ((65, 90, 32), (97, 122, -32)):
            if max(low, first) <= min(high, last):
                others += ((max(low, first) + shift, min(high, last) + shift),)
    return normal((*ranges, *others))


class _Reader:
    """Reads from left to right; `at` is the place of the next character."""

    def __init__(self, text: str, at: int, fold: bool) -> None:
        self.text = text
        self.at = at
        self.fold = fold
        self.depth = 0

    @property
    def done(self) -> bool:
        return self.at >= len(self.text)

    def fail(self, what: str, at: int | None = None) -> NoReturn:
        raise ValueError(f"character {(self.at if at is None else at) + 1}: {what}")

    def ahead(self, what: str) -> bool:
        return self.text.startswith(what, self.at)

    def take(self, what: str) -> bool:
        if not self.ahead(what):
            return False
        self.at += len(what)
        return True

    def next(self, missing: str) -> str:
        """One character; `missing` is said if there is none."""
        if self.done:
            self.fail(missing, len(self.text) - 1)
        self.at += 1
        return self.text[self.at - 1]

    def either(self) -> Node:
        branches = [self.sequence()]
        while self.take("|"):
            branches.append(self.sequence())
        if len(branches) == 1:
            return branches[0]
        chars = [branch for branch in branches if isinstance(branch, Chars)]
        if len(chars) == len(branches):  # a|b is [ab], which costs less
            return Chars(normal(tuple(pair for one in chars for pair in one.ranges)))
        return Either(tuple(branches))

    def sequence(self) -> Node:
        parts: list[Node] = []
        while not self.done and self.text[self.at] not in "|)":
            parts.append(self.repeated())
        return parts[0] if len(parts) == 1 else Sequence(tuple(parts))

    def repeated(self) -> Node:
        start = self.at
        node = self.atom()
        at = self.at
        times = self.times()
        if times is None:
            return node
        if isinstance(node, Anchor) and self.text[start] != "(":
            self.fail(f"{self.text[at]!r} repeats nothing: leave it out", at)
        written = self.text[at : self.at]
        if self.take("+"):
            self.fail(f"'{written}+' (possessive) is not supported: write {written}", at)
        self.take("?")  # lazy: which match is found is another one, whether there is one is not
        if not self.done and self.text[self.at] in "*+?{":
            self.fail("a repeat of a repeat: write (?:...) around the inner one")
        return Repeat(node, *times)

    def times(self) -> tuple[int, int | None] | None:
        if self.take("*"):
            return 0, None
        if self.take("+"):
            return 1, None
        if self.take("?"):
            return 0, 1
        return self.counted() if self.ahead("{") else None

    def counted(self) -> tuple[int, int | None]:
        """{m}, {m,} or {m,n}"""
        start = self.at
        end = self.text.find("}", start)
        least, comma, most = self.text[start + 1 : max(start, end)].partition(",")
        if not comma:
            most = least
        if not all(number.isascii() and number.isdigit() for number in (least, most or "0")):
            self.fail("'{' is no repeat here: write {2}, {2,} or {2,5}, or \\{ for the character")
        if max(len(least), len(most)) > 4:
            self.fail("so many repeats are not supported: write * or + for any number")
        self.at = end + 1
        if most and int(most) < int(least):
            self.fail(f"the least is above the most: write {{{most},{least}}}", start)
        return int(least), int(most) if most else None

    def atom(self) -> Node:
        at = self.at
        char = self.next("")
        if char == "(":
            return self.group(at)
        if char == "[":
            return self.one_of(at)
        if char == "\\":
            return self.escaped(at)
        if char == ".":
            return Chars(ANY)
        if char in "^$":
            return Anchor(char)
        if char in "*+?":
            self.fail(f"'{char}' repeats nothing: write .* for any text, or \\{char} for the character", at)
        if char == "{":
            self.fail("'{' repeats nothing: write \\{ for the character", at)
        return self.literal(char)

    def literal(self, char: str) -> Chars:
        code = ord(char)
        if not self.fold:
            return Chars(((code, code),), char)
        lower = char.lower() if char.isascii() else char
        return Chars(both_cases(((code, code),)), lower)

    def group(self, start: int) -> Node:
        if self.ahead("?") and not self.take("?:"):
            asked = self.text[self.at : self.at + 3]
            known = max((key for key in UNSUPPORTED_GROUPS if asked.startswith(key)), key=len, default="")
            self.fail(
                UNSUPPORTED_GROUPS.get(known, "'(?' is not supported here: write (...) or (?:...)"), start
            )
        self.depth += 1
        if self.depth > MOST_GROUPS:
            self.fail(f"more than {MOST_GROUPS} groups inside of each other: write fewer", start)
        node = self.either()
        if not self.take(")"):
            self.fail("'(' without ')': write \\( for the character", start)
        self.depth -= 1
        return node

    def escaped(self, start: int) -> Node:
        char = self.next("'\\' at the end: write \\\\ for the character")
        if char in ANCHORS:
            return Anchor(ANCHORS[char])
        ranges = self.shorthand(char)
        return Chars(ranges) if ranges else self.literal(self.escape(char, start))

    def shorthand(self, char: str) -> Ranges:
        """\\d and its like; empty if it is none."""
        ranges = CLASSES.get(char.lower(), ())
        return normal(ranges, negated=True) if ranges and char.isupper() else ranges

    def escape(self, char: str, start: int) -> str:
        """The one character that is meant by the one after a backslash."""
        if char in CONTROLS:
            return CONTROLS[char]
        if char == "x":
            return self.hexadecimal(start)
        if char in ESCAPES:
            self.fail(ESCAPES[char], start)
        if char.isdigit():
            self.fail("a reference to a group is not supported: write its text again", start)
        if char.isascii() and char.isalpha():
            self.fail(f"\\{char} has no meaning: write {char}", start)
        return char

    def hexadecimal(self, start: int) -> str:
        digits = self.text[self.at : self.at + 2]
        if len(digits) < 2 or not all(digit in "0123456789abcdefABCDEF" for digit in digits):
            self.fail("\\x without two digits: write it as in \\x1b", start)
        self.at += 2
        return chr(int(digits, 16))

    def one_of(self, start: int) -> Node:
        negated = self.take("^")
        first = self.at
        ranges: Ranges = ()
        while self.at == first or not self.ahead("]"):
            ranges += self.member(start)
        self.at += 1
        return Chars(normal(both_cases(ranges) if self.fold else ranges, negated))

    def member(self, start: int) -> Ranges:
        """One character of a class, or a range of them."""
        unclosed = "'[' without ']': write \\[ for the character"
        at = self.at
        if self.done:
            self.fail(unclosed, start)
        if self.ahead("[:") or self.ahead("[=") or self.ahead("[."):
            self.fail("[:...:] is not supported: write the characters, such as a-z or \\d")
        low = self.end_of_range(unclosed)
        if not self.ahead("-") or self.text.startswith("-]", self.at):
            return low if isinstance(low, tuple) else ((ord(low), ord(low)),)
        self.at += 1
        high = self.end_of_range(unclosed)
        if isinstance(low, tuple) or isinstance(high, tuple):
            self.fail("a range from or to a class: write \\- for the character", at)
        if high < low:
            self.fail(f"the range is the wrong way round: write {high}-{low}", at)
        return ((ord(low), ord(high)),)

    def end_of_range(self, unclosed: str) -> str | Ranges:
        at = self.at
        char = self.next(unclosed)
        if char != "\\":
            return char
        char = self.next(unclosed)
        return self.shorthand(char) or self.escape(char, at)
