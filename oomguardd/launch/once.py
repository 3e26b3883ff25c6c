"""`oomguardd --once`: one look, with the same eyes as the guard, and nothing done."""

from __future__ import annotations

import json

from oomguardd.census.dossier import Dossier
from oomguardd.engine.explain_once import once_lines
from oomguardd.engine.select import Limits
from oomguardd.guard import records
from oomguardd.guard.options import make_watch
from oomguardd.guard.scout import Scout
from oomguardd.kernel.cgroupfs import find_cgroups
from oomguardd.kernel.files import open_dir
from oomguardd.kernel.process import own_ancestors
from oomguardd.policies.set import PolicySet
from oomguardd.sections import Config


def look_once(config: Config, as_json: bool) -> str:
    """The readings, the level and the top candidates with their points. StartError, OSError."""
    proc_fd = open_dir("/proc")
    faults: list[str] = []
    watch = make_watch(config, lambda where, error: faults.append(f"{where}: {error}"))
    look = watch.look()
    totals = watch.totals()
    smallest = config.select.smallest_victim.of_bytes(totals.ram_bytes + totals.swap_bytes)
    inside = bool(watch.domain.cgroup)
    select = config.select
    policies = PolicySet(config.policies, config.rules)
    limits = Limits(select.oom_score_adj_cap, smallest, own_ancestors(proc_fd), (), inside, policies=policies)
    dossier = Dossier(proc_fd, find_cgroups(), None)
    runners_up = max(select.runners_up, 9)
    scout = Scout(proc_fd, select.shortlist, runners_up, dossier=dossier, swarm=select.swarm)
    found = scout.choose(look.unused_bytes, totals, limits)
    report: dict[str, object] = {
        "kind": "once",
        "domain": watch.domain.name,
        **records.cause(look.assessment),
        "readings": records.readings(look.sample),
        **records.verdict(found.verdict),
        "processes": found.scanned,
        "missing": list(watch.missing) + faults,
        "unread": sorted(set(watch.signals) - set(look.sample)),
    }
    watch.close()
    return json.dumps(report, indent=2) if as_json else "\n".join(once_lines(report, watch.signals))
