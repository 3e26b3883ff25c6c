"""Slurm's jobs and steps. See slurm, src/plugins/cgroup/v1/xcgroup.c and v2/cgroup_v2.c.

v1: /slurm[_<node>]/uid_<uid>/job_<job>/step_<step>/task_<task>
v2: /system.slice/[<node>_]slurmstepd.scope/job_<job>/step_<step>/user/task_<task>, where
step_<step>/slurm has the daemons of the step, and the scope's own system/ what keeps the scope: both are the
node's.
"""

from __future__ import annotations

from oomguardd.runtimes.base import Branch, Claim, number


def claim(branch: Branch) -> Claim | None:
    """A process of a job; the scope that all jobs share is nobody's unit."""
    if branch.user:
        return None
    if branch.unit:
        is_scope = branch.unit == "slurmstepd.scope" or branch.unit.endswith("_slurmstepd.scope")
        return _in_scope(branch) if is_scope else None
    top = branch.directory
    if top != "slurm" and not top.startswith("slurm_"):
        return None
    at = branch.root + 1
    uid = number(branch.part(at), "uid_")
    job = _after("job_", branch.part(at + 1))
    if uid is None or not job:
        return None
    return Claim("slurm", job=job, job_end=at + 2, step=_after("step_", branch.part(at + 2)), uid=uid)


def _in_scope(branch: Branch) -> Claim:
    at = branch.slices + 1
    job, step = _after("job_", branch.part(at)), _after("step_", branch.part(at + 1))
    if not job or not step or branch.part(at + 2) != "user":
        return Claim("", shares_unit=True)
    return Claim("slurm", job=job, job_end=at + 1, step=step, shares_unit=True)


def _after(prefix: str, text: str) -> str:
    found = text[len(prefix) :]
    return found if text.startswith(prefix) and found.isascii() and found.isalnum() else ""
