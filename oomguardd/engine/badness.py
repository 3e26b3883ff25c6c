"""mm/oom_kill.c, oom_badness(), as kernels from 5.9 to today compute it. See also fs/proc/base.c,
proc_oom_score().

Rule of this file: integers only, in the kernel's order of operations, so that a result is equal and not near.
"""

from __future__ import annotations

from oomguardd.model import PAGE_BYTES, Candidate, Totals

NEVER = -1000
"""OOM_SCORE_ADJ_MIN: the one value that is immunity; every other negative one is only a subsidy."""


def kernel_pages(c: Candidate, totals: Totals) -> int:
    """The victim's points in pages, as the kernel ranks by; negative for a well protected process."""
    memory = c.rss_anon_bytes + c.rss_file_bytes + c.rss_shmem_bytes + c.swap_bytes
    return memory // PAGE_BYTES + c.pagetables_bytes // PAGE_BYTES + c.oom_score_adj * totals.point_pages


def oom_score(pages: int, totals: Totals) -> int:
    """What /proc/PID/oom_score prints for a process of that many points (0 is also "not eligible")."""
    return divide((1000 + divide(pages * 1000, totals.pages)) * 2, 3)


def divide(a: int, b: int) -> int:
    """C's division: towards zero, where Python's goes down. `b` is positive."""
    return a // b if a >= 0 else -(-a // b)
