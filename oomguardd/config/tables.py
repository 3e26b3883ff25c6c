"""`[[trigger]]`, `[[rule]]`, `[[protect]]`: tables with names, which a later file changes key by key."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from oomguardd.config.files import Problem, Source
from oomguardd.settings import nearest, type_name
from oomguardd.units import quote

NAME_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789_-"


class WrongKeys(ValueError):
    """Several things are wrong within one value."""

    def __init__(self, found: list[tuple[str, str]]) -> None:
        """`found`: the key below the value's own, and what is wrong with it."""
        super().__init__("; ".join(text for _, text in found))
        self.found = found


@dataclass(slots=True)
class Draft:
    """A table while files are still adding to it."""

    name: str
    values: dict[str, Any] = field(default_factory=dict)
    file: str = ""
    """The last one that said something about it."""
    broken: bool = False
    """Something in it was wrong and is already reported."""


class TableReader:
    """Merges the tables of one kind of several files, and collects what is wrong with them."""

    noun: ClassVar[str]
    """The name of the tables in the files."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.origins: dict[str, str] = {}
        """The file that set a dotted key."""
        self.drafts: dict[str, Draft] = {}
        """By name, in the order in which they were first named."""
        self._taken: set[str] = set()
        self._unnamed = 0

    def add(self, sources: list[Source]) -> None:
        """Files in order: a later one's keys go over an earlier one's."""
        tables = [(source.file, self._tables(source)) for source in sources]
        self._taken |= {str(table.get("name")) for _, each in tables for table in each}
        for file, each in tables:
            seen: set[str] = set()
            for table in each:
                draft = self._read(file, table)
                if draft.name in seen:
                    self.problem(draft, "", "is there twice (rename or join them)")
                seen.add(draft.name)
                self._update(self.drafts.setdefault(draft.name, Draft(draft.name)), draft)

    def parse(self, key: str, raw: object) -> Any:
        """The value of one key. ValueError with the remedy, or WrongKeys; for unknown keys, too."""
        raise NotImplementedError

    def displaced(self, later: Draft) -> tuple[str, ...]:
        """The keys of earlier files that a later file's table puts out of force without naming them."""
        return ()

    def problem(self, draft: Draft, key: str, text: str) -> None:
        """`key`: below the table's own name; empty if the problem is the table's."""
        dotted = f"{self.noun}.{draft.name}"
        self.problems.append(Problem(draft.file, f"{dotted}.{key}" if key else dotted, text))

    def undefined(self, draft: Draft, defining: str, needs: str) -> None:
        """Its `defining` key is nowhere: most likely a misspelt name, and the one meant is unchanged."""
        near = nearest(draft.name, (each.name for each in self.drafts.values() if defining in each.values))
        remedy = f"did you mean {quote(near)}? " if near else ""
        text = f"no such {self.noun} to change or remove ({remedy}a new one needs {needs})"
        self.problem(draft, "", text)

    def no_such_key(self, key: str, known: Iterable[str], otherwise: str, noun: str = "key") -> ValueError:
        """What to raise for an unknown key; `otherwise`: the remedy if no known one is near."""
        near = nearest(key, ["name", *known])
        return ValueError(f"no such {noun} ({f'did you mean {quote(near)}?' if near else otherwise})")

    def _tables(self, source: Source) -> list[dict[str, Any]]:
        raw = source.table.get(self.noun, [])
        wrong = [item for item in raw if not isinstance(item, dict)] if isinstance(raw, list) else [raw]
        for item in wrong:
            text = f"{type_name(item)} at a wrong place (write [[{self.noun}]] and its keys below)"
            self.problems.append(Problem(source.file, self.noun, text))
        return [item for item in raw if isinstance(item, dict)] if isinstance(raw, list) else []

    def _read(self, file: str, table: dict[str, Any]) -> Draft:
        draft = Draft(self._name(table), file=file)
        before = len(self.problems)
        for key, raw in table.items():
            try:
                if key == "name":
                    check_name(raw)
                else:
                    draft.values[key] = self.parse(key, raw)
            except WrongKeys as error:  # noqa: PERF203  # all that is wrong is told at once
                for inner, text in error.found:
                    self.problem(draft, f"{key}.{inner}", text)
            except ValueError as error:
                self.problem(draft, key, str(error))
            else:
                self.origins[f"{self.noun}.{draft.name}.{key}"] = file
        draft.broken = len(self.problems) > before
        return draft

    def _update(self, draft: Draft, later: Draft) -> None:
        for key in self.displaced(later):
            draft.values.pop(key, None)
        draft.values |= later.values
        draft.file = later.file
        draft.broken |= later.broken

    def _name(self, table: dict[str, Any]) -> str:
        """As given, or the next free one of "rule-1", "rule-2"...

        Counted over all files, or the first one of a later file would change that of an earlier file.
        """
        name = table.get("name")
        if isinstance(name, str):
            return name
        self._unnamed += 1
        while f"{self.noun}-{self._unnamed}" in self._taken:
            self._unnamed += 1
        return f"{self.noun}-{self._unnamed}"


def check_name(raw: object) -> None:
    """ValueError if it cannot be a table's name: it becomes part of keys, log fields and metrics."""
    if not isinstance(raw, str):
        raise ValueError(f'{type_name(raw)} is not a name (write it like "low-memory")')
    if not raw or len(raw) > 64 or raw.strip(NAME_LETTERS):
        raise ValueError(f"{quote(raw)} is not a name (use a to z, 0 to 9, - and _)")
