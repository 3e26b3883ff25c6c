"""Owners, from paths as they are on real machines, and from some that only look like them."""

from __future__ import annotations

import pytest

from oomguardd.model import NO_OWNER
from oomguardd.runtimes import owner_of

ID = "4f8d3c2b1a09" * 5 + "4f8d"
OTHER = "0123456789abcdef" * 4
POD = "0d8c5b2e-7a41-4f7e-9b1c-2f3e4d5c6b7a"
POD_ = POD.replace("-", "_")
USER = "/user.slice/user-1000.slice/user@1000.service"

REAL: dict[str, dict[str, object]] = {
    "/system.slice/postgresql.service": {
        "unit": "postgresql.service",
        "slice": "system.slice",
        "runtime": "",
    },
    "/system.slice/system-getty.slice/getty@tty1.service": {"unit": "getty@tty1.service", "runtime": ""},
    "/user.slice/user-1000.slice/session-3.scope": {"unit": "session-3.scope", "session": "3", "uid": 1000},
    f"{USER}/app.slice/app-gnome-firefox-12345.scope": {
        "user_unit": "app-gnome-firefox-12345.scope",
        "app": "firefox",
        "uid": 1000,
        "runtime": "",
    },
    f"{USER}/app.slice/app-org.kde.konsole@1f2e.service": {"app": "org.kde.konsole"},
    f"/docker/{ID}": {"runtime": "docker", "container": ID},
    f"/system.slice/docker-{ID}.scope": {
        "runtime": "docker",
        "container": ID,
        "unit": f"docker-{ID}.scope",
    },
    f"/machine.slice/libpod-{ID}.scope/container": {"runtime": "podman", "container": ID},
    f"{USER}/user.slice/libpod-{ID}.scope": {"runtime": "podman", "container": ID, "uid": 1000},
    f"/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{POD_}.slice/"
    f"cri-containerd-{ID}.scope": {
        "runtime": "containerd",
        "pod": POD,
        "qos": "besteffort",
        "container": ID,
    },
    f"/kubepods.slice/kubepods-pod{POD_}.slice/crio-{ID}.scope": {
        "runtime": "cri-o",
        "pod": POD,
        "qos": "guaranteed",
    },
    f"/kubepods/burstable/pod{POD}/{ID}": {"pod": POD, "qos": "burstable", "container": ID},
    f"/kubepods/pod{POD}/{ID}": {"pod": POD, "qos": "guaranteed"},
    f"/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/"
    f"kubelet-kubepods-burstable-pod{POD_}.slice/cri-containerd-{ID}.scope": {"pod": POD, "qos": "burstable"},
    "/lxc.payload.web1/system.slice/ssh.service": {"runtime": "lxc", "container": "web1", "unit": ""},
    f"/lxc/39004/ns/system.slice/docker-{ID}.scope": {"runtime": "docker", "unit": "", "container": ID},
    "/machine.slice/systemd-nspawn@db.service/payload/system.slice/x.service": {
        "runtime": "nspawn",
        "container": "db",
    },
    "/slurm/uid_1001/job_42/step_batch/task_0": {
        "runtime": "slurm",
        "job": "42",
        "step": "batch",
        "uid": 1001,
    },
    "/slurm_node7/uid_1001/job_42/step_0": {"runtime": "slurm", "job": "42"},
    "/system.slice/slurmstepd.scope/job_101/step_0/user/task_1": {
        "runtime": "slurm",
        "job": "101",
        "step": "0",
    },
    "/system.slice/node7_slurmstepd.scope/job_101/step_extern/user/task_special": {"job": "101"},
}


@pytest.mark.parametrize("path", REAL, ids=lambda path: path[:60])
def test_real_paths(path: str) -> None:
    owner = owner_of(path)._asdict()
    assert {key: owner[key] for key in REAL[path]} == REAL[path]


NOT_OF_THE_HOST = [
    "/docker/short",
    f"/docker/{ID}x",
    f"/system.slice/docker-{ID}",
    f"/system.slice/xdocker-{ID}.scope",
    f"/system.slice/libpod-conmon-{ID}.scope",
    f"{USER}/app.slice/kubepods.slice/kubepods-pod{POD_}.slice/cri-containerd-{ID}.scope",
    f"{USER}/app.slice/slurm/uid_0/job_1/step_0",
    "/system.slice/slurmstepd.scope/system",
    "/system.slice/notslurmstepd.service/job_1/step_0",
    f"/kubepods/burstable/podnotauid/{ID}",
    f"/system.slice/evil.service/kubepods/pod{POD}/{ID}",
]


@pytest.mark.parametrize("path", NOT_OF_THE_HOST, ids=lambda path: path[:60])
def test_look_alikes(path: str) -> None:
    owner = owner_of(path)
    host_runtime = owner.runtime if owner.uid is None else ""
    assert host_runtime == ""
    assert not owner.pod
    assert not owner.job


@pytest.mark.parametrize("path", ["", "/", "/../elsewhere/docker-x.scope", f"/../docker/{ID}"])
def test_paths_that_tell_nothing(path: str) -> None:
    assert owner_of(path)._replace(places=()) == NO_OWNER


def test_places_are_what_may_be_killed_as_a_whole() -> None:
    pod = f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{POD_}.slice"
    owner = owner_of(f"{pod}/cri-containerd-{ID}.scope/child")
    assert owner.place("pod") == pod
    assert owner.place("container") == f"{pod}/cri-containerd-{ID}.scope"
    assert owner.place("cgroup").endswith("/child")
    assert owner.place("job") == ""
    job = owner_of("/system.slice/slurmstepd.scope/job_101/step_0/user/task_1")
    assert job.place("job") == "/system.slice/slurmstepd.scope/job_101"
    assert owner_of(f"{USER}/app.slice/app-firefox-1.scope").place("unit").endswith("/app-firefox-1.scope")
    assert owner_of(f"{USER}/init.scope").place("unit") != USER
