"""The list of what keeps a machine reachable and in one piece; the policy `protect` applies it.

Rule of this file: only names that a file of a distribution has. What is written in a scripting language has
its interpreter's (firewalld, nohang), and is not on the list: a rule on its unit is the way to protect it.
"""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """Programs of one kind."""

    what: str
    programs: tuple[str, ...]
    """Names of files; one that ends in * stands for all that begin so."""
    anybody: bool = False
    """Whether it counts whoever runs it, as every session has its own; if not: root and services' users."""
    units: tuple[str, ...] = ()
    """Services of the system manager that these run in; only root can put a process there."""


def _row(what: str, programs: str, *, anybody: bool = False, units: str = "") -> Row:
    """Words with blanks between them; the units without their .service."""
    return Row(what, tuple(programs.split()), anybody, tuple(f"{unit}.service" for unit in units.split()))


ROWS = (
    _row(
        "service manager",
        # s6, runit, dinit and OpenRC have a process for each service.
        "systemd-executor init openrc-init supervise-daemon runit* runsv* s6-svscan s6-supervise dinit",
    ),
    _row(
        "manager of a session's units",
        "systemd",
        anybody=True,
    ),
    _row(
        "log",
        "systemd-journald rsyslogd syslog-ng auditd",
        units="systemd-journald rsyslog syslog-ng auditd",
    ),
    _row(
        "devices",
        "udevadm systemd-udevd udevd multipathd iscsid dmeventd lvmpolld mdadm zed",
        units="systemd-udevd multipathd iscsid",
    ),
    _row(
        "accounts and logins",
        "systemd-logind elogind* seatd login agetty getty mingetty sulogin polkitd systemd-userdbd "
        "systemd-userwork systemd-homed sssd* nscd nslcd winbindd",
        units="systemd-logind polkit sssd nscd winbind",
    ),
    _row(
        "remote login",
        # Each connection has processes of its own, the last of them the user's.
        "sshd sshd-session sshd-auth dropbear* mosh-server xrdp* Xvnc Xtigervnc "
        "gnome-remote-desktop-daemon krdpserver ssm-session-worker",
        anybody=True,
        units="ssh sshd dropbear xrdp",
    ),
    _row(
        "terminals of a session",
        "tmux screen screen-*",
        anybody=True,
    ),
    _row(
        "message bus",
        "dbus-daemon dbus-broker dbus-broker-launch",
        anybody=True,
        units="dbus dbus-broker",
    ),
    _row(
        "display server",
        "Xorg Xorg.bin Xwayland",
        anybody=True,
    ),
    _row(
        "compositor or window manager",
        # Some of these end their session when they end; the rest take the keyboard with them.
        "gnome-shell gnome-kiosk mutter kwin_* sway weston wayfire labwc river niri cage phoc "
        "Hyprland cosmic-comp gamescope cinnamon muffin xfwm4 marco metacity budgie-wm gala "
        "enlightenment i3 openbox bspwm awesome dwm fluxbox icewm herbstluftwm",
        anybody=True,
    ),
    _row(
        "session",
        "gnome-session-* ksmserver plasma_session startplasma-* xfce4-session mate-session "
        "cinnamon-session* lxqt-session lxsession budgie-session* cosmic-session",
        anybody=True,
    ),
    _row(
        "screen lock",
        # Without it the screen is open to whoever passes by.
        "i3lock xsecurelock xscreensaver slock swaylock hyprlock gtklock waylock kscreenlocker_greet "
        "light-locker physlock vlock xfce4-screensaver mate-screensaver",
        anybody=True,
    ),
    _row(
        "display manager",
        # Parts of these run as the user who logs in.
        "gdm* sddm* lightdm greetd lxdm xdm ly",
        anybody=True,
        units="gdm gdm3 sddm lightdm greetd",
    ),
    _row(
        "network",
        "NetworkManager systemd-networkd systemd-resolved wpa_supplicant iwd connmand dhclient dhcpcd "
        "ModemManager pppd teamd dnsmasq unbound keepalived openvpn charon* tailscaled zerotier-one "
        "ovs-vswitchd ovsdb-server bird zebra bgpd ospfd watchfrr flanneld",
        units="NetworkManager systemd-networkd systemd-resolved wpa_supplicant iwd keepalived",
    ),
    _row(
        "time",
        "chronyd ntpd ntp-daemon systemd-timesyncd ptp4l phc2sys",
        units="chrony chronyd ntpd systemd-timesyncd",
    ),
    _row(
        "file systems",
        # A server or a FUSE process that ends takes its mounts along; a repair must not stop half-way.
        "rpcbind rpc.* glusterd glusterfs* ceph-fuse ntfs-3g mount.ntfs* lxcfs e2fsck fsck.* "
        "xfs_repair btrfs resize2fs lvm cryptsetup",
        units="rpcbind glusterd lxcfs",
    ),
    _row(
        "installing packages",
        # Stopped half-way, it may leave a machine that does not boot.
        "dpkg apt apt-get rpm dnf5 zypper pacman apk xbps-install grub-install",
    ),
    _row(
        "container manager",
        "dockerd containerd containerd-shim* cri-dockerd docker-proxy crio conmon* runc crun "
        "lxc-start lxc-monitord lxd incusd systemd-nspawn systemd-machined libvirtd virtqemud "
        "virtlogd virtlockd virtnetworkd",
        units="docker containerd crio lxd incus libvirtd virtqemud",
    ),
    _row(
        "Kubernetes",
        "kubelet kube-proxy k3s k3s-server k3s-agent rke2 k0s kubelite etcd",
        units="kubelet k3s k3s-agent etcd",
    ),
    _row(
        "batch system",
        "slurmctld slurmd slurmstepd slurmdbd sackd munged pbs_mom condor_master",
        units="slurmctld slurmd slurmdbd munge",
    ),
    _row(
        "cluster",
        "corosync pacemakerd pacemaker-* sbd dlm_controld ceph-mon pmxcfs consul watchdog wd_keepalive",
        units="corosync pacemaker sbd pve-cluster consul watchdog",
    ),
    _row(
        "agent of the host or cloud",
        "qemu-ga vmtoolsd VBoxService hv_kvp_daemon hv_vss_daemon hypervkvpd hypervvssd "
        "amazon-ssm-agent ssm-agent-worker google_guest_agent* incus-agent lxd-agent",
        units="qemu-guest-agent open-vm-tools amazon-ssm-agent",
    ),
    _row(
        "another guard against running out of memory",
        "systemd-oomd earlyoom oomd bustd",
        units="systemd-oomd earlyoom oomd",
    ),
)
"""Not on it: desktop panels and sound, which are started again and take no work with them; ceph-osd and
virtual machines, which are what such a machine's memory is for."""

SHELLS = frozenset(
    ("bash", "sh", "dash", "zsh", "fish", "ksh", "ksh93", "mksh", "tcsh", "csh", "busybox", "nu", "elvish")
)
"""Programs of a login."""

OWN_UNITS = frozenset(("oomguardd.service", "oomguardd-reporter.service"))
"""Ours: an interpreter's processes, known by where they run."""

DIRECTORIES = (
    *("/usr/", "/bin/", "/sbin/", "/lib/", "/lib64/", "/opt/", "/snap/", "/var/lib/snapd/snap/"),
    *("/nix/store/", "/gnu/store/", "/var/lib/rancher/", "/var/lib/k0s/"),
)
"""Where only root, or a package manager on its behalf, puts programs."""


def protected_words() -> list[str]:
    """The list as text, a line for each kind."""
    lines = [f"{row.what} ({_whose(row)}): {', '.join(row.programs)}" for row in ROWS]
    lines.append(f"login's shell (leads a session on a terminal; anybody's): {', '.join(sorted(SHELLS))}")
    lines.append(f"oomguardd's own (in its units): {', '.join(sorted(OWN_UNITS))}")
    return lines


def _whose(row: Row) -> str:
    return "anybody's" if row.anybody else "root's and services'"
