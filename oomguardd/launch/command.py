"""The command `oomguardd`. Exit status: 0 ok, 1 cannot start or configuration wrong, 2 usage.

Rule of this file: all that needs a parser happens here. The guard is another interpreter in the same process
(exec), which finds options and configuration read and checked in a descriptor: it has to stay small.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace

from oomguardd.config import BUILT_IN, Config, ConfigError, config_check, load
from oomguardd.guard.errors import StartError
from oomguardd.guard.options import Options
from oomguardd.interpreter import command
from oomguardd.launch.arguments import options_of, parse
from oomguardd.launch.once import look_once
from oomguardd.sections import to_wire
from oomguardd.sensors import SIGNALS
from oomguardd.telling import telling_to_wire


def main(argv: Sequence[str] | None = None) -> int:
    """Does what the arguments (None: of this process) ask for; does not return where they ask for a guard."""
    _open_standard_files()
    args = parse(argv)
    options = options_of(args)
    if args.check_config:
        return _run(lambda: check(options, args.json))
    if args.once:
        return _run(lambda: _print(look_once(load_config(options), args.json)))
    return _run(lambda: become_guard(options))


def load_config(options: Options) -> Config:
    """The configuration files with the command line on top. ConfigError with all that is wrong."""
    config = load(options.config, SIGNALS)
    guard = config.guard
    if options.dry_run:
        guard = replace(guard, dry_run=True)
    if options.socket is not None:
        guard = replace(guard, socket=options.socket)
    elif os.geteuid() != 0 and config.origin("guard.socket") == BUILT_IN:
        guard = replace(guard, socket=_own_socket())
    log = config.log if options.log_level is None else replace(config.log, level=options.log_level)
    return replace(config, guard=guard, log=log)


def _own_socket() -> str:
    """Where an ordinary user may put one."""
    uid = os.geteuid()
    return f"{os.environ.get('XDG_RUNTIME_DIR') or f'/tmp/oomguard-{uid}'}/oomguard/guard.sock"


def check(options: Options, as_json: bool) -> int:
    """`--check-config`: the effective configuration or what is wrong with it; with `--json`, what the
    guard reads after a SIGHUP."""
    if not as_json:
        status, text = config_check(options.config, SIGNALS)
        print(text, file=sys.stderr if status else sys.stdout)
        return status
    try:
        config = load_config(options)
        print(json.dumps({"config": {**to_wire(config), **telling_to_wire(config.telling)}}))
    except ConfigError as error:
        print(json.dumps({"problems": [str(problem) for problem in error.problems]}))
        return 1
    return 0


def become_guard(options: Options) -> int:
    """exec; ConfigError before."""
    wire = json.dumps({"options": options_wire(options), "config": to_wire(load_config(options))}).encode()
    fd = os.memfd_create("oomguardd", 0)
    os.write(fd, wire)
    os.lseek(fd, 0, os.SEEK_SET)
    argv = command("oomguardd.guard.daemon", str(fd))
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until the guard can hear it
    os.execv(argv[0], argv)


def options_wire(options: Options) -> dict[str, object]:
    """In what JSON has."""
    return {name: getattr(options, name) for name in ("config", "dry_run", "reporter", "socket", "log_level")}


def _print(text: str) -> int:
    print(text)
    return 0


def _run(work: Callable[[], int]) -> int:
    try:
        return work()
    except ConfigError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)
    except StartError as error:
        print(f"oomguardd: cannot start: {error}", file=sys.stderr)
    except BrokenPipeError:
        pass  # whoever read our output has seen enough
    except OSError as error:
        print(f"oomguardd: {error.strerror or error}", file=sys.stderr)
    except KeyboardInterrupt:
        return 130
    return 1


def _open_standard_files() -> None:
    """Where we were given none: the next file that is opened would be taken for standard error otherwise."""
    while (fd := os.open("/dev/null", os.O_RDWR)) <= 2:
        os.set_inheritable(fd, True)
    os.close(fd)
