"""The processes that keep a machine reachable and in one piece.

Rule of this file: nobody gets onto the list by a name of their choice. A program counts by the path that it
was started from, below directories that only root writes to, and by who runs it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from oomguardd.model import Candidate
from oomguardd.policies.accounts import is_person
from oomguardd.policies.base import Scene
from oomguardd.policies.switched import SwitchedPolicy
from oomguardd.settings import setting
from oomguardd.units import parse_percent

_SYSTEM = ("/usr/", "/bin/", "/sbin/", "/lib/", "/lib64/", "/opt/", "/nix/store/", "/gnu/store/", "/snap/")


class Row(NamedTuple):
    """Programs of one kind."""

    what: str
    programs: tuple[str, ...]
    """Names of files; the first that ends in * stands for all that begin like it."""
    anybody: bool = False
    """Whether an ordinary user's counts, too: a session has its own."""


ROWS = (
    Row(
        "systemd and its managers",
        ("systemd", "systemd-executor", "init", "runit", "runsvdir", "openrc-init"),
    ),
    Row("the user's systemd", ("systemd",), anybody=True),
    Row(
        "systemd's services",
        (
            "systemd-journald",
            "systemd-udevd",
            "systemd-logind",
            "systemd-networkd",
            "systemd-resolved",
            "systemd-timesyncd",
            "systemd-machined",
            "systemd-homed",
            "systemd-userdbd",
            "systemd-oomd",
            "systemd-networkd*",
            "elogind",
            "udevd",
            "(sd-pam)",
        ),
    ),
    Row("the message bus", ("dbus-daemon", "dbus-broker", "dbus-broker-launch"), anybody=True),
    Row("remote logins", ("sshd", "sshd-session", "sshd-auth", "dropbear", "tailscaled"), anybody=True),
    Row(
        "logins",
        ("login", "agetty", "getty", "mingetty", "sulogin", "polkitd", "sssd*", "nscd", "nslcd", "winbindd"),
    ),
    Row(
        "the network",
        (
            "NetworkManager",
            "wpa_supplicant",
            "iwd",
            "connmand",
            "dhclient",
            "dhcpcd",
            "ifupdown-ng",
            "firewalld",
            "keepalived",
            "openvpn",
            "charon",
            "unbound",
            "dnsmasq",
        ),
    ),
    Row("display servers", ("Xorg", "Xorg.bin", "X", "Xwayland", "Xvnc"), anybody=True),
    Row(
        "compositors and desktops",
        (
            "gnome-shell",
            "gnome-session-binary",
            "gnome-session-service",
            "kwin_wayland",
            "kwin_x11",
            "ksmserver",
            "plasmashell",
            "plasma_session",
            "startplasma*",
            "mutter",
            "muffin",
            "cinnamon",
            "cinnamon-session-binary",
            "xfwm4",
            "xfce4-session",
            "lxqt-session",
            "mate-session",
            "marco",
            "budgie-wm",
            "sway",
            "weston",
            "wayfire",
            "labwc",
            "river",
            "niri",
            "Hyprland",
            "cosmic-comp",
            "cosmic-session",
            "i3",
            "openbox",
            "bspwm",
            "awesome",
            "phoc",
        ),
        anybody=True,
    ),
    Row(
        "display managers",
        ("gdm", "gdm3", "gdm-session-worker", "sddm", "sddm-helper", "lightdm", "greetd", "lxdm"),
    ),
    Row(
        "container managers",
        (
            "dockerd",
            "containerd",
            "containerd-shim*",
            "docker-proxy",
            "crio",
            "conmon",
            "runc",
            "crun",
            "podman",
            "lxc-start",
            "lxd",
            "incusd",
            "lxcfs",
            "libvirtd",
            "virtqemud",
            "virtlogd",
        ),
    ),
    Row(
        "Kubernetes",
        ("kubelet", "kube-proxy", "k3s", "k3s-server", "rke2", "microk8s", "flanneld", "calico-node"),
    ),
    Row("Slurm", ("slurmctld", "slurmd", "slurmstepd", "slurmdbd", "munged")),
    Row(
        "cluster and storage",
        (
            "corosync",
            "pacemakerd",
            "pacemaker-*",
            "etcd",
            "ceph-mon",
            "ceph-osd",
            "ceph-mgr",
            "glusterd",
            "multipathd",
            "iscsid",
            "rpcbind",
            "rpc.*",
            "dmeventd",
            "lvmpolld",
            "mdadm",
            "zed",
            "sbd",
            "watchdog",
        ),
    ),
    Row("time", ("chronyd", "ntpd", "ntpd-rs", "ptp4l")),
    Row(
        "guests' agents",
        ("qemu-ga", "vmtoolsd", "hv_kvp_daemon", "waagent", "google_guest_agent", "amazon-ssm-agent"),
    ),
    Row(
        "others that end processes",
        ("earlyoom", "nohang", "oomd", "bustd", "oomguardd", "oomguardd-reporter"),
    ),
)

SHELLS = frozenset(
    {"bash", "dash", "sh", "zsh", "fish", "ksh", "ksh93", "mksh", "tcsh", "csh", "busybox", "nu"}
)


def _exact_and_beginnings(rows: tuple[Row, ...]) -> tuple[dict[str, str], tuple[tuple[str, str], ...]]:
    exact: dict[str, str] = {}
    beginnings = []
    for row in rows:
        for program in row.programs:
            if program.endswith("*"):
                beginnings.append((program[:-1], row.what))
            else:
                exact.setdefault(program, row.what)
    return exact, tuple(beginnings)


_OF_ROOT = _exact_and_beginnings(ROWS)
_OF_ANYBODY = _exact_and_beginnings(tuple(row for row in ROWS if row.anybody))


@dataclass(frozen=True, slots=True)
class ProtectPolicy(SwitchedPolicy):
    """Exempts what keeps the machine reachable: systemd and its services, logins and remote logins with their
    shells, the message bus, the network, display server, compositor and display manager, managers of
    containers and of clusters. `oomguardctl check --protected` prints the list and whom it covers now.
    """

    up_to_pct: float = setting(
        "25%",
        parse_percent,
        "Such a process that holds more than this share of RAM and swap is not exempt: then it is the"
        " problem.",
        high="100%",
    )
    name = "protect"
    needs = frozenset({"exe"})

    def spare(self, c: Candidate, scene: Scene) -> str:
        what = kept(c)
        if not what or scene.points(c.held_bytes) > self.up_to_pct * 10:
            return ""
        return f"{what}: keeps the machine reachable (policy protect)"


def kept(c: Candidate) -> str:
    """What it is on the list as; empty if it is not. Never what runs in a container or in a job."""
    if c.owner.runtime or not c.exe or not c.exe.startswith(_SYSTEM):
        return ""
    program = c.exe.rpartition("/")[2]
    if c.pid == c.sid and c.terminal and program in SHELLS:
        return "a login's shell"
    exact, beginnings = _OF_ANYBODY if is_person(c.uid) else _OF_ROOT
    found = exact.get(program)
    if found is None:
        found = next((what for begin, what in beginnings if program.startswith(begin)), "")
    return found


def protected_words() -> list[str]:
    """The list, a line for each kind."""
    lines = []
    for row in ROWS:
        whose = "anybody's" if row.anybody else "root's and system users'"
        lines.append(f"{row.what} ({whose}): {', '.join(row.programs)}")
    lines.append(f"shells that lead a session on a terminal: {', '.join(sorted(SHELLS))}")
    return lines
