"""The sections of settings, `[kill]` and `[policy.nice]`: a later file's keys go over an earlier one's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from oomguardd.config.files import Problem, Source
from oomguardd.sections import SECTIONS
from oomguardd.settings import nearest, settings_of, type_name
from oomguardd.telling import TELLING_SECTIONS
from oomguardd.units import quote

POLICY = "policy"
"""The table that holds the policies' sections."""

NAMED_TABLES = ("trigger", "rule", "protect", "hook")
"""What else a file may have; they are read elsewhere (tables.py)."""

_OWN = {name: section for name, section in SECTIONS.items() if not name.startswith(f"{POLICY}.")}
ALL_SECTIONS: Mapping[str, type] = {**_OWN, **TELLING_SECTIONS, **SECTIONS}
"""The guard's and the reporter's, by their dotted names; the policies' are the last."""


class SectionReader:
    """Merges the sections of several files, and collects what is wrong with them."""

    def __init__(self, sections: Mapping[str, type] = ALL_SECTIONS) -> None:
        """`sections`: by their dotted names."""
        self.problems: list[Problem] = []
        self.origins: dict[str, str] = {}
        self._sections = sections
        self._values: dict[str, dict[str, Any]] = {name: {} for name in sections}

    def add(self, source: Source) -> None:
        for name, raw in source.table.items():
            if name == POLICY and isinstance(raw, dict):
                for policy, inner in raw.items():
                    self._add_section(source.file, f"{POLICY}.{policy}", inner)
            elif name not in NAMED_TABLES:
                self._add_section(source.file, name, raw)

    def finish(self) -> dict[str, Any]:
        """Each section with what the files say, or else its defaults."""
        return {name: section(**self._values[name]) for name, section in self._sections.items()}

    def _add_section(self, file: str, name: str, raw: object) -> None:
        if name not in self._sections and name != POLICY:
            self.problems.append(Problem(file, name, self._unknown_section(name)))
        elif not isinstance(raw, dict):
            example = next(self._policies(), "nice") if name == POLICY else ""
            header = f"{name}.{example}" if example else name
            text = f"{type_name(raw)} instead of a section (write [{header}] and its keys below)"
            self.problems.append(Problem(file, name, text))
        else:
            self._add_settings(file, name, raw)

    def _add_settings(self, file: str, name: str, table: dict[str, Any]) -> None:
        rows = {row.key: row for row in settings_of(self._sections[name])}
        for key, raw in table.items():
            dotted = f"{name}.{key}"
            try:
                if key not in rows:
                    raise ValueError(self._unknown_setting(key, rows))
                self._values[name][rows[key].field] = rows[key].parse_toml(raw)
            except ValueError as error:
                self.problems.append(Problem(file, dotted, str(error)))
            else:
                self.origins[dotted] = file

    def _unknown_setting(self, key: str, known: Iterable[str]) -> str:
        section = self._section_with(key)
        near = nearest(key, known)
        if section:
            return f"no such setting (it belongs to [{section}])"
        if near:
            return f"no such setting (did you mean {quote(near)}?)"
        return f"no such setting (there are {', '.join(known)})"

    def _unknown_section(self, name: str) -> str:
        if name.startswith(f"{POLICY}."):
            return self._unknown_policy(name.removeprefix(f"{POLICY}."))
        top = [section for section in self._sections if not section.startswith(f"{POLICY}.")]
        section = self._section_with(name)
        near = POLICY if name == "policies" else nearest(name, [*top, POLICY, *NAMED_TABLES])
        if name in self._policies():
            return f"no such section (write it as [{POLICY}.{name}])"
        if section:
            return f"outside of its section (write it below [{section}])"
        if near:
            return f"no such section (did you mean {quote(near)}?)"
        known = ", ".join([*top, POLICY, *NAMED_TABLES[:-1]])
        return f"no such section (there are {known} and {NAMED_TABLES[-1]})"

    def _unknown_policy(self, name: str) -> str:
        near = nearest(name, self._policies())
        listed = f"there are {', '.join(self._policies())}"
        return f"no such policy ({f'did you mean {quote(near)}? ' if near else ''}{listed})"

    def _policies(self) -> Iterator[str]:
        prefix = f"{POLICY}."
        return (name.removeprefix(prefix) for name in self._sections if name.startswith(prefix))

    def _section_with(self, key: str) -> str:
        """The only section that has the setting; empty if none has, or several do."""
        having = [
            name for name, section in self._sections.items() if key in (r.key for r in settings_of(section))
        ]
        return having[0] if len(having) == 1 else ""
