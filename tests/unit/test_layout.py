"""The house's rules, held by reading every file: who may import whom, and how tests are written.

The graph is that of the import statements, so a rule holds for what no test happens to run, too.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "oomguardd"
SOURCES = sorted(PACKAGE.rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))

NOUNS = {"model", "units", "settings", "rules"}
BASE = NOUNS | {"sections"}
START = {"interpreter"}
PURE = {"policies", "runtimes", "oomlog", "engine", "incidents"}
BELOW_BOTH = BASE | PURE | {"kernel", "sensors", "census"}

MAY_IMPORT = {
    "": set(),
    "model": NOUNS,
    "units": NOUNS,
    "settings": NOUNS,
    "rules": NOUNS,
    "sections": NOUNS | {"policies"},
    "interpreter": set(),
    "telling": NOUNS,
    "config": BASE | {"policies", "telling"},
    "config.__main__": {"config", "sensors"},
    "policies": NOUNS,
    "runtimes": NOUNS,
    "oomlog": BASE,
    "engine": BASE | PURE,
    "kernel": BASE,
    "sensors": BASE | {"kernel"},
    "census": BASE | {"kernel", "runtimes", "policies", "engine"},
    "guard": BELOW_BOTH | START,
    "launch": BELOW_BOTH | START | {"config", "guard", "telling"},
    "history": BASE | {"engine"},
    "incidents": BASE | PURE | {"history"},
    "notifiers": BASE | {"kernel", "engine", "telling"},
    "agent": BASE | {"notifiers", "engine"},
    "reporter": BELOW_BOTH | {"config", "telling", "notifiers", "history"},
    "ctl": BELOW_BOTH | {"config", "telling", "reporter", "notifiers", "history", "incidents"},
    "__main__": {"launch"},
}
"""Room, or one module of it -> the rooms it may import. The package itself has the version, open to all."""

PURE_STANDARD_LIBRARY = {
    "__future__",
    "abc",
    "bisect",
    "collections",
    "dataclasses",
    "enum",
    "functools",
    "heapq",
    "itertools",
    "math",
    "operator",
    "typing",
}
"""Nothing in here reads a file, a clock or an environment."""

PURE_EXCEPTIONS = {"oomlog": {"re"}}
"""Room -> what it may import besides; the guard, which must stay lean, never loads the decoder."""

TOO_RICH_FOR_THE_GUARD = {
    "argparse",
    "email",
    "http",
    "importlib",
    "inspect",
    "logging",
    "multiprocessing",
    "pathlib",
    "re",
    "shutil",
    "ssl",
    "subprocess",
    "tempfile",
    "tomllib",
    "unittest",
    "urllib",
}
"""Memory that would have to be locked, and code that forks or blocks."""

LONGEST_FUNCTION = 50


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


def told(wrong: Iterable[str]) -> str:
    """One offender a line: a rule is one test, as one for each file and rule is thousands."""
    return "\n".join(("", *sorted(wrong)))


def module_of(path: Path) -> str:
    """oomguardd/kernel/files.py -> oomguardd.kernel.files"""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in SOURCES}


def room_of(module: str) -> str:
    """oomguardd.kernel.files -> kernel; the package itself is the room without a name."""
    return module.split(".")[1] if "." in module else ""


def imports_of(path: Path) -> Iterator[str]:
    """Absolute names of all modules imported anywhere in the file."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{shown(path)}:{node.lineno}: write the whole name"
            name = node.module or ""
            inner = (f"{name}.{alias.name}" for alias in node.names)
            found = [module for module in inner if module in MODULES]
            yield from found or [name]


def reachable(start: str) -> set[str]:
    """The modules of ours that are loaded when this one is."""
    found: set[str] = set()
    ahead = [start]
    while ahead:
        module = ahead.pop()
        if module in MODULES and module not in found:
            found.add(module)
            parts = module.split(".")
            ahead += [".".join(parts[:length]) for length in range(1, len(parts))]
            ahead += imports_of(MODULES[module])
    return found


def outside(modules: set[str]) -> set[str]:
    """Top names of what those modules import and is not ours."""
    tops = {name.partition(".")[0] for module in modules for name in imports_of(MODULES[module])}
    return tops - {"oomguardd"}


def test_imports_point_one_way() -> None:
    wrong = []
    for path in SOURCES:
        module = module_of(path).partition(".")[2]
        room = module if module in MAY_IMPORT else room_of(module_of(path))
        if room not in MAY_IMPORT:
            wrong.append(f"{shown(path)}: {room}, a new room, needs a row in the table")
            continue
        theirs = {room_of(name) for name in imports_of(path) if name.partition(".")[0] == "oomguardd"}
        if bad := theirs - MAY_IMPORT[room] - {room, ""}:
            wrong.append(f"{shown(path)} ({room}) must not import {', '.join(sorted(bad))}")
    assert not wrong, told(wrong)


def test_pure_rooms_cannot_reach_the_world() -> None:
    wrong = []
    for path in SOURCES:
        room = room_of(module_of(path))
        if room in PURE:
            used = outside({module_of(path)}) - PURE_EXCEPTIONS.get(room, set()) - PURE_STANDARD_LIBRARY
            wrong += [f"{shown(path)} must not import {name}" for name in sorted(used)]
    assert not wrong, told(wrong)


def test_the_guard_needs_nothing_but_the_standard_library() -> None:
    loaded = reachable("oomguardd.guard.daemon")
    assert "oomguardd.guard.loop" in loaded, "the graph is not followed"
    assert outside(loaded) <= set(sys.stdlib_module_names)


def test_the_guard_stays_lean() -> None:
    used = outside(reachable("oomguardd.guard.daemon"))
    assert not used & TOO_RICH_FOR_THE_GUARD


def test_the_two_processes_do_not_know_each_other() -> None:
    assert not {module for module in reachable("oomguardd.reporter.__main__") if room_of(module) == "guard"}
    assert not {module for module in reachable("oomguardd.guard.daemon") if room_of(module) == "reporter"}


def functions_of(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_nothing_is_imported_inside_a_function() -> None:
    late = {
        f"{shown(path)}:{node.lineno}"
        for path in (*SOURCES, *TESTS)
        for function in functions_of(path)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    assert not late, told(late)


def test_functions_fit_a_screen() -> None:
    long = [
        f"{shown(path)}:{function.lineno} {function.name}: {length} lines"
        for path in SOURCES
        for function in functions_of(path)
        if (length := (function.end_lineno or 0) - function.lineno + 1) > LONGEST_FUNCTION
    ]
    assert not long, told(long)


def test_every_file_says_what_it_is() -> None:
    silent = [shown(path) for path in SOURCES if not ast.get_docstring(tree_of(path))]
    assert not silent, told(silent)


ASSERTING_CALLS = {"raises", "warns", "fail"}


def asserts(function: ast.AST, helpers: set[str]) -> bool:
    """Whether it asserts, or expects an exception, or calls a function of its file that does."""
    for node in ast.walk(function):
        if isinstance(node, ast.Assert):
            return True
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in ASSERTING_CALLS | helpers or called.startswith("assert_"):
                return True
    return False


def test_every_test_asserts() -> None:
    idle = []
    for path in TESTS:
        if not path.name.startswith("test_"):
            continue
        functions = list(functions_of(path))
        helpers = {one.name for one in functions if not one.name.startswith("test_") and asserts(one, set())}
        idle += [
            f"{shown(path)}:{function.lineno} {function.name}"
            for function in functions
            if function.name.startswith("test_") and not asserts(function, helpers)
        ]
    assert not idle, told(idle)


def is_mocking(node: ast.AST) -> bool:
    if isinstance(node, ast.Import | ast.ImportFrom):
        return "mock" in {alias.name for alias in node.names}
    return (
        isinstance(node, ast.Attribute)
        and node.attr == "setattr"
        and getattr(node.value, "id", "") == "monkeypatch"
    )


def test_nothing_is_mocked() -> None:
    mocked = [
        f"{shown(path)}:{getattr(node, 'lineno', 0)}"
        for path in TESTS
        for node in ast.walk(tree_of(path))
        if is_mocking(node)
    ]
    assert not mocked, f"if it needs a mock, it lacks an argument:{told(mocked)}"
