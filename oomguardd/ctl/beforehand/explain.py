"""`oomguardctl explain PID`: why this process would or would not be killed."""

from __future__ import annotations

import argparse
import os
import pwd
from typing import NamedTuple

from oomguardd.config import load
from oomguardd.ctl import arguments
from oomguardd.ctl.beforehand import company
from oomguardd.ctl.beforehand.case import case_of
from oomguardd.ctl.beforehand.look import Looker, blind_spots, look_around
from oomguardd.ctl.beforehand.story import story_of
from oomguardd.ctl.beforehand.world import World
from oomguardd.ctl.console import Console, Trouble
from oomguardd.ctl.senses import Senses
from oomguardd.ctl.text import bullets
from oomguardd.ctl.verb import Verb
from oomguardd.engine.together import keep_of
from oomguardd.engine.words import listed, safe
from oomguardd.kernel.files import SensorError
from oomguardd.kernel.pid_namespace import Numbers, read_numbers
from oomguardd.kernel.process import inspect, pids, read_pid_max
from oomguardd.model import Candidate
from oomguardd.policies.set import PolicySet
from oomguardd.sensors import SIGNALS

ALL_NEEDS = company.NEEDS | {"cmdline", "ancestors"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("pid", metavar="PID", type=arguments.pid, help="the process")


def run(args: argparse.Namespace, console: Console) -> int:
    """The exit status. ConfigError, Trouble, SensorError, OSError."""
    config = load(args.config, SIGNALS)
    looker, policies = Looker(), PolicySet(config.policies, config.rules)
    world = look_around(looker, Senses(), config, policies, company.NEEDS)
    found = find(args.pid, world, looker.proc_fd)
    if found.candidate is None:
        if console.as_json:
            console.put_json({"kind": "explain", "pid": args.pid, "verdict": "exempt", "exempt": found.note})
        else:
            console.say(bullets([found.note], console.width, indent=0))
        return 0
    c = looker.complete(found.candidate, ALL_NEEDS)
    keep = keep_of(world.limits, world.totals, config.kill.max_processes)
    case = case_of(c, world, keep, config)
    unseen = blind_spots(world, looker.proc_fd)
    notes = [note for note in (found.note, *unseen) if note]
    if console.as_json:
        console.put_json({"kind": "explain", "pid": c.pid, **case.fields(), "notes": notes})
    else:
        width = console.width
        console.say([*bullets(notes, width, indent=0), *story_of(case, width, _user_name(c.uid))])
    return 0


class Found(NamedTuple):
    """What a number stands for."""

    candidate: Candidate | None
    """None for what is no candidate at all."""
    note: str


def find(pid: int, world: World, proc_fd: int) -> Found:
    """Trouble with clear words if there is no such process."""
    by_pid = {c.pid: c for c in world.processes}
    numbers = read_numbers(proc_fd, pid)
    if pid == os.getpid():
        return Found(None, f"{pid} is this command itself, which is left out of account.")
    if numbers is None:
        raise Trouble(_nobody(pid, proc_fd))
    note = ""
    if numbers.process != pid:
        note = f"{pid} is a thread of process {numbers.process}: threads share all memory and die together."
        pid = numbers.process
    if pid in by_pid:
        return Found(by_pid[pid], note or _inside(pid, numbers))
    return _no_candidate(pid, numbers, proc_fd)


def _no_candidate(pid: int, numbers: Numbers, proc_fd: int) -> Found:
    name = f"{safe(numbers.name)}[{pid}]"
    if numbers.state in ("Z", "X"):
        return Found(None, f"{name} has ended already and holds no memory; its parent has not noticed yet.")
    c = inspect(proc_fd, pid, 0.0)
    if c is None:
        raise Trouble(f"{name} has ended just now, or may not be read by this user")
    if c.kernel_thread:
        return Found(None, f"{name} is a kernel thread: it has no memory of its own and cannot be killed.")
    return Found(None, f"{name} has only just been started: ask again.")


def _inside(pid: int, numbers: Numbers) -> str:
    if not numbers.inner:
        return ""
    return f"In its own pid namespace {pid} is number {numbers.inner[-1]}."


def _nobody(pid: int, proc_fd: int) -> str:
    """Why there is nobody of that number."""
    if _exists(pid):
        return f"process {pid} exists, but /proc does not show it to this user (hidepid): run this as root"
    names = []
    for other in pids(proc_fd):
        numbers = read_numbers(proc_fd, other)
        if numbers is not None and numbers.process == other and pid in numbers.inner:
            names.append(f"{safe(numbers.name)}[{other}]")
    if names:
        return (
            f"there is no process {pid} here; in a pid namespace of their own that is the number of"
            f" {listed(names, 8)}: give one of the numbers in brackets"
        )
    try:
        end = read_pid_max(proc_fd)
    except (OSError, SensorError):
        end = 1 << 31
    beyond = f" (pids here end at {end - 1})" if pid >= end else ""
    return f"there is no process {pid}{beyond}"


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return ""


VERB = Verb(
    "explain",
    "why this process would or would not be killed now, and what to write to change that",
    "Every term of its points, the distance to the victim, what each rule and policy says, and who would die"
    " with it.",
    add_arguments,
    run,
)
