"""The message catalog: every id explained, and nothing in it that an entry would not have."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from oomguardd.engine.together import alone
from oomguardd.guard.mark import MESSAGE_ID, UnitMarks
from oomguardd.kernel import journald
from oomguardd.model import Owner
from oomguardd.reporter.journal.fields import ALWAYS, PREFIX, entry_of, reading_name
from oomguardd.reporter.journal.message_ids import MESSAGE_IDS
from oomguardd.sensors import SIGNAL_OF
from tests.shell.rig import candidate

CATALOG = Path(__file__).resolve().parents[2] / "packaging/oomguard.catalog"
KINDS = {message_id: kind for kind, message_id in MESSAGE_IDS.items()}
OF_ALL = {name for name, _ in entry_of({"kind": "kill"}, ["x"], {}) if not name.startswith(PREFIX)}


class Explained(NamedTuple):
    """One entry of the catalog."""

    message_id: str
    headers: dict[str, str]
    text: str


def explained() -> Iterator[Explained]:
    """As systemd's catalog_import_file() reads it."""
    lines = [line for line in CATALOG.read_text().splitlines() if not line.startswith("#")]
    for part in re.split(r"(?m)^-- ", "\n".join(lines))[1:]:
        head, _, text = part.partition("\n\n")
        message_id, *headers = head.splitlines()
        yield Explained(message_id, dict(line.split(": ", 1) for line in headers), text)


ENTRIES = list(explained())


def test_every_id_has_an_entry_and_every_entry_an_id() -> None:
    ids = [entry.message_id for entry in ENTRIES]
    assert sorted(ids) == sorted([*MESSAGE_IDS.values(), MESSAGE_ID])


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: KINDS.get(entry.message_id, "unit"))
def test_an_entry_is_complete(entry: Explained) -> None:
    assert list(entry.headers) == ["Subject", "Defined-By", "Documentation"]
    assert entry.headers["Defined-By"] == "oomguardd"
    assert len(entry.text.strip().splitlines()) >= 2
    assert not [line for line in entry.text.splitlines() if line.startswith((";", "--")) or "\t" in line]
    bare = re.sub("@[A-Z_]+@", "", entry.text)
    assert "@" not in bare, "systemd knows fields of capitals and underscores only"
    assert max(map(len, bare.splitlines())) <= 80


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: KINDS.get(entry.message_id, "unit"))
def test_fields_that_are_named_are_in_the_entry(entry: Explained, tmp_path: Path) -> None:
    kind = KINDS.get(entry.message_id)
    there = of_unit(tmp_path) if kind is None else {PREFIX + name for name in ALWAYS.get(kind, ())} | OF_ALL
    named = set(re.findall("@([A-Z_]+)@", entry.headers["Subject"] + entry.text))
    assert named <= there


def of_unit(directory: Path) -> set[str]:
    """Names of fields in the line that the guard writes."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.bind(str(directory / "journal"))
        marks = UnitMarks(-1, None, journald.open_socket(), "cafe", str(directory / "journal"))
        victim = candidate(50, owner=Owner(unit="web.service"))
        marks.after(1, victim, alone(victim), "SIGKILL", ())
        marks.close()
        return {line.partition("=")[0] for line in journal.recv(4096).decode().splitlines()}


def test_journalctl_reads_it(tmp_path: Path) -> None:
    journalctl = shutil.which("journalctl")
    if not journalctl:
        pytest.skip("needs journalctl")
    directory = tmp_path / "usr/lib/systemd/catalog"
    directory.mkdir(parents=True)
    (tmp_path / "var/lib/systemd/catalog").mkdir(parents=True)
    shutil.copy(CATALOG, directory)
    command = [journalctl, f"--root={tmp_path}"]
    subprocess.run([*command, "--update-catalog"], check=True, timeout=60)
    done = subprocess.run(
        [*command, "--dump-catalog"], check=True, timeout=60, capture_output=True, text=True
    )
    assert done.stdout.count("\nDefined-By: oomguardd\n") == len(ENTRIES)
    assert all(entry.text.strip() in done.stdout for entry in ENTRIES)


def test_the_documentation_has_every_id_and_no_field_that_is_none() -> None:
    text = (CATALOG.parents[1] / "docs/journal.md").read_text()
    assert all(f"| `{kind}` | `{message_id}` | " in text for kind, message_id in MESSAGE_IDS.items())
    assert f"`{MESSAGE_ID}`" in text
    readings = {reading_name(signal, SIGNAL_OF) for signal in SIGNAL_OF}
    assert {f"{PREFIX}{name}" for name in re.findall(r"`([A-Z0-9_]+_(?:PCT|FREE_BYTES))`", text)} <= readings
