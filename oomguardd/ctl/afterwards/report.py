"""`oomguardctl report`: one incident as a page for a browser."""

from __future__ import annotations

import argparse
import contextlib
import os
import tempfile

from oomguardd.ctl.afterwards.archive import add_directory, open_history
from oomguardd.ctl.console import Console, Trouble
from oomguardd.ctl.moments import time_words
from oomguardd.ctl.verb import Verb
from oomguardd.engine.words import safe
from oomguardd.history.incident import Incident
from oomguardd.history.queries import LAST
from oomguardd.history.store import StoreError
from oomguardd.incidents.page import page
from oomguardd.sensors import SIGNAL_OF
from oomguardd.units import format_bytes

STDOUT = "-"

_MODE = 0o666
"""Before the umask, as of any file that is made."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "id",
        metavar="ID",
        nargs="?",
        default=LAST,
        help="as `history` shows it, or as much of it as is unique; last (which is the default): the newest",
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="where to write it, - for standard output (default: incident-ID.html here)",
    )
    parser.add_argument("--force", action="store_true", help="write over a file that is there")
    parser.add_argument(
        "--host", metavar="NAME", default="", help="the machine's name, for the foot of the page"
    )
    add_directory(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    """The exit status. Trouble, OSError."""
    if args.output == STDOUT and console.as_json:
        raise Trouble(
            "--json tells where the page is, and with -o - it is the output itself: give one of them"
        )
    with open_history(args, console) as history:
        try:
            incident = history.incident(args.id)
        except (LookupError, StoreError) as error:
            raise Trouble(str(error.args[0])) from None
    text = page(incident, SIGNAL_OF, when=time_words, host=args.host)
    if args.output == STDOUT:  # in any locale: HTML has a way to write every letter in ASCII
        console.say(text.encode("ascii", "xmlcharrefreplace").decode().rstrip("\n"))
        return 0
    path = args.output or file_name(incident)
    size_bytes = write(path, text, args.force)
    if console.as_json:
        console.put_json({"kind": "report", "id": incident.id, "file": path, "size_bytes": size_bytes})
    else:
        console.say(f"{safe(path, len(path))}: {format_bytes(size_bytes)}, incident {safe(incident.id)}")
    return 0


def file_name(incident: Incident) -> str:
    """In the current directory, wherever the id came from."""
    fit = "".join(
        char if char.isascii() and (char.isalnum() or char in "-_.") else "_" for char in incident.id
    )
    return f"incident-{fit[:100]}.html"


def write(path: str, text: str, force: bool) -> int:
    """The whole file or none of it; its size. Trouble if one is there that is to stay; OSError."""
    if os.path.isdir(path):
        raise Trouble(
            f"{path} is a directory: name a file in it, such as -o {os.path.join(path, 'report.html')}"
        )
    if os.path.exists(path) and not os.path.isfile(path):  # /dev/stdout, a pipe: nothing to keep whole
        return _write_into(path, text.encode())
    if os.path.lexists(path) and not force:
        raise _there(path)
    return _write_anew(path, text.encode(), force)


def _there(path: str) -> Trouble:
    return Trouble(f"{path} is there already: name another file with -o, or give --force to write over it")


def _write_into(path: str, data: bytes) -> int:
    with open(path, "wb") as stream:
        return stream.write(data)


def _write_anew(path: str, data: bytes, force: bool) -> int:
    place = os.path.dirname(path) or "."
    fd, draft = tempfile.mkstemp(prefix=".report-", dir=place)
    try:
        with open(fd, "wb") as stream:
            stream.write(data)
        umask = os.umask(0o077)
        os.umask(umask)
        os.chmod(draft, _MODE & ~umask)
        if force:
            os.replace(draft, path)
        else:
            os.link(draft, path)  # unlike a rename never over one that has come meanwhile
    except FileExistsError:
        raise _there(path) from None
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(draft)
    return len(data)


VERB = Verb(
    "report",
    "one kill as a page for a browser, drawn and explained, in a single file",
    "The page needs nothing else, no network and no script. It names processes, users and units.",
    add_arguments,
    run,
)
