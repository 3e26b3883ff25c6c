"""Slurm's jobs in both layouts, and the daemons beside them."""

from __future__ import annotations

import pytest

from oomguardd.runtimes import owner_of

MANAGER = "/user.slice/user-1000.slice/user@1000.service"


@pytest.mark.parametrize(
    ("job", "below", "uid", "id_", "step"),
    [
        ("/slurm/uid_2101171/job_280678", "/step_interactive/task_0", 2101171, "280678", "interactive"),
        ("/slurm/uid_1001/job_42", "/step_batch", 1001, "42", "batch"),
        ("/slurm/uid_1001/job_42", "", 1001, "42", ""),
        ("/slurm_node7/uid_0/job_42", "/step_0/task_3", 0, "42", "0"),
        ("/system.slice/slurmstepd.scope/job_1392969", "/step_0/user/task_0", None, "1392969", "0"),
        ("/system.slice/slurmstepd.scope/job_42", "/step_extern/user", None, "42", "extern"),
        ("/system.slice/node7_slurmstepd.scope/job_42", "/step_batch/user/task_special", None, "42", "batch"),
    ],
)
def test_jobs(job: str, below: str, uid: int | None, id_: str, step: str) -> None:
    owner = owner_of(job + below)
    assert (owner.runtime, owner.job, owner.step, owner.uid) == ("slurm", id_, step, uid)
    assert owner.place("job") == job
    assert owner.place("unit") == ""
    assert owner.container == ""


@pytest.mark.parametrize(
    "path",
    [
        "/system.slice/slurmstepd.scope",
        "/system.slice/slurmstepd.scope/system",
        "/system.slice/slurmstepd.scope/job_42",
        "/system.slice/slurmstepd.scope/job_42/step_0",
        "/system.slice/slurmstepd.scope/job_42/step_0/slurm",
        "/system.slice/node7_slurmstepd.scope/job_42/step_0/slurm",
        "/system.slice/slurmd.service",
        "/system.slice/slurmstepd.service/job_1/step_0/user",
        "/system.slice/notslurmstepd.scope/job_1/step_0/user",
        "/slurm",
        "/slurm/system",
        "/slurm/uid_1001",
        "/slurm/uid_x/job_1/step_0",
        "/slurm/uid_1001/job_/step_0",
        "/slurmx/uid_1001/job_1/step_0",
        "/foo/slurm/uid_1001/job_1/step_0",
        "/system.slice/evil.service/slurm/uid_0/job_1/step_0",
        f"{MANAGER}/slurm/uid_0/job_1/step_0",
        f"{MANAGER}/app.slice/slurmstepd.scope/job_1/step_0/user/task_0",
    ],
)
def test_daemons_and_look_alikes(path: str) -> None:
    owner = owner_of(path)
    assert (owner.runtime, owner.job, owner.step, owner.place("job")) == ("", "", "", "")


@pytest.mark.parametrize("below", ["", "/system", "/job_42/step_0/slurm", "/job_42/step_0/user/task_0"])
def test_the_scope_of_all_jobs_is_never_killed_as_a_unit(below: str) -> None:
    owner = owner_of(f"/system.slice/slurmstepd.scope{below}")
    assert owner.unit == "slurmstepd.scope"
    assert owner.place("unit") == ""
    assert "/system.slice/slurmstepd.scope" not in dict(owner.places).values()


def test_a_container_cannot_name_a_uid() -> None:
    assert owner_of("/lxc/c1/slurm/uid_0/job_1/step_0").uid is None
