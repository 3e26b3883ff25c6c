"""Recordings made by hand: a machine of 1 GiB on which a leak grows beside a database."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from oomguardd.ctl.tapes.recording import Encoder, Header, header_line
from oomguardd.model import PAGE_BYTES, Candidate, Totals
from oomguardd.runtimes import owner_of
from tests.fakes import GIB, MIB

TOTALS = Totals(GIB, 0)


def process(pid: int, mib: int, **fields: Any) -> Candidate:
    """An ordinary one that holds so much."""
    plain: dict[str, Any] = {
        "ppid": 1,
        "start_ticks": 100 + pid,
        "comm": f"p{pid}",
        "uid": 1000,
        "nice": 0,
        "age_s": 100.0,
        "state": "S",
        "threads": 1,
        "cgroup": "/",
        "rss_anon_bytes": mib * MIB,
        "rss_file_bytes": 0,
        "rss_shmem_bytes": 0,
        "swap_bytes": 0,
        "pagetables_bytes": 0,
        "oom_score_adj": 0,
        "exe": f"/opt/{pid}",
        "cmdline": f"/opt/{pid} --go",
    }
    fields = plain | fields
    return Candidate(pid=pid, owner=owner_of(fields["cgroup"]), **fields)


DATABASE = process(20, 380, comm="database", uid=999, cgroup="/system.slice/db.service", age_s=5000.0)


def header(**fields: Any) -> Header:
    return Header(1e9, 1.0, TOTALS, PAGE_BYTES, kernel="6.1", hostname="box")._replace(**fields)


def leaking(moments: int = 12, step_mib: int = 50, others: Iterable[Candidate] = (DATABASE,)) -> list[str]:
    """The lines of a recording in which pid 30 takes `step_mib` more each second."""
    encoder, kept = Encoder(), tuple(others)
    held = sum(c.held_bytes for c in kept) // MIB
    lines = [header_line(header())]
    for t in range(moments):
        leak = process(30, 10 + t * step_mib, comm="leak", age_s=float(t + 1))
        available = max(0, 1024 - 50 - held - 10 - t * step_mib) * MIB
        sample = {"mem_total": float(GIB), "mem_available": float(available), "swap_total": 0.0}
        lines.append(
            encoder.line(float(t), sample, 0, TOTALS, [replace(c, age_s=c.age_s + t) for c in (*kept, leak)])
        )
    return lines


def write(path: Path, lines: Iterable[str]) -> str:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="ascii")
    return str(path)
