"""systemd's layout: slices, units, users' managers, applications. See systemd.slice(5), CGROUP_DELEGATION.md.

Slices are nested as their names say (a-b.slice lies in a.slice), each unit is in one slice, and what is
below a unit is its own. Both hold for the system's manager, for each user's, and inside of containers.
"""

from __future__ import annotations

from collections.abc import Sequence

from oomguardd.runtimes.base import Branch, number

_UNIT_ENDINGS = (".service", ".scope", ".mount", ".socket", ".swap")


def branch_of(parts: Sequence[str], root: int, user: bool = False) -> Branch:
    """The tree that begins below the first `root` components."""
    at, stem, unit = root, "", ""
    for part in parts[root:]:
        # systemd puts an underscore before what would be taken for a file of the kernel's: _cpu.service.
        name = part[1:] if part[:1] == "_" else part
        if not name.endswith(".slice") or not _lies_in(name, stem):
            # A container of LXC is a directory next to the slices, and its name may end like a unit's.
            if name.endswith(_UNIT_ENDINGS) and not (at == root and part.startswith("lxc.")):
                unit = name
            break
        stem = name[: -len(".slice")]
        at += 1
    directory = "" if stem or unit or root >= len(parts) else parts[root]
    return Branch(parts, root, at, stem, unit, directory, user)


def _lies_in(name: str, stem: str) -> bool:
    """Whether systemd would put that slice there; `stem` is the outer one's name, or empty for the root."""
    if stem:
        return name.startswith(stem) and name[len(stem)] == "-"
    return "-" not in name and len(name) > len(".slice")


def user_of(host: Branch) -> int | None:
    """The uid of user-1000.slice."""
    if host.slices < 2 or host.parts[0] != "user.slice" or not host.parts[1].endswith(".slice"):
        return None
    return number(host.parts[1][: -len(".slice")], "user-")


def manager_of(host: Branch, uid: int | None) -> Branch | None:
    """The tree of that user's own manager, if the path leads through it."""
    if uid is None or host.unit != f"user@{uid}.service":
        return None
    return branch_of(host.parts, host.slices + 1, user=True)


def session_of(host: Branch) -> str:
    """The id of the login session whose scope it is, in a user's slice: session-3.scope."""
    is_session = host.unit.startswith("session-") and host.unit.endswith(".scope")
    return host.unit[len("session-") : -len(".scope")] if is_session else ""


def holds_others(unit: str) -> bool:
    """Whether the unit is a manager: what is killed with it is not one service, but all that it runs."""
    return unit == "init.scope" or unit.startswith("user@")


def app_of(unit: str) -> str:
    """The application of a unit of a user's manager; empty if the name follows none of the conventions.

    app[-<launcher>]-<application>-<random>.scope, app[-<launcher>]-<application>[@<random>].service: see
    "Desktop environments" at systemd.io. Besides: D-Bus activation, snap (the snap's name), flatpak, and
    vte-spawn for what runs in a terminal's tab, which is not the terminal.
    """
    name, _, ending = unit.rpartition(".")
    if ending not in ("scope", "service"):
        return ""
    kind, _, rest = name.partition("-")
    if kind == "app":
        return _of_app(rest, ending)
    if kind == "vte" and rest.startswith("spawn-"):
        return "vte-spawn"
    if kind == "dbus":  # dbus-:1.2-org.gnome.Nautilus@0.service
        return unescape(rest.partition("-")[2].partition("@")[0])
    if kind == "flatpak":
        return unescape(rest.rpartition("-")[0])
    if name.startswith("snap."):
        return name.split(".")[1]
    return ""


def _of_app(rest: str, ending: str) -> str:
    words = rest.partition("@")[0].split("-")
    if ending == "scope" and len(words) > 1:
        words.pop()  # the random part
    # More than a launcher and a name: dashes that should have been escaped.
    return unescape("-".join(words[1:] if len(words) > 1 else words))


def unescape(name: str) -> str:
    r"""\x2d and its like, as systemd-escape --unescape would; anything else stays as it is."""
    first, *others = name.split("\\x")
    if not others:
        return name
    found = bytearray(first.encode(errors="surrogateescape"))
    for other in others:
        code = other[:2]
        escaped = len(code) == 2 and not code.strip("0123456789abcdefABCDEF")
        found += bytes.fromhex(code) if escaped else b"\\x"
        found += other[2 if escaped else 0 :].encode(errors="surrogateescape")
    return found.decode(errors="replace")
