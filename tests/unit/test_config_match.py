from __future__ import annotations

import grp
import pwd
from typing import Any

import pytest

from oomguardd.config.comparisons import parse_age, parse_range
from oomguardd.config.files import TOML_LOADS
from oomguardd.config.match import ACCOUNTS, Accounts, Match, parse_match, toml_match
from oomguardd.config.tables import WrongKeys
from oomguardd.rules import MATCH_KEYS, Clause, Kind

USERS = {"root": 0, "postgres": 112, "1001": 7}
GROUPS = {"wheel": 10}
FAKE = Accounts(USERS.get, GROUPS.get)


def match(**keys: Any) -> Match:
    return parse_match(keys, FAKE)


def clause(**keys: Any) -> Clause:
    """The only one, about which there is no doubt."""
    parsed = match(**keys)
    assert parsed.doubts == ()
    (only,) = parsed.clauses
    return only


def wrong(**keys: Any) -> str:
    """What is wrong with the only key."""
    with pytest.raises(WrongKeys, match=r"\)$") as caught:
        match(**keys)
    ((_, text),) = caught.value.found
    return text


def doubt(**keys: Any) -> str:
    ((key, text),) = match(**keys).doubts
    assert [key] == list(keys)
    return text


@pytest.mark.parametrize(
    ("key", "raw", "texts", "written"),
    [
        ("name", "postgres", ("postgres",), '"postgres"'),
        (
            "exe",
            ["/usr/bin/*", "/opt/[a-z]*"],
            ("/usr/bin/*", "/opt/[a-z]*"),
            '["/usr/bin/*", "/opt/[a-z]*"]',
        ),
        ("exe", "/usr/bin/python3.*", ("/usr/bin/python3.*",), '"/usr/bin/python3.*"'),
        ("exe", ["/a"], ("/a",), '["/a"]'),
        ("cmdline", r"* \* *", (r"* \* *",), r"'* \* *'"),
        ("cmdline", 'say "it"*', ('say "it"*',), "'say \"it\"*'"),
        ("cmdline", "it's \\*", ("it's \\*",), '"it\'s \\\\*"'),
        ("cmdline", "a\tb*", ("a\tb*",), '"a\\U00000009b*"'),
        ("unit", "postgresql@*.service", ("postgresql@*.service",), '"postgresql@*.service"'),
        ("runtime", ["docker", "host"], ("docker", "host"), '["docker", "host"]'),
        ("qos", "besteffort", ("besteffort",), '"besteffort"'),
    ],
)
def test_texts_and_words(key: str, raw: object, texts: tuple[str, ...], written: str) -> None:
    assert clause(**{key: raw}) == Clause(key, texts=texts, written=written)


def test_a_regular_expression() -> None:
    expected = Clause("cmdline", regex=True, texts=(r"^java .*-jar \S+$",), written=r"'^java .*-jar \S+$'")
    assert clause(cmdline_regex=r"^java .*-jar \S+$") == expected


def test_every_text_key_takes_a_regular_expression_and_no_other_does() -> None:
    for row in MATCH_KEYS:
        key = f"{row.name}_regex"
        if row.kind is Kind.TEXT:
            assert clause(**{key: "a|b"}).regex
        else:
            assert wrong(**{key: "a|b"}).startswith(f"takes no regular expression (write {row.name} = ")


@pytest.mark.parametrize(
    ("key", "raw", "numbers"),
    [
        ("user", "postgres", (112,)),
        ("user", 1000, (1000,)),
        ("user", "1000", (1000,)),
        ("user", "1001", (7,)),  # a name that looks like a number is a name, as for chown
        ("user", ["root", 1000, "root", 0], (0, 1000)),
        ("group", ["wheel", 4294967294], (10, 4294967294)),
    ],
)
def test_users_and_groups(key: str, raw: object, numbers: tuple[int, ...]) -> None:
    assert clause(**{key: raw}).numbers == numbers


def test_accounts_are_those_of_the_machine() -> None:
    root, group = pwd.getpwuid(0).pw_name, grp.getgrgid(0).gr_name
    parsed = parse_match({"user": root, "group": group}, ACCOUNTS)
    assert [each.numbers for each in parsed.clauses] == [(0,), (0,)]
    assert [ACCOUNTS.uid_of(name) for name in ("no such user", "a\0b")] == [None, None]
    assert [ACCOUNTS.gid_of(name) for name in ("no such group", "a\0b")] == [None, None]


def test_an_unknown_user_is_kept_as_one_that_nobody_is() -> None:
    parsed = match(user=["postgers", "root"], group="staff")
    assert [each.numbers for each in parsed.clauses] == [(0,), ()]
    assert parsed.doubts == (
        (
            "user",
            'no such user: "postgers", so that nothing matches it (correct the name, or load the'
            " configuration again when it exists)",
        ),
        (
            "group",
            'no such group: "staff", so that nothing matches it (correct the name, or load the'
            " configuration again when it exists)",
        ),
    )


@pytest.mark.parametrize(
    ("key", "raw", "low", "high"),
    [
        ("nice", 10, 10, 10),
        ("nice", "10", 10, 10),
        ("nice", ">=10", 10, None),
        ("nice", "> 10", 11, None),
        ("nice", "<0", None, -1),
        ("nice", "<=-5", None, -5),
        ("oom_score_adj", "-20..-1", -20, -1),
        ("oom_score_adj", " 0 .. 1000 ", 0, 1000),
        ("nice", ">=-100", -100, None),
        ("age", ">1h", 3600, None),
        ("age", ">=1.5s", 1.5, None),
        ("age", "<30s", None, 30),
        ("age", "10s..5m", 10, 300),
        ("age", "0..5m", 0, 300),
    ],
)
def test_ranges_and_ages(key: str, raw: object, low: float | None, high: float | None) -> None:
    written = f'"{raw}"' if isinstance(raw, str) else str(raw)
    assert clause(**{key: raw}) == Clause(key, low=low, high=high, written=written)


def test_a_flag() -> None:
    assert clause(terminal=True) == Clause("terminal", flag=True, written="true")
    assert clause(terminal=False) == Clause("terminal", flag=False, written="false")


@pytest.mark.parametrize(
    ("key", "raw", "message"),
    [
        ("nmae", "x", 'no such key (did you mean "name"?)'),
        ("comm", "x", 'no such key (did you mean "name"?)'),
        ("uid", 0, 'no such key (did you mean "user"?)'),
        ("exe_regexp", "x", 'no such key (did you mean "exe_regex"?)'),
        ("zzzzzzzz", "x", "no such key (there are name, exe, cmdline, user, "),
        ("do", "never", "is no key of match (write it above that, outside of its braces)"),
        ("name", "", 'an empty text is no pattern (write it like "postgres*", or remove the key)'),
        ("name_regex", "", "an empty text is no pattern (write it like '^postgres: ', or remove the key)"),
        ("name", [], "an empty list matches nothing (write at least one value, or remove the key)"),
        ("job", 4242, 'a number is not text (write it in quotes, like "postgres*")'),
        ("job", True, "true or false is not text"),
        ("name", {}, "a table is not text"),
        ("name", ["a", ["b"]], "a list is not text"),
        ("name", "[a", '"[a" is no glob (character 1: '),
        ("name_regex", "(a", '"(a" is no regular expression (character '),
        ("cmdline_regex", r"(a)\1", "is no regular expression (character "),
        ("cmdline_regex", "(?=a)", "is no regular expression (character "),
        ("qos", "BestEffort", '"BestEffort" is no qos (did you mean "besteffort"?)'),
        ("runtime", "vmware", '"vmware" is no runtime (there are "docker", "podman", '),
        ("runtime", 5, "a number is no runtime (there are"),
        ("user", "", '"" is no user (write a name in quotes, or a number such as 1000)'),
        ("user", -1, "a number below 0 or too large is no user (write"),
        ("group", 4294967295, "a number below 0 or too large is no group (write"),
        ("user", "4294967295", "a number below 0 or too large is no user (write"),
        ("user", 1.5, "a number is no user (write"),
        ("user", True, "true or false is no user (write"),
        ("nice", "10+", '"10+" is not a whole number (write it like ">=10", "<0", 5 or "-20..-1")'),
        ("nice", "=10", '"=10" is not a whole number (write it'),
        ("nice", ">", '"" is not a whole number (write it'),
        ("nice", 1.5, "a number is not a comparison (write it like"),
        ("nice", True, "true or false is not a comparison (write it"),
        ("nice", [1, 2], "a list is not a comparison (write it"),
        ("nice", "10..", '"10.." has one end only (write it like'),
        ("nice", "5..1", '"5..1" is empty (write the smaller number first)'),
        ("nice", ">19", "can never hold: nice goes from -20 to 19 (write it like"),
        ("nice", 20, "can never hold: nice goes from -20 to 19 (write it like"),
        ("nice", 10**50, "can never hold: nice goes from -20 to 19 (write it like"),
        ("oom_score_adj", "<-1000", "can never hold: oom_score_adj goes from -1000 to 1000 (write"),
        ("age", "1h", '"1h" is a single moment (write it like ">1h", "<30s" or "10s..5m")'),
        ("age", "<0s", '"<0s" can never hold (write it like'),
        ("age", ">5", 'a duration without a unit (write "5s" if seconds are meant)'),
        ("age", 5, 'a number is not a comparison (write it like ">1h"'),
        ("terminal", "true", '"true" is text (write true or false, without quotes)'),
        ("terminal", 1, "a number is not possible here (write true or false, without quotes)"),
    ],
)
def test_a_wrong_value_is_refused_with_the_remedy(key: str, raw: object, message: str) -> None:
    assert message in wrong(**{key: raw})


def test_everything_that_is_wrong_is_told() -> None:
    with pytest.raises(WrongKeys) as caught:
        match(exe=["[", "/ok", 5], nice="x", name="fine")
    assert [key for key, _ in caught.value.found] == ["exe", "nice"]
    assert " is no glob (" in caught.value.found[0][1]
    assert "; a number is not text (" in caught.value.found[0][1]


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ("postgres", 'text is not a table (write match = { name = "postgres" })'),
        ([], 'a list is not a table (write match = { name = "postgres" })'),
        ({}, 'is empty (to match every process, write match = { name = "*" })'),
    ],
)
def test_a_match_is_a_table_with_something_in_it(raw: object, message: str) -> None:
    with pytest.raises(ValueError, match=r"\)$") as caught:
        parse_match(raw, FAKE)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("key", "glob", "message"),
    [
        (
            "name",
            "'postgres'",
            'is in quotes twice, and the inner ones have to match, too (write "postgres")',
        ),
        ("exe", '"/usr/bin/x"', 'have to match, too (write "/usr/bin/x")'),
        ("exe", "^/usr/bin/x", "looks like a regular expression and is read as a glob (use exe_regex)"),
        ("name", "postgres$", "looks like a regular expression and is read as a glob (use name_regex)"),
        ("cmdline", "java .*jar", '(use cmdline_regex, or write "[.]*" for a dot and anything behind it)'),
        ("cmdline", ".*jar", "(use cmdline_regex, or write"),
        ("unit", "postgresql", '"postgresql" lacks its ending (write "postgresql.service")'),
        ("slice", "user-1000", '"user-1000" lacks its ending (write "user-1000.slice")'),
        ("exe", "postgres", '"postgres" can never match: it is a whole path and begins with / (write'),
        ("cgroup", "system.slice/*", '"system.slice/*" can never match: it is a whole path'),
        (
            "name",
            "systemd-journald",
            "can never match: the kernel cuts names to 15 bytes (write systemd-journal,",
        ),
    ],
)
def test_a_glob_that_is_hardly_meant_so_is_doubted(key: str, glob: str, message: str) -> None:
    assert message in doubt(**{key: glob})


@pytest.mark.parametrize("glob", ["*", "'", '"a', "python3.*", "a[.]*", "*.service", "[$]", "a^b", "a$b"])
def test_a_good_glob_is_not_doubted(glob: str) -> None:
    assert match(name=[glob, "other"]).doubts == ()


@pytest.mark.parametrize("unit", ["x.service", "x*", "session-?", "*"])
def test_a_good_unit_is_not_doubted(unit: str) -> None:
    assert match(unit=unit).doubts == ()


def test_a_regular_expression_is_never_doubted() -> None:
    assert match(name_regex="^'a.*'$").doubts == ()


def test_a_match_is_written_as_it_was_read() -> None:
    assert TOML_LOADS is not None
    table = {
        "name": ["a", "b\\[c"],
        "cmdline_regex": r"\s--it's \"x\"",
        "user": ["nobody-known", 5],
        "nice": 5,
        "age": ">1h",
        "terminal": False,
    }
    parsed = parse_match(table, FAKE)
    assert TOML_LOADS(f"match = {toml_match(parsed.clauses)}") == {"match": table}


def test_comparisons_without_limits() -> None:
    assert parse_range("other", "<-5000") == (None, -5001)
    assert parse_age("1ms..1d") == (0.001, 86400)


def test_a_number_too_long_to_be_written_is_refused() -> None:
    assert "can never hold" in wrong(nice=1 << 99999)
    assert "too large" in wrong(user=1 << 99999)
