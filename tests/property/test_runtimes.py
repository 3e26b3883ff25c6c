"""Laws of owners: what holds for any path that somebody can make."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from oomguardd.model import KILL_UNITS, NO_OWNER, Owner
from oomguardd.runtimes import owner_of

ID = "0123456789abcdef" * 4
POD = "0d8c5b2e-7a41-4f7e-9b1c-2f3e4d5c6b7a"
POD_ = POD.replace("-", "_")
MANAGER = "/user.slice/user-1000.slice/user@1000.service"

NAMES = (
    *("system.slice", "user.slice", "user-1000.slice", "user@1000.service", "app.slice", "machine.slice"),
    *("init.scope", "session-3.scope", "app-firefox-1.scope", "sshd.service", "containerd.service"),
    *("machine-a.scope", "systemd-nspawn@a.service", "payload", "supervisor", "container", "ns"),
    *("docker", ID, f"docker-{ID}.scope", f"nerdctl-{ID}.scope"),
    *(f"libpod-{ID}.scope", f"libpod-payload-{ID}", f"libpod-conmon-{ID}.scope", "libpod_parent"),
    *("kubelet", "kubepods", "burstable", f"pod{POD}", f"crio-{ID}", f"cri-containerd-{ID}.scope"),
    *("kubelet.slice", "kubepods.slice", "kubepods-burstable.slice", f"kubepods-burstable-pod{POD_}.slice"),
    *(f"kubepods-pod{POD_}.slice", f"kubepods-pod{POD_}.slice:cri-containerd:{ID}"),
    *("lxc", "lxc.payload", "lxc.payload.a", "lxc.monitor.a"),
    *("slurm", "slurm_node", "uid_5", "job_7", "step_0", "task_0", "user"),
    *("slurmstepd.scope", "n_slurmstepd.scope"),
    *("..", "", "_", "-.slice", ".slice", "a-.slice", ".scope"),
)
ANY_NAME = st.text(st.characters(exclude_characters="/\n\0", codec=None), max_size=12)
names = st.sampled_from(NAMES) | st.sampled_from(NAMES) | ANY_NAME
tails = st.lists(names, max_size=9).map(lambda found: "".join(f"/{name}" for name in found))
HOST_TREES = (
    "", "/system.slice", "/machine.slice", f"/docker/{ID}", f"/system.slice/docker-{ID}.scope", "/lxc/a/ns",
    f"/kubepods.slice/kubepods-pod{POD_}.slice", "/slurm/uid_5/job_7",
)  # fmt: skip
paths = st.builds(str.__add__, st.sampled_from(HOST_TREES), tails)


@given(paths | st.text(max_size=40))
def test_places_are_parts_of_the_path(path: str) -> None:
    owner = owner_of(path)
    assert isinstance(owner, Owner)
    found = [unit for unit, _ in owner.places]
    assert len(found) == len(set(found))
    assert set(found) <= set(KILL_UNITS)
    for _, place in owner.places:
        assert place not in ("", "/")
        assert path == place or path.startswith(f"{place}/")


@given(paths)
def test_a_manager_or_slice_is_no_unit_to_be_killed(path: str) -> None:
    owner = owner_of(path)
    last = owner.place("unit").rpartition("/")[2]
    assert not last.startswith("user@")
    assert not last.endswith(".slice")
    assert last != "init.scope"
    assert owner.place("cgroup") not in ("/init.scope", MANAGER, f"{MANAGER}/init.scope", "/system.slice")


@given(paths)
def test_what_names_a_container_or_job_has_its_place(path: str) -> None:
    owner = owner_of(path)
    assert bool(owner.container) == bool(owner.place("container"))
    assert bool(owner.job) == bool(owner.place("job"))
    assert not owner.place("pod") or owner.pod
    assert bool(owner.runtime) == bool(owner.container or owner.pod or owner.job)
    assert owner.qos in ("", "besteffort", "burstable", "guaranteed")
    assert not owner.qos or owner.pod


@given(tails)
def test_a_user_cannot_pose(tail: str) -> None:
    owner = owner_of(MANAGER + tail)
    assert (owner.unit, owner.slice, owner.uid) == ("user@1000.service", "user-1000.slice", 1000)
    assert owner.runtime in ("", "docker", "podman", "containerd")
    assert (owner.session, owner.qos, owner.job, owner.step) == ("", "", "", "")
    assert owner.pod != POD
    for _, place in owner.places:
        assert place.startswith(f"{MANAGER}/")


@given(st.sampled_from(["/system.slice/evil.service", "/user.slice/user-1000.slice/session-3.scope"]), tails)
def test_a_service_cannot_pose(unit: str, tail: str) -> None:
    owner = owner_of(unit + tail)
    assert owner.unit == unit.rpartition("/")[2]
    assert owner.runtime in ("", "podman")
    assert (owner.pod, owner.qos, owner.job, owner.user_unit) == ("", "", "", "")
    assert owner.place("unit") == unit


@given(
    st.sampled_from(["/lxc.payload.c1", "/lxc/c1/ns", f"/docker/{ID}", f"/system.slice/docker-{ID}.scope"]),
    tails,
)
def test_a_container_says_nothing_about_the_host(container: str, tail: str) -> None:
    outside, inside = owner_of(container), owner_of(container + tail)
    assert inside.runtime
    assert inside[1:7] == outside[1:7]  # unit, user_unit, slice, session, uid, app
    assert inside.place("unit") == outside.place("unit")
    assert inside.place("container").startswith(outside.place("container"))


@given(tails)
def test_outside_of_our_namespace_nothing_is_known(tail: str) -> None:
    assert owner_of(f"/..{tail}") == NO_OWNER
