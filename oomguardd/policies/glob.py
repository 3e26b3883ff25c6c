"""Globs, read: a pattern for a whole text, as a shell has them for names of files.

* is any text (slashes too, because paths of programs and cgroups are meant), ? any character, [a-z0] one of
these, [!a-z0] any but these, and a backslash takes a special meaning away. Upper and lower case differ.
{a,b} is an error, because it would be read as these very characters.
"""

from __future__ import annotations

from oomguardd.policies.syntax import ANY, Chars, Ranges, normal

Token = str | Chars | None
"""A character, one out of a set, or None for a star."""


def parse_glob(text: str) -> tuple[Token, ...]:
    """Raises ValueError with the place and a remedy. No two stars follow each other."""
    return tuple(_Reader(text).tokens())


class _Reader:
    """Reads a glob from left to right; `at` is the place of the next character."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def fail(self, what: str, at: int) -> ValueError:
        return ValueError(f"character {at + 1}: {what}")

    def tokens(self) -> list[Token]:
        found: list[Token] = []
        while self.at < len(self.text):
            char = self.text[self.at]
            if char == "[":
                found.append(self.one_of())
                continue
            if char == "{":
                self.refuse_braces()
            if char == "\\":
                found.append(self.escaped(self.at))
                continue
            self.at += 1
            if char != "*":
                found.append(Chars(ANY) if char == "?" else char)
            elif not found or found[-1] is not None:
                found.append(None)
        return found

    def escaped(self, start: int) -> str:
        if start + 1 >= len(self.text):
            raise self.fail("'\\' at the end: write \\\\ for the character", start)
        self.at = start + 2
        return self.text[start + 1]

    def refuse_braces(self) -> None:
        """It would be read as the characters, and silently match nothing."""
        inside, closed, _ = self.text[self.at + 1 :].partition("}")
        if closed and "," in inside:
            raise self.fail("{a,b} is not supported: write a list, or \\{ for the character", self.at)

    def one_of(self) -> Chars:
        start = self.at
        if self.text.startswith("[^", start):
            raise self.fail("[^...] is not supported: write [!...], or [\\^...] for the character", start)
        negated = self.text.startswith("[!", start)
        first = self.at = start + 1 + negated
        ranges: Ranges = ()
        while self.at == first or not self.text.startswith("]", self.at):
            at = self.at
            low = high = self.member(start)
            if self.text.startswith("-", self.at) and not self.text.startswith("-]", self.at):
                self.at += 1
                high = self.member(start)
            if high < low:
                raise self.fail(f"the range is the wrong way round: write {high}-{low}", at)
            ranges += ((ord(low), ord(high)),)
        self.at += 1
        return Chars(normal(ranges, negated))

    def member(self, start: int) -> str:
        if self.at >= len(self.text):
            raise self.fail("'[' without ']': write \\[ for the character", start)
        if self.text[self.at] == "\\":
            return self.escaped(self.at)
        self.at += 1
        return self.text[self.at - 1]
