"""From the command line to an armed guard, and its end.

Rule of this file: what can fail fails here, before arming, with the remedy. Arming is the last step:
everything is imported, every descriptor open and the whole path rehearsed when memory is locked.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping

from oomguardd import __version__
from oomguardd.guard import abilities, harden, records
from oomguardd.guard.actuator import Actuator
from oomguardd.guard.child import ReporterChild
from oomguardd.guard.errors import StartError
from oomguardd.guard.harden import Missing
from oomguardd.guard.loop import Guard
from oomguardd.guard.options import Options, make_watch
from oomguardd.guard.outbox import Outbox, listen, reporter_uids
from oomguardd.guard.parts import Parts
from oomguardd.guard.rehearse import rehearse, warm_up
from oomguardd.guard.reloads import Reloads
from oomguardd.guard.shield import EVERY_S, Shield
from oomguardd.guard.wake import PressureWaker
from oomguardd.guard.warden import Warden
from oomguardd.kernel.clock import monotonic_s
from oomguardd.kernel.files import SensorError, open_dir
from oomguardd.kernel.notify import Notifier, listen_fds, watchdog_interval_s
from oomguardd.kernel.pressure import open_trigger
from oomguardd.kernel.process import resident_pages
from oomguardd.model import PAGE_BYTES, Level
from oomguardd.sections import Config

REPORTER_USER = "oomguard"
STANDARD_ERROR = 2
FAREWELL_S = 1.0
"""So long the reporter is given to write down the last records when we end."""


async def serve(options: Options, config: Config, environ: Mapping[str, str]) -> int:
    """Runs the guard until SIGTERM or SIGINT. StartError before it is armed."""
    try:
        service = Service(options, config, environ)
    except OSError as error:
        raise StartError(_no_resources(error)) from None
    try:
        await service.start()
        await service.ended.wait()
    except (OSError, RuntimeError) as error:  # Python's word for "no more threads"
        raise StartError(_no_resources(error)) from None
    finally:
        service.stop()
    return 0


def _no_resources(error: Exception) -> str:
    return f"{error}; are limits too low (ulimit -a, TasksMax=, LimitNOFILE=, LimitAS=)?"


class Service:
    """Everything that one running guard owns."""

    def __init__(self, options: Options, config: Config, environ: Mapping[str, str]) -> None:
        self.options = options
        self.ended = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._began_s = monotonic_s()
        self._config = config
        self._proc_fd = open_dir("/proc")
        abilities.demand_kill(self._proc_fd, self._config.guard.dry_run)
        self._given = listen_fds(environ)
        self._notifier = Notifier(environ)
        self._watchdog_s = watchdog_interval_s(environ)
        self._socket = config.guard.socket  # a reload may name another, for the next start
        self._reporters = reporter_uids(REPORTER_USER)
        self._listener, self._lock = listen(self._socket, self._reporters)
        self.outbox = Outbox(os.urandom(8).hex())
        self._warden = Warden(os.path.dirname(self._config.guard.socket), self._config.guard.lag_limit_s)
        self._guard: Guard | None = None
        self._actuator: Actuator | None = None
        self._waker: PressureWaker | None = None
        self._child: ReporterChild | None = None
        self._reloads: Reloads | None = None
        self._told: set[str] = set()
        self._shield: Shield | None = None
        self._shield_timer: asyncio.TimerHandle | None = None
        self._parts = Parts(self._proc_fd, self.outbox)

    async def start(self) -> None:
        """Builds, rehearses, arms and starts to tick."""
        config, loop = self._config, self._loop
        loop.set_exception_handler(self._callback_failed)
        self._tell_start()
        watch = make_watch(config, self._fault)
        striker = self._parts.striker(config, watch, self._wake, self._alive)
        self._guard = self._parts.guard(config, watch, striker, self._warden, self._notifier)
        self._reloads = Reloads(loop, self.options, self._guard, self.outbox, self._notifier, self._retuned)
        if self._watchdog_s is not None:
            self._guard.longest_s = max(self._watchdog_s / 2, config.pace.fastest_s)
        self.outbox.serve(loop, self._listener, self._reporters)
        if self.options.reporter:
            self._child = ReporterChild(loop, _reporter_arguments(self.options, config.guard.socket))
            self._guard.on_calm = self._revive
            self._revive()
        self._signals()
        psi_source = self._arm_psi(self._pressure_file(watch.domain.cgroup))
        for missing in (*abilities.missing(self._proc_fd, watch.totals()), *of_sensors(watch.missing)):
            self._tell_missing(missing)
        self._raise_descriptor_limit()
        failed = await rehearse(
            self._proc_fd, watch, striker.orders, config.select.runners_up, self._parts.muster
        )
        if failed and not config.guard.dry_run:
            raise StartError(f"the rehearsal failed: {failed}")
        # Not before the rehearsal: it forks, and this starts a thread.
        self._actuator = Actuator(self._proc_fd, loop, striker.died)
        striker.bind(self._actuator)
        processes = warm_up(striker.scout, watch, self._guard.limits())
        self._arm(watch.speeds.fill, psi_source, processes)
        self._guard.start(loop)
        self._shield = self._parts.shield(os.path.dirname(self._socket), config.guard.dry_run)
        self._retuned()
        self._notifier.send("READY=1", f"STATUS=armed, watching {processes} processes")

    def stop(self) -> None:
        """Lets everything go; what no reporter has confirmed goes to standard error."""
        self._notifier.send("STOPPING=1")
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            self._loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_IGN)  # it has been heard, and the loop is about to go
        if self._guard is not None:
            self._guard.stop()
            self.outbox.put("stopping", 5, why="asked to end")
        self._warden.close()
        if self._reloads is not None:
            self._reloads.close()
        if self._shield is not None:
            self._shield.close()
        self._parts.close()
        if self._child is not None:
            self._child.stop(FAREWELL_S)
            self.outbox.hear_all()
        _write_last(self.outbox)
        self.outbox.close()
        if self._waker is not None:
            self._waker.close()
        if self._actuator is not None:
            self._actuator.close()
        with contextlib.suppress(OSError):
            os.unlink(self._socket)
        os.close(self._lock)
        os.close(self._proc_fd)

    def _tell_start(self) -> None:
        config = self._config
        self.outbox.put(
            "started",
            5,
            version=__version__,
            pid=os.getpid(),
            dry_run=config.guard.dry_run,
            sources=list(config.sources),
            triggers=records.triggers(config.triggers),
        )
        evidence = self._warden.take_evidence()
        if evidence:
            self.outbox.put_vital("stalled", 2, lost_s=None, traceback=evidence)
        for warning in config.warnings:
            self.outbox.put("fault", 4, where="configuration", error=warning, count=1)

    def _pressure_file(self, cgroup: str) -> str:
        return f"{cgroup}/memory.pressure" if cgroup else "/proc/pressure/memory"

    def _arm_psi(self, path: str) -> str:
        opened = open_trigger(path, None if path.startswith("/sys") else self._given.get("psi"))
        if opened is not None:
            try:
                self._waker = PressureWaker(self._loop, opened[0], self._wake)
            except OSError:  # a descriptor that cannot be waited on
                opened = None
        source = opened[1] if opened else "polling" if os.path.exists(path) else "none"
        if source in ("slow_window", "polling"):
            cost = "a stall is noticed within 2 s" if opened else "a stall is noticed at the next look only"
            remedy = "OpenFile=/proc/pressure/memory:psi in the unit (systemd 253), or CAP_SYS_RESOURCE"
            self._tell_missing(Missing("pressure trigger with a window of 1 s", cost, remedy))
        return source

    def _arm(self, fill_rate: float, psi_source: str, processes: int) -> None:
        config = self._config.guard
        error = self._warden.open()
        if error is not None:
            what = f"watchdog evidence file ({error.strerror})"
            self._tell_missing(
                Missing(what, "a stalled guard is noticed by systemd only", "a writable directory")
            )
        steps = [harden.protect_self(self._proc_fd), harden.raise_priority(config.realtime)]
        unlocked = harden.lock() if config.lock_memory else None
        for missing in (*steps, unlocked):
            if missing is not None:
                self._tell_missing(missing)
        self.outbox.put(
            "armed",
            5,
            took_s=round(monotonic_s() - self._began_s, 3),
            rss_bytes=(resident_pages(self._proc_fd, os.getpid()) or 0) * PAGE_BYTES,
            locked=config.lock_memory and unlocked is None,
            realtime=os.sched_getscheduler(0) & os.SCHED_FIFO != 0,
            processes=processes,
            fill_rate_bytes_per_s=round(fill_rate),
            psi_source=psi_source,
        )

    def _signals(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self.ended.set)
        self._loop.add_signal_handler(signal.SIGHUP, self._reload)

    def _reload(self) -> None:
        if self._reloads is not None:
            self._reloads.ask()

    def _retuned(self) -> None:
        """What else a configuration changes."""
        if self._guard is None:
            return
        if {"cmdline", "exe"} & self._guard.policies.rules.needs:
            self._parts.programs.start()
        self._raise_descriptor_limit()
        if self._shield is not None:
            self._shield.retune(self._guard.config.protects)
            if self._shield_timer is None:
                self._mind_shield()

    def _raise_descriptor_limit(self) -> None:
        """One for each of those who are killed together."""
        config = self._config if self._guard is None else self._guard.config
        few = harden.raise_descriptor_limit(self._proc_fd, config.kill.max_processes)
        if few is not None and few.what not in self._told:
            self._told.add(few.what)
            self._tell_missing(few)

    def _mind_shield(self) -> None:
        """Not by ticks: these are far apart on a calm machine, and have better things to do on another."""
        guard, shield = self._guard, self._shield
        self._shield_timer = None
        if guard is None or shield is None or shield.idle:
            return
        try:
            if guard.level < Level.TERM and not guard.striker.busy:
                shield.step(monotonic_s())
        except (OSError, SensorError) as error:
            self._fault("protect", error)
        self._shield_timer = self._loop.call_later(EVERY_S, self._mind_shield)

    def _revive(self) -> None:
        if self._child is not None:
            problem = self._child.revive()
            if problem:
                self._fault("reporter", OSError(problem))

    def _alive(self) -> None:
        if self._guard is not None:
            self._guard.expect_scan()

    def _wake(self) -> None:
        if self._guard is not None:
            self._guard.wake()

    def _fault(self, where: str, error: Exception) -> None:
        if self._guard is not None:
            self._guard.fault(where, error)

    def _callback_failed(self, loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        """Instead of asyncio's own, which logs to standard error and reads our source for it."""
        error = context.get("exception")
        self._fault(
            "callback", error if isinstance(error, Exception) else RuntimeError(str(context.get("message")))
        )

    def _tell_missing(self, missing: Missing) -> None:
        self.outbox.put("missing", 4, **missing._asdict())


def _reporter_arguments(options: Options, socket_path: str) -> list[str]:
    """The level is not among them unless it was given to us: the reporter reads it again after a reload."""
    arguments = ["--socket", socket_path]
    if options.config is not None:
        arguments += ["--config", options.config]
    if options.log_level is not None:
        arguments += ["--log-level", options.log_level]
    return arguments


def of_sensors(sentences: tuple[str, ...]) -> list[Missing]:
    """What is missing stands before the first full stop or, in a single sentence, before the colon; what to
    do about it in brackets at the end."""
    parts = (sentence.partition(". " if ". " in sentence else ": ") for sentence in sentences)
    return [Missing(what.removeprefix("No "), *_without_remedy(cost.rstrip("."))) for what, _, cost in parts]


def _without_remedy(cost: str) -> tuple[str, str]:
    """The cost and the remedy of "cost (remedy)"."""
    said, bracket, remedy = cost.rpartition(" (")
    return (said, remedy.removesuffix(")")) if bracket and cost.endswith(")") else (cost, "")


def _write_last(outbox: Outbox) -> None:
    """Records of kills that nobody has confirmed. Without waiting: whoever does not read now never will."""
    with contextlib.suppress(OSError):
        os.set_blocking(STANDARD_ERROR, False)
    for datagram in outbox.unseen():
        with contextlib.suppress(OSError):
            os.write(STANDARD_ERROR, datagram + b"\n")
    with contextlib.suppress(OSError):
        os.set_blocking(STANDARD_ERROR, True)  # it may be a terminal that others use as well
