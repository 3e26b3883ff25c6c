"""No line runs over the edge of a terminal, whatever a process calls itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oomguardd.ctl.text import ENDLESS, Column, bullets, fit, pad, paragraph, table, width_of
from oomguardd.engine.words import safe

NAMES = st.text(max_size=30).map(safe)


@pytest.mark.parametrize(
    ("text", "width"), [("abc", 3), ("", 0), ("日本", 4), ("e\u0301", 1), ("a\u200bb", 2), ("🙂", 2)]
)
def test_width(text: str, width: int) -> None:
    assert width_of(text) == width


@pytest.mark.parametrize(
    ("text", "width", "end", "cut"),
    [
        ("abcdef", 6, False, "abcdef"),
        ("abcdef", 4, False, "abc…"),
        ("abcdef", 4, True, "…def"),
        ("日本語", 4, False, "日…"),
        ("日本語", 1, False, "…"),
        ("abc", 0, False, ""),
    ],
)
def test_fit(text: str, width: int, end: bool, cut: str) -> None:
    assert fit(text, width, end) == cut


@given(NAMES, st.integers(0, 40), st.booleans())
def test_nothing_is_wider_than_asked_for(text: str, width: int, end: bool) -> None:
    assert width_of(fit(text, width, end)) <= width
    assert width_of(pad(fit(text, width), width, end)) == width


def test_columns_are_aligned_by_width() -> None:
    columns = (Column("NAME", left=True), Column("N"))
    assert table(columns, [("日本", "1"), ("abc", "22")], ENDLESS) == ["NAME   N", "日本   1", "abc   22"]


def test_only_columns_that_may_be_cut_are_cut() -> None:
    columns = (Column("NUMBER"), Column("NAME", left=True, least=4), Column("PATH", True, 4, end=True))
    (_, line) = table(columns, [("123456", "a-long-name", "/a/long/path")], 23)
    assert line == "123456  a-long…  …/path"
    assert width_of(line) <= 23


@given(st.lists(st.tuples(NAMES, NAMES), max_size=4), st.integers(20, 120))
def test_a_table_fits(rows: list[tuple[str, str]], width: int) -> None:
    lines = table((Column("A", left=True, least=3), Column("B", least=3)), rows, width)
    assert len(lines) == 1 + len(rows)
    assert all(width_of(line) <= width for line in lines)


@given(NAMES, st.integers(20, 120))
def test_a_paragraph_fits(text: str, width: int) -> None:
    assert all(width_of(line) <= width for line in (*paragraph(text, width), *bullets([text], width)))


def test_a_paragraph_is_indented() -> None:
    assert paragraph("one two three four five six", 20, 2) == ["  one two three four", "    five six"]
