"""Several reports, and what is between, before and after them."""

from __future__ import annotations

import random

import pytest

from oomguardd.oomlog import Decoder, Report, decode
from oomguardd.oomlog.stream import MOST_WAITING
from tests.oomlogs import COMPLETE, STYLES, lines_of

ONE = "lab-6.12.107-global.log"
OTHER = "lab-6.12.107-memcg_oom_group.log"
NOISE = (
    "[ 117.2] usb 1-1: new high-speed USB device number 2 using xhci_hcd",
    "[ 117.2] EXT4-fs (sda1): mounted filesystem with ordered data mode",
    "[ 117.2] WARNING: CPU: 3 PID: 77 at drivers/gpu/drm/i915/intel_fbc.c:1200",
    "[ 117.2] CPU: 3 PID: 77 Comm: kworker/3:1 Tainted: G W 6.12.107 #1",
    "[ 117.2] Hardware name: Somebody else's/Board, BIOS 1 01/01/2001",
    "[ 117.2] nouveau 0000:01:00.0: fifo: fault 00 [READ] at 0000000000000000 engine 05",
    '[ 117.2] audit: type=1400 audit(1700000000.123:45): apparmor="DENIED" pid=100 comm="Killed"',
    "",
)


def pids(report: Report) -> list[int]:
    return [victim.pid for victim in report.victims]


def noisy(lines: list[str], seed: int) -> list[str]:
    rng = random.Random(seed)
    mixed: list[str] = []
    for line in lines:
        noise = rng.sample(NOISE, rng.choice((0, 0, 1, 2)))
        mixed += [line, *(other.replace("[ 117.2]", line[: line.index("]") + 1]) for other in noise)]
    return mixed


@pytest.mark.parametrize("name", COMPLETE)
@pytest.mark.parametrize("style", ["dmesg", "syslog", "kmsg", "journal short-monotonic"])
def test_other_drivers_in_between(name: str, style: str) -> None:
    lines = lines_of(name)
    (clean,) = decode(map(STYLES[style], lines))
    (found,) = decode(map(STYLES[style], noisy(lines, 7)))
    assert found == clean or clean.hardware == "" != found.hardware


def test_other_programs_in_between() -> None:
    lines = list(map(STYLES["syslog"], lines_of(ONE)))
    hearsay = (
        "Nov  3 03:54:03 web-7 kubelet[77]: Memory cgroup out of memory: Killed process 1 (init) total-vm:1kB"
    )
    mixed = [part for line in lines for part in (line, hearsay)]
    assert list(decode(mixed)) == list(decode(lines))


@pytest.mark.parametrize("seed", range(5))
def test_two_at_once_told_apart_by_their_callers(seed: int) -> None:
    def calling(name: str, caller: str) -> list[str]:
        return [line.replace("] ", f"][ {caller}] ", 1) for line in lines_of(name)]

    rng = random.Random(seed)
    one, other = calling(ONE, "T175"), calling(OTHER, "T165")
    order = [0] * len(one) + [1] * len(other)
    rng.shuffle(order)
    sources = (iter(one), iter(other))
    found = list(decode([next(sources[which]).replace("[  117", "[   28") for which in order]))
    assert sorted(pids(report) for report in found) == [[165, 163], [175]]
    whole = next(report for report in found if pids(report) == [175])
    group = next(report for report in found if pids(report) != [175])
    assert (len(whole.tasks), len(group.tasks)) == (3, 3)
    assert whole.memory is not None
    assert group.memory is None
    assert group.memcg is not None
    assert group.memcg.owner == "/grp"


@pytest.mark.parametrize("style", ["syslog", "rfc 5424", "journal short-iso"])
def test_two_hosts_in_one_log(style: str) -> None:
    one = [STYLES[style](line) for line in lines_of(ONE)]
    other = [STYLES[style](line).replace("web-7", "db-1") for line in lines_of(OTHER)]
    mixed = [line for pair in zip(one, other, strict=False) for line in pair]
    mixed += one[len(other) :] + other[len(one) :]
    found = {report.host: report for report in decode(mixed)}
    assert found["web-7"] == next(decode(one))
    assert found["db-1"] == next(decode(other))


def test_two_at_once_in_blocks() -> None:
    one, other = lines_of("lab-6.12.107-memcg_simple.log"), lines_of("lab-6.12.107-global.log")
    other = [line.replace("[  117", "[   12") for line in other]
    mixed = [*one[:20], *other[:20], *one[20:], *other[20:]]
    found = list(decode(mixed))
    assert sorted(pids(report) for report in found) == [[155], [175]]
    assert {len(report.tasks) for report in found} == {1, 3}


@pytest.mark.parametrize("name", [ONE, OTHER, "lab-5.10.223-memcg_simple.log"])
def test_a_cut_start_loses_only_what_was_there(name: str) -> None:
    lines = lines_of(name)
    (whole,) = decode(lines)
    for start in range(1, len(lines) - 3):
        found = list(decode(lines[start:]))
        assert len(found) == 1, start
        assert pids(found[0]) == pids(whole), start
        assert not found[0].complete
        rows = {task.pid for task in found[0].tasks}
        assert rows == {task.pid for task in whole.tasks} or any(
            "[  pid  ]" in line for line in lines[:start]
        )


@pytest.mark.parametrize("name", COMPLETE)
def test_a_cut_end_loses_only_what_was_there(name: str) -> None:
    lines = lines_of(name)
    header = next(at for at, line in enumerate(lines) if "invoked oom-killer" in line)
    for end in range(header + 1, len(lines)):
        found = list(decode(lines[:end]))
        assert len(found) == 1, end
        assert found[0].trigger is not None


def test_bare_kill_lines() -> None:
    """The header and the table are rate-limited, the kill is not."""
    text = (
        "[  5.{}] Memory cgroup out of memory: Killed process {} (x) total-vm:4kB, anon-rss:4kB, file-rss:0kB"
    )
    found = list(decode([text.format(pid, pid) for pid in range(100, 200)]))
    assert [pids(report) for report in found] == [[pid] for pid in range(100, 200)]
    assert {report.cause for report in found} == {"memcg"}


def test_the_reaper_of_an_earlier_victim() -> None:
    first, second = decode(lines_of("08-4.19.0-rc2.log"))
    assert first.victim is not None
    assert second.victim is not None
    assert first.victim.reaped == (0, 0, 0)
    assert second.victim.reaped is None


def test_page_allocation_failures_are_no_oom() -> None:
    lines = lines_of(ONE)
    start = next(at for at, line in enumerate(lines) if "Mem-Info" in line)
    end = next(at for at, line in enumerate(lines) if "Tasks state" in line)
    failure = ["[ 117.1] swapper/0: page allocation failure: order:4, mode:0xcc0(GFP_KERNEL)"]
    assert list(decode([*failure, *lines[start:end]])) == []
    assert list(decode([*(["[ 1.0] x"] * 400), *lines[start:end]])) == []


def test_a_log_with_holes_is_searched_again() -> None:
    lines = lines_of(ONE)
    table = next(at for at, line in enumerate(lines) if "[  pid  ]" in line)
    log = ["[ 1.0] quiet"] * 5000 + ["[ 117.0] ** 84 printk messages dropped **", *lines[table + 1 :]]
    (report,) = decode(log)
    assert len(report.tasks) == 3


def test_another_boot_ends_what_was_open() -> None:
    lines = lines_of(ONE)
    cut, again = lines[:60], lines_of("lab-6.12.107-memcg_simple.log")
    found = list(decode([*cut, "[    0.000000] Linux version 6.12", *again]))
    assert [pids(report) for report in found] == [[], [155]]


def test_lines_printed_twice() -> None:
    """By the console and by the log, side by side."""
    for name in COMPLETE:
        lines = lines_of(name)
        doubled = [line for line in lines for _ in range(2)]
        assert list(decode(doubled)) == list(decode(lines)), name


def test_memory_is_bounded() -> None:
    decoder = Decoder()
    header = "[ {}.5] a invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0"
    found = [report for at in range(5000) for report in decoder.feed(header.format(at))]
    held = 5000 - len(found)
    assert held <= 2 * MOST_WAITING
    hosts = "Nov  3 03:54:03 h{} kernel: [ 5.5] Out of memory: Killed process {} (x) total-vm:4kB"
    found = [report for at in range(5000) for report in decoder.feed(hosts.format(at, at))]
    assert len(found) + len(decoder.finish()) >= 5000 + held
    assert decoder.finish() == []


@pytest.mark.parametrize("width", [72, 78, 100])
def test_wrapped_by_a_mail_program(width: int) -> None:
    for name in COMPLETE:
        if "global" in name or "sysrq" in name:
            continue
        (whole,) = decode(lines_of(name))
        (found,) = decode(folded(lines_of(name), width))
        assert pids(found) == pids(whole), name
        assert found.tasks == whole.tasks, name
        assert found.memcg == whole.memcg, name
        assert (found.trigger, found.gfp_flags, found.kernel) == (
            whole.trigger,
            whole.gfp_flags,
            whole.kernel,
        )
        assert found.victims == whole.victims, name


def folded(lines: list[str], width: int) -> list[str]:
    """Broken at blanks, as mail programs do."""
    result = []
    for line in lines:
        while len(line) > width and " " in line[20:width]:
            at = line.rindex(" ", 20, width)
            result.append(line[:at])
            line = line[at + 1 :]
        result.append(line)
    return result


def test_a_reaper_of_nobody_known_disturbs_nobody() -> None:
    lines = lines_of(ONE)
    for at in range(1, len(lines)):
        stray = (
            "[  117.21] oom_reaper: reaped process 4711 (x), now anon-rss:0kB, file-rss:0kB, shmem-rss:0kB"
        )
        found = list(decode([*lines[:at], stray, *lines[at:]]))
        assert sorted(pids(report) for report in found) == [[175], [4711]], at
        assert [report for report in found if pids(report) == [175]] == list(decode(lines))


def test_a_bare_kill_in_between_is_another_report() -> None:
    lines = lines_of(ONE)
    stray = "[  117.21] Memory cgroup out of memory: Killed process 4711 (x) total-vm:8kB, anon-rss:8kB"
    found = list(decode([*lines[:-1], stray, lines[-1]]))  # after the line that says whom it will be
    assert sorted(pids(report) for report in found) == [[175], [4711]]


def test_a_group_takes_only_its_own() -> None:
    lines = lines_of(OTHER)
    stray = "[   28.7] Memory cgroup out of memory: Killed process 4711 (x) total-vm:8kB, anon-rss:8kB"
    quiet = ["[   28.7] usb 1-1: new device"] * 20
    found = list(decode([*lines, *quiet, stray]))
    assert sorted(pids(report) for report in found) == [[165, 163], [4711]]
    twice = list(decode([*lines, *lines[-3:], *quiet]))
    assert [pids(report) for report in twice] == [[165, 163]]


def test_a_group_is_told_once_however_early_it_is_flushed() -> None:
    decoder, found = Decoder(), []
    for line in lines_of(OTHER):
        found += decoder.feed(line) + decoder.flush()
    found += decoder.finish()
    assert sorted(pid for report in found for pid in pids(report)) == [163, 165]
