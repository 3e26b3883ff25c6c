"""The guard with an audit hook: what Python reports about itself is written down and told at the end.

Arguments: the file for that, then those of `oomguardd`. The command would exec the guard's interpreter, and
the hook would be gone; here both run in one, and the command's part is over when the hook is set.
"""

from __future__ import annotations

import json
import os
import sys
import time

from oomguardd.guard import daemon
from oomguardd.launch.arguments import options_of, parse
from oomguardd.launch.command import load_config, options_wire
from oomguardd.sections import to_wire

events: list[tuple[float, str, str, int]] = []


def note(event: str, args: tuple[object, ...]) -> None:
    flags = args[2] if event == "open" and isinstance(args[2], int) else 0
    events.append((time.time(), event, repr(args[:2])[:120], flags))


def main() -> int:
    target, arguments = sys.argv[1], sys.argv[2:]
    options = options_of(parse(arguments))
    fd = os.memfd_create("orders")
    os.write(
        fd, json.dumps({"options": options_wire(options), "config": to_wire(load_config(options))}).encode()
    )
    os.lseek(fd, 0, os.SEEK_SET)
    sys.addaudithook(note)
    status = daemon.main([str(fd)])
    seen = json.dumps(list(events)).encode()
    with open(target, "wb") as file:
        file.write(seen)
    return status


if __name__ == "__main__":
    sys.exit(main())
