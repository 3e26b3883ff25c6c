"""nerdctl's containers."""

from __future__ import annotations

import pytest

from oomguardd.runtimes import owner_of

ID = "ec9ee26695deb4cc72bc665efff1cf3a03fdfb12f1303e02fe9252985e084a95"
MANAGER = "/user.slice/user-1000.slice/user@1000.service"


@pytest.mark.parametrize(("top", "uid"), [("/system.slice", None), (f"{MANAGER}/user.slice", 1000)])
def test_containers(top: str, uid: int | None) -> None:
    owner = owner_of(f"{top}/nerdctl-{ID}.scope/x")
    assert (owner.runtime, owner.container, owner.uid) == ("containerd", ID, uid)
    assert owner.place("container") == f"{top}/nerdctl-{ID}.scope"


@pytest.mark.parametrize(
    "path",
    [
        "/system.slice/containerd.service",
        f"/system.slice/nerdctl-{ID[1:]}.scope",
        f"{MANAGER}/app.slice/nerdctl-{ID}.scope",
    ],
)
def test_look_alikes(path: str) -> None:
    assert owner_of(path).runtime == ""
