"""systemd-nspawn's containers, and the other things that machine.slice has."""

from __future__ import annotations

import pytest

from oomguardd.runtimes import owner_of

ID = "b746df3160123456789abcdef0123456789abcdef0123456789abcdef0123456"


@pytest.mark.parametrize(
    ("unit", "below", "name", "place"),
    [
        ("systemd-nspawn@db.service", "/payload/system.slice/getty.service", "db", "/payload"),
        ("systemd-nspawn@media-01.service", "/payload/init.scope", "media-01", "/payload"),
        (r"systemd-nspawn@my\x2dbox.service", "/payload", "my-box", "/payload"),
        ("systemd-nspawn@db.service", "/system.slice/ssh.service", "db", ""),
        ("systemd-nspawn@db.service", "", "db", ""),
        (r"machine-my\x2dbox.scope", "/payload/init.scope", "my-box", "/payload"),
        ("machine-debian.scope", "/init.scope", "debian", ""),
        ("container@g.service", "/payload/init.scope", "g", "/payload"),
    ],
)
def test_containers(unit: str, below: str, name: str, place: str) -> None:
    owner = owner_of(f"/machine.slice/{unit}{below}")
    assert (owner.runtime, owner.container, owner.unit, owner.slice) == (
        "nspawn",
        name,
        unit,
        "machine.slice",
    )
    assert owner.place("container") == f"/machine.slice/{unit}{place}"
    assert owner.place("unit") == f"/machine.slice/{unit}"


def test_docker_inside() -> None:
    owner = owner_of(f"/machine.slice/systemd-nspawn@db.service/payload/system.slice/docker-{ID}.scope")
    assert (owner.runtime, owner.container, owner.unit) == ("docker", ID, "systemd-nspawn@db.service")


@pytest.mark.parametrize(
    "path",
    [
        "/machine.slice/systemd-nspawn@db.service/supervisor",
        "/machine.slice/machine-db.scope/supervisor",
        r"/machine.slice/machine-qemu\x2d18\x2dtest10.scope/libvirt/emulator",
        r"/machine.slice/machine-lxc\x2d123\x2dname.scope",
        "/machine.slice",
        "/machine.slice/systemd-nspawn@.service",
        "/machine.slice/machine-.scope",
        "/machine.slice/foo.service/payload",
        "/machine.slice/systemd-machined.service",
        "/system.slice/systemd-nspawn@db.service/payload",
        "/system.slice/machine-db.scope/payload",
        "/machine.slice/machine-db.service/payload",
        "/user.slice/user-1000.slice/user@1000.service/machine.slice/machine-db.scope/payload",
    ],
)
def test_supervisors_machines_and_look_alikes(path: str) -> None:
    owner = owner_of(path)
    assert (owner.runtime, owner.container) == ("", "")
