"""Where a limit is set: in the words of whoever runs the process.

Rule of this file: what cannot be written down safely, because somebody chose the name, is proposed for a new
scope instead.
"""

from __future__ import annotations

from typing import NamedTuple

from oomguardd.engine.owners import container_id
from oomguardd.engine.words import safe
from oomguardd.incidents.remedy import kubernetes_size, setting_size, shell_word
from oomguardd.model import Owner

_UNITS = (".service", ".scope", ".slice")


class Limit(NamedTuple):
    """What is to be set."""

    high_bytes: int
    max_bytes: int


class Place(NamedTuple):
    """How and where a limit is set."""

    what: str
    """Who is limited."""
    where: str
    change: str


def place_of(owner: Owner, want: Limit) -> Place:
    """The innermost place that has a limit of its own."""
    for known in (_job, _pod, _container, _user_unit, _session, _unit):
        place = known(owner, want)
        if place is not None:
            return place
    return Place("it", "start it in a scope of its own", f"systemd-run --scope {_options(want)} COMMAND")


def _options(want: Limit) -> str:
    return f"-p MemoryHigh={setting_size(want.high_bytes)} -p MemoryMax={setting_size(want.max_bytes)}"


def _words(want: Limit, between: str) -> str:
    return f"MemoryHigh={setting_size(want.high_bytes)}{between}MemoryMax={setting_size(want.max_bytes)}"


def _job(owner: Owner, want: Limit) -> Place | None:
    if not owner.job:
        return None
    change = f"#SBATCH --mem={setting_size(want.max_bytes)}"
    where = "in the job's script (Slurm holds it where cgroup.conf has ConstrainRAMSpace=yes)"
    return Place(f"Slurm job {safe(owner.job)}", where, change)


def _pod(owner: Owner, want: Limit) -> Place | None:
    if not owner.pod or owner.runtime == "podman":
        return None
    most = kubernetes_size(want.max_bytes)
    change = f"resources:\n  requests:\n    memory: {most}\n  limits:\n    memory: {most}"
    return Place("the container", f"its container in the manifest of pod {safe(owner.pod)}", change)


def _container(owner: Owner, want: Limit) -> Place | None:
    if not owner.container or owner.runtime == "nspawn":  # which is a unit, too
        return None
    name, most = shell_word(safe(container_id(owner))), setting_size(want.max_bytes)
    small = most.lower()
    if owner.runtime == "docker" and name:
        change = f"docker update --memory {small} --memory-swap {small} {name}"
        return Place("the container", f"at once; to stay, `mem_limit: {small}` in compose.yaml", change)
    if owner.runtime in ("podman", "containerd") and name:
        tool = "podman" if owner.runtime == "podman" else "nerdctl"
        change = f"{tool} update --memory {small} {name}"
        return Place("the container", "at once; to stay, where it is created", change)
    if owner.runtime == "lxc" and name:
        change = (
            f"incus config set {name} limits.memory={most}iB\n"
            f"# or, in /var/lib/lxc/{name}/config:\n#   lxc.cgroup2.memory.max = {most}"
        )
        return Place("the container", "Incus, or LXC alone", change)
    return Place("the container", "where it is created", f"its memory limit: {most}")


def _user_unit(owner: Owner, want: Limit) -> Place | None:
    where, section = _user_drop_in(owner.user_unit, "50-memory.conf")
    if not where:
        return None
    what = f"application {safe(owner.app)}" if owner.app else "the unit"
    return Place(
        what, f"{where}, then `systemctl --user daemon-reload`", f"[{section}]\n{_words(want, chr(10))}"
    )


def _user_drop_in(unit: str, name: str) -> tuple[str, str]:
    """The file and its section, for all instances of the unit; two empty texts for what is none."""
    stem, _, kind = unit.rpartition(".")
    if kind not in ("scope", "service") or not stem or not unit.isprintable():
        return "", ""
    return f"~/.config/systemd/user/{_shared(stem)}.{kind}.d/{name}", kind.title()


def _shared(stem: str) -> str:
    """What all instances of a unit share, as systemd looks for drop-ins: up to `@`, or up to the last dash
    before a number."""
    base, at, _ = stem.partition("@")
    if at:
        return base + at
    head, dash, tail = stem.rpartition("-")
    return head + dash if dash and tail.isdigit() else stem


def _session(owner: Owner, want: Limit) -> Place | None:
    if owner.uid is None or not (owner.session or owner.unit.startswith("user@")):
        return None
    change = (
        f"systemd-run --user --scope {_options(want)} COMMAND\n"
        "# or for all that this user runs, as root, at once and to stay:\n"
        f"systemctl set-property user-{owner.uid}.slice {_words(want, ' ')}"
    )
    return Place("it", "start it in a scope of its own, as the user", change)


def _unit(owner: Owner, want: Limit) -> Place | None:
    unit = shell_word(owner.unit)
    if not unit or not owner.unit.endswith(_UNITS):
        return None
    if owner.unit.endswith(".service"):
        change = f"[Service]\n{_words(want, chr(10))}"
        return Place(f"unit {safe(owner.unit)}", f"systemctl edit {unit}", change)
    change = f"systemctl set-property --runtime {unit} {_words(want, ' ')}"
    return Place(f"unit {safe(owner.unit)}", "at once, as long as it lives", change)


def tasks_place(owner: Owner, most: int) -> tuple[str, str]:
    """Where the number of tasks is bounded, and what to write there: never for a user's whole session, which
    would be stopped by it at its next start."""
    where, section = _user_drop_in(owner.user_unit, "50-tasks.conf")
    if where:
        return f"{where}, then `systemctl --user daemon-reload`", f"[{section}]\nTasksMax={most}"
    unit = shell_word(owner.unit)
    if unit.endswith(".service") and not owner.unit.startswith("user@"):
        return f"systemctl edit {unit}", f"[Service]\nTasksMax={most}"
    return (
        "start it in a scope of its own, as the user",
        f"systemd-run --user --scope -p TasksMax={most} COMMAND",
    )
