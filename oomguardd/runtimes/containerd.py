"""containerd without Kubernetes: the scopes of nerdctl. Those under a kubelet are in kubernetes.py."""

from __future__ import annotations

from oomguardd.runtimes.base import Branch, Claim, scope_id, scoped


def claim(branch: Branch) -> Claim | None:
    """A container of nerdctl; a rootless one is in the user.slice of its user's manager, as Docker's."""
    container = scope_id(branch.unit, "nerdctl-")
    if container and (not branch.user or branch.stem == "user"):
        return scoped(branch, "containerd", container)
    return None
