"""Who runs a process, in the same words wherever it is told: log, journal, history and page.

See runtimes/ for how it is known.
"""

from __future__ import annotations

from oomguardd.model import Owner

_ID_SHOWN = 12
"""So many digits of a container's id are what its own tools print."""
_ID_LENGTH = 64

_NAMES = {"docker": "Docker", "podman": "Podman", "cri-o": "CRI-O", "lxc": "LXC", "nspawn": "systemd-nspawn"}


def owner_words(owner: Owner) -> str:
    """`unit nginx.service`, `Docker container 4f0c9d1e2a3b`, `containerd container ... of pod 1234-...
    (burstable)`: the most telling one, empty for nobody. As it is; whoever prints it escapes it."""
    if owner.job:
        step = f", step {owner.step}" if owner.step else ""
        return f"Slurm job {owner.job}{step}"
    if owner.container:
        runtime = _NAMES.get(owner.runtime, owner.runtime)
        pod = f" of {_pod(owner)}" if owner.pod else ""
        return f"{runtime} container {container_id(owner)}{pod}".strip()
    if owner.pod:
        return _pod(owner)
    if owner.app:
        return f"application {owner.app}"
    if owner.user_unit:
        return f"user unit {owner.user_unit}"
    if owner.session:
        return f"login session {owner.session}"
    if owner.unit:
        return f"unit {owner.unit}"
    return f"slice {owner.slice}" if owner.slice else ""


def container_id(owner: Owner) -> str:
    """As its own tools print and take it."""
    name = owner.container
    return name[:_ID_SHOWN] if len(name) == _ID_LENGTH else name


def _pod(owner: Owner) -> str:
    return f"pod {owner.pod}{f' ({owner.qos})' if owner.qos else ''}"
