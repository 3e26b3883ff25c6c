"""Pods, with both cgroup drivers, all runtimes and classes; on the host and in a container."""

from __future__ import annotations

import pytest

from oomguardd.runtimes import owner_of

ID = "ec9ee26695deb4cc72bc665efff1cf3a03fdfb12f1303e02fe9252985e084a95"
NODE = "d6701ec289c56e4391acb11d07474b3139466857a305490575508a8b7a9fcf22"
UID = "eded8c65-6e8e-4c6e-a889-3e427565c740"
UID_ = UID.replace("-", "_")
STATIC = "7ba3a4a4d0a1c9c2d6ec7c4ab3b4a2b1"
MANAGER = "/user.slice/user-1000.slice/user@1000.service"


def pod_slice(qos: str, uid: str = UID_, root: str = "") -> str:
    top = f"{root}-kubepods" if root else "kubepods"
    start = f"/{root}.slice/{top}.slice" if root else f"/{top}.slice"
    if qos == "guaranteed":
        return f"{start}/{top}-pod{uid}.slice"
    return f"{start}/{top}-{qos}.slice/{top}-{qos}-pod{uid}.slice"


@pytest.mark.parametrize("qos", ["besteffort", "burstable", "guaranteed"])
@pytest.mark.parametrize("root", ["", "kubelet", "machine"])
@pytest.mark.parametrize(
    ("name", "runtime"),
    [
        (f"cri-containerd-{ID}.scope", "containerd"),
        (f"crio-{ID}.scope", "cri-o"),
        (f"docker-{ID}.scope", "docker"),
    ],
)
def test_systemd_driver(qos: str, root: str, name: str, runtime: str) -> None:
    pod = pod_slice(qos, root=root)
    owner = owner_of(f"{pod}/{name}/kube-proxy")
    assert (owner.runtime, owner.container, owner.pod, owner.qos) == (runtime, ID, UID, qos)
    assert (owner.unit, owner.slice) == (name, pod.rpartition("/")[2])
    assert owner.places == (
        ("cgroup", f"{pod}/{name}/kube-proxy"),
        ("unit", f"{pod}/{name}"),
        ("container", f"{pod}/{name}"),
        ("pod", pod),
    )


@pytest.mark.parametrize(
    ("parent", "qos"),
    [
        ("/kubepods/besteffort", "besteffort"),
        ("/kubepods/burstable", "burstable"),
        ("/kubepods", "guaranteed"),
        ("/kubelet/kubepods/burstable", "burstable"),
        ("/kubelet/kubepods", "guaranteed"),
    ],
)
@pytest.mark.parametrize(("name", "runtime"), [(ID, "containerd"), (f"crio-{ID}", "cri-o")])
def test_cgroupfs_driver(parent: str, qos: str, name: str, runtime: str) -> None:
    pod = f"{parent}/pod{UID}"
    owner = owner_of(f"{pod}/{name}")
    assert (owner.runtime, owner.container, owner.pod, owner.qos) == (runtime, ID, UID, qos)
    assert (owner.unit, owner.slice) == ("", "")
    assert owner.place("pod") == pod
    assert owner.place("container") == f"{pod}/{name}"


def test_pods_of_the_kubelet_itself_have_a_hash_for_a_uid() -> None:
    owner = owner_of(f"{pod_slice('burstable', STATIC)}/cri-containerd-{ID}.scope")
    assert (owner.pod, owner.qos) == (STATIC, "burstable")


def test_old_kubelets_left_the_dashes() -> None:
    owner = owner_of(f"{pod_slice('burstable', UID)}/docker-{ID}.scope")
    assert (owner.pod, owner.runtime) == (UID, "docker")


def test_a_pod_without_a_known_container_is_not_the_hosts() -> None:
    owner = owner_of(f"/kubepods/burstable/pod{UID}/kata_overhead")
    assert (owner.runtime, owner.container, owner.pod) == ("containerd", "", UID)


@pytest.mark.parametrize("name", [f"crio-conmon-{ID}.scope", f"crio-conmon-{ID}"])
def test_conmon_is_the_hosts(name: str) -> None:
    for pod in (pod_slice("burstable"), f"/kubepods/burstable/pod{UID}"):
        owner = owner_of(f"{pod}/{name}")
        assert (owner.runtime, owner.container, owner.pod, owner.qos) == ("", "", "", "")
    assert owner_of(f"/system.slice/crio-conmon-{ID}.scope").runtime == ""


@pytest.mark.parametrize(
    ("top", "unit"),
    [("/system.slice/containerd.service", "containerd.service"), ("", "")],
)
def test_two_opinions_on_the_driver(top: str, unit: str) -> None:
    path = f"{top}/kubepods-besteffort-pod{UID_}.slice:cri-containerd:{ID}"
    owner = owner_of(path)
    assert (owner.runtime, owner.container, owner.pod, owner.qos) == ("containerd", ID, UID, "besteffort")
    assert owner.unit == unit
    assert dict(owner.places) == {"cgroup": path, "container": path}


@pytest.mark.parametrize(
    ("node", "unit"),
    [
        (f"/docker/{NODE}", ""),
        (f"/system.slice/docker-{NODE}.scope", f"docker-{NODE}.scope"),
        (f"/machine.slice/libpod-{NODE}.scope/container", f"libpod-{NODE}.scope"),
        ("/lxc.payload.ny2g2r5hh3-lxc", ""),
    ],
)
@pytest.mark.parametrize("root", ["", "kubelet"])
def test_a_node_in_a_container(node: str, unit: str, root: str) -> None:
    pod = node + pod_slice("besteffort", root=root)
    owner = owner_of(f"{pod}/cri-containerd-{ID}.scope")
    assert (owner.runtime, owner.container, owner.pod, owner.qos) == ("containerd", ID, UID, "besteffort")
    assert owner.unit == unit
    assert owner.place("pod") == pod
    kubelet = owner_of(f"{node}/kubelet.slice/kubelet.service")
    assert (kubelet.unit, kubelet.pod) == (unit, "")


def test_the_hosts_kubelet_counts_more_than_one_in_a_pod() -> None:
    other = "11111111-2222-3333-4444-555555555555"
    outer = pod_slice("besteffort")
    owner = owner_of(f"{outer}/cri-containerd-{NODE}.scope/kubepods/pod{other}/{ID}")
    assert (owner.pod, owner.qos, owner.place("pod")) == (UID, "besteffort", outer)
    assert owner.container == ID


@pytest.mark.parametrize(
    "path",
    [
        "/kubepods.slice/kubelet.service",
        f"/kubepods.slice/kubepods-burstable-pod{UID_}.service",
        f"/kubepods.slice/kubepods-burstable.slice/kubepods-besteffort-pod{UID_}.slice/cri-containerd-{ID}.scope",
        f"/kubepods.slice/kubepods-odd.slice/kubepods-odd-pod{UID_}.slice/cri-containerd-{ID}.scope",
        f"/mykubepods.slice/mykubepods-pod{UID_}.slice/cri-containerd-{ID}.scope",
        f"/kubepods/pod{UID[:-1]}/{ID}",
        f"/kubepods/pod/{ID}",
        f"/kubepods/odd/pod{UID}/{ID}",
        f"/kubepods/burstable/{UID}/{ID}",
        f"/kubelet/burstable/pod{UID}/{ID}",
        f"/system.slice/kubepods.slice/kubepods-pod{UID_}.slice/cri-containerd-{ID}.scope",
        f"/system.slice/evil.service/kubepods/pod{UID}/{ID}",
        f"/system.slice/evil.service/kubepods-besteffort-pod{UID_}.slice:cri-containerd:{ID}",
        f"/user.slice/user-1000.slice/session-3.scope/kubepods/pod{UID}/{ID}",
        f"{MANAGER}{pod_slice('guaranteed')}/cri-containerd-{ID}.scope",
        f"{MANAGER}/kubepods/pod{UID}/{ID}",
        f"{MANAGER}/user.slice/evil.service{pod_slice('guaranteed')}/crio-{ID}.scope",
        f"{MANAGER}/user.slice/evil.service/kubepods/pod{UID}/{ID}",
    ],
)
def test_look_alikes(path: str) -> None:
    owner = owner_of(path)
    assert (owner.runtime, owner.container, owner.pod, owner.qos) == ("", "", "", "")


def test_a_container_of_a_user_says_nothing_of_pods() -> None:
    owner = owner_of(
        f"{MANAGER}/user.slice/libpod-{NODE}.scope/container{pod_slice('guaranteed')}/crio-{ID}.scope"
    )
    assert (owner.runtime, owner.container, owner.pod, owner.qos) == ("podman", NODE, "", "")
