"""The one table: scenario by daemon, with what counts. Text for the terminal, markdown for a page."""

from __future__ import annotations

from collections.abc import Iterable

from .batch import Result

HEAD = ("scenario", "kernel", "daemon", "right victim", "kernel OOM", "stall total", "worst", "hog lived")
STALL_ALLOWANCE_S = 0.2


def rows(results: Iterable[Result]) -> list[tuple[str, ...]]:
    return [_row(result) for result in results]


def text(results: Iterable[Result]) -> str:
    """Columns, aligned."""
    lines = [HEAD, *rows(results)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEAD))]
    padded = (zip(line, widths, strict=True) for line in lines)
    return "\n".join("  ".join(word.ljust(width) for word, width in line).rstrip() for line in padded)


def markdown(results: Iterable[Result]) -> str:
    """The same as a markdown table."""
    lines = [HEAD, tuple("---" for _ in HEAD), *rows(results)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def stall_s(result: Result) -> float | None:
    """The canary's total stall; None where it gave none (it was killed, or the guest died)."""
    total = result.get("canary", {}).get("total_s")
    return None if total is None else float(total)


def verdicts(results: Iterable[Result], ours: str = "oomguardd", peer: str = "earlyoom") -> list[str]:
    """For each scenario that both ran: is our stall not above the peer's, give or take 0.2 s?"""
    by_key = {(r["daemon"], r["scenario"]): r for r in results}
    lines = []
    for daemon, scenario in by_key:
        if daemon != ours or (peer, scenario) not in by_key:
            continue
        mine, theirs = stall_s(by_key[ours, scenario]), stall_s(by_key[peer, scenario])
        if theirs is None:
            lines.append(f"ok    {scenario}: {peer} lost its canary")
        elif mine is None or mine > theirs + STALL_ALLOWANCE_S:
            lines.append(f"WORSE {scenario}: {_seconds(mine)} against {_seconds(theirs)} of {peer}")
        else:
            lines.append(f"ok    {scenario}: {_seconds(mine)} against {_seconds(theirs)} of {peer}")
    return lines


def _row(result: Result) -> tuple[str, ...]:
    if "error" in result:
        return (result["scenario"], "?", result["daemon"], "guest died", "-", "-", "-", "-")
    victim = "yes" if result["right_victim"] else f"NO ({', '.join(result['died']) or 'nobody'})"
    if not result["runs"]:
        victim += " (the daemon does not run here)"
    elif not result["guard_survived"]:
        victim += " (the daemon died)"
    canary = result["canary"]
    return (
        result["scenario"],
        ".".join(result["kernel"].split(".")[:2]),
        result["daemon"],
        victim,
        str(result["kernel_oom_kills"]),
        _seconds(canary.get("total_s")),
        _seconds(canary.get("worst_s")),
        f"{result['took_s']:.1f} s",
    )


def _seconds(value: float | None) -> str:
    return "killed" if value is None else f"{value:.2f} s"
