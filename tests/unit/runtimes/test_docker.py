"""Docker, with both drivers, rootless, with systemd inside, and in another container."""

from __future__ import annotations

import pytest

from oomguardd.runtimes import owner_of

ID = "00748bf4e957f82c239a1db8a88579059b7d40c7b5fbd3f43617d31d3f646f12"
OUTER = "d6701ec289c56e4391acb11d07474b3139466857a305490575508a8b7a9fcf22"
SCOPE = f"docker-{ID}.scope"
MANAGER = "/user.slice/user-1000.slice/user@1000.service"


@pytest.mark.parametrize(
    ("path", "unit", "place"),
    [
        (f"/docker/{ID}", "", f"/docker/{ID}"),
        (f"/docker/{ID}/system.slice/ssh.service", "", f"/docker/{ID}"),
        (f"/docker/{ID}/init.scope", "", f"/docker/{ID}"),
        (f"/system.slice/{SCOPE}", SCOPE, f"/system.slice/{SCOPE}"),
        (f"/system.slice/{SCOPE}/system.slice/sshd.service", SCOPE, f"/system.slice/{SCOPE}"),
        (f"/limits.slice/limits-web.slice/{SCOPE}", SCOPE, f"/limits.slice/limits-web.slice/{SCOPE}"),
        (f"/ecs/0123abcd/{ID}", "", f"/ecs/0123abcd/{ID}"),
        (f"/actions_job/{ID}", "", f"/actions_job/{ID}"),
        (f"/docker/{OUTER}/docker/{ID}", "", f"/docker/{OUTER}/docker/{ID}"),
        (f"/system.slice/docker-{OUTER}.scope/docker/{ID}", f"docker-{OUTER}.scope",
         f"/system.slice/docker-{OUTER}.scope/docker/{ID}"),
    ],
)  # fmt: skip
def test_containers(path: str, unit: str, place: str) -> None:
    owner = owner_of(path)
    assert (owner.runtime, owner.container, owner.unit) == ("docker", ID, unit)
    assert owner.place("container") == place
    assert owner.place("cgroup") == path
    assert (owner.uid, owner.user_unit, owner.session, owner.pod, owner.job) == (None, "", "", "", "")


def test_rootless() -> None:
    owner = owner_of(f"{MANAGER}/user.slice/{SCOPE}/inner")
    assert (owner.runtime, owner.container, owner.uid) == ("docker", ID, 1000)
    assert (owner.unit, owner.user_unit) == ("user@1000.service", SCOPE)
    assert owner.place("container") == owner.place("unit") == f"{MANAGER}/user.slice/{SCOPE}"


def test_rootless_without_cgroups() -> None:
    owner = owner_of(f"{MANAGER}/app.slice/docker.service")
    assert (owner.runtime, owner.user_unit, owner.uid) == ("", "docker.service", 1000)


@pytest.mark.parametrize(
    "path",
    [
        "/docker/abc",
        "/docker",
        f"/docker/{ID.upper()}",
        f"/docker/{ID[:-1]}",
        f"/docker/{ID}0",
        f"/docker/{ID[:-1]}g",
        f"/docker/{ID}.scope",
        f"/dockers/{ID}",
        f"/foo/docker/{ID}",
        f"/{ID}",
        f"/docker-{ID}",
        f"/system.slice/docker-{ID}",
        f"/system.slice/docker-{ID}.service",
        f"/system.slice/docker-{ID}.scope.mount",
        f"/system.slice/xdocker-{ID}.scope",
        f"/system.slice/docker-{ID[:-1]}.scope",
        f"/system.slice/system.slice/{SCOPE}",
        f"/system.slice/foo.service/docker/{ID}",
        f"/system.slice/foo.service/{SCOPE}",
        f"/user.slice/user-1000.slice/session-3.scope/docker/{ID}",
        f"{MANAGER}/app.slice/{SCOPE}",
        f"{MANAGER}/{SCOPE}",
        f"{MANAGER}/docker/{ID}",
        f"{MANAGER}/user.slice/foo.service/{SCOPE}",
        f"{MANAGER}/user.slice/user-1000.slice/{SCOPE}",
    ],
)
def test_look_alikes(path: str) -> None:
    owner = owner_of(path)
    assert (owner.runtime, owner.container, owner.place("container")) == ("", "", "")
