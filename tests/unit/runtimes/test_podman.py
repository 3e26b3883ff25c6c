"""Podman, root's and a user's, in scopes, in Quadlet's services and in pods."""

from __future__ import annotations

import pytest

from oomguardd.runtimes import owner_of

ID = "9687bac58d5c4d1606aa46af33d1a21c1d1652e0ac9fb3fc0fc86e3495f42869"
POD = "0262e761c5b499b1ad78250d810594064f61cc61a524d72d58690e52e727ec2a"
SCOPE = f"libpod-{ID}.scope"
PAYLOAD = f"libpod-payload-{ID}"
MANAGER = "/user.slice/user-1000.slice/user@1000.service"


@pytest.mark.parametrize(
    ("place", "below", "unit", "user_unit", "uid"),
    [
        (f"/machine.slice/{SCOPE}", "", SCOPE, "", None),
        (f"/machine.slice/{SCOPE}", "/container", SCOPE, "", None),
        (f"/machine.slice/{SCOPE}", "/container/system.slice/sshd.service", SCOPE, "", None),
        (f"/libpod_parent/libpod-{ID}", "", "", "", None),
        (f"/system.slice/nginx.service/{PAYLOAD}", "", "nginx.service", "", None),
        (f"/system.slice/nginx.service/{PAYLOAD}", "/container/init.scope", "nginx.service", "", None),
        (f"{MANAGER}/user.slice/{SCOPE}", "/container", "user@1000.service", SCOPE, 1000),
        (f"{MANAGER}/app.slice/redis.service/{PAYLOAD}", "", "user@1000.service", "redis.service", 1000),
    ],
)
def test_containers(place: str, below: str, unit: str, user_unit: str, uid: int | None) -> None:
    owner = owner_of(place + below)
    assert (owner.runtime, owner.container) == ("podman", ID)
    assert (owner.unit, owner.user_unit, owner.uid) == (unit, user_unit, uid)
    assert owner.place("container") == place
    assert (owner.pod, owner.place("pod")) == ("", "")


@pytest.mark.parametrize(
    ("pod", "container"),
    [
        (f"/machine.slice/machine-libpod_pod_{POD}.slice", f"libpod-{ID}.scope"),
        (f"{MANAGER}/user.slice/user-libpod_pod_{POD}.slice", f"libpod-{ID}.scope"),
        (f"/libpod_parent/{POD}", f"libpod-{ID}"),
    ],
)
def test_pods(pod: str, container: str) -> None:
    owner = owner_of(f"{pod}/{container}")
    assert (owner.runtime, owner.container, owner.pod, owner.qos) == ("podman", ID, POD, "")
    assert owner.place("pod") == pod
    assert owner.place("container") == f"{pod}/{container}"


@pytest.mark.parametrize("below", [f"/docker/{POD}", f"/container/libpod_parent/libpod-{POD}", "/lxc/a"])
def test_a_service_that_calls_a_cgroup_like_podman_gains_nothing(below: str) -> None:
    path = f"/system.slice/nginx.service/libpod-payload-{ID}"
    assert owner_of(path + below)._replace(places=()) == owner_of(path)._replace(places=())


def test_a_quadlet_is_a_unit_that_may_be_killed_as_a_whole() -> None:
    owner = owner_of(f"/system.slice/nginx.service/libpod-payload-{ID}")
    assert owner.place("unit") == "/system.slice/nginx.service"


@pytest.mark.parametrize(
    "path",
    [
        f"/machine.slice/libpod-conmon-{ID}.scope",
        f"/machine.slice/machine-libpod_pod_{POD}.slice/libpod-conmon-{ID}.scope",
        f"/libpod_parent/conmon-{ID}",
        "/libpod_parent/conmon",
        f"/libpod_parent/{POD}/conmon",
        f"/libpod_parent/{ID}",
        f"/machine.slice/libpod-{ID[:-1]}.scope",
        f"/machine.slice/libpod-{ID}",
        "/system.slice/nginx.service/runtime",
        "/system.slice/nginx.service/libpod-payload-abc",
        f"/system.slice/nginx.service/x/libpod-payload-{ID}",
        f"/system.slice/nginx.service/libpod-{ID}.scope",
        f"/system.slice/nginx.service/libpod-{ID}",
        f"/user.slice/user-1000.slice/user@1001.service/libpod-payload-{ID}",
        f"{MANAGER}/init.scope/libpod-payload-{ID}",
        f"{MANAGER}/user.slice/podman-pause-23c87985.scope",
        f"{MANAGER}/user.slice/podman-6696.scope",
        f"{MANAGER}/user.slice/libpod-conmon-{ID}.scope",
        f"{MANAGER}/libpod_parent/libpod-{ID}",
    ],
)
def test_helpers_and_look_alikes(path: str) -> None:
    owner = owner_of(path)
    assert (owner.runtime, owner.container, owner.pod) == ("", "", "")
