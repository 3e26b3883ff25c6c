"""A reader of varlink interface descriptions, as strict as the specification, and what fits one.

Independent of the code that is tested: https://varlink.org/Interface-Definition.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

_TOKEN = re.compile(
    r"[ \t\n]+|#[^\n]*|(?P<word>[A-Za-z][A-Za-z0-9_.-]*)|(?P<mark>->|\[string\]|\[\]|[?(),:])|(?P<bad>.)"
)
_FIELD = re.compile(r"[A-Za-z](_?[A-Za-z0-9])*")
_SYMBOL = re.compile(r"[A-Z][A-Za-z0-9]*")
_PLAIN = {"bool", "int", "float", "string", "object"}


class Type(NamedTuple):
    """A field's type: a name, and how it is wrapped."""

    name: str
    nullable: bool = False
    wrapped: str = ""
    """"[]", "[string]" or nothing."""


class Description(NamedTuple):
    """All symbols of an interface."""

    name: str
    structs: dict[str, dict[str, Type]]
    enums: dict[str, list[str]]
    methods: dict[str, tuple[dict[str, Type], dict[str, Type]]]
    errors: dict[str, dict[str, Type]]


class _Tokens:
    def __init__(self, text: str) -> None:
        found = list(_TOKEN.finditer(text))
        bad = [match["bad"] for match in found if match["bad"]]
        assert not bad, f"no tokens: {bad}"
        self._left = [match["word"] or match["mark"] for match in found if match["word"] or match["mark"]]
        self._left.reverse()

    def next(self, *wanted: str) -> str:
        token = self._left.pop()
        assert not wanted or token in wanted, f"{token} instead of {wanted}"
        return token

    def peek(self) -> str:
        return self._left[-1] if self._left else ""


def parse(text: str) -> Description:
    """AssertionError for what is no description."""
    tokens = _Tokens(text)
    tokens.next("interface")
    whole = Description(tokens.next(), {}, {}, {}, {})
    seen: set[str] = set()
    while tokens.peek():
        kind, name = tokens.next("type", "method", "error"), tokens.next()
        assert _SYMBOL.fullmatch(name), name
        assert name not in seen, f"{name} twice"
        seen.add(name)
        first = _fields(tokens)
        if kind == "method":
            tokens.next("->")
            assert isinstance(first, dict)
            second = _fields(tokens)
            assert isinstance(second, dict)
            whole.methods[name] = (first, second)
        elif kind == "error":
            assert isinstance(first, dict)
            whole.errors[name] = first
        elif isinstance(first, list):
            whole.enums[name] = first
        else:
            whole.structs[name] = first
    _assert_known(whole)
    return whole


def _fields(tokens: _Tokens) -> dict[str, Type] | list[str]:
    tokens.next("(")
    fields: dict[str, Type] = {}
    names: list[str] = []
    while tokens.peek() != ")":
        name = tokens.next()
        assert _FIELD.fullmatch(name), name
        assert name not in {*fields, *names}, f"{name} twice"
        if tokens.peek() == ":":
            tokens.next(":")
            fields[name] = _type(tokens)
        else:
            names.append(name)
        if tokens.peek() != ")":
            tokens.next(",")
            assert tokens.peek() != ")", "a comma at the end"
    tokens.next(")")
    assert not (fields and names), "half a struct and half an enum"
    return names or fields


def _type(tokens: _Tokens) -> Type:
    nullable = tokens.peek() == "?" and bool(tokens.next())
    wrapped = tokens.next() if tokens.peek() in ("[]", "[string]") else ""
    return Type(tokens.next(), nullable, wrapped)


def _assert_known(whole: Description) -> None:
    methods = [fields for pair in whole.methods.values() for fields in pair]
    for fields in (*whole.structs.values(), *whole.errors.values(), *methods):
        for field in fields.values():
            assert field.name in _PLAIN or field.name in whole.structs or field.name in whole.enums, field


def assert_fits(whole: Description, fields: dict[str, Type], value: Any, where: str = "") -> None:
    """The object has exactly these fields, of these types, all the way down."""
    assert isinstance(value, dict), where
    assert set(value) == set(fields), f"{where}: {set(value) ^ set(fields)}"
    for name, field in fields.items():
        _assert_type(whole, field, value[name], f"{where}.{name}")


def _assert_type(whole: Description, field: Type, value: Any, where: str) -> None:
    if value is None:
        assert field.nullable, f"{where} is null"
    elif field.wrapped == "[]":
        assert isinstance(value, list), where
        for at, item in enumerate(value):
            _assert_type(whole, field._replace(wrapped="", nullable=False), item, f"{where}[{at}]")
    elif field.name in whole.structs:
        assert_fits(whole, whole.structs[field.name], value, where)
    elif field.name in whole.enums:
        assert value in whole.enums[field.name], f"{where}: {value}"
    else:
        kinds: dict[str, tuple[type, ...]] = {
            "bool": (bool,),
            "int": (int,),
            "float": (int, float),
            "string": (str,),
            "object": (dict,),
        }
        assert isinstance(value, kinds[field.name]), f"{where}: {value!r}"
        assert field.name == "bool" or not isinstance(value, bool), f"{where}: {value!r}"
