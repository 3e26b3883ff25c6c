"""LXC, LXD and Proxmox, and what runs in their containers."""

from __future__ import annotations

import pytest

from oomguardd.runtimes import owner_of

ID = "b746df3160123456789abcdef0123456789abcdef0123456789abcdef0123456"
MANAGER = "/user.slice/user-1000.slice/user@1000.service"


@pytest.mark.parametrize(
    ("path", "name", "place"),
    [
        ("/lxc.payload.web1", "web1", "/lxc.payload.web1"),
        ("/lxc.payload.web1/system.slice/ssh.service", "web1", "/lxc.payload.web1"),
        ("/lxc.payload.snapcraft_some-container/.lxc", "snapcraft_some-container",
         "/lxc.payload.snapcraft_some-container"),
        ("/lxc.payload.odd.service/init.scope", "odd.service", "/lxc.payload.odd.service"),
        ("/lxc.payload/web1/init.scope", "web1", "/lxc.payload/web1"),
        ("/lxc/x1/system.slice/snapd.service", "x1", "/lxc/x1"),
        ("/lxc/mysql-1/user.slice/user-0.slice/session-c112.scope", "mysql-1", "/lxc/mysql-1"),
        ("/lxc/6666/ns/system.slice/lightdm.service", "6666", "/lxc/6666"),
        ("/lxc/107", "107", "/lxc/107"),
        ("/lxc/outer/lxc/inner/init.scope", "inner", "/lxc/outer/lxc/inner"),
        ("/lxc/kubepods/burstable/pod0d8c5b2e-7a41-4f7e-9b1c-2f3e4d5c6b7a", "kubepods", "/lxc/kubepods"),
    ],
)  # fmt: skip
def test_containers(path: str, name: str, place: str) -> None:
    owner = owner_of(path)
    assert (owner.runtime, owner.container, owner.place("container")) == ("lxc", name, place)
    assert owner.place("cgroup") == path
    assert (owner.unit, owner.slice, owner.uid, owner.session, owner.user_unit, owner.app) == (
        "",
        "",
        None,
        "",
        "",
        "",
    )
    assert owner.place("unit") == ""
    assert (owner.pod, owner.qos) == ("", "")


@pytest.mark.parametrize("top", ["/lxc/39004/ns", "/lxc.payload.c1", "/lxc/c1"])
@pytest.mark.parametrize("name", [f"system.slice/docker-{ID}.scope", f"docker/{ID}"])
def test_docker_inside(top: str, name: str) -> None:
    owner = owner_of(f"{top}/{name}")
    assert (owner.runtime, owner.container, owner.unit) == ("docker", ID, "")
    assert owner.place("container") == f"{top}/{name}"


@pytest.mark.parametrize(
    "path",
    [
        "/lxc",
        "/lxc/",
        "/lxc.payload",
        "/lxc.payload.",
        "/lxc.monitor.web1",
        "/lxc.monitor/web1",
        "/lxc.pivot",
        "/lxcx/web1",
        "/lxcfs",
        "/system.slice/lxc.service",
        "/system.slice/lxcfs.service",
        "/system.slice/foo.service/lxc.payload.web1",
        "/foo/lxc/web1",
        f"{MANAGER}/lxc.payload.web1",
        f"{MANAGER}/app.slice/run-r1.scope/lxc.payload.web1",
    ],
)
def test_monitors_and_look_alikes(path: str) -> None:
    owner = owner_of(path)
    assert (owner.runtime, owner.container) == ("", "")


def test_nesting_is_followed_only_so_far() -> None:
    owner = owner_of("/lxc/a" * 600)
    assert owner.container == "a"
    assert owner.place("container") == "/lxc/a" * 8
