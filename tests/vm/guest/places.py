"""Where the processes of a scenario are: files, and cgroups as those who run such processes name them."""

from __future__ import annotations

JOB = "/job"
CAST = f"{JOB}/cast"
SESSION = "/system.slice/session.service"
"""A delegated unit of the image's; what it runs itself is not in the way of groups below it."""


def program(actor: str) -> str:
    """The path of an actor's program, which has its name."""
    return f"{CAST}/{actor}"


def session_app(name: str) -> str:
    """Below the session that the image has."""
    return f"{SESSION}/app-{name}"


def service(name: str) -> str:
    return f"/system.slice/{name}.service"


def app(name: str) -> str:
    """An application of a desktop session, as user managers have them."""
    return f"/user.slice/user-1000.slice/user@1000.service/app.slice/app-{name}-1000.scope"


def docker(digit: str) -> str:
    """A container of Docker with systemd's cgroup driver."""
    return f"/system.slice/docker-{digit * 64}.scope"


def pod(qos: str, digit: str) -> str:
    """The one container of a pod, below containerd with systemd's cgroup driver; guaranteed ones have no
    slice of their class.
    """
    uid = f"{digit * 8}_{digit * 4}_4{digit * 3}_8{digit * 3}_{digit * 12}"
    above = f"/kubepods.slice/kubepods-{qos}.slice/kubepods-{qos}" if qos else "/kubepods.slice/kubepods"
    return f"{above}-pod{uid}.slice/cri-containerd-{digit * 64}.scope"


def step(job: str, below: str) -> str:
    """In the first step of a job of Slurm's, on cgroup v2."""
    return f"/system.slice/slurmstepd.scope/job_{job}/step_0/{below}"
