"""What the configuration says about telling: the reporter's sections, as sections.py has the guard's.

Rule of this file: the guard never imports it. Its own configuration stays as small as it is.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from oomguardd.settings import setting
from oomguardd.units import choice, parse_duration_s, parse_path, parse_size, quote

HOOK_KINDS = (
    "kill",
    "outcome",
    "nobody",
    "limit",
    "warn",
    "kernel_kill",
    "foreign_kill",
    "reload_failed",
    "missing",
)
"""What a hook may be called for: kinds of records, and "warn" for a level that has risen to warn."""


def parse_listen(text: str) -> str:
    """`address:port`, `[v6]:port` or the absolute path of a Unix socket."""
    example = (
        'write it like "127.0.0.1:10066", "[::1]:10066" or "/run/oomguard/metrics.sock"; metrics.enabled ='
        " false for none"
    )
    if text.startswith("/"):
        return parse_path(text)
    host, colon, port = text.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    if not colon or not bare or (":" in bare) != host.startswith("["):
        raise ValueError(f"{quote(text)} is not an address ({example})")
    if not port.isascii() or not port.isdecimal() or int(port) > 65535:
        raise ValueError(f"{quote(text)} has no port from 0 to 65535 ({example})")
    return text


def parse_textfile(text: str) -> str:
    """An absolute path with the ending that the collector looks for."""
    path = parse_path(text)
    if not path.endswith(".prom"):
        raise ValueError(f"{quote(text)} does not end in .prom (node_exporter reads no other files)")
    return path


@dataclass(frozen=True, slots=True)
class JournalSettings:
    """Structured entries in the systemd journal: every record with all of its fields."""

    entries: str = setting(
        "auto",
        choice("auto", "always", "never"),
        '"auto": instead of lines on standard error, when that is the journal; "always": beside the lines;'
        ' "never": lines only.',
    )


@dataclass(frozen=True, slots=True)
class MetricsSettings:
    """Metrics for Prometheus, over HTTP at /metrics."""

    enabled: bool = setting("true", bool, "Whether they are served at all.")
    listen: str = setting(
        "127.0.0.1:10066",
        parse_listen,
        "Address and port, or the path of a Unix socket. A listener that systemd passes"
        " (oomguardd-metrics.socket) comes first.",
    )
    token_file: str | None = setting(
        "off", parse_path, "A file with a bearer token that every scrape must show.", none="off"
    )
    tls_cert: str | None = setting("off", parse_path, "Certificate chain (PEM) for HTTPS.", none="off")
    tls_key: str | None = setting("off", parse_path, "Its private key (PEM).", none="off")
    textfile: str | None = setting(
        "off",
        parse_textfile,
        "Instead of a port: a file of node_exporter's textfile collector, such as"
        ' "/var/lib/prometheus/node-exporter/oomguard.prom".',
        none="off",
    )


@dataclass(frozen=True, slots=True)
class HistorySettings:
    """What happened, kept on disk for `oomguardctl history`, `show` and `report`."""

    directory: str = setting(
        "/var/lib/oomguard", parse_path, "Where it is kept; it belongs to the reporter's user."
    )
    max_size_bytes: int = setting("64M", parse_size, "The oldest goes when it is larger.", low="1M")
    max_age_s: float = setting("365d", parse_duration_s, "The oldest goes when it is older.", low="1h")


@dataclass(frozen=True, slots=True)
class WatchSettings:
    """What others kill: the kernel's OOM killer, and other daemons."""

    kernel_kills: bool = setting(
        "true",
        bool,
        "Tell of the kernel's kills, whole machine or cgroup: from its log and its counters.",
    )
    process_events: bool = setting(
        "false",
        bool,
        "Listen to every process's end (netlink proc connector), to tell who sent a SIGKILL. Takes 25 MiB,"
        " the Python package pyroute2 (0.7.4 or newer), and CAP_NET_ADMIN before Linux 6.6.",
    )


@dataclass(frozen=True, slots=True)
class NotifySettings:
    """People who are at the machine."""

    desktop: bool = setting(
        "true", bool, "Signals on the system bus (org.oomguard1), which the desktop agent shows."
    )
    wall: bool = setting(
        "true", bool, "A line to the terminals of those who are logged in where no desktop is, for each kill."
    )
    warn: bool = setting(
        "true", bool, "A warning when the level rises to warn: time to save and close things."
    )
    warn_pause_s: float = setting(
        "5m",
        parse_duration_s,
        "Time between two warnings; it doubles with each one, up to an hour, until all has been calm for so"
        " long.",
        low="10s",
        high="1d",
    )


@dataclass(frozen=True, slots=True)
class ControlSettings:
    """The varlink socket that `oomguardctl status` asks."""

    socket: str | None = setting(
        "/run/oomguard/io.oomguard.Manager",
        parse_path,
        "Where it is. A listener that systemd passes (oomguardd-control.socket) comes first."
        ' "off": nobody can ask.',
        none="off",
    )
    readers: str = setting(
        "everybody",
        choice("everybody", "root"),
        'Who may ask: what it says names processes and units. "root": also the user that runs the reporter.',
    )


@dataclass(frozen=True, slots=True)
class Hook:
    """One `[[hook]]`: a program that is run, or a URL that is told, for each event of some kinds."""

    name: str
    on: tuple[str, ...]
    """Of HOOK_KINDS."""
    run: tuple[str, ...] = ()
    """Program and arguments; never a shell."""
    url: str = ""
    """Instead of `run`: gets the event as JSON, by POST."""
    timeout_s: float = 10.0


TELLING_SECTIONS: dict[str, type] = {
    "journal": JournalSettings,
    "metrics": MetricsSettings,
    "history": HistorySettings,
    "watch": WatchSettings,
    "notify": NotifySettings,
    "control": ControlSettings,
}
"""By the name of their table in the file."""


@dataclass(frozen=True, slots=True)
class Telling:
    """All of it."""

    journal: JournalSettings = field(default_factory=JournalSettings)
    metrics: MetricsSettings = field(default_factory=MetricsSettings)
    history: HistorySettings = field(default_factory=HistorySettings)
    watch: WatchSettings = field(default_factory=WatchSettings)
    notify: NotifySettings = field(default_factory=NotifySettings)
    control: ControlSettings = field(default_factory=ControlSettings)
    hooks: tuple[Hook, ...] = ()


def telling_to_wire(telling: Telling) -> dict[str, Any]:
    """All of it in what JSON has, by the names of TELLING_SECTIONS, and `hooks`."""
    return asdict(telling)
