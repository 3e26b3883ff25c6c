"""What a rule matches: `match = { exe = "/usr/lib/postgresql/*", user = "postgres" }`, key by key."""

from __future__ import annotations

import grp
import pwd
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from oomguardd.config.comparisons import parse_age, parse_range
from oomguardd.config.tables import WrongKeys
from oomguardd.policies.clauses import key_of
from oomguardd.policies.conflicts import never_matches
from oomguardd.policies.pattern import compile_glob, compile_regex
from oomguardd.rules import MATCH_KEYS, REGEX_ENDING, Clause, Kind, MatchKey, Rule
from oomguardd.settings import nearest, toml_scalar_text, toml_string, type_name
from oomguardd.units import quote

T = TypeVar("T")

_KEYS = {row.name: row for row in MATCH_KEYS}
_REGEX_KEYS = {f"{row.name}{REGEX_ENDING}": row for row in MATCH_KEYS if row.kind is Kind.TEXT}
_OTHER_NAMES = {
    "args": "cmdline",
    "comm": "name",
    "command": "cmdline",
    "gid": "group",
    "parent": "ancestor",
    "path": "exe",
    "tty": "terminal",
    "uid": "user",
}
"""What other programs call a key."""

_ENDINGS = {"unit": ".service", "slice": ".slice"}
"""Keys whose every value has an ending, and the usual one."""

_LITERAL_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-@:."

_HIGHEST_ID = (1 << 32) - 2  # the kernel keeps the last one for "nobody at all"


class Match(NamedTuple):
    """A whole `match`."""

    clauses: tuple[Clause, ...]
    doubts: tuple[tuple[str, str], ...] = ()
    """What is allowed but hardly meant: its key, and what is odd about it with the remedy."""


class Accounts(NamedTuple):
    """Where the numbers of users and groups come from; None if there is no such name."""

    uid_of: Callable[[str], int | None]
    gid_of: Callable[[str], int | None]


def parse_match(raw: object, accounts: Accounts) -> Match:
    """ValueError if it is no table or empty, WrongKeys with everything that is wrong in it."""
    if not isinstance(raw, dict):
        raise ValueError(f'{type_name(raw)} is not a table (write match = {{ name = "postgres" }})')
    if not raw:
        raise ValueError('is empty (to match every process, write match = { name = "*" })')
    clauses, doubts, wrong = [], [], []
    for key, value in raw.items():
        try:
            clause, odd = _parse_clause(key, value, accounts)
            clauses.append(clause)
            doubts += [(key, text) for text in odd]
        except ValueError as error:  # noqa: PERF203  # all that is wrong is told at once
            wrong.append((key, str(error)))
    if wrong:
        raise WrongKeys(wrong)
    return Match(tuple(clauses), tuple(doubts))


def toml_match(clauses: tuple[Clause, ...]) -> str:
    """The inline table that parse_match() makes these of."""
    return f"{{ {', '.join(f'{key_of(clause)} = {clause.written}' for clause in clauses)} }}"


def _parse_clause(key: str, raw: object, accounts: Accounts) -> tuple[Clause, list[str]]:
    """The clause, and what is odd about it."""
    regex = key in _REGEX_KEYS
    row = _REGEX_KEYS[key] if regex else _KEYS.get(key)
    if row is None:
        raise ValueError(_unknown_key(key))
    clause, odd = Clause(row.name, regex), list[str]()
    if row.kind is Kind.TEXT:
        texts, odd = _parse_texts(row, regex, raw)
        clause = clause._replace(texts=texts)
    elif row.kind is Kind.WORD:
        clause = clause._replace(texts=_each(raw, lambda item: _parse_word(row, item)))
    elif row.kind in (Kind.USER, Kind.GROUP):
        numbers, odd = _parse_ids(row, raw, accounts)
        clause = clause._replace(numbers=numbers)
    elif row.kind is Kind.FLAG:
        clause = clause._replace(flag=_parse_flag(raw))
    else:
        low, high = parse_range(row.name, raw) if row.kind is Kind.RANGE else parse_age(raw)
        clause = clause._replace(low=low, high=high)
    return clause._replace(written=_toml_value(raw)), odd


def _parse_texts(row: MatchKey, regex: bool, raw: object) -> tuple[tuple[str, ...], list[str]]:
    texts = _each(raw, lambda item: _parse_text(item, regex))
    return texts, [] if regex else [text for glob in texts if (text := _oddity(row.name, glob))]


def _parse_text(raw: object, regex: bool) -> str:
    example = "'^postgres: '" if regex else '"postgres*"'
    if not isinstance(raw, str):
        raise ValueError(f"{type_name(raw)} is not text (write it in quotes, like {example})")
    if not raw:
        raise ValueError(f"an empty text is no pattern (write it like {example}, or remove the key)")
    try:
        (compile_regex if regex else compile_glob)(raw)
    except ValueError as error:
        noun = "regular expression" if regex else "glob"
        raise ValueError(f"{quote(raw)} is no {noun} ({error})") from None
    return raw


def _oddity(key: str, glob: str) -> str:
    """Why a glob is hardly meant as it is written; empty if nothing is odd about it."""
    inner = glob[1:-1]
    if len(glob) > 2 and glob[0] == glob[-1] and glob[0] in "\"'":
        remedy = f"write {quote(inner)}"
        return f"{quote(glob)} is in quotes twice, and the inner ones have to match, too ({remedy})"
    before, dots, _ = glob.partition(".*")
    versioned = before[-1:].isdigit()  # python3.*
    if glob[0] == "^" or glob[-1] == "$" or (dots and not versioned):
        remedy = f"use {key}{REGEX_ENDING}"
        if dots:
            remedy += ', or write "[.]*" for a dot and anything behind it'
        return f"{quote(glob)} looks like a regular expression and is read as a glob ({remedy})"
    return _impossibility(key, glob)


def _impossibility(key: str, glob: str) -> str:
    """Why it matches nothing; empty if it may. As one of several values that is no error of the whole."""
    never = never_matches(Rule("", (Clause(key, texts=(glob,)),)))
    if never is not None:
        return f"{quote(glob)} can never match: {never[1]}"
    if key in _ENDINGS and not glob.strip(_LITERAL_LETTERS) and "." not in glob:
        return f"{quote(glob)} lacks its ending (write {quote(glob + _ENDINGS[key])})"
    return ""


def _parse_word(row: MatchKey, raw: object) -> str:
    if isinstance(raw, str) and raw in row.words:
        return raw
    near = nearest(raw.lower(), row.words) if isinstance(raw, str) else ""
    what = quote(raw) if isinstance(raw, str) else type_name(raw)
    listed = f"there are {', '.join(quote(word) for word in row.words)}"
    raise ValueError(f"{what} is no {row.name} ({f'did you mean {quote(near)}?' if near else listed})")


def _parse_ids(row: MatchKey, raw: object, accounts: Accounts) -> tuple[tuple[int, ...], list[str]]:
    """The numbers of those that exist, and a sentence about each that does not.

    Not an error: where accounts come from the network, it may be down when the machine starts.
    """
    lookup = accounts.uid_of if row.kind is Kind.USER else accounts.gid_of
    ids = {item: _parse_id(row, item, lookup) for item in _each(raw, lambda item: _check_id(row, item))}
    remedy = "correct the name, or load the configuration again when it exists"
    unknown = [str(name) for name, number in ids.items() if number is None]
    odd = [f"no such {row.name}: {quote(name)}, so that nothing matches it ({remedy})" for name in unknown]
    return tuple(dict.fromkeys(number for number in ids.values() if number is not None)), odd


def _check_id(row: MatchKey, raw: object) -> int | str:
    if isinstance(raw, str) and raw:
        return raw
    if isinstance(raw, int) and not isinstance(raw, bool) and 0 <= raw <= _HIGHEST_ID:
        return raw
    what = "a number below 0 or too large" if type(raw) is int else type_name(raw) if raw != "" else '""'
    raise ValueError(f"{what} is no {row.name} (write a name in quotes, or a number such as 1000)")


def _parse_id(row: MatchKey, item: int | str, lookup: Callable[[str], int | None]) -> int | None:
    if isinstance(item, int):
        return item
    number = lookup(item)
    if number is None and item.isascii() and item.isdecimal():
        return int(_check_id(row, int(item[:20])))
    return number


def _parse_flag(raw: object) -> bool:
    if not isinstance(raw, bool):
        what = f"{quote(raw)} is text" if isinstance(raw, str) else f"{type_name(raw)} is not possible here"
        raise ValueError(f"{what} (write true or false, without quotes)")
    return raw


def _each(raw: object, parse: Callable[[object], T]) -> tuple[T, ...]:
    """One value or a list of them; ValueError with everything that is wrong in it."""
    items: list[Any] = raw if isinstance(raw, list) else [raw]
    if not items:
        raise ValueError("an empty list matches nothing (write at least one value, or remove the key)")
    found, wrong = [], []
    for item in items:
        try:
            found.append(parse(item))
        except ValueError as error:  # noqa: PERF203  # all that is wrong is told at once
            wrong.append(str(error))
    if wrong:
        raise ValueError("; ".join(wrong))
    return tuple(found)


def _toml_value(raw: object) -> str:
    """A value as TOML that has been understood."""
    if isinstance(raw, list):
        return f"[{', '.join(map(_toml_value, raw))}]"
    if isinstance(raw, bool | int | float):
        return toml_scalar_text(raw)
    text = str(raw)
    literal = ("\\" in text or '"' in text) and "'" not in text and text.isprintable()
    return f"'{text}'" if literal else toml_string(text)


def _unknown_key(key: str) -> str:
    known = [*_KEYS, *_REGEX_KEYS]
    bare = key.removesuffix(REGEX_ENDING)
    near = _OTHER_NAMES.get(key) or nearest(key, known)
    if bare in _KEYS:
        return f"takes no regular expression (write {bare} = {_KEYS[bare].kind.value})"
    if key in ("do", "points", "kill", "enabled"):
        return "is no key of match (write it above that, outside of its braces)"
    if near:
        return f"no such key (did you mean {quote(near)}?)"
    return f"no such key (there are {', '.join(_KEYS)})"


def _uid_of(name: str) -> int | None:
    try:
        return pwd.getpwnam(name).pw_uid
    except (KeyError, ValueError):  # a null byte in it
        return None


def _gid_of(name: str) -> int | None:
    try:
        return grp.getgrnam(name).gr_gid
    except (KeyError, ValueError):
        return None


ACCOUNTS = Accounts(_uid_of, _gid_of)
"""Those of this machine."""
