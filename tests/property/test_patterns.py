"""Patterns against Python's own matchers, and against time."""

from __future__ import annotations

import contextlib
import fnmatch
import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oomguardd.policies.pattern import Pattern, compile_glob, compile_regex

letters = st.sampled_from("ab/.-")
texts = st.text(letters, max_size=12)
atoms = st.one_of(
    letters.map(re.escape),
    st.sampled_from([".", r"\w", r"\d", "[ab]", "[^a]", "[a-c]", "(?:ab)", "(a|b)", "(?:a|ab|)", "^", "$"]),
)
pieces = st.builds(
    lambda atom, often: atom + often if atom not in "^$" else atom,
    atoms,
    st.sampled_from(["", "", "", "*", "+", "?", "{2}", "{1,2}", "{0,}", "*?", "+?"]),
)
regexes = st.builds(
    lambda alternatives: "|".join("".join(each) for each in alternatives),
    st.lists(st.lists(pieces, min_size=1, max_size=5), min_size=1, max_size=2),
)
globs = st.lists(st.one_of(letters, st.sampled_from(["*", "?", "[ab]", "[!a]", "[a-z]"])), max_size=8).map(
    "".join
)


@given(regexes, texts)
def test_a_regex_matches_what_pythons_matches(regex: str, text: str) -> None:
    assert compile_regex(regex).matches(text) == (re.search(regex, text) is not None)


@given(globs, texts)
def test_a_glob_matches_what_fnmatch_matches(glob: str, text: str) -> None:
    assert compile_glob(glob).matches(text) == fnmatch.fnmatchcase(text, glob)


@given(st.sampled_from([compile_glob, compile_regex]), st.text(max_size=20), st.text(max_size=20))
def test_whatever_is_written_it_compiles_or_says_why(
    compile_: Callable[[str], Pattern], pattern: str, text: str
) -> None:
    with contextlib.suppress(ValueError):
        assert compile_(pattern).matches(text) in (True, False)


@pytest.mark.parametrize("regex", ["(a+)+$", "(a|a)*b", "(.*)*x", "(a|aa)+$", "^(([a-z])+.)+[A-Z]([a-z])+$"])
@pytest.mark.timeout(20)
def test_what_makes_others_backtrack_for_ever_ends(regex: str) -> None:
    """Python's own would take longer than the age of the universe for these."""
    pattern = compile_regex(regex)
    assert not compile_regex(regex.rstrip("$") + "#").matches("a" * 4000 + "!")
    assert pattern.matches("a" * 4000 + "!") is False


@pytest.mark.parametrize(
    "regex",
    ["(?=a)", "(?!a)", "(?<=a)b", r"(a)\1", "(?P<n>a)", "a{5000}", "(a{500}){500}", "(", "[", "a**", "\\"],
)
def test_what_cannot_be_is_refused_with_words(regex: str) -> None:
    with pytest.raises(ValueError, match=r".{10}"):
        compile_regex(regex)
