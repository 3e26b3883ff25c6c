"""Jobs of Slurm. See cgroup.conf(5), OOMKillStep in slurm.conf(5)."""

from __future__ import annotations

from dataclasses import dataclass

from oomguardd.model import Adjustment, Candidate
from oomguardd.policies.base import Scene
from oomguardd.policies.switched import SwitchedPolicy
from oomguardd.settings import setting
from oomguardd.units import choice


@dataclass(frozen=True, slots=True)
class SlurmPolicy(SwitchedPolicy):
    """On a node of a Slurm cluster a job goes before the node's own services, and all of it on this node at
    once: what is left of a parallel job would only wait for the task that is gone.
    """

    points: float = setting("50.0", float, "Added to what belongs to a job.", low="-1000", high="1000")
    kill: str = setting(
        "job",
        choice("process", "job"),
        'What is killed with a process of a job: "job", or the "process" alone. slurmstepd is always left, so'
        " that Slurm sees how the job has ended.",
    )
    name = "slurm"

    @property
    def reach(self) -> float:
        return max(0.0, self.points)

    def adjust(self, c: Candidate, scene: Scene) -> Adjustment | None:
        if not c.owner.job or not self.points:
            return None
        return Adjustment(self.name, self.points, f"belongs to Slurm job {c.owner.job}")

    def kill_unit(self, c: Candidate) -> str:
        return "job" if c.owner.job and self.kill == "job" else ""
