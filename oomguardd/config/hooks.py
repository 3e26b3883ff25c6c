"""`[[hook]]` tables: who is told of what, by a program or a URL."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from oomguardd.config.tables import Draft, TableReader
from oomguardd.settings import setting, settings_of, toml_string, type_name
from oomguardd.telling import HOOK_KINDS, Hook
from oomguardd.units import parse_duration_s, quote

ON_HELP = "For which kinds of events: a list of"
KINDS_WORDS = f"{', '.join(HOOK_KINDS[:-1])} and {HOOK_KINDS[-1]}."
RUN_HELP = 'The program and its arguments, a list: ["/usr/local/bin/on-oom", "--now"]. There is no shell.'
URL_HELP = "Instead of `run`: an http or https URL."

_ON_EXAMPLE = 'write it like on = ["kill", "kernel_kill"]'
_RUN_EXAMPLE = 'write it like run = ["/usr/local/bin/on-oom", "--now"]'
_URL_EXAMPLE = 'write it like url = "http://127.0.0.1:8080/oom"'
_NEEDS = 'on = ["kill"], and run = ["/path/of/program"] or url = "http://..."'


@dataclass(frozen=True, slots=True)
class HookSettings:
    """What a hook says besides its kinds and what it runs."""

    timeout_s: float = setting(
        "10s", parse_duration_s, "It is ended when it takes longer.", low="100ms", high="10m"
    )
    enabled: bool = setting("true", bool, "false removes the hook.")


HOOK_SETTINGS = {row.key: row for row in settings_of(HookSettings)}


class HookReader(TableReader):
    """Merges the hook tables of several files."""

    noun = "hook"

    def parse(self, key: str, raw: object) -> Any:
        if key == "on":
            return parse_kinds(raw)
        if key == "run":
            return parse_command(raw)
        if key == "url":
            return parse_url(raw)
        if key in HOOK_SETTINGS:
            return HOOK_SETTINGS[key].parse_toml(raw)
        known = ["on", "run", "url", *HOOK_SETTINGS]
        raise self.no_such_key(key, known, f"there are name, {', '.join(known)}")

    def displaced(self, later: Draft) -> tuple[str, ...]:
        """A program and a URL stand for each other."""
        if "run" in later.values:
            return ("url",)
        return ("run",) if "url" in later.values else ()

    def finish(self) -> tuple[Hook, ...]:
        """All that are enabled, in the order in which they were first named."""
        drafts = (draft for draft in self.drafts.values() if not draft.broken)
        return tuple(hook for draft in drafts if (hook := self._hook(draft)) is not None)

    def _hook(self, draft: Draft) -> Hook | None:
        values = draft.values
        if "on" not in values:
            self.undefined(draft, "on", _NEEDS)
        elif "run" in values and "url" in values:
            self.problem(draft, "url", "contradicts run (keep one of them)")
        elif "run" not in values and "url" not in values:
            self.problem(draft, "", f"does nothing ({_RUN_EXAMPLE}, or a url)")
        elif values.get("enabled", True):
            timeout_s = values.get("timeout", HookSettings().timeout_s)
            return Hook(draft.name, values["on"], values.get("run", ()), values.get("url", ""), timeout_s)
        return None


def parse_kinds(raw: object) -> tuple[str, ...]:
    """Kinds of events. ValueError with the remedy."""
    kinds = [raw] if isinstance(raw, str) else raw
    if not isinstance(kinds, list) or not kinds or not all(isinstance(kind, str) for kind in kinds):
        raise ValueError(f"is not a list of kinds ({_ON_EXAMPLE})")
    for kind in kinds:
        if kind not in HOOK_KINDS:
            raise ValueError(f"{quote(kind)} is no kind of event (there are {KINDS_WORDS.rstrip('.')})")
    return tuple(dict.fromkeys(kinds))


def parse_command(raw: object) -> tuple[str, ...]:
    """A program's absolute path and its arguments. ValueError with the remedy."""
    if isinstance(raw, str):
        raise ValueError(f"is text, and there is no shell to split it ({_RUN_EXAMPLE})")
    if not isinstance(raw, list) or not raw or not all(isinstance(word, str) for word in raw):
        raise ValueError(f"is not a list of texts ({_RUN_EXAMPLE})")
    if not raw[0].startswith("/"):
        raise ValueError(f"{quote(raw[0])} is not an absolute path ({_RUN_EXAMPLE})")
    if any("\0" in word for word in raw):
        raise ValueError(f"has a NUL character ({_RUN_EXAMPLE})")
    return tuple(raw)


def parse_url(raw: object) -> str:
    """An http or https URL with a host. ValueError with the remedy."""
    if not isinstance(raw, str):
        raise ValueError(f"{type_name(raw)} is not a URL ({_URL_EXAMPLE})")
    try:
        parts = urlsplit(raw)
        wrong = parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0
    except ValueError:
        wrong = True
    if wrong or any(char.isspace() or not char.isprintable() for char in raw):
        # Not the text itself: it may hold a password or a token, and the log has many readers.
        raise ValueError(f"is not an http or https URL ({_URL_EXAMPLE})")
    return raw


def toml_list(words: Iterable[str]) -> str:
    """The texts as a TOML list."""
    return f"[{', '.join(toml_string(word) for word in words)}]"
