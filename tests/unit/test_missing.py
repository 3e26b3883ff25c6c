"""What is missing is told as the thing, its cause, what it costs and what to do: each at its place."""

from __future__ import annotations

import pytest

from oomguardd.guard.service import of_sensors
from oomguardd.reporter.service import missing_words


@pytest.mark.parametrize(
    ("sentence", "told"),
    [
        ("No swap: it costs (add some).", ("swap", "it costs", "add some")),
        ("No /proc/x (gone): it costs.", ("/proc/x (gone)", "it costs", "")),
        ("No pressure from /p: off (psi=1). It costs.", ("pressure from /p: off (psi=1)", "It costs", "")),
    ],
)
def test_of_a_sensor(sentence: str, told: tuple[str, str, str]) -> None:
    assert [tuple(one) for one in of_sensors((sentence,))] == [told]


def test_a_cause_is_no_remedy() -> None:
    problem = "127.0.0.1:1: Address already in use (`ss (8)` names the program)"
    assert missing_words("metrics socket", "nobody can scrape", problem) == {
        "what": "metrics socket (127.0.0.1:1: Address already in use)",
        "cost": "nobody can scrape",
        "remedy": "`ss (8)` names the program",
    }
