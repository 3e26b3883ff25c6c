"""Who runs a process, in words. See runtimes/ for how that is known."""

from __future__ import annotations

from oomguardd.engine.words import safe
from oomguardd.model import Owner

_ID_SHOWN = 12
"""So many digits of a container's id are what its own tools print."""

_NAMES = {"docker": "Docker", "podman": "Podman", "cri-o": "CRI-O", "lxc": "LXC", "nspawn": "systemd-nspawn"}


def owner_words(owner: Owner) -> str:
    """`unit nginx.service`, `Docker container 4f0c9d1e2a3b`, `pod 1234-... (burstable), containerd container
    ...`; the most telling one, safe to print. Empty for nobody."""
    if owner.job:
        step = f", step {safe(owner.step)}" if owner.step else ""
        return f"Slurm job {safe(owner.job)}{step}"
    if owner.container:
        runtime = _NAMES.get(owner.runtime, owner.runtime)
        pod = f" of pod {safe(owner.pod)}{f' ({owner.qos})' if owner.qos else ''}" if owner.pod else ""
        return f"{runtime} container {container_id(owner)}{pod}".strip()
    if owner.pod:
        return f"pod {safe(owner.pod)}"
    if owner.app:
        return f"application {safe(owner.app)}"
    if owner.user_unit:
        return f"user unit {safe(owner.user_unit)}"
    if owner.session:
        return f"login session {safe(owner.session)}"
    return f"unit {safe(owner.unit)}" if owner.unit else ""


def container_id(owner: Owner) -> str:
    """As its own tools print and take it."""
    name = owner.container
    return name[:_ID_SHOWN] if len(name) == 64 else safe(name)
