"""Advice has its cause in the incident, and what it says to write can be written."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from oomguardd.config import load
from oomguardd.history.incident import Incident
from oomguardd.incidents.advice import ADVISERS, Advice, advise
from oomguardd.incidents.case import case_of
from oomguardd.incidents.limits import limit_for
from oomguardd.incidents.places import Limit, place_of, tasks_place
from oomguardd.incidents.remedy import OWN_FILE, rounded_bytes, setting_size, shell_word
from oomguardd.runtimes import owner_of
from oomguardd.sensors import SIGNALS
from tests.unit.incidents.samples import HOSTILE, INCIDENTS, fast_leak, kernel
from tests.unit.incidents.scene import GIB, MIB, NOON_S, TRIGGERS, kill, outcome, process

ID = "4f0c9d1e2a3b" * 5 + "abcd"
ROOMY = {
    "mem_total": 16.0 * GIB,
    "mem_available": 1.2 * GIB,
    "swap_total": 4.0 * GIB,
    "swap_free": GIB / 4,
    "psi_full_10s": 1.0,
}
SERVICE = "/system.slice/app.service"


def incident(record: dict[str, Any], *events: dict[str, Any]) -> Incident:
    return Incident("x", NOON_S, record, (record, *events), (), TRIGGERS)


def of(
    victim: dict[str, Any], readings: dict[str, float] | None = None, *events: dict[str, Any], **more: Any
) -> list[Advice]:
    return advise(incident(kill(victim, readings or ROOMY, **more), *events))


def titles(found: list[Advice]) -> str:
    return " | ".join(one.title for one in found)


def changes(found: list[Advice]) -> str:
    return "\n".join(one.change for one in found)


@pytest.mark.parametrize("name", INCIDENTS)
def test_there_is_always_something_said_and_never_twice(name: str) -> None:
    found = advise(INCIDENTS[name]())
    assert found
    assert len({one.title for one in found}) == len(found)
    assert all(one.title and one.why.endswith(".") for one in found)
    assert all(bool(one.where) == bool(one.change) for one in found)


def test_every_adviser_has_spoken_in_these_tests() -> None:
    """A list of cases, one for each at least; what none of them can move to speak is dead."""
    spoken = {adviser for one in CASES.values() for adviser in ADVISERS if list(adviser(case_of(one())))}
    assert {adviser.__name__ for adviser in ADVISERS} - {adviser.__name__ for adviser in spoken} == set()


def test_a_small_victim_that_helped_is_nothing_to_change() -> None:
    victim = process(1, "small", 500 * MIB, SERVICE)
    found = of(victim, ROOMY, outcome(0.1, 1.2 * GIB, 1.7 * GIB, 500 * MIB))
    assert titles(found) == "Nothing to change"
    assert "a small part of the machine" in found[0].why


def test_a_limit_leaves_a_fifth_of_the_machine_to_the_others() -> None:
    case = case_of(incident(kill(process(1, "app", 8 * GIB, SERVICE), ROOMY)))
    found = limit_for(case)
    assert found
    assert found.max_bytes == 6 * GIB, "8 held and 1.2 available, less 3.2 for the others, rounded down"
    assert found.high_bytes < found.max_bytes


@pytest.mark.parametrize(
    ("cgroup", "words"),
    [
        (SERVICE, ["[Service]", "MemoryHigh=5G", "MemoryMax=6G"]),
        (f"/system.slice/docker-{ID}.scope", ["docker update --memory 6g --memory-swap 6g 4f0c9d1e2a3b"]),
        (f"/machine.slice/libpod-{ID}.scope", ["podman update --memory 6g 4f0c9d1e2a3b"]),
        (
            f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podaaaaaaaa_bbbb_cccc_dddd_eeeeeeeeeeee.slice/"
            f"cri-containerd-{ID}.scope",
            ["limits:", "memory: 6Gi"],
        ),
        ("/system.slice/slurmstepd.scope/job_77/step_0/user/task_0", ["#SBATCH --mem=6G"]),
        ("/lxc.payload.web", ["incus config set web limits.memory=6GiB", "lxc.cgroup2.memory.max = 6G"]),
        ("/user.slice/user-1000.slice/session-3.scope", ["systemd-run --user --scope", "user-1000.slice"]),
        (
            "/user.slice/user-1000.slice/user@1000.service/app.slice/app-gnome-firefox-99.scope",
            ["[Scope]", "MemoryMax=6G"],
        ),
        ("/", ["systemd-run --scope -p MemoryHigh=5G -p MemoryMax=6G COMMAND"]),
    ],
)
def test_a_limit_is_set_where_the_process_is_run(cgroup: str, words: list[str]) -> None:
    found = of(process(1, "app", 8 * GIB, cgroup))
    assert [word for word in words if word not in changes(found)] == []


def test_a_users_application_is_limited_in_all_its_instances() -> None:
    unit = "/user.slice/user-1000.slice/user@1000.service/app.slice/app-gnome-firefox-99.scope"
    found = of(process(1, "firefox", 8 * GIB, unit))
    assert "~/.config/systemd/user/app-gnome-firefox-.scope.d/50-memory.conf" in found[0].where


def test_no_limit_that_nothing_could_work_with() -> None:
    crowded = {**ROOMY, "mem_available": 0.5 * GIB}
    found = of(process(1, "app", 2 * GIB, SERVICE), crowded)
    assert "add memory" in titles(found)
    assert "MemoryMax" not in changes(found)


def test_a_session_is_never_given_a_bound_on_tasks() -> None:
    for cgroup in (
        "/user.slice/user-1000.slice/user@1000.service/init.scope",
        "/user.slice/user-1000.slice/session-3.scope",
    ):
        where, change = tasks_place(owner_of(cgroup), 512)
        assert "user@1000.service" not in change
        assert "user-1000.slice" not in change
        assert where


@pytest.mark.parametrize("name", ["a b", "x;rm -rf /", "$(id)", "it's", "`id`", "é"])
def test_a_name_is_one_word_of_a_shell(name: str) -> None:
    assert shlex.split(shell_word(name)) == [name]


@pytest.mark.parametrize("name", ["", "--help", "a\nb", "a\x1b", "\u202e", "\udcff"])
def test_a_name_that_cannot_be_shown_is_no_word(name: str) -> None:
    assert shell_word(name) == ""


def test_a_hostile_cgroup_does_not_get_into_a_command() -> None:
    for path in (
        f"/system.slice/{HOSTILE}.service",
        "/lxc.payload.$(id)",
        "/user.slice/user-1000.slice/user@1000.service/x\n.scope",
    ):
        change = place_of(owner_of(path), Limit(GIB, GIB)).change
        assert change.isprintable() or "\n" in change
        assert "alert" not in change
        assert "$(id)" not in change.replace("'$(id)'", "")


CASES: dict[str, Callable[[], Incident]] = {
    **INCIDENTS,
    "database": lambda: incident(
        kill(process(1, "postgres", 8 * GIB, "/system.slice/postgresql.service"), ROOMY)
    ),
    "java": lambda: incident(kill(process(1, "java", 8 * GIB, SERVICE), ROOMY)),
    "inflated": lambda: incident(
        kill(
            process(1, "tab", 300 * MIB, SERVICE, adjustments=(("rule tabs", 300.0, "prefer"),)),
            ROOMY,
            runners_up=[process(2, "hog", 6 * GIB, "/system.slice/hog.service")],
        )
    ),
    "close": lambda: incident(
        kill(process(1, "one", 4 * GIB, SERVICE), ROOMY, runners_up=[process(2, "two", 3.9 * GIB, SERVICE)])
    ),
    "stuck": lambda: incident(
        kill(process(1, "app", 4 * GIB, SERVICE), ROOMY),
        outcome(5.0, GIB, GIB, 4 * GIB, outcome="stuck", state="D"),
    ),
    "refused": lambda: incident(
        kill(process(1, "app", 4 * GIB, SERVICE), ROOMY),
        outcome(0, GIB, GIB, 4 * GIB, outcome="refused", why="EPERM"),
    ),
    "late": lambda: incident(
        kill(process(1, "app", 4 * GIB, SERVICE), {**ROOMY, "mem_available": 0.1 * GIB})
    ),
    "slow": lambda: incident(
        kill(process(1, "app", 4 * GIB, SERVICE), ROOMY, timings={"total_s": 1.4}, major_faults=8)
    ),
    "again": lambda: incident(
        kill(process(1, "app", 4 * GIB, SERVICE), ROOMY),
        *(
            kill(process(at, "app", 4 * GIB, SERVICE), ROOMY, time_s=NOON_S + at, kill_id=at)
            for at in (10, 20)
        ),
    ),
    "rivals": lambda: incident(
        kill(process(1, "app", 4 * GIB, SERVICE), ROOMY),
        {"kind": "foreign_kill", "time_s": NOON_S, "by": "earlyoom"},
    ),
    "huge": lambda: incident(kill(process(1, "app", 4 * GIB, SERVICE), {**ROOMY, "hugetlb": 8.0 * GIB})),
    "no swap": lambda: incident(
        kill(process(1, "app", 4 * GIB, SERVICE), {**ROOMY, "swap_total": 0.0, "swap_free": 0.0})
    ),
    "slow swap": lambda: incident(
        kill(process(1, "app", 4 * GIB, SERVICE), {**ROOMY, "swap_free": 3.0 * GIB, "psi_full_10s": 70.0})
    ),
    "no psi": lambda: incident(
        kill(
            process(1, "app", 4 * GIB, SERVICE),
            {key: value for key, value in ROOMY.items() if "psi" not in key},
        )
    ),
    "kernel first": lambda: kernel_kill(constraint="none"),
    "fragmented": lambda: kernel_kill(constraint="none", report={"order": 4}),
    "nodes": lambda: kernel_kill(constraint="cpuset"),
    "kernel tmpfs": lambda: kernel_kill(
        report={"memcg": {"memory": {"limit_bytes": GIB}, "stats": {"shmem": GIB // 2}}, "tasks": []}
    ),
}


def kernel_kill(**more: Any) -> Incident:
    record = {**kernel().kill, **more}
    return Incident("k", NOON_S, record, (record,), ())


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("database", 'match = { unit = "postgresql.service" }'),
        ("java", "MaxRAMPercentage"),
        ("inflated", 'match = { unit = "hog.service" }'),
        ("close", 'do = "avoid"'),
        ("stuck", "wchan"),
        ("refused", "CAP_KILL"),
        ("late", 'name = "low-memory"'),
        ("slow", "LimitMEMLOCK=infinity"),
        ("again", "StartLimitBurst=3"),
        ("rivals", "systemctl disable --now earlyoom.service"),
        ("huge", "vm.nr_hugepages"),
        ("no swap", "[zram0]"),
        ("slow swap", "swap-priority"),
        ("no psi", "psi=1"),
        ("kernel first", "systemctl enable --now oomguardd"),
        ("fragmented", "vm.min_free_kbytes"),
        ("nodes", "AllowedMemoryNodes="),
        ("kernel tmpfs", "du -xsh"),
    ],
)
def test_the_figures_lead_to_the_change(name: str, words: str) -> None:
    assert words in changes(advise(CASES[name]()))


@pytest.mark.parametrize("name", CASES)
def test_what_is_for_our_own_configuration_can_be_loaded(name: str, tmp_path: Path) -> None:
    own = [one.change for one in advise(CASES[name]()) if one.where.startswith(OWN_FILE)]
    for at, change in enumerate(own):
        path = tmp_path / f"{at}.toml"
        path.write_text(change + "\n", encoding="utf-8")
        load(str(path), SIGNALS)
    assert len(own) <= len(ADVISERS)


@pytest.mark.parametrize("comm", [HOSTILE, "a*b?[c]{d}\\", '"}\ndo="never"'])
def test_a_rule_for_a_hostile_name_is_still_one_rule(comm: str, tmp_path: Path) -> None:
    record = kill(process(1, comm, 4 * GIB, "/"), ROOMY, runners_up=[process(2, "other", 3.9 * GIB, "/")])
    found = next(one for one in advise(incident(record)) if "[[rule]]" in one.change)
    path = tmp_path / "rule.toml"
    path.write_text(found.change, encoding="utf-8")
    rules = load(str(path), SIGNALS).rules
    assert [one.do for one in rules if one.name.startswith("keep-")] == ["avoid"]


def test_in_a_dry_run_nobody_comes_back() -> None:
    same = [
        kill(process(1, "app", 4 * GIB, SERVICE), ROOMY, time_s=NOON_S + at, kill_id=at, dry_run=True)
        for at in (1, 10, 20)
    ]
    found = advise(incident(*same))
    assert found
    assert not any("coming back" in one.title for one in found)


def test_a_name_that_anybody_can_take_spares_that_users_processes_only(tmp_path: Path) -> None:
    scope = "/user.slice/user-1000.slice/session-3.scope"
    found = advise(incident(kill(process(1, "postgres", 4 * GIB, scope, uid=1000), ROOMY)))
    change = next(one.change for one in found if "[[rule]]" in one.change)
    assert 'match = { name = "postgres", user = 1000 }' in change
    path = tmp_path / "rule.toml"
    path.write_text(change, encoding="utf-8")
    assert len(load(str(path), SIGNALS).rules) == 1


def test_the_kernels_sysrq_is_nothing_to_change() -> None:
    found = advise(kernel_kill(constraint="none", report={"cause": "sysrq"}))
    assert "SysRq-f" in found[0].why


def test_a_full_node_is_not_a_containers_limit() -> None:
    found = advise(kernel_kill(limit_cgroup="/kubepods.slice"))
    assert "all pods of the node together" in found[0].why


def test_as_text_the_change_stands_below_its_place() -> None:
    text = str(Advice("Do it", "It helps.", "file", "a\nb"))
    assert text == "Do it. It helps.\n  file:\n    a\n    b"
    assert str(Advice("Nothing", "No reason.")) == "Nothing. No reason."


def test_sizes_are_those_that_people_set() -> None:
    assert setting_size(rounded_bytes(6.4 * GIB)) == "6400M"
    assert setting_size(rounded_bytes(13.7 * GIB)) == "13G"
    assert setting_size(rounded_bytes(700 * MIB)) == "688M"


def test_nothing_is_known_of_nothing() -> None:
    found = advise(Incident("x", NOON_S, {"kind": "foreign_kill"}, (), ()))
    assert "Too little is known" in found[0].why


def test_the_leak_of_three_seconds_is_not_blamed_on_missing_swap() -> None:
    assert "swap" not in titles(advise(fast_leak()))
