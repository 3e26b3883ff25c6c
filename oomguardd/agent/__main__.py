"""`oomguard-agent`: shows on this user's desktop what oomguardd does. Started by the user's systemd."""

# ruff: noqa: E402  # the one line that has to come before the imports is explained there

from __future__ import annotations

import sys

# asyncio imports it where it can: 4 MiB in every session, for connections that are never encrypted.
sys.modules.setdefault("ssl", None)  # type: ignore[arg-type]

import argparse
import asyncio
import contextlib
import grp
import os
import signal
from collections.abc import Sequence

from oomguardd import __version__
from oomguardd.agent.audience import sees_all
from oomguardd.agent.listener import Listener
from oomguardd.agent.session import AnotherAgent, Session
from oomguardd.agent.show import Shower, Taste, desktop_tells
from oomguardd.notifiers.dbus import HAVE_JEEPNEY, NO_JEEPNEY, session_address, system_address
from oomguardd.notifiers.stopping import stop

CANNOT_WORK = 78  # EX_CONFIG of sysexits.h: systemd/user/oomguard-agent.service does not restart it then


def main(argv: Sequence[str] | None = None) -> int:
    """The exit status: 0 stopped, or another agent is there; 2 wrong usage; 78 it cannot work here."""
    args = _parser().parse_args(argv)
    session = session_address(os.environ)
    if not HAVE_JEEPNEY or not session:
        complain(NO_JEEPNEY if session else "no session: set DBUS_SESSION_BUS_ADDRESS or XDG_RUNTIME_DIR")
        return CANNOT_WORK
    try:
        asyncio.run(_run(args, session))
    except AnotherAgent:
        complain("there is an agent in this session already")
    return 0


def complain(sentence: str) -> None:
    """On standard error, which may be closed."""
    with contextlib.suppress(OSError, ValueError):
        print(f"oomguard-agent: {sentence}", file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="oomguard-agent",
        description="Shows on your desktop what oomguardd does: warnings, and what it ends. Needs no rights.",
    )
    parser.add_argument(
        "--show",
        choices=("auto", "own", "all"),
        default="auto",
        help="whose processes: your own, everybody's, or (auto) everybody's if you are in the group adm, sudo"
        " or wheel",
    )
    parser.add_argument("--no-warnings", action="store_true", help="show only what was ended")
    parser.add_argument(
        "--leave-to-desktop",
        choices=("auto", "always", "never"),
        default="auto",
        help="not show what the desktop itself shows: applications that systemd reports as killed for memory"
        " (auto: in GNOME)",
    )
    parser.add_argument("--version", action="version", version=f"oomguardd {__version__}")
    return parser


def _groups() -> list[str]:
    """Names of the groups that we are in."""
    names = []
    for gid in {os.getgid(), *os.getgroups()}:
        with contextlib.suppress(KeyError):
            names.append(grp.getgrgid(gid).gr_name)
    return names


async def _run(args: argparse.Namespace, address: str) -> None:
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    beside = desktop_tells(args.leave_to_desktop, os.environ)
    session = Session(address, beside, complain)
    taste = Taste(os.getuid(), sees_all(args.show, os.getuid(), _groups()), not args.no_warnings, beside)
    shower = Shower(session, taste, os.environ, complain)
    listener = Listener(system_address(os.environ), shower.put, complain)
    tasks = [asyncio.ensure_future(each.run()) for each in (session, shower, listener)]
    stopped = asyncio.ensure_future(stopping.wait())
    done, _ = await asyncio.wait({stopped, *tasks}, return_when=asyncio.FIRST_COMPLETED)
    await stop(stopped, *tasks)
    for task in done:
        task.result()  # what ended it, if it was not told to stop


if __name__ == "__main__":
    sys.exit(main())
