"""The table of candidates."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oomguardd.ctl.arguments import ALL
from oomguardd.ctl.beforehand import ranking
from oomguardd.ctl.beforehand.company import descendants, party_of
from oomguardd.ctl.beforehand.world import ancestors_of, guards_among
from oomguardd.ctl.terms import kernel_terms, owner_words, policy_terms, to_points
from oomguardd.ctl.text import width_of
from oomguardd.model import PAGE_BYTES, Memcg, Owner
from oomguardd.sections import Config
from tests.fakes import MIB
from tests.unit.ctl.scene import configured, keep_in, process, unpainted, world_of

SERVICE = "/system.slice/shop.service"
SHOP = Owner(unit="shop.service", slice="system.slice", places=(("unit", SERVICE), ("cgroup", SERVICE)))


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return configured(
        tmp_path,
        """
[[rule]]
name = "shop"
match = { unit = "shop.service" }
points = -50
kill = "unit"
[[rule]]
name = "db"
match = { name = "postgres" }
do = "never"
""",
    )


def test_worst_first_with_every_term(config: Config) -> None:
    big = process(20, "big", 500, oom_score_adj=300, swap_bytes=100 * MIB)
    world = world_of(config, process(10, "small", 400), big, process(30, "postgres", 900))
    lines = ranking.page(world, keep_in(world, config), 10, 80, unpainted)
    title = next(at for at, line in enumerate(lines) if line.startswith("POINTS"))
    assert lines[title + 1].split() == [
        "159", "20", "big", "600", "MiB", "48.8", "0", "0", "9.77", "0", "300", "-200",
    ]  # fmt: skip
    assert lines[title + 2] == "   -200 oom_score_adj_cap: its oom_score_adj 300 counts as 100 only"
    assert lines[title + 3].split()[:3] == ["39.1", "10", "small"]
    assert lines[-1] == "  1 (900 MiB), rule db says never: postgres[30]"


@pytest.mark.parametrize("width", [40, 80, 110, 160])
def test_no_line_is_too_wide(config: Config, width: int) -> None:
    names = ("x" * 15, "日本日本日", "\x1b[31m\nx", "a b", "\\" * 15)
    crowd = [
        process(
            4194300 + at, name, 50 * at + 50, cgroup=f"/{'y' * 200}", owner=Owner(unit=f"{'z' * 200}.service")
        )
        for at, name in enumerate(names)
    ]
    world = world_of(config, *crowd, *(process(at, "s" * 15, 1) for at in range(100, 400)))
    lines = ranking.page(world, keep_in(world, config), 10, width, unpainted)
    assert max(map(width_of, lines)) <= width
    assert all(line.isprintable() for line in lines)


@pytest.mark.parametrize("height", [5, 12, 20, 50])
def test_as_many_as_fit(config: Config, height: int) -> None:
    world = world_of(config, *(process(at, "task", at) for at in range(100, 130)))
    lines = ranking.page(world, keep_in(world, config), ALL, 80, unpainted, height)
    assert len(lines) <= max(height, 8)
    assert any(line.split()[1:2] == ["129"] for line in lines), "the victim is always shown"
    assert lines[-1].startswith("exempt: 0"), "and so is who is exempt"


def test_nobody(config: Config) -> None:
    world = world_of(config, process(10, "small", 1))
    lines = ranking.page(world, keep_in(world, config), 10, 80, unpainted)
    assert "nobody could be killed" in lines
    assert "  1 (1 MiB), too small: its death would give back less than 16 MiB:" in lines


def test_small_ones_are_one_group(config: Config) -> None:
    world = world_of(config, process(10, "a", 1), process(11, "b", 2))
    (_, reason, names) = ranking.exempt_lines(world, keep_in(world, config), 80)
    assert reason.strip().startswith("2 (3 MiB), too small")
    assert names == "    b[11], a[10]"


def test_who_dies_together_is_told(config: Config) -> None:
    crowd = [process(pid, "shop", pid, cgroup=SERVICE, owner=SHOP) for pid in (100, 101, 102)]
    world = world_of(config, *crowd, process(10, "other", 120))
    keep = keep_in(world, config)
    party = party_of(world.ranked[-1], world.processes, keep)
    assert (party.unit, len(party.members), party.whole) == ("unit", 3, True)
    narrow = ranking.page(world, keep, 10, 80, unpainted)
    assert "        with 2 more of its unit shop.service (rule shop), 303 MiB in all" in narrow
    assert "        runs in shop.service" in narrow
    wide = ranking.page(world, keep, 10, 160, unpainted)
    assert any(line.endswith("unit     shop.service") for line in wide)


def test_fields_are_json_and_add_up(config: Config) -> None:
    big = process(20, "\udcff", 500, oom_score_adj=300, swap_bytes=100 * MIB, pagetables_bytes=MIB)
    world = world_of(config, big, process(21, "postgres", 900), process(22, "small", 1))
    found = json.loads(json.dumps(ranking.fields(world, keep_in(world, config), ALL), allow_nan=False))
    (first,) = found["candidates"]
    assert sum(term[1] for term in first["terms"]) == pytest.approx(first["points"], abs=0.1)
    assert first["party"]["members"] == [[20, "\udcff", big.held_bytes]]
    assert [row[0] for row in found["exempt"]] == [21, 22]
    assert (found["processes"], found["killable"]) == (3, 1)


@given(
    st.integers(0, 1 << 34),
    st.integers(0, 1 << 34),
    st.integers(-1000, 1000),
    st.integers(0, 1 << 20),
)
def test_terms_add_up_to_the_points(anon: int, swap: int, adj: int, tables: int) -> None:
    c = replace(
        process(10, "x", 0, oom_score_adj=adj),
        rss_anon_bytes=anon // PAGE_BYTES * PAGE_BYTES,
        swap_bytes=swap // PAGE_BYTES * PAGE_BYTES,
        pagetables_bytes=tables // PAGE_BYTES * PAGE_BYTES,
    )
    world = world_of(Config())
    w = world.weigh(c)
    terms = (*kernel_terms(c, world.totals), *policy_terms(w, world.totals))
    assert sum(term.points for term in terms) == pytest.approx(to_points(w.pages, world.totals), abs=1e-6)


def test_owner_words() -> None:
    assert owner_words(Owner()) == ""
    assert owner_words(Owner(unit="a.service", slice="system.slice")) == "a.service"
    assert owner_words(Owner(unit="user@1.service", user_unit="app-x.scope")) == "app-x.scope"
    assert (
        owner_words(Owner("docker", "docker-x.scope", container="0123456789abcdef")) == "docker 0123456789ab"
    )
    assert (
        owner_words(Owner("containerd", pod="p-1", qos="burstable", container="x")) == "pod p-1 (burstable)"
    )
    assert owner_words(Owner("slurm", job="12", step="0")) == "job 12 step 0"


def test_descendants_parents_first_even_in_a_loop() -> None:
    crowd = [
        process(2, "a", ppid=1), process(4, "c", ppid=3), process(3, "b", ppid=2), process(1, "loop", ppid=4)
    ]  # fmt: skip
    assert [kin.candidate.pid for kin in descendants(2, crowd)] == [3, 4, 1]


def test_the_kernels_word_on_a_group(config: Config) -> None:
    group = Memcg(oom_group=SERVICE)
    crowd = [process(pid, "x", pid, cgroup=SERVICE, memcg=group) for pid in (100, 101)]
    world = world_of(config, *crowd)
    party = party_of(world.ranked[0], world.processes, keep_in(world, config))
    assert [member.pid for member in party.members] == [101, 100]


def test_guards_are_root_s_or_our_own() -> None:
    crowd = [process(10, "oomguardd", uid=0), process(11, "oomguardd", uid=7), process(12, "x", uid=0)]
    assert [c.pid for c in guards_among(crowd, 1000)] == [10]
    assert [c.pid for c in guards_among(crowd, 7)] == [10, 11]


def test_ancestors() -> None:
    crowd = [process(10, "guard", ppid=5), process(5, "sudo", ppid=2), process(2, "x", ppid=2)]
    assert ancestors_of({10}, crowd) == {10, 5, 2}
    assert ancestors_of({99}, crowd) == {99}


def test_a_swarm_is_one(config: Config) -> None:
    bomb = [process(pid, "bomb", 12, ppid=50, age_s=5.0) for pid in range(100, 400)]
    world = world_of(config, process(50, "sh", 1, sid=50), process(60, "db", 500), *bomb)
    keep = keep_in(world, config)
    party = party_of(world.ranked[0], world.processes, keep)
    assert (party.unit, len(party.members)) == ("swarm", 300)
    assert [w.candidate.comm for w in world.ranked] == ["bomb", "db"]
    text = "\n".join(ranking.page(world, keep, 10, 160, unpainted))
    assert "with 299 more of its swarm" in text
    assert "exempt: 1 process and" in text, "those who die with it are not exempt"
