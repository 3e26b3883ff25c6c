"""Patterns against Python's own matchers, and against time."""

from __future__ import annotations

import contextlib
import fnmatch
import random
import re
import sys
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oomguardd.policies.pattern import Pattern, compile_glob, compile_regex

LETTERS = "ab/.- A1_é\n"
texts = st.text(st.sampled_from(LETTERS), max_size=12)


class Written(NamedTuple):
    """A pattern as we have it, and the same for Python's re."""

    ours: str
    python: str


def same(text: str) -> Written:
    return Written(text, text)


literals = st.sampled_from(LETTERS).map(lambda letter: same(re.escape(letter)))
atoms = literals | st.sampled_from(
    [
        *map(same, [".", r"\w", r"\W", r"\d", r"\D", r"\s", r"\S", r"\x61", r"\n"]),
        *map(
            same,
            [
                "[ab]",
                "[^a]",
                "[a-c/]",
                "[^a-z]",
                r"[\w.]",
                r"[^\d\n]",
                "[]a]",
                "[a-]",
                r"[\]\-]",
                "[A-a]",
                "[A-Z]",
                "[^A-Z]",
            ],
        ),
    ]
)
anchors = st.sampled_from(
    [same("^"), Written("$", r"\Z"), same(r"\A"), Written(r"\z", r"\Z"), same(r"\b"), same(r"\B")]
)
times = st.sampled_from(["*", "+", "?", "{2}", "{1,2}", "{0,}", "{2,}", "{0}", "*?", "+?", "??", "{1,2}?"])


def joined(parts: list[Written], between: str = "") -> Written:
    return Written(between.join(p.ours for p in parts), between.join(p.python for p in parts))


def extend(inner: st.SearchStrategy[Written]) -> st.SearchStrategy[Written]:
    grouped = st.builds(
        lambda opening, part: Written(f"{opening}{part.ours})", f"{opening}{part.python})"),
        st.sampled_from(["(", "(?:"]),
        inner,
    )
    repeated = st.builds(
        lambda part, often: Written(part.ours + often, part.python + often), grouped | atoms, times
    )
    return (
        st.lists(repeated | grouped | atoms | anchors, max_size=4).map(joined)
        | st.lists(inner, min_size=2, max_size=3).map(lambda parts: joined(parts, "|"))
        | repeated
    )


regexes = st.recursive(atoms | anchors, extend, max_leaves=8)
globs = st.lists(
    st.sampled_from(
        [
            *(Written(letter, re.escape(letter)) for letter in LETTERS),
            Written("*", ".*"),
            Written("?", "."),
            *map(same, ["[ab]", "[a-z]", "[]a]", "[a-]", r"[\]b]"]),
            Written("[!a]", "[^a]"),
            Written("[!a-z-]", "[^a-z-]"),
            Written(r"\*", r"\*"),
            Written(r"\[", r"\["),
            Written(r"\\", r"\\"),
        ]
    ),
    max_size=8,
).map(joined)


@given(regexes, texts)
def test_a_regex_matches_what_pythons_matches(regex: Written, text: str) -> None:
    if "\\B" in regex.ours and not text:
        return  # Python before 3.14 says that \B does not hold in an empty text
    expected = re.search(regex.python, text, re.ASCII | re.DOTALL) is not None
    assert compile_regex(regex.ours).matches(text) == expected


@given(regexes, texts)
def test_case_is_ignored_as_python_ignores_it(regex: Written, text: str) -> None:
    if "\\B" in regex.ours and not text:
        return
    expected = re.search(regex.python, text, re.ASCII | re.DOTALL | re.IGNORECASE) is not None
    assert compile_regex(f"(?i){regex.ours}").matches(text) == expected


@given(globs, texts)
def test_a_glob_matches_the_whole_text(glob: Written, text: str) -> None:
    expected = re.fullmatch(glob.python, text, re.DOTALL) is not None
    assert compile_glob(glob.ours).matches(text) == expected


@given(
    st.lists(st.sampled_from(["a", "b", "/", ".", "-", "*", "?", "[ab]", "[!a]"]), max_size=8).map("".join),
    texts,
)
def test_a_glob_matches_what_fnmatch_matches(glob: str, text: str) -> None:
    assert compile_glob(glob).matches(text) == fnmatch.fnmatchcase(text, glob)


@given(st.text(max_size=40))
def test_any_text_can_be_escaped(text: str) -> None:
    escaped = "".join(f"\\{letter}" if letter in "\\*?[{" else letter for letter in text)
    assert compile_glob(escaped).literal == text
    assert compile_glob(escaped).matches(text)
    assert compile_regex(re.escape(text)).matches(f"x{text}y")


@given(regexes, texts, texts)
def test_what_must_occur_occurs(regex: Written, text: str, other: str) -> None:
    pattern = compile_regex(regex.ours)
    for each in (text, other, text + other):
        if pattern.matches(each):
            assert not pattern.needles or any(needle in each for needle in pattern.needles)


@given(regexes, st.lists(texts, max_size=5))
def test_what_was_asked_before_changes_nothing(regex: Written, asked: list[str]) -> None:
    kept = compile_regex(regex.ours)
    first = [kept.matches(text) for text in asked]
    assert [kept.matches(text) for text in asked] == first
    assert [compile_regex(regex.ours).matches(text) for text in asked] == first


@given(st.sampled_from([compile_glob, compile_regex]), st.text(max_size=20), st.text(max_size=20))
def test_whatever_is_written_it_compiles_or_says_why(
    compile_: Callable[[str], Pattern], pattern: str, text: str
) -> None:
    with contextlib.suppress(ValueError):
        assert compile_(pattern).matches(text) in (True, False)


def steps(work: Callable[[], object]) -> int:
    """Lines of Python that it takes: unlike time, always the same."""
    count = 0

    def trace(frame: FrameType, event: str, arg: Any) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize(
    ("regex", "text"),
    [
        ("(a+)+$", "{}!"),
        ("^(a+)+$", "{}!"),
        ("(a|a)*b$", "b{}"),
        ("^(a|aa)+$", "{}!"),
        ("(.*)*x$", "x{}"),
        ("(.*)(.*)(.*)(.*)x$", "x{}"),
        ("^(([a-z])+.)+[A-Z]([a-z])+$", "{}"),
        ("(a?){100}a{100}!", "{}?!"),
        ("^(a*)*$", "{}!"),
        (r"(\ba+\b)*!$", "{}!?"),
        ("(?i)(A+)+$", "{}!"),
    ],
)
def test_time_grows_with_the_text_alone(regex: str, text: str) -> None:
    """Python's own takes longer than the age of the universe for most of these."""
    pattern = compile_regex(regex)
    short, long = (text.format("a" * count) for count in (1000, 4000))
    assert pattern.matches(short) is False
    few, many = steps(partial(pattern.matches, short)), steps(partial(pattern.matches, long))
    assert many <= 4 * few + 100
    assert many <= 10 * len(long)


def test_time_is_bounded_where_no_text_is_like_another() -> None:
    """Each of the last hundred characters matters: more states than anybody can keep."""
    pattern = compile_regex("(a|b)*a(ab|ba|aa|bb){50}c$")
    chance = random.Random(0)
    short, long = ("c" + "".join(chance.choices("ab", k=count)) for count in (1000, 4000))
    few, many = steps(partial(pattern.matches, short)), steps(partial(pattern.matches, long))
    assert many <= 5 * few
    assert many <= 1000 * 4000


@pytest.mark.parametrize("glob", ["*a*a*a*a*a*a*b", "*[a]*[a]*[a]*[a]*b", "?*?*?*?*b"])
def test_a_glob_takes_no_longer_either(glob: str) -> None:
    pattern = compile_glob(glob)
    few, many = (steps(partial(pattern.matches, "ab" + "a" * count)) for count in (1000, 4000))
    assert many <= 4 * few + 100
