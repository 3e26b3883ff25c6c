"""Formats of which there is no real report here, in the kernel's own words of each version."""

from __future__ import annotations

import pytest

from oomguardd.oomlog import Report, decode, explain
from tests.oomlogs import COMPLETE, lines_of, said_by, usec_of


def one(text: str) -> Report:
    (report,) = decode(text.strip("\n").splitlines())
    return report


def pid(report: Report) -> int | None:
    return report.victim.pid if report.victim else None


def test_2_6_8() -> None:
    report = one(
        """
oom-killer: gfp_mask=0xd2
DMA per-cpu:
cpu 0 hot: low 2, high 6, batch 1
Free pages:        1124kB (0kB HighMem)
Active:55434 inactive:3210 dirty:0 writeback:0 unstable:0 free:281 slab:3203 mapped:55000 pagetables:1200
DMA free:1124kB min:20kB low:40kB high:60kB active:0kB inactive:0kB present:16384kB
protections[]: 10 358 358
Normal free:716kB min:716kB low:1432kB high:2148kB active:221736kB inactive:12840kB present:245760kB
DMA: 1*4kB 0*8kB 0*16kB 1*32kB 1*64kB 0*128kB 0*256kB 0*512kB 1*1024kB 0*2048kB 0*4096kB = 1124kB
Swap cache: add 100, delete 100, find 10/20, race 0+0
Free swap:            0kB
65536 pages of RAM
1500 reserved pages
Out of Memory: Killed process 1234 (java).
"""
    )
    assert (report.cause, report.gfp_mask, report.order, pid(report)) == ("global", 0xD2, None, 1234)
    assert report.trigger is not None
    assert report.trigger.comm == ""
    memory = report.memory
    assert memory is not None
    assert (memory.ram_bytes, memory.reserved_bytes, memory.swap_free_bytes) == (65536 << 12, 1500 << 12, 0)
    assert [(zone.name, zone.free_bytes) for zone in memory.zones] == [
        ("DMA", 1124 << 10),
        ("Normal", 716 << 10),
    ]
    assert memory.counters["pagetables"] == 1200 << 12


def test_2_6_18() -> None:
    report = one(
        """
oom-killer: gfp_mask=0x201d2, order=0
Mem-info:
Out of Memory: Kill process 2222 (httpd) score 9999 and children.
Out of memory: Killed process 2223 (httpd).
"""
    )
    assert report.announced is not None
    assert (report.announced.pid, report.announced.score, pid(report), report.order) == (2222, 9999, 2223, 0)


def test_2_6_32_of_red_hat() -> None:
    report = one(
        """
mysqld invoked oom-killer: gfp_mask=0x200da, order=0, oom_adj=0, oom_score_adj=0
mysqld cpuset=/ mems_allowed=0
Pid: 11726, comm: mysqld Not tainted 2.6.32-431.el6.x86_64 #1
[ pid ]   uid  tgid total_vm      rss cpu oom_adj oom_score_adj name
[11726]   498 11726   500000   250000   1     -17         -1000 mysqld
[11727]   498 11727      100       10   0       0             0 web content
Out of memory: Kill process 11726 (mysqld) score 900 or sacrifice child
Killed process 11726, UID 498, (mysqld) total-vm:2000000kB, anon-rss:999000kB, file-rss:1000kB
"""
    )
    assert report.victim is not None
    assert (report.victim.comm, report.victim.uid, report.victim.rss_anon_bytes) == (
        "mysqld",
        498,
        999000 << 10,
    )
    assert report.kernel == "2.6.32-431.el6.x86_64"
    first, second = report.tasks
    assert (first.oom_adj, first.oom_score_adj, first.pagetables_bytes) == (-17, -1000, None)
    assert second.comm == "web content"
    assert not report.page_assumed  # 500000 pages are 2000000 kB


def test_rhel_7_7_and_sharers() -> None:
    report = one(
        """
Memory cgroup out of memory: Kill process 7 (a (b) c) score 100 or sacrifice child
Killed process 7 (a (b) c), UID 1000, total-vm:10kB, anon-rss:4kB, file-rss:0kB, shmem-rss:0kB
Kill process 8 (worker) sharing same memory
"""
    )
    assert [(victim.pid, victim.comm, victim.uid) for victim in report.victims] == [
        (7, "a (b) c", 1000),
        (8, "worker", None),
    ]
    assert report.cause == "memcg"
    assert not report.complete


def test_split_continuations_of_old_consoles() -> None:
    report = one(
        """
[   10.000001] app invoked oom-killer: gfp_mask=0xd0, order=0, oom_score_adj=0
[   10.000002] Task in
[   10.000003] /docker/0123456789abcdef
[   10.000004]  killed as a result of limit of
[   10.000005] /docker
[   10.000006] memory: usage 204800kB, limit 204800kB, failcnt 25
[   10.000007] Memory cgroup stats for /docker: cache:4KB rss:100KB swap:0KB
[   10.000008] Memory cgroup stats for /docker/0123456789abcdef: cache:8KB rss:204000KB swap:0KB
[   10.000009] Memory cgroup out of memory: Kill process 31 (app) score 999 or sacrifice child
[   10.000010] Killed process 31 (app) total-vm:1000kB, anon-rss:900kB, file-rss:100kB
"""
    )
    assert report.memcg is not None
    assert (report.memcg.victim, report.memcg.owner) == ("/docker/0123456789abcdef", "/docker")
    assert report.memcg.stats == {"cache": 12 << 10, "rss": 204100 << 10, "swap": 0}


def test_split_oom_kill_line() -> None:
    report = one(
        """
[   10.000001] oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0-1,3
[   10.000002] ,oom_memcg=/a,task_memcg=/a/b,task=x,pid=31,uid=5
[   10.000003] Memory cgroup out of memory: Killed process 31 (x) total-vm:1kB, anon-rss:1kB, file-rss:0kB
"""
    )
    assert report.memcg is not None
    assert (report.memcg.owner, report.memcg.victim, report.mems_allowed) == ("/a", "/a/b", "0-1,3")
    assert report.victim is not None
    assert report.victim.uid == 5


def test_constraints_of_nodes() -> None:
    text = """
app invoked oom-killer: gfp_mask=0x140cca(GFP_HIGHUSER_MOVABLE|__GFP_COMP), order=0, oom_score_adj=0
Node 0 Normal free:9000000kB min:100kB low:200kB high:300kB managed:16000000kB
Node 1 Normal free:90kB min:100kB low:200kB high:300kB managed:16000000kB
Total swap = 0kB
oom-kill:constraint=CONSTRAINT_{},nodemask={},cpuset=/jobs,mems_allowed={},global_oom,task_memcg=/,task=a,pid=3,uid=0
Out of memory: Killed process 3 (a) total-vm:1kB, anon-rss:1kB, file-rss:0kB, UID:0 pgtables:4kB
"""
    policy = one(text.format("MEMORY_POLICY", "1", "0-1"))
    cpuset = one(text.format("CPUSET", "(null)", "1"))
    assert (policy.cause, policy.nodemask) == ("mempolicy", "1")
    assert (cpuset.cause, cpuset.cpuset, cpuset.mems_allowed) == ("cpuset", "/jobs", "1")
    for report in (policy, cpuset):
        assert "8.6 GiB free" in " ".join(explain(report))


def test_panics() -> None:
    on_purpose = one("Kernel panic - not syncing: Out of memory: compulsory panic_on_oom is enabled")
    deadlock = one(
        """
init invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0
Out of memory and no killable processes...
Kernel panic - not syncing: System is deadlocked on memory
"""
    )
    assert on_purpose.panic == "Out of memory: compulsory panic_on_oom is enabled"
    assert (deadlock.panic, deadlock.nobody_killable) == ("System is deadlocked on memory", True)


def test_already_exiting() -> None:
    report = one(
        """
app invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0
Out of memory: OOM victim 77 (a) b) is already exiting. Skip killing the task
"""
    )
    assert report.already_exiting == (77,)
    assert report.complete


def test_unreapable() -> None:
    report = one(
        """
Out of memory: Killed process 9 (x) total-vm:1kB, anon-rss:1kB, file-rss:0kB
oom_reaper: unable to reap pid:9 (x)
"""
    )
    assert report.victim is not None
    assert report.victim.unreapable


def test_sysrq_of_old_kernels_has_order_0() -> None:
    report = one(
        """
SysRq : Manual OOM execution
kworker/0:1 invoked oom-killer: gfp_mask=0xd0, order=0, oom_score_adj=0
Out of memory: Kill process 9 (x) score 1 or sacrifice child
Killed process 9 (x) total-vm:1kB, anon-rss:1kB, file-rss:0kB
"""
    )
    assert report.cause == "sysrq"


def test_protection_and_negative_swap() -> None:
    report = one(
        """
a invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0
Memory cgroup min protection 1024kB -- low protection 2048kB
Mem-Info:
Free swap  = -245804kB
Total swap = 1000kB
Out of memory: Killed process 9 (x) total-vm:1kB, anon-rss:1kB, file-rss:0kB
"""
    )
    assert (report.cause, report.memory and report.memory.swap_free_bytes) == ("global", 0)
    assert report.memcg is not None
    assert (report.memcg.protected_min_bytes, report.memcg.protected_low_bytes) == (1 << 20, 2 << 20)


@pytest.mark.parametrize(
    "comm",
    ["x) total-vm:1kB", "a,task=b,pid=1", "(sd-pam)", "531", "Web Content", "", ")(", "[ 12.5] kernel:"],
)
def test_hostile_names(comm: str) -> None:
    rest = f",oom_memcg=/x,y,task_memcg=/x,y/z,task={comm},pid=300,uid=12"
    text = f"""
{comm} invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0
[  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name
[    300]    12   300      571        5    51200       96             0 {comm}
oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=a,b,mems_allowed=0{rest}
Memory cgroup out of memory: Killed process 300 ({comm}) total-vm:2284kB, anon-rss:20kB, UID:12 pgtables:50kB
"""
    report = one(text)
    assert report.victim is not None
    assert (report.victim.pid, report.victim.comm, report.victim.uid) == (300, comm, 12)
    assert report.victim.total_vm_bytes == 2284 << 10
    assert [task.comm for task in report.tasks] == [comm]
    assert report.memcg is not None
    assert (report.memcg.owner, report.cpuset) == ("/x,y", "a,b")
    assert all(line.isprintable() for line in explain(report))


@pytest.mark.parametrize("page_kb", [4, 16, 64])
def test_the_size_of_a_page(page_kb: int) -> None:
    by_row = one(
        f"""
[  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name
[    300]     0   300      571        5    51200       96             0 x
Out of memory: Killed process 300 (x) total-vm:{571 * page_kb}kB, anon-rss:0kB, file-rss:0kB, shmem-rss:0kB
"""
    )
    blocks = " ".join(f"1*{page_kb << order}kB (U)" for order in range(11))
    by_blocks = one(
        f"""
x invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0
Mem-Info:
active_anon:10 inactive_anon:20 isolated_anon:0
Node 0 Normal: {blocks} = {page_kb * 2047}kB
100 pages RAM
Out of memory: Killed process 300 (x) total-vm:64kB, anon-rss:0kB, file-rss:0kB, shmem-rss:0kB
"""
    )
    for report in (by_row, by_blocks):
        assert (report.page_bytes, report.page_assumed) == (page_kb << 10, False)
    assert by_blocks.memory is not None
    assert by_blocks.memory.ram_bytes == 100 * page_kb << 10


def test_s390() -> None:
    report = one(
        """
java invoked oom-killer: gfp_mask=0x201da, order=0, oom_adj=0
Process java (pid: 4242, task: 000000001f0a0000, ksp: 000000001f0a3d68)
Out of memory: kill process 4242 (java) score 1 or a child
Killed process 4242 (java)
"""
    )
    assert report.trigger is not None
    assert report.trigger.pid == 4242


@pytest.mark.parametrize("name", COMPLETE)
def test_many_lines_in_one_record(name: str) -> None:
    """The kernel prints some blocks at once; /dev/kmsg and rsyslog escape the newlines, each in its way."""
    blocks: list[tuple[int, list[str]]] = []
    for line in lines_of(name):
        if blocks and blocks[-1][0] == usec_of(line):
            blocks[-1][1].append(said_by(line))
        else:
            blocks.append((usec_of(line), [said_by(line)]))
    assert max(len(said) for _, said in blocks) > 4 or "6." in name
    kmsg = [f"6,{at},{usec},-;" + "\\x0a".join(said) for at, (usec, said) in enumerate(blocks)]
    rsyslog = ["Nov  3 03:54:03 web-7 kernel: " + "#012".join(said) for _, said in blocks]
    (plain,) = decode(lines_of(name))
    for lines in (kmsg, rsyslog):
        (found,) = decode(lines)
        assert (found.memory, found.memcg, found.tasks) == (plain.memory, plain.memcg, plain.tasks)
        assert found.victims == plain.victims
