"""Globs and regular expressions: what they match, and what they say if they are written wrongly."""

from __future__ import annotations

import random
import tracemalloc

import pytest

from oomguardd.policies.pattern import LONGEST_TEXT, compile_glob, compile_regex


@pytest.mark.parametrize(
    ("glob", "text"),
    [
        ("postgres", "postgres"),
        ("post*", "postgres"),
        ("*gres", "postgres"),
        ("*", ""),
        ("", ""),
        ("**", "a"),
        ("/usr/lib/postgresql/*/bin/postgres", "/usr/lib/postgresql/17/bin/postgres"),
        ("/opt/*", "/opt/a/b/c"),  # a slash is like any other character
        ("kworker/[0-9]*", "kworker/0:1"),
        ("[!a-z]*", "Xorg"),
        ("[]a]", "]"),
        ("[a-]", "-"),
        (r"[\]\\]", "]"),
        (r"a\*b", "a*b"),
        (r"\[kthreadd\]", "[kthreadd]"),
        (r"\{a,b\}", "{a,b}"),
        ("{a}", "{a}"),
        ("ca??", "café"),
        ("*aab", "aaab"),
        ("a*b*c", "a/b\nb c"),
    ],
)
def test_globs_that_match(glob: str, text: str) -> None:
    assert compile_glob(glob).matches(text)


@pytest.mark.parametrize(
    ("glob", "text"),
    [
        ("postgres", "postgres2"),
        ("postgres", "Postgres"),
        ("post*", "a post"),
        ("*gres", "postgresql"),
        ("?", ""),
        ("ab*ba", "aba"),  # the same character does not count twice
        ("a*a", "a"),
        ("[!a-z]*", "xorg"),
        ("[a-c]", "d"),
        (r"a\*b", "axb"),
        ("a?b", "ab"),
        ("", "a"),
    ],
)
def test_globs_that_do_not(glob: str, text: str) -> None:
    assert not compile_glob(glob).matches(text)


@pytest.mark.parametrize(
    ("regex", "text"),
    [
        ("java", "/usr/bin/java -jar x"),
        ("^java", "java -jar x"),
        ("-Dapp=a( |$)", "java -Dapp=a"),
        (r"\bchrome\b", "/opt/google/chrome --type=renderer"),
        ("--type=(renderer|gpu-process)", "chrome --type=gpu-process"),
        ("(?i)FIREFOX", "/usr/lib/FireFox"),
        ("^[^ ]*python3?[.0-9]* .*train", "/usr/bin/python3.11 -m train"),
        ("a.b", "a\nb"),  # nobody slips past a rule by a line break
        ("x{2,3}y", "axxy"),
        ("x{2,}?y", "xxxxy"),
        (r"\x41\t", "A\t"),
        (r"\Aab\z", "ab"),
        (r"é+", "caféé"),
        ("(|a)b", "b"),
        (r"[\d-]x", "-x"),
        ("", "anything"),
    ],
)
def test_regexes_that_match(regex: str, text: str) -> None:
    assert compile_regex(regex).matches(text)


@pytest.mark.parametrize(
    ("regex", "text"),
    [
        ("^java", "/usr/bin/java"),
        ("java$", "java\n"),  # the very end
        (r"\bchrome\b", "chromedriver"),
        ("(?i)é", "É"),  # only letters of ASCII have two cases
        (r"\w", "é"),
        ("x{3}", "xx"),
        ("^$", " "),
        ("[^a]", "a"),
        ("a|b", "c"),
    ],
)
def test_regexes_that_do_not(regex: str, text: str) -> None:
    assert not compile_regex(regex).matches(text)


@pytest.mark.parametrize(
    ("regex", "place", "says"),
    [
        ("(?=a)", 1, "write an earlier rule"),
        ("a(?!b)", 2, "write an earlier rule"),
        ("(?<=a)b", 1, "write an earlier rule"),
        ("(?<!a)b", 1, "write an earlier rule"),
        (r"(a)\1", 4, "write its text again"),
        ("(?P<n>a)", 1, r"write \(\.\.\.\)"),
        ("(?<n>a)", 1, r"write \(\.\.\.\)"),
        ("(?P=n)", 1, "write its text again"),
        ("(?>a)", 1, r"write \(\?:\.\.\.\)"),
        ("(a)?(?(1)b)", 5, r"write \(a\|b\)"),
        ("(?#x)", 1, "leave it out"),
        ("a(?i)b", 2, "at the very start"),
        ("(?i:a)", 1, "at the very start"),
        ("(?s)a", 1, "leave it out"),
        ("(?m)a", 1, "leave it out"),
        ("(?x)a", 1, "leave it out"),
        ("(?~a)", 1, r"write \(\.\.\.\)"),
        ("a*+", 2, r"write \*"),
        ("a{2}+", 2, r"write \{2\}"),
        ("a**", 3, "around the inner one"),
        ("a+{2}", 3, "around the inner one"),
        ("*.conf", 1, r"write \.\* for any text"),
        ("a|*", 3, "repeats nothing"),
        ("^*", 2, "leave it out"),
        (r"\b+", 3, "leave it out"),
        ("{2}", 1, r"write \\\{"),
        ("a{", 2, r"or \\\{"),
        ("a{,3}", 2, r"write \{2\}"),
        ("a{x}", 2, r"or \\\{"),
        ("a{3,1}", 2, r"write \{1,3\}"),
        ("a{10000}", 2, r"write \* or \+"),
        ("(", 1, r"write \\\("),
        ("a(b", 2, r"write \\\("),
        ("a)", 2, r"write \\\)"),
        ("a[b", 2, r"write \\\["),
        ("[]", 1, r"write \\\["),
        ("[z-a]", 2, "write a-z"),
        (r"[\d-z]", 2, r"write \\-"),
        ("[[:alpha:]]", 2, "such as a-z"),
        ("a\\", 2, r"write \\\\"),
        (r"\q", 1, "write q"),
        (r"\Z", 1, r"write \$"),
        (r"\Qa.b\E", 1, "escape each character"),
        (r"\pL", 1, "write a class"),
        (r"\x1", 1, "two digits"),
        (r"\0", 1, r"write \\x00"),
        ("(" * 60 + ")" * 60, 51, "write fewer"),
    ],
)
def test_wrong_regexes_say_where_and_what_to_write(regex: str, place: int, says: str) -> None:
    with pytest.raises(ValueError, match=rf"^character {place}: .*{says}"):
        compile_regex(regex)


@pytest.mark.parametrize(
    ("regex", "says"),
    [
        ("a{1001}", "more than 1000 characters"),
        ("(a{100}){11}", "more than 1000 characters"),
        ("((((a{999}){999}){999}){999}){999}", "more than 1000 characters"),
        ("(){9999}", "more than 1000 characters"),
        ("(a?){500}b", "in more than 250 ways"),
        ("".join(chr(0x4E00 + number) for number in range(300)) + "?", "more than 255 kinds"),
        ("a" * 5000, "more than 4096 characters"),
    ],
)
def test_patterns_that_would_need_too_much_are_refused(regex: str, says: str) -> None:
    with pytest.raises(ValueError, match=f"{says}.*: write"):
        compile_regex(regex)


@pytest.mark.parametrize(
    ("glob", "place", "says"),
    [
        ("a[b", 2, r"write \\\["),
        ("[]", 1, r"write \\\["),
        ("[z-a]", 2, "write a-z"),
        ("[^a]", 1, r"write \[!\.\.\.\]"),
        ("a\\", 2, r"write \\\\"),
        ("[a\\", 3, r"write \\\\"),
        ("/usr/bin/{a,b}", 10, "write a list"),
    ],
)
def test_wrong_globs_say_where_and_what_to_write(glob: str, place: int, says: str) -> None:
    with pytest.raises(ValueError, match=rf"^character {place}: .*{says}"):
        compile_glob(glob)


def test_a_long_glob_is_refused() -> None:
    with pytest.raises(ValueError, match="write a shorter one"):
        compile_glob("*" + "a" * LONGEST_TEXT)


@pytest.mark.parametrize(
    ("glob", "literal"),
    [("postgres", "postgres"), (r"a\*b", "a*b"), ("", ""), ("a*", None), ("a?", None), ("[a]", None)],
)
def test_the_only_text_that_a_glob_matches(glob: str, literal: str | None) -> None:
    assert compile_glob(glob).literal == literal


def test_a_regex_is_no_literal() -> None:
    assert compile_regex("^postgres$").literal is None


@pytest.mark.parametrize(
    ("regex", "needles"),
    [
        ("postgres", ("postgres",)),
        ("^java .*-Dapp=(a|b)$", ("-Dapp=",)),
        ("(chrome|firefox)-bin", ("chrome", "firefox")),
        ("a*", ()),
        ("(?:abc)+x?", ("abc",)),
        ("a|.", ()),
        ("(?i)ABC", ()),
    ],
)
def test_what_must_occur(regex: str, needles: tuple[str, ...]) -> None:
    assert compile_regex(regex).needles == needles


def test_only_the_beginning_of_a_long_text_is_looked_at() -> None:
    late = "x" * LONGEST_TEXT + "needle"
    assert not compile_regex("needle").matches(late)
    assert not compile_regex("needl[e]").matches(late)
    assert not compile_glob("*needle*").matches(late)
    assert compile_regex("^x+$").matches(late)


@pytest.mark.parametrize("text", ["", "\0", "\ud800", "\U0010ffff", "🐘" * 5000])
def test_any_text_may_be_asked_about(text: str) -> None:
    assert compile_regex("^(?:.|\n)*$").matches(text)
    assert not compile_regex("[ab]+$|c").matches(text)
    assert compile_glob("*").matches(text)


def test_memory_is_bounded_whatever_is_asked() -> None:
    """Each of the last hundred characters matters, so that hardly a state comes twice."""
    pattern = compile_regex("(a|b)*a(ab|ba|aa|bb){50}c$")
    chance = random.Random(0)
    tracemalloc.start()
    try:
        for _ in range(4):
            assert not pattern.matches("c" + "".join(chance.choices("ab", k=1500)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1 << 20
