"""The list of what keeps a machine reachable, and who is on it."""

from __future__ import annotations

import timeit

import pytest

from oomguardd.model import Candidate, Owner, Totals
from oomguardd.policies.base import Scene
from oomguardd.policies.protect import ProtectPolicy, kept
from oomguardd.policies.protected import OWN_UNITS, ROWS, SHELLS, protected_words
from tests.shell.rig import candidate

MIB = 1 << 20
GIB = 1 << 30
SCENE = Scene(Totals(8 * GIB, 0))
K3S = "/var/lib/rancher/k3s/data/4df430e1/bin"


@pytest.mark.parametrize(
    ("exe", "uid", "what"),
    [
        ("/usr/bin/udevadm", 0, "devices"),  # what systemd-udevd is a link to
        ("/usr/lib/systemd/systemd", 1000, "manager of a session's units"),  # and (sd-pam)
        ("/usr/sbin/sshd", 1000, "remote login"),  # the user's end of a connection, before OpenSSH 9.8
        ("/usr/lib/openssh/sshd-session", 1000, "remote login"),
        ("/usr/bin/dbus-broker", 1000, "message bus"),
        ("/usr/libexec/gdm-x-session", 1000, "display manager"),
        ("/usr/bin/kwin_wayland_wrapper", 1000, "compositor or window manager"),
        ("/usr/libexec/kscreenlocker_greet", 1000, "screen lock"),
        ("/nix/store/0c8p-sway-1.9/bin/.sway-wrapped", 1000, "compositor or window manager"),
        ("/usr/bin/tmux", 1000, "terminals of a session"),
        ("/usr/bin/containerd-shim-runc-v2", 0, "container manager"),
        (f"{K3S}/containerd", 0, "container manager"),
        (f"{K3S}/k3s", 0, "Kubernetes"),
        ("/snap/lxd/24061/bin/lxd", 0, "container manager"),
        ("/usr/libexec/pacemaker/pacemaker-controld", 189, "cluster"),
        ("/usr/sbin/slurmctld", 64030, "batch system"),  # Debian's uid for it
        ("/usr/sbin/dnsmasq", 65534, "network"),
        ("/usr/bin/dpkg", 0, "installing packages"),
        ("/usr/bin/python3.11", 0, ""),
        ("/usr/bin/dpkg", 1000, ""),
        ("/usr/bin/qemu-system-x86_64", 0, ""),
        ("/usr/bin/plasmashell", 1000, ""),
        ("/home/eve/usr/bin/sway", 1000, ""),
        ("/usr/../home/eve/swayx", 1000, ""),
        ("/usr/sbin/dropbearkey-of-eve/x", 0, ""),
        ("", 0, ""),
        (None, 0, ""),
    ],
)
def test_by_program_and_user(exe: str | None, uid: int, what: str) -> None:
    assert kept(candidate(5, exe=exe, uid=uid)) == what


def test_a_name_alone_is_worth_nothing() -> None:
    for comm in ("sshd", "systemd", "dockerd", "Xorg"):
        assert not kept(candidate(5, comm=comm, exe="/home/eve/a.out", uid=1000))
        assert not kept(candidate(5, comm=comm, exe="/usr/bin/perl", uid=0))
        assert not kept(candidate(5, comm=comm, exe=None, uid=1000))
        assert not kept(candidate(5, comm=comm, exe=None, uid=33))


@pytest.mark.parametrize(
    ("uid", "comm", "unit", "what"),
    [
        (0, "sshd", "session-3.scope", "remote login"),
        (0, "gnome-remote-de", "", "remote login"),  # cut at 15
        (0, "pacemaker-execd", "", "cluster"),
        (0, "python3", "docker.service", "container manager"),
        (104, "any", "systemd-resolved.service", "network"),
        (104, "systemd-resolve", "", ""),
        (33, "sshd", "apache2.service", ""),
        (1000, "any", "docker.service", ""),
        (0, "postgres", "postgresql.service", ""),
    ],
)
def test_where_the_program_cannot_be_read(uid: int, comm: str, unit: str, what: str) -> None:
    assert kept(candidate(5, comm=comm, uid=uid, owner=Owner(unit=unit))) == what


def test_a_daemon_with_the_uid_of_a_person_counts_in_its_own_unit_only() -> None:
    def found(unit: str, exe: str = "/usr/sbin/slurmctld") -> str:
        return kept(candidate(5, exe=exe, uid=1002, owner=Owner(unit=unit)), sessions=False)

    assert found("slurmctld.service") == "batch system"
    assert not found("session-3.scope")
    assert not found("docker.service")
    assert not found("slurmctld.service", "/usr/bin/stress")
    assert not found("slurmctld.service", "/tmp/slurmctld")


@pytest.mark.parametrize("runtime", ["docker", "podman", "containerd", "cri-o", "lxc", "nspawn", "slurm"])
def test_never_what_runs_in_a_container_or_a_job(runtime: str) -> None:
    owner = Owner(runtime=runtime, unit="docker.service")
    assert not kept(candidate(5, exe="/usr/sbin/sshd", uid=0, owner=owner))
    assert not kept(candidate(5, comm="sshd", uid=0, owner=owner))
    assert not kept(candidate(5, exe="/bin/bash", uid=0, owner=owner, sid=5, terminal=True))


def test_the_shell_of_a_login() -> None:
    def shell(**fields: object) -> Candidate:
        return candidate(5, **{"exe": "/usr/bin/zsh", "sid": 5, "terminal": True, **fields})

    assert kept(shell()) == "login's shell"
    assert kept(shell(uid=0)) == "login's shell"
    assert not kept(shell(sid=4))
    assert not kept(shell(terminal=False))
    assert not kept(shell(exe="/home/eve/zsh"))
    assert not kept(shell(exe="/usr/bin/perl"))


@pytest.mark.parametrize("exe", ["/usr/bin/sway", "/usr/bin/dbus-daemon", "/usr/bin/bash", "/usr/sbin/sshd"])
def test_people_can_be_left_out(exe: str) -> None:
    strict = ProtectPolicy(sessions=False)
    theirs, roots = (candidate(5, exe=exe, uid=uid, sid=5, terminal=True) for uid in (1000, 0))
    assert ProtectPolicy().spare(theirs, SCENE)
    assert not strict.spare(theirs, SCENE)
    assert strict.spare(roots, SCENE)


def test_ours_is_known_by_its_unit() -> None:
    for unit in OWN_UNITS:
        assert kept(candidate(5, exe="/usr/bin/python3.13", uid=998, owner=Owner(unit=unit)))
        assert not kept(candidate(5, exe="/usr/bin/python3.13", uid=998, owner=Owner(user_unit=unit)))


def test_what_holds_too_much_is_the_problem_itself() -> None:
    policy = ProtectPolicy(up_to_pct=25.0)
    assert policy.spare(candidate(5, exe="/usr/bin/gnome-shell", rss_anon_bytes=2 * GIB), SCENE)
    assert not policy.spare(candidate(5, exe="/usr/bin/gnome-shell", rss_anon_bytes=2 * GIB + MIB), SCENE)


def test_the_reason_says_what_it_is() -> None:
    why = ProtectPolicy().spare(candidate(5, exe="/usr/sbin/sshd", uid=0), SCENE)
    assert why == "remote login: keeps the machine reachable (policy protect)"


def test_the_list_is_well_formed() -> None:
    programs = [program for row in ROWS for program in row.programs]
    assert len(programs) == len(set(programs)), "the same name on two rows"
    units = [unit for row in ROWS for unit in row.units]
    assert len(units) == len(set(units))
    assert all(unit.endswith(".service") for unit in units)
    for program in programs:
        assert "/" not in program
        assert "*" not in program[:-1], "only a star at the end is understood"
        assert len(program.removesuffix("*")) > 1
    assert not set(programs) & SHELLS


def test_a_beginning_takes_no_other_rows_names() -> None:
    starred = [(program[:-1], row.what) for row in ROWS for program in row.programs if program[-1] == "*"]
    for row in ROWS:
        for program in row.programs:
            taken = [what for begin, what in starred if program.startswith(begin) and what != row.what]
            assert not taken, f"{program} is also {taken}"


def test_it_can_be_printed() -> None:
    text = "\n".join(protected_words())
    for word in ("sshd", "systemd-journald", "udevadm", "kubelet", "slurmctld", "gnome-shell", "zsh"):
        assert word in text
    assert len(protected_words()) == len(ROWS) + 2


def test_asking_costs_a_few_microseconds() -> None:
    policy, c = ProtectPolicy(), candidate(5, exe="/usr/bin/postgres", uid=26)
    best_s = min(timeit.repeat(lambda: policy.spare(c, SCENE), number=200, repeat=5)) / 200
    assert best_s < 50e-6
