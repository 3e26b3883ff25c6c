"""Who runs a process, from its cgroup path alone. A new runtime is one file and one name in RUNTIMES.

A path is read from its beginning. What systemd laid out on the host (unit, slice, session, user) is only ever
taken from there; a container or job that root made is entered and read as a tree of its own, so that its
sshd.service is not the host's. In a user's own tree only rootless containers are known, and not entered.
"""

from __future__ import annotations

from collections.abc import Callable

from oomguardd.model import NO_OWNER, Owner
from oomguardd.runtimes import containerd, docker, kubernetes, lxc, nspawn, podman, slurm, systemd
from oomguardd.runtimes.base import Branch, Claim

RUNTIMES: tuple[Callable[[Branch], Claim | None], ...] = (
    kubernetes.claim,  # before Docker, whose scopes it also uses
    docker.claim,
    podman.claim,
    containerd.claim,
    lxc.claim,
    nspawn.claim,
    slurm.claim,
)
"""Asked in this order, the first claim counts."""

_NOBODY = Claim("")

DEEPEST = 8
"""Containers within containers that are followed; whoever has a container may nest names as deep as paths
are long, and must not make us slow by that."""


def owner_of(cgroup: str) -> Owner:
    """What the path (as `parse_cgroup` gives it) says about a process; nothing for the root, and for what is
    outside of our own cgroup namespace ("/../...").

    `runtime` and `container` are the innermost, `pod`, `qos`, `job` and `step` the outermost there are: what
    the host's own kubelet says counts more than one in a container. What names in a container say is that
    container's word. `pod` is also the id of a pod of Podman, without a class.
    """
    if len(cgroup) < 2 or cgroup[0] != "/":
        return NO_OWNER
    parts = cgroup[1:].split("/")
    if parts[0] == "..":
        return NO_OWNER
    host = systemd.branch_of(parts, 0)
    uid = systemd.user_of(host)
    manager = systemd.manager_of(host, uid)
    own = manager or host
    claim = _claimed(own)
    return Owner(
        claim.runtime,
        host.unit,
        user_unit=manager.unit if manager else "",
        slice=host.stem and host.stem + ".slice",
        session=systemd.session_of(host) if uid is not None else "",
        uid=claim.uid if uid is None else uid,
        app=systemd.app_of(manager.unit) if manager else "",
        container=claim.container,
        pod=claim.pod,
        qos=claim.qos,
        job=claim.job,
        step=claim.step,
        places=_places(cgroup, own, claim),
    )


def _claimed(branch: Branch) -> Claim:
    """All claims from here inwards, as one."""
    whole = _NOBODY
    for _ in range(DEEPEST):
        claim = _claim(branch)
        if claim is None:
            break
        whole = claim if whole is _NOBODY else _nested(whole, claim)
        if branch.user or not 0 < claim.inside < len(branch.parts):
            break
        branch = systemd.branch_of(branch.parts, claim.inside)
    return whole


def _claim(branch: Branch) -> Claim | None:
    for runtime in RUNTIMES:
        claim = runtime(branch)
        if claim is not None:
            return claim
    return None


def _nested(outer: Claim, inner: Claim) -> Claim:
    """The units and the uid of the inner one are not the host's, so it has no say on them."""
    if inner.runtime:
        outer = outer._replace(runtime=inner.runtime)
    if inner.container:
        outer = outer._replace(container=inner.container, container_end=inner.container_end)
    if inner.pod and not outer.pod:
        outer = outer._replace(pod=inner.pod, pod_end=inner.pod_end, qos=inner.qos)
    if inner.job and not outer.job:
        outer = outer._replace(job=inner.job, job_end=inner.job_end, step=inner.step)
    return outer


def _places(cgroup: str, own: Branch, claim: Claim) -> tuple[tuple[str, str], ...]:
    """What may be killed as a whole. Never a slice, a manager or the scope of all jobs: that would be
    everything that a user or a node runs."""
    leaf, unit_end = len(own.parts), own.slices + 1 if own.unit else 0
    if claim.shares_unit or systemd.holds_others(own.unit):
        of_leaf, of_unit = leaf if leaf > own.slices + 1 else 0, 0
    else:  # where v1 does not account for units, their processes are in the slices
        of_leaf, of_unit = leaf if leaf > own.slices else 0, unit_end
    ends = (
        ("cgroup", of_leaf),
        ("unit", of_unit),
        ("container", claim.container_end),
        ("pod", claim.pod_end),
        ("job", claim.job_end),
    )
    return tuple(
        (name, cgroup if end == leaf else "/" + "/".join(own.parts[:end])) for name, end in ends if end
    )
