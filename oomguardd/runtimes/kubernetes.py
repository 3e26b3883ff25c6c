"""Pods of a kubelet, with either cgroup driver, and their containers. See its pkg/kubelet/cm.

systemd: /kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod<UID>.slice/cri-containerd-<id>.scope
cgroupfs: /kubepods/burstable/pod<UID>/<id>. A Guaranteed pod has no level for its class. --cgroup-root puts
names in front (kind: kubelet). Nothing in a user's own tree is a kubelet's.
"""

from __future__ import annotations

from typing import NamedTuple

from oomguardd.runtimes.base import Branch, Claim, inside, is_id

_CLASSES = ("besteffort", "burstable")
_PREFIXES = (("cri-containerd-", "containerd"), ("crio-", "cri-o"), ("docker-", "docker"))
_UNSEEN = "containerd"
"""Whose a pod's process is if no name tells: with cgroupfs containerd writes the id alone, and so does what
is made for a pod as a whole."""

_SERVICES = ("containerd.service", "k3s.service", "k3s-agent.service")
"""Where containers are if the kubelet thinks that systemd makes the cgroups and containerd does not."""


class _Pod(NamedTuple):
    uid: str
    qos: str
    end: int


def claim(branch: Branch) -> Claim | None:
    """A process of a pod; that of CRI-O's conmon is the host's."""
    if branch.user:
        return None
    if "kubepods" in branch.stem:
        pod = _parse_slice(branch.stem, branch.slices)
    elif branch.directory in ("kubepods", "kubelet"):
        pod = _parse_directories(branch)
    elif branch.unit in _SERVICES:
        return _misnamed(branch, branch.slices + 1)
    elif ".slice:" in branch.directory:
        return _misnamed(branch, branch.root)
    else:
        return None
    return pod and _in_pod(branch, pod)


def _in_pod(branch: Branch, pod: _Pod) -> Claim | None:
    name = branch.part(pod.end)
    if name.startswith("crio-conmon-"):
        return None
    runtime, container = _container(name.removesuffix(".scope"))
    if not container:
        return Claim(_UNSEEN, pod=pod.uid, pod_end=pod.end, qos=pod.qos)
    end = pod.end + 1
    return Claim(runtime, container, end, inside(branch, end), pod.uid, pod.end, pod.qos)


def _container(name: str) -> tuple[str, str]:
    """Runtime and id; both empty if it is no container."""
    for prefix, runtime in _PREFIXES:
        if name.startswith(prefix):
            found = name[len(prefix) :]
            return (runtime, found) if is_id(found) else ("", "")
    return (_UNSEEN, name) if is_id(name) else ("", "")


def _parse_slice(name: str, end: int) -> _Pod | None:
    """[<root>-]kubepods[-<class>]-pod<UID>"""
    head, _, uid = name.rpartition("-pod")
    uid = uid.replace("_", "-")
    parent, _, last = head.rpartition("-")
    qos = last if last in _CLASSES else "guaranteed"
    top = head if qos == "guaranteed" else parent
    return _Pod(uid, qos, end) if top.rpartition("-")[2] == "kubepods" and _is_uid(uid) else None


def _parse_directories(branch: Branch) -> _Pod | None:
    """[kubelet/]kubepods[/<class>]/pod<UID>"""
    at = branch.root + (1 if branch.directory == "kubelet" else 0)
    if branch.part(at) != "kubepods":
        return None
    qos = branch.part(at + 1)
    if qos in _CLASSES:
        at += 1
    else:
        qos = "guaranteed"
    name = branch.part(at + 1)
    uid = name[len("pod") :]
    return _Pod(uid, qos, at + 2) if name.startswith("pod") and _is_uid(uid) else None


def _misnamed(branch: Branch, at: int) -> Claim | None:
    """<pod's slice>:cri-containerd:<id>, all in one component, so that the pod has no cgroup."""
    slice_, _, rest = branch.part(at).partition(".slice:")
    runtime, container = _container(rest.replace(":", "-"))
    pod = _parse_slice(slice_, 0) if container else None
    if pod is None:
        return None
    return Claim(runtime, container, at + 1, at + 1, pod.uid, qos=pod.qos, shares_unit=bool(branch.unit))


def _is_uid(text: str) -> bool:
    """A UUID; the kubelet's own pods have the 32 digits alone."""
    digits = text.replace("-", "")
    return len(digits) == 32 and not digits.strip("0123456789abcdef") and len(text) in (32, 36)
