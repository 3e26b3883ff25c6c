"""Pods by their QoS class. See "Node-pressure Eviction" of the Kubernetes documentation, and the kubelet's
pkg/kubelet/qos/policy.go, where the oom_score_adj of containers comes from.
"""

from __future__ import annotations

from dataclasses import dataclass

from oomguardd.model import Adjustment, Candidate
from oomguardd.policies.base import Scene
from oomguardd.policies.switched import SwitchedPolicy
from oomguardd.settings import setting
from oomguardd.units import choice, format_bytes

_NODES_OWN = ("/kubepods", "/kubelet")
_BURSTABLE_ADJ = range(2, 1000)
"""What a Burstable container gets, the smallest only from old kubelets: 1000 less the thousandths of the
node's memory that it has requested. One of a node-critical pod has less, and says nothing about a request."""


@dataclass(frozen=True, slots=True)
class KubernetesPolicy(SwitchedPolicy):
    """Ranks pods as the kubelet's eviction does: BestEffort goes first, then Burstable by how far it is over
    what it has requested, Guaranteed goes last. What a container has requested is told by the oom_score_adj
    that the kubelet has given it.
    """

    besteffort_points: float = setting(
        "200.0",
        float,
        "Added to BestEffort pods, and to Burstable ones as far as their memory is over what they have"
        " requested.",
        low="0",
        high="1000",
    )
    requested_points: float = setting(
        "-200.0",
        float,
        "Added to Burstable pods as far as their memory is within what they have requested.",
        low="-1000",
        high="0",
    )
    guaranteed_points: float = setting("-300.0", float, "Added to Guaranteed pods.", low="-1000", high="0")
    kill: str = setting(
        "process",
        choice("process", "container", "pod"),
        'What is killed with a process of a pod: "process" is that one alone (but for memory.oom.group, which'
        ' the kubelet sets since 1.28), "container", or "pod".',
    )
    name = "kubernetes"

    @property
    def reach(self) -> float:
        return self.besteffort_points

    def adjust(self, c: Candidate, scene: Scene) -> Adjustment | None:
        # What a container calls a pod inside of itself is that container's word.
        if not c.owner.place("pod").startswith(_NODES_OWN):
            return None
        if c.owner.qos == "besteffort":
            return self._opinion(self.besteffort_points, "in a BestEffort pod")
        if c.owner.qos == "guaranteed":
            return self._opinion(self.guaranteed_points, "in a Guaranteed pod")
        if c.owner.qos == "burstable" and c.oom_score_adj in _BURSTABLE_ADJ:
            return self._burstable(c, scene)
        return None

    def kill_unit(self, c: Candidate) -> str:
        return self.kill if c.owner.pod and self.kill != "process" else ""

    def _burstable(self, c: Candidate, scene: Scene) -> Adjustment | None:
        requested = (1000 - c.oom_score_adj) * scene.totals.ram_bytes // 1000
        # A share, and not the bytes over the request: what is taken off here must not grow with the memory,
        # as other policies take theirs off the same memory.
        over = max(0.0, 1 - requested / max(1, c.held_bytes))
        points = self.besteffort_points * over + self.requested_points * (1 - over)
        where = f"{over:.0%} of it over" if over else "within"
        return self._opinion(
            points,
            f"in a Burstable pod, {where} the {format_bytes(requested)} that its container has requested",
        )

    def _opinion(self, points: float, why: str) -> Adjustment | None:
        return Adjustment(self.name, points, why) if points else None
