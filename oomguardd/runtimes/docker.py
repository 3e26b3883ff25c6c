"""Docker: docker-<id>.scope by systemd, /docker/<id> without. See moby, daemon/oci_linux.go.

A rootless Docker has its containers in the user.slice of its user's manager; anywhere else in there a
docker-<id>.scope is just a name. If it has no cgroups, its containers are in its own docker.service.
"""

from __future__ import annotations

from oomguardd.runtimes.base import Branch, Claim, inside, is_id, scope_id, scoped

_PARENTS = ("docker", "actions_job")
"""Docker's own, and that of GitHub's runners."""


def claim(branch: Branch) -> Claim | None:
    """A container of Docker."""
    if branch.unit:
        container = scope_id(branch.unit, "docker-")
        if container and (not branch.user or branch.stem == "user"):
            return scoped(branch, "docker", container)
        return None
    parent = branch.directory
    if branch.user or (parent not in _PARENTS and parent != "ecs"):
        return None
    at = branch.root + (2 if parent == "ecs" else 1)  # Amazon's agent: /ecs/<task>/<id>
    container = branch.part(at)
    return Claim("docker", container, at + 1, inside(branch, at + 1)) if is_id(container) else None
