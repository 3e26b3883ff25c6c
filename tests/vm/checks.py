"""What every kernel and every daemon is held to, whichever the scenarios."""

from __future__ import annotations

from .batch import Result


def assert_badness(check: Result) -> None:
    """Our badness is the kernel's, with nothing of what makes it difficult missing."""
    assert check["wrong"] == 0, check["rows"]
    assert check["exact"] >= 0.9 * check["compared"], check["rows"]
    assert check["swapped_mib"] > 100, check
    assert check["negative_adj"] > 0, check
    assert check["zombie_leaders"] > 0, check


def assert_result(result: Result) -> None:
    """Exactly those died who had to, by this daemon, which outlived them; the canary answered."""
    log = "\n".join(result["log"])
    facts = {key: value for key, value in result.items() if key != "log"}
    assert result["runs"], f"the daemon does not run\n{log}"
    assert result["right_victim"], f"{facts}\n{log}"
    assert result["guard_survived"], f"the daemon ended in the middle\n{log}"
    assert result["kernel_oom_kills"] == 0, f"the kernel had to kill\n{log}"
    assert result["canary"], "the canary was killed"
