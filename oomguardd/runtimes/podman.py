"""Podman: libpod-<id>.scope, and what Quadlet makes. See libpod/container_internal_linux.go.

The same names are used by a rootless Podman below its user's manager; who it is, the uid tells.
libpod-conmon-<id>.scope is not the container but the host's helper that watches it.
"""

from __future__ import annotations

from oomguardd.runtimes.base import Branch, Claim, inside, is_id, scope_id
from oomguardd.runtimes.systemd import holds_others


def claim(branch: Branch) -> Claim | None:
    """A container of Podman."""
    if branch.unit:
        return _in_scope(branch) if branch.unit.startswith("libpod-") else _in_service(branch)
    return _in_directory(branch) if branch.directory == "libpod_parent" and not branch.user else None


def _in_scope(branch: Branch) -> Claim | None:
    container = scope_id(branch.unit, "libpod-")
    if not container:
        return None
    end = branch.slices + 1
    pod = branch.stem.rpartition("libpod_pod_")[2]
    if not is_id(pod):
        return Claim("podman", container, end, inside(branch, end))
    return Claim("podman", container, end, inside(branch, end), pod, branch.slices)


def _in_service(branch: Branch) -> Claim | None:
    """--cgroups=split, as Quadlet's units have it: the container is below its unit's own cgroup. It is not
    entered, because a service that is no Podman may make whatever cgroups it likes there."""
    at = branch.slices + 1
    container = branch.part(at).removeprefix("libpod-payload-")
    if container == branch.part(at) or not is_id(container) or holds_others(branch.unit):
        return None
    return Claim("podman", container, at + 1)


def _in_directory(branch: Branch) -> Claim | None:
    """/libpod_parent/[<pod>/]libpod-<id>, without systemd."""
    at = branch.root + 1
    pod = branch.part(at) if is_id(branch.part(at)) else ""
    end = at + 2 if pod else at + 1
    container = branch.part(end - 1).removeprefix("libpod-")
    if container == branch.part(end - 1) or not is_id(container):
        return None
    return Claim("podman", container, end, inside(branch, end), pod, at + 1 if pod else 0)
