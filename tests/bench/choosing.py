"""How long it takes to find the victim, against listing /proc and reading every oom_score once."""

from __future__ import annotations

import os
from collections.abc import Callable
from statistics import median
from time import perf_counter

from oomguardd.census.dossier import Dossier
from oomguardd.census.programs import Programs
from oomguardd.engine.select import Limits
from oomguardd.guard.scout import Found, Scout
from oomguardd.kernel.cgroupfs import find_cgroups
from oomguardd.kernel.files import open_dir
from oomguardd.model import Sample
from oomguardd.policies.set import PolicySet
from oomguardd.rules import AVOID_POINTS, PREFER_POINTS, Clause, Rule
from oomguardd.sections import Config
from oomguardd.sensors import machine_sensors
from tests.bench.population import hog, idle_processes
from tests.bench.rows import Row, ms


def baseline() -> int:
    """What any daemon written in Python would do at the least."""
    worst = 0
    for name in os.listdir("/proc"):
        if name.isdecimal():
            try:
                fd = os.open(f"/proc/{name}/oom_score", os.O_RDONLY)
            except OSError:
                continue
            try:
                worst = max(worst, int(os.read(fd, 32)))
            except OSError:
                pass
            finally:
                os.close(fd)
    return worst


def timed(work: Callable[[], object]) -> float:
    began_s = perf_counter()
    work()
    return perf_counter() - began_s


def choosing(count: int, rounds: int) -> list[Row]:
    """Baseline, scan and scan-ahead in turn, so that a slow moment hits all three."""
    memory = machine_sensors()[0]
    sample: Sample = {}
    memory.sample(0.0, sample)
    unused = sample["mem_available"] + sample["swap_free"]
    totals = memory.totals()
    proc_fd = open_dir("/proc")
    limits = Limits(100, 16 << 20, frozenset({os.getpid()}), ())
    cold = Scout(proc_fd, 64, 5)
    warned = Scout(proc_fd, 64, 5)
    base, full, ahead = [], [], []

    def right(found: Found) -> Found:
        victim = found.verdict.victim
        assert victim is not None, "nobody was chosen"
        assert victim.candidate.pid == pid, "the wrong one was chosen"
        return found

    used_ahead = 0
    with idle_processes(count), hog(totals.ram_bytes // 50) as pid:
        for _ in range(rounds):
            base.append(timed(baseline))
            cold.ahead = None
            full.append(timed(lambda: right(cold.choose(unused, totals, limits))))
            warned.look_ahead(unused, totals, limits)
            began_s = perf_counter()
            used_ahead += right(warned.choose(unused, totals, limits)).ahead
            ahead.append(perf_counter() - began_s)
    os.close(proc_fd)
    whole = median(base)
    return [
        Row(f"{count} processes: list /proc and read every oom_score", ms(whole), "1.00"),
        Row(f"{count} processes: choose", ms(median(full)), f"{median(full) / whole:.2f}"),
        Row(
            f"{count} processes: choose after a warning ({used_ahead} of {rounds} from the scan ahead)",
            ms(median(ahead)),
            f"1/{whole / median(ahead):.1f}",
        ),
    ]


def two_hundred_rules() -> list[Rule]:
    """Of every kind, none of which is about those who are there: so that each has to be looked at."""
    rules = []
    for number in range(40):
        rules += [
            _rule(number, "name", (f"worker-{number}", f"job{number}*"), "prefer"),
            _rule(number, "exe", (f"/opt/app{number}/bin/*", f"/srv/{number}/run"), "never"),
            _rule(number, "cgroup", (f"/system.slice/app{number}.service*",), "avoid"),
            _rule(number, "user", (), "points", numbers=(20_000 + number,)),
            _rule(number, "cmdline", (f"java .*-Dapp={number}( |$)",), "prefer", regex=True),
        ]
    return rules


def _rule(
    number: int, key: str, texts: tuple[str, ...], do: str, regex: bool = False, numbers: tuple[int, ...] = ()
) -> Rule:
    points = {"prefer": PREFER_POINTS, "avoid": AVOID_POINTS, "points": 50.0}.get(do, 0.0)
    clause = Clause(key, regex, texts, numbers, written=" ".join(texts))
    return Rule(f"{key}-{number}", (clause,), do, points)


def with_rules(count: int, rounds: int) -> list[Row]:
    """No policy and no rule, then the shipped policies, then 200 rules on top, in turn."""
    memory = machine_sensors()[0]
    sample: Sample = {}
    memory.sample(0.0, sample)
    unused = sample["mem_available"] + sample["swap_free"]
    totals = memory.totals()
    proc_fd = open_dir("/proc")
    programs = Programs(proc_fd)
    programs.start()
    bare = Limits(100, 16 << 20, frozenset({os.getpid()}), ())
    shipped = Config().policies
    sets = {
        "none": PolicySet(),
        "the shipped policies": PolicySet(shipped),
        "the shipped policies and 200 rules": PolicySet(shipped, two_hundred_rules()),
    }
    cold: dict[str, list[float]] = {name: [] for name in sets}
    warned: dict[str, list[float]] = {name: [] for name in sets}
    with idle_processes(count), hog(totals.ram_bytes // 50) as pid:
        scouts = {
            name: Scout(proc_fd, 64, 5, dossier=Dossier(proc_fd, find_cgroups(), programs), swarm=32)
            for name in sets
        }
        for _ in range(rounds):
            for name, policies in sets.items():
                scout, limits = scouts[name], bare._replace(policies=policies)
                for times, ahead in ((cold, False), (warned, True)):
                    scout.ahead = None
                    if ahead:
                        scout.look_ahead(unused, totals, limits)
                    began_s = perf_counter()
                    found = scout.choose(unused, totals, limits)
                    times[name].append(perf_counter() - began_s)
                    victim = found.verdict.victim
                    assert victim is not None, "nobody was chosen"
                    assert victim.candidate.pid == pid, "the wrong one was chosen"
    programs.close()
    os.close(proc_fd)
    rows = []
    for what, all_times in (("choose", cold), ("choose after a warning", warned)):
        whole = median(all_times["none"])
        rows += [
            Row(f"{count} processes: {what}, with {name}", ms(median(times)), f"{median(times) / whole:.2f}")
            for name, times in all_times.items()
        ]
    return rows
