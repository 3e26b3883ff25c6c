"""What a piece of advice is, and how its sizes and names are written.

Rule of this file: a change is made to be pasted into a file or a shell, so a name that somebody chose is
quoted for that place, or the change is not given.
"""

from __future__ import annotations

from typing import NamedTuple

from oomguardd.settings import toml_string

MIB, GIB = 1 << 20, 1 << 30


class Advice(NamedTuple):
    """One thing to change, or to know."""

    title: str
    """What to do, without a full stop."""
    why: str
    """What in this incident speaks for it; whole sentences."""
    where: str = ""
    """Where the change is made: a command that opens the file, or the file."""
    change: str = ""
    """Exactly what to write there; empty if there is nothing to write."""

    def __str__(self) -> str:
        """As plain text: a paragraph, and below it where to change what, indented."""
        head = f"{self.title}. {self.why}"
        lines = [f"    {line}" for line in self.change.splitlines()]
        return "\n".join([head, f"  {self.where}:", *lines] if lines else [head])


def rounded_bytes(size_bytes: float) -> int:
    """A size as people set one: to 16M, from 1G to 256M, from 8G to 1G; rounded down, at least 16M."""
    step = 16 * MIB if size_bytes < GIB else 256 * MIB if size_bytes < 8 * GIB else GIB
    return max(16 * MIB, int(size_bytes // step) * step)


def setting_size(size_bytes: int) -> str:
    """`6G` or `1536M`, as systemd, Docker, Slurm and ourselves read it: powers of 1024."""
    return f"{size_bytes // GIB}G" if size_bytes % GIB == 0 else f"{size_bytes // MIB}M"


def kubernetes_size(size_bytes: int) -> str:
    """`6Gi`: there a bare G is a power of 1000."""
    return f"{setting_size(size_bytes)}i"


_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-")


def shell_word(text: str) -> str:
    """The text as one word of a shell; empty if it cannot be shown as it is."""
    if not text or not text.isprintable() or text.startswith("-"):
        return ""
    return text if set(text) <= _PLAIN else "'" + text.replace("'", "'\\''") + "'"


def glob_of(text: str) -> str:
    """The glob that matches this text; any character in the place of a byte that was no UTF-8."""
    return "".join(_glob_char(char) for char in text)


def _glob_char(char: str) -> str:
    if char == "\ufffd" or "\ud800" <= char <= "\udfff":
        return "?"
    return f"\\{char}" if char in "*?[{\\" else char


def rule(name: str, match: str, verdict: str) -> str:
    """A [[rule]] for our own configuration; `match` as match_table() writes it."""
    return f'[[rule]]\nname = {toml_string(name)}\nmatch = {match}\ndo = "{verdict}"'


def protect(name: str, match: str, adj: int) -> str:
    """A [[protect]]: the kernel goes by oom_score_adj, not by our rules."""
    return f"[[protect]]\nname = {toml_string(name)}\nmatch = {match}\noom_score_adj = {adj}"


def match_table(key: str, value: str, uid: int | None = None) -> str:
    """The table of a `match`: this text, and of that user's processes only."""
    whose = "" if uid is None else f", user = {uid}"
    return f"{{ {key} = {toml_string(glob_of(value))}{whose} }}"


OWN_FILE = "/etc/oomguard.toml.d/50-incident.toml"
"""Where a change to our own configuration goes; in force after `systemctl reload oomguardd`."""
