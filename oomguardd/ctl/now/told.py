"""What the reporter says, made safe to print.

Rule of this file: its texts are escaped already, and escaping twice would spoil them (a unit's name may
contain a backslash); but nobody vouches for whoever answers, so what cannot be printed is escaped anyhow.
"""

from __future__ import annotations

from oomguardd.engine.words import LONGEST_TEXT, Fields, safe


def printable(text: str, longest: int = LONGEST_TEXT) -> str:
    """The text, as it is if that can be printed; cut at `longest` characters."""
    if not text.isprintable():
        return safe(text, longest)
    return text if len(text) <= longest else text[:longest] + "…"


class Told(Fields):
    """A reply, or a part of one."""

    __slots__ = ()

    def text(self, key: str, default: str = "?") -> str:
        """As of Fields, but escaped only once."""
        value = self.raw.get(key)
        return (printable(value) or default) if isinstance(value, str) else super().text(key, default)

    def texts(self, key: str) -> list[str]:
        return [printable(item) if isinstance(item, str) else safe(item) for item in self.each(key)]

    def fields(self, key: str) -> Told:
        return Told(self.raw.get(key))

    def parts(self, key: str) -> list[Told]:
        """The objects of a list."""
        return [Told(item) for item in self.each(key)]
