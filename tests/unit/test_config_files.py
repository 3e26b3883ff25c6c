from __future__ import annotations

import os
from pathlib import Path

import pytest

from oomguardd.config.files import FILE_LIMIT_BYTES, Problem, Source, read_sources


def read(path: Path | str) -> tuple[list[Source], list[Problem]]:
    return read_sources(str(path), f"{path}.d", required=True)


def only_problem(path: Path | str) -> str:
    sources, problems = read(path)
    assert sources == []
    assert len(problems) == 1
    return str(problems[0])


@pytest.fixture
def main(tmp_path: Path) -> Path:
    return tmp_path / "oomguard.toml"


def test_a_missing_file_is_fine_unless_it_was_named(main: Path) -> None:
    assert read_sources(str(main), f"{main}.d", required=False) == ([], [])
    assert only_problem(main) == f"{main}: no such file (create it, or correct its name)"


def test_dropins_are_read_in_lexical_order_after_the_file(main: Path, tmp_path: Path) -> None:
    main.write_text("a = 1")
    folder = tmp_path / "oomguard.toml.d"
    folder.mkdir()
    for name in ("20-b.toml", "10-z.toml", "9.toml", "x.toml~", "README", ".hidden.toml"):
        (folder / name).write_text("a = 2")
    sources, problems = read(main)
    assert problems == []
    assert [os.path.basename(source.file) for source in sources] == [
        "oomguard.toml", "10-z.toml", "20-b.toml", "9.toml",
    ]  # fmt: skip


def test_a_dropin_linked_to_dev_null_is_masked(main: Path, tmp_path: Path) -> None:
    folder = tmp_path / "oomguard.toml.d"
    folder.mkdir()
    (folder / "10.toml").symlink_to("/dev/null")
    sources, problems = read_sources(str(main), str(folder), required=False)
    assert (sources, problems) == ([Source(str(folder / "10.toml"), {})], [])


def test_a_dropin_linked_to_nothing_is_a_problem(main: Path, tmp_path: Path) -> None:
    folder = tmp_path / "oomguard.toml.d"
    folder.mkdir()
    (folder / "10.toml").symlink_to(tmp_path / "absent")
    sources, problems = read_sources(str(main), str(folder), required=False)
    assert sources == []
    assert [str(problem) for problem in problems] == [
        f"{folder}/10.toml: no such file (create it, or correct its name)"
    ]


def test_dropins_that_are_no_directory(main: Path, tmp_path: Path) -> None:
    main.write_text("")
    (tmp_path / "oomguard.toml.d").write_text("")
    _, problems = read(main)
    assert [str(problem) for problem in problems] == [
        f"{main}.d: cannot be listed: Not a directory (it must be a directory)"
    ]


def test_syntax_errors_have_line_and_column(main: Path) -> None:
    main.write_text("[kill]\ngrace = 5s\n")
    assert only_problem(main).startswith(f"{main}: line 2, column 10: ")
    assert only_problem(main).endswith('(text and units need quotes: grace = "5s")')


def test_the_same_section_twice_is_a_syntax_error(main: Path) -> None:
    main.write_text("[kill]\n[kill]\n")
    assert "line 2" in only_problem(main)


@pytest.mark.parametrize("text", ["x = " + "[" * 200_000, "x = " + "{a=" * 100_000], ids=["lists", "tables"])
def test_deep_nesting_is_a_problem_not_a_crash(main: Path, text: str) -> None:
    main.write_text(text)
    assert "nested too deeply" in only_problem(main)


def test_a_number_of_thousands_of_digits_is_a_problem_or_read(main: Path) -> None:
    main.write_text("x = " + "9" * 5000)
    sources, problems = read(main)
    assert len(sources) + len(problems) == 1  # Python 3.10 before 3.10.7 has no limit


def test_invalid_utf8_is_a_problem_with_its_line(main: Path) -> None:
    main.write_bytes(b"# ok\n# caf\xe9\n")
    assert only_problem(main) == f"{main}: line 2 is not valid UTF-8 (save the file as UTF-8)"


def test_a_byte_order_mark_is_ignored(main: Path) -> None:
    main.write_bytes(b"\xef\xbb\xbfa = 1\n")
    assert read(main) == ([Source(str(main), {"a": 1})], [])


def test_a_directory_is_a_problem(main: Path) -> None:
    main.mkdir()
    assert "is a directory" in only_problem(main)


@pytest.mark.timeout(10)
def test_a_fifo_does_not_hang(main: Path) -> None:
    os.mkfifo(main)
    assert "is not a regular file" in only_problem(main)


@pytest.mark.timeout(10)
@pytest.mark.parametrize("device", ["/dev/zero", "/dev/tty"])
def test_a_device_is_not_read(device: str) -> None:
    assert "is not a regular file" in only_problem(device)


def test_dev_null_is_an_empty_file() -> None:
    assert read("/dev/null") == ([Source("/dev/null", {})], [])


def test_a_huge_file_is_a_problem(main: Path) -> None:
    with main.open("wb") as file:
        file.truncate(FILE_LIMIT_BYTES * 1000)
    assert "larger than 1 MiB" in only_problem(main)


def test_a_file_of_just_the_limit_is_read(main: Path) -> None:
    main.write_bytes(b"#" * FILE_LIMIT_BYTES)
    assert read(main) == ([Source(str(main), {})], [])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_a_problem(main: Path) -> None:
    main.write_text("")
    main.chmod(0)
    assert "cannot be read: Permission denied" in only_problem(main)


def test_a_loop_of_links_is_a_problem(main: Path) -> None:
    main.symlink_to(main)
    assert "cannot be read: Too many levels of symbolic links" in only_problem(main)


@pytest.mark.parametrize("path", ["/tmp/a\0b", "", "x" * 5000])
def test_an_impossible_path_is_a_problem(path: str) -> None:
    _, problems = read_sources(path, "/nonexistent.d", required=True)
    assert len(problems) == 1


def test_every_problem_of_every_file_is_told(main: Path, tmp_path: Path) -> None:
    main.write_text("x")
    folder = tmp_path / "oomguard.toml.d"
    folder.mkdir()
    (folder / "1.toml").write_text("y")
    (folder / "2.toml").mkdir()
    assert len(read(main)[1]) == 3


def test_a_python_without_toml_says_what_to_install(main: Path) -> None:
    main.write_text("")
    _, problems = read_sources(str(main), f"{main}.d", required=True, toml_loads=None)
    assert [problem.text for problem in problems] == [
        "Python before 3.11 cannot read TOML (install the package python3-tomli)"
    ]


def test_a_problem_is_one_line_even_with_hostile_names() -> None:
    line = str(Problem("/etc/a\nb", "k" * 1000 + "\x1b", "bad"))
    assert line == "/etc/a\\nb: " + "k" * 97 + "...: bad"
