"""Who runs a process, in words."""

from __future__ import annotations

import pytest

from oomguardd.engine.owners import owner_words
from oomguardd.runtimes import owner_of

POD = "1b4e28ba-2fa1-11d2-883f-0016d3cca427"
APP = "/user.slice/user-1000.slice/user@1000.service/app.slice"


@pytest.mark.parametrize(
    ("cgroup", "words"),
    [
        ("/system.slice/nginx.service", "unit nginx.service"),
        (f"{APP}/app-gnome-firefox-1.scope", "application firefox"),
        (f"{APP}/backup.service", "user unit backup.service"),
        ("/user.slice/user-1000.slice/session-3.scope", "login session 3"),
        (f"/system.slice/docker-{'ab' * 32}.scope", "Docker container abababababab"),
        ("/system.slice/slurmstepd.scope/job_7/step_0/user/task_0", "Slurm job 7, step 0"),
        (
            "/kubepods/burstable/pod1b4e28ba-2fa1-11d2-883f-0016d3cca427",
            "pod 1b4e28ba-2fa1-11d2-883f-0016d3cca427 (burstable)",
        ),
        ("/a.slice", "slice a.slice"),
        ("/", ""),
        ("", ""),
        ("/../x", ""),
    ],
)
def test_owners_in_words(cgroup: str, words: str) -> None:
    assert owner_words(owner_of(cgroup)) == words


def test_a_container_of_a_pod() -> None:
    words = owner_words(owner_of(f"/kubepods/burstable/pod{POD}/{'ab' * 32}"))
    assert words.endswith(f"container abababababab of pod {POD} (burstable)")
