"""Opinions on candidates, in points. A new policy is one file and one name in POLICIES."""

from __future__ import annotations

from oomguardd.policies.age import AgePolicy
from oomguardd.policies.base import Policy, Scene
from oomguardd.policies.cgroup import CgroupPolicy
from oomguardd.policies.growth import GrowthPolicy
from oomguardd.policies.kubernetes import KubernetesPolicy
from oomguardd.policies.nice import NicePolicy
from oomguardd.policies.protect import ProtectPolicy
from oomguardd.policies.slurm import SlurmPolicy
from oomguardd.policies.users import UsersPolicy

POLICIES: tuple[type[Policy], ...] = (
    ProtectPolicy,
    GrowthPolicy,
    NicePolicy,
    CgroupPolicy,
    KubernetesPolicy,
    SlurmPolicy,
    UsersPolicy,
    AgePolicy,
)
"""In the order in which they are shown; the order changes no result."""

__all__ = ["POLICIES", "Policy", "Scene"]
