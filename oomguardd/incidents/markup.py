"""HTML as a value. Rule of this file: what is not `Html` is escaped, so a name that a process has chosen
cannot become markup however it gets here.
"""

from __future__ import annotations

from collections.abc import Iterable

_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"}
_EMPTY = frozenset({"meta", "br", "line", "rect", "path", "circle", "col", "link"})
"""Elements that have no inside, and of SVG those that need none."""


class Html(str):
    """Markup: goes into the page as it is."""

    __slots__ = ()


def escape(text: str) -> Html:
    """The text for the inside of an element or of a quoted attribute. What is not printable (controls, bytes
    that were no UTF-8, marks that turn the direction of writing) is shown as an escape; newlines stay."""
    return Html("".join(_escaped(char) for char in text))


def _escaped(char: str) -> str:
    entity = _ENTITIES.get(char)
    if entity is not None:
        return entity
    if char.isprintable() or char == "\n":
        return char
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that was no UTF-8, see PEP 383
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def join(parts: Iterable[str], between: str = "") -> Html:
    """All of them in a row; plain text among them is escaped."""
    return Html(_raw(between).join(map(_raw, parts)))


def tag(name: str, /, *inside: str | None, **attributes: object) -> Html:
    """An element. Attributes are named as in HTML with `_` for `-` and one at the end where Python has the
    word (`class_`); None and False leave one out, True writes it without a value. None inside is nothing."""
    head = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _EMPTY and not inside:
        return Html(f"<{name}{head}/>")
    return Html(f"<{name}{head}>{''.join(_raw(part) for part in inside if part is not None)}</{name}>")


def _attribute(key: str, value: object) -> str:
    name = _CASED.get(key) or key.rstrip("_").replace("_", "-")
    if value is None or value is False:
        return ""
    return f" {name}" if value is True else f' {name}="{escape(str(value))}"'


_CASED = {"viewBox": "viewBox", "preserveAspectRatio": "preserveAspectRatio"}


def _raw(part: str) -> str:
    return part if isinstance(part, Html) else escape(part)
