"""`oomguardctl record`: the machine over time, in a file that `simulate` reads."""

from __future__ import annotations

import argparse
import contextlib
import os
import pwd
import signal
import time
from collections.abc import Collection, Sequence

from oomguardd.ctl import arguments
from oomguardd.ctl.beforehand.look import Looker
from oomguardd.ctl.beforehand.world import ancestors_of, guards_among
from oomguardd.ctl.console import Console, Trouble
from oomguardd.ctl.senses import Senses
from oomguardd.ctl.tapes.recorder import LEAST_BYTES, Recorder, Writer
from oomguardd.ctl.tapes.recording import Header, header_line
from oomguardd.ctl.tapes.redact import no_redaction, redaction
from oomguardd.ctl.verb import Verb
from oomguardd.engine.words import counted, duration, size
from oomguardd.kernel.clock import monotonic_s
from oomguardd.kernel.files import SensorError
from oomguardd.model import PAGE_BYTES, Candidate

_FIRST_PERSON = 1000
_NOBODY = 65534
"""Below are the names of services, which tell nothing about anybody and which rules match on."""
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="where to; compressed if its name ends in .gz")
    parser.add_argument(
        "--for",
        dest="for_s",
        metavar="TIME",
        type=arguments.seconds(0.1, 30 * 86400),
        default=60.0,
        help="how long (default: 60s); Ctrl-C ends it earlier",
    )
    parser.add_argument(
        "--interval",
        dest="interval_s",
        metavar="TIME",
        type=arguments.seconds(0.1, 3600),
        default=1.0,
        help="time between two looks (default: 1s)",
    )
    parser.add_argument(
        "--redact",
        action="store_true",
        help="leave out the arguments of commands, the names of users, and the host's",
    )
    parser.add_argument(
        "-n",
        metavar="N",
        type=arguments.count,
        default=arguments.ALL,
        help="only the N biggest processes of each moment (default: all that hold 1 MiB)",
    )


def run(args: argparse.Namespace, console: Console) -> int:
    """The exit status. Trouble, SensorError, OSError."""
    senses, looker = Senses(), Looker()
    everybody = looker.crowd(()).processes
    people = _people({c.uid for c in everybody})
    redact = redaction(people, os.uname().nodename) if args.redact else no_redaction
    recorder = Recorder(looker, senses, redact, args.n)
    header = _header(args, senses, everybody)
    writer = Writer(args.file)
    try:
        writer.put(header_line(header))
        ended_by = _record(args, recorder, writer, Progress(console, args.for_s))
        size_bytes = writer.finish()
    except (OSError, SensorError) as error:
        with contextlib.suppress(OSError):
            writer.finish()
        why = error.strerror if isinstance(error, OSError) and error.strerror else error
        moments = counted(recorder.moments, "moment")
        raise Trouble(f"{args.file}: {why}, after {moments}; the file has what could be written") from None
    except BaseException:
        writer.discard()
        raise
    _report(args, size_bytes, recorder, ended_by, console)
    for said in senses.missing if not console.as_json else ():
        console.complain(said)
    return 0


def _people(running: Collection[int]) -> list[tuple[str, int]]:
    """Names and uids of people: those that can be listed, and those who run something."""
    entries = pwd.getpwall()
    for uid in running:  # a directory service may know many more than it lists
        with contextlib.suppress(KeyError):
            entries.append(pwd.getpwuid(uid))
    return [
        (entry.pw_name, entry.pw_uid)
        for entry in entries
        if entry.pw_uid >= _FIRST_PERSON and entry.pw_uid != _NOBODY
    ]


def _header(args: argparse.Namespace, senses: Senses, everybody: Sequence[Candidate]) -> Header:
    guards = {guard.pid for guard in guards_among(everybody, os.geteuid())}
    machine = os.uname()
    return Header(
        time_s=round(time.time(), 3),
        interval_s=args.interval_s,
        totals=senses.totals(),
        page_bytes=PAGE_BYTES,
        domain=senses.domain,
        inside=senses.inside,
        kernel=machine.release,
        hostname="" if args.redact else machine.nodename,
        redacted=args.redact,
        least_bytes=LEAST_BYTES,
        guard=tuple(sorted(ancestors_of(guards, everybody))),
    )


class Progress:
    """One line on standard error: kept up to date on a terminal, written once elsewhere."""

    def __init__(self, console: Console, for_s: float) -> None:
        self._err = console.err
        self._for_s = for_s
        self._alive = console.err.isatty()
        if not self._alive:
            console.complain(f"recording for {duration(for_s)}; SIGINT (Ctrl-C) or SIGTERM ends it earlier")

    def show(self, recorder: Recorder, writer: Writer) -> None:
        """So far."""
        if self._alive:
            so_far = f"{duration(recorder.lasted_s)} of {duration(self._for_s)}"
            written = size(writer.written_bytes)
            moments = counted(recorder.moments, "moment")
            self._put(f"{so_far}, {moments}, {written}; Ctrl-C ends it")

    def clear(self) -> None:
        """Make room for what is said at the end."""
        if self._alive:
            self._put("")

    def _put(self, text: str) -> None:
        self._err.write(f"\r{text}\x1b[K")
        self._err.flush()


def _record(args: argparse.Namespace, recorder: Recorder, writer: Writer, progress: Progress) -> str:
    """Until the time is over, or one of _ENDING comes: its name; empty if none did. OSError, SensorError."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)  # they wait until a line is complete
    try:
        began_s = monotonic_s()
        while True:
            writer.put(recorder.line())
            progress.show(recorder, writer)
            now_s = monotonic_s()
            looks = int((now_s - began_s) / args.interval_s) + 1
            due_s = began_s + looks * args.interval_s
            if due_s > began_s + args.for_s:
                return ""
            caught = signal.sigtimedwait(_ENDING, due_s - now_s)
            if caught is not None:
                return signal.Signals(caught.si_signo).name
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        progress.clear()


def _report(
    args: argparse.Namespace, size_bytes: int, recorder: Recorder, ended_by: str, console: Console
) -> None:
    if console.as_json:
        report = {"kind": "recorded", "file": args.file, "moments": recorder.moments, "bytes": size_bytes}
        console.put_json(report | {"seconds": round(recorder.lasted_s, 3), "ended_by": ended_by})
        return
    moments, lasted = counted(recorder.moments, "moment"), duration(recorder.lasted_s)
    end = f", ended by {ended_by}" if ended_by else ""
    console.say(f"{args.file}: {moments} in {lasted}{end}, {size(size_bytes)}")
    if args.redact:
        console.say(
            "left out: arguments of commands, names of users (uid 1000 and above) and homes, the host's name;"
            " names of programs and cgroups are still in it"
        )


VERB = Verb(
    "record",
    "record this machine in a file that `simulate` reads",
    "The file has the readings and, of every process, what rules may ask for: its name, program, arguments,"
    " user, cgroup and memory. Only its owner may read it.",
    add_arguments,
    run,
)
