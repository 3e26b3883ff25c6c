"""LXC, LXD, Incus, Proxmox: containers with names. See lxc, src/lxc/cgroups/cgfsng.c.

/lxc.payload.<name> since 4.0, /lxc.payload/<name> in 3.1, /lxc/<name> before. Proxmox: /lxc/<vmid>/ns is what
the container sees as its root. Their monitors (lxc.monitor.<name>) are the host's. One that a user starts
without root has no cgroup that others could not have made, and counts as that user's process.
"""

from __future__ import annotations

from oomguardd.runtimes.base import Branch, Claim

_PAYLOAD = "lxc.payload"


def claim(branch: Branch) -> Claim | None:
    """A container of LXC."""
    top = branch.directory
    if branch.user or not top.startswith("lxc"):
        return None
    if top in ("lxc", _PAYLOAD):
        name, end = branch.part(branch.root + 1), branch.root + 2
    else:
        name, end = top.removeprefix(_PAYLOAD + "."), branch.root + 1
    if not name or name == top:
        return None
    return Claim("lxc", name, end, end + 1 if top == "lxc" and branch.part(end) == "ns" else end)
