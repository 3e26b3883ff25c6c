"""Laws of owners."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from oomguardd.runtimes import owner_of

ID = "0123456789abcdef" * 4
PARTS = [
    "system.slice",
    "user.slice",
    "user-1000.slice",
    "user@1000.service",
    "app.slice",
    "machine.slice",
    "init.scope",
    "session-2.scope",
    "app-firefox-1.scope",
    "sshd.service",
    "docker",
    ID,
    f"docker-{ID}.scope",
    f"libpod-{ID}.scope",
    "container",
    "kubepods.slice",
    "kubepods",
    "burstable",
    "kubepods-besteffort.slice",
    "kubepods-besteffort-pod0d8c5b2e_7a41_4f7e_9b1c_2f3e4d5c6b7a.slice",
    f"cri-containerd-{ID}.scope",
    "pod0d8c5b2e-7a41-4f7e-9b1c-2f3e4d5c6b7a",
    "lxc",
    "lxc.payload.c1",
    "lxc.monitor.c1",
    "systemd-nspawn@x.service",
    "slurm",
    "slurmstepd.scope",
    "uid_1",
    "job_7",
    "step_0",
    "user",
    "task_0",
    "..",
    "",
]
paths = st.one_of(
    st.text(max_size=60),
    st.lists(st.sampled_from(PARTS), max_size=8).map(lambda parts: "/" + "/".join(parts)),
)


@given(paths)
def test_places_are_parts_of_the_path(path: str) -> None:
    for _, place in owner_of(path).places:
        assert path == place or path.startswith(f"{place}/")
        assert place not in ("", "/")


@given(st.lists(st.sampled_from(PARTS), max_size=6))
def test_what_a_user_makes_is_that_users(parts: list[str]) -> None:
    """Below a user's manager that user may make cgroups of any name."""
    owner = owner_of("/user.slice/user-1000.slice/user@1000.service/" + "/".join(parts))
    assert owner.uid == 1000 or not owner.runtime
    assert not owner.pod
    assert not owner.job
    assert owner.unit in ("", "user@1000.service")
