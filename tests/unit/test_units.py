from __future__ import annotations

import pytest

from oomguardd.units import (
    Amount,
    choice,
    format_amount,
    format_bytes,
    format_duration,
    format_percent,
    format_rate,
    format_size,
    parse_amount,
    parse_bool,
    parse_duration_s,
    parse_float,
    parse_int,
    parse_number,
    parse_path,
    parse_percent,
    parse_rate_bytes_per_s,
    parse_size,
    printable,
    quote,
)


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("0", 0),
        ("4096", 4096),
        ("4096B", 4096),
        ("100k", 100 << 10),
        ("512M", 512 << 20),
        ("512MiB", 512 << 20),
        ("512 mib", 512 << 20),
        (" 4G ", 4 << 30),
        ("1.5G", 3 << 29),
        (".5K", 512),
        ("2T", 2 << 40),
        ("1P", 1 << 50),
        ("0.1K", 102),
    ],
)
def test_a_size_is_in_powers_of_1024(text: str, size_bytes: int) -> None:
    assert parse_size(text) == size_bytes


@pytest.mark.parametrize(
    "text",
    [
        "",
        "M",
        "-5M",
        "+5M",
        "1.2.3M",
        ".",
        "5X",
        "5 M B",
        "1e3",
        "1_000",
        "٣M",
        "9" * 21,
        "5000P",
        "5%",
        "5M/s",
        "iB",
    ],
)
def test_no_size_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match='write it like "512M"'):
        parse_size(text)


def test_decimal_units_are_refused_because_they_mean_two_things() -> None:
    with pytest.raises(ValueError, match=r'"512MB" is ambiguous \(write "512M"'):
        parse_size("512MB")


@pytest.mark.parametrize("text", ["10M", "10M/s", "10 MiB/s", "10240K/s"])
def test_a_rate_may_say_per_second(text: str) -> None:
    assert parse_rate_bytes_per_s(text) == 10 << 20


@pytest.mark.parametrize("text", ["10", "10/s", "M/s", "10M/min"])
def test_a_rate_needs_its_unit(text: str) -> None:
    with pytest.raises(ValueError, match="write it like"):
        parse_rate_bytes_per_s(text)


def test_an_amount_is_a_size_or_a_percentage() -> None:
    assert parse_amount("16M") == Amount(16 << 20, relative=False)
    assert parse_amount("1.5%") == Amount(1.5, relative=True)
    assert parse_amount("0") == Amount(0, relative=False)


def test_an_amount_of_a_total() -> None:
    assert parse_amount("16M").of_bytes(1 << 30) == 16 << 20
    assert parse_amount("50%").of_bytes(1 << 30) == 1 << 29


@pytest.mark.parametrize("text", ["16", "101%", "%", "x"])
def test_no_amount_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write it like"):
        parse_amount(text)


@pytest.mark.parametrize(
    ("text", "duration_s"),
    [
        ("200ms", 0.2),
        ("1.5s", 1.5),
        ("10m", 600),
        ("10min", 600),
        ("2h", 7200),
        ("1d", 86400),
        ("0", 0),
        ("0s", 0),
        (" 5 s ", 5),
    ],
)
def test_a_duration_is_in_seconds(text: str, duration_s: float) -> None:
    assert parse_duration_s(text) == duration_s


@pytest.mark.parametrize("text", ["", "s", "5x", "-1s", "5S", "nan", "inf s", "1h30m"])
def test_no_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r'write it like "1\.5s"'):
        parse_duration_s(text)


def test_a_duration_without_unit_is_refused_with_a_guess() -> None:
    with pytest.raises(ValueError, match='write "5s" if seconds are meant'):
        parse_duration_s("5")


def test_a_duration_has_an_end() -> None:
    with pytest.raises(ValueError, match="too long"):
        parse_duration_s("99999999999999999999d")


def test_a_percentage_is_from_0_to_100() -> None:
    assert [parse_percent(text) for text in ("0%", "10%", "12.5 %", "100%")] == [0, 10, 12.5, 100]


@pytest.mark.parametrize("text", ["10", "100.1%", "-1%", "%", "10%%", "5G"])
def test_no_percentage_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match='write it like "10%"'):
        parse_percent(text)


def test_native_values() -> None:
    assert (parse_bool("true"), parse_bool("false")) == (True, False)
    assert (parse_int("-5"), parse_int("64")) == (-5, 64)
    assert (parse_float("-0.5"), parse_float("1e3"), parse_float("2")) == (-0.5, 1000, 2)
    assert parse_number("100.5") == 100.5
    assert parse_path("/run/x.sock") == "/run/x.sock"


@pytest.mark.parametrize("text", ["True", "yes", "1", ""])
def test_no_truth_value_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write true or false, without quotes"):
        parse_bool(text)


@pytest.mark.parametrize("text", ["", "-", "1.5", "1_0", "٣", "--1", "9" * 5000])
def test_no_whole_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write it like 5, without quotes"):
        parse_int(text)


@pytest.mark.parametrize("text", ["", "x", "nan", "inf", "-inf", "1e30"])
def test_no_usable_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"write it like 1\.5, without quotes"):
        parse_float(text)


@pytest.mark.parametrize("text", ["", "x", "-1", "5M", "1e3"])
def test_no_plain_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match='write it like "100"'):
        parse_number(text)


@pytest.mark.parametrize("text", ["", "run/x", "/run/\0"])
def test_no_absolute_path_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not an absolute path"):
        parse_path(text)


def test_a_choice_names_all_words() -> None:
    parse = choice("warn", "kill")
    assert parse("kill") == "kill"
    with pytest.raises(ValueError, match=r'"maim" is not one of the choices \(write one of "warn", "kill"\)'):
        parse("maim")


def test_spelling_is_the_shortest_without_loss() -> None:
    assert [format_size(size) for size in (0, 1234, 2048, 3 << 29, 1 << 50)] == [
        "0",
        "1234B",
        "2K",
        "1536M",
        "1P",
    ]
    assert [format_duration(t) for t in (0, 0.05, 0.2, 1.5, 90, 600, 7200, 172800)] == [
        "0s", "50ms", "200ms", "1.5s", "90s", "10m", "2h", "2d",
    ]  # fmt: skip
    assert [format_percent(percent) for percent in (0, 10, 12.5, 100)] == ["0%", "10%", "12.5%", "100%"]
    assert format_rate(10 << 20) == "10M/s"
    assert [format_amount(parse_amount(text)) for text in ("16M", "1.5%", "0")] == ["16M", "1.5%", "0"]


def test_log_lines_round_sizes() -> None:
    sizes = (0, 1023, 1 << 10, 512 << 20, 1.4 * (1 << 30), 14.26 * (1 << 30), -(3 << 29))
    assert [format_bytes(size) for size in sizes] == [
        "0 B", "1023 B", "1 KiB", "512 MiB", "1.4 GiB", "14.3 GiB", "-1.5 GiB",
    ]  # fmt: skip


def test_messages_show_hostile_text_on_one_short_line() -> None:
    assert printable("a\nb\x1b[31m\udc80") == "a\\nb\\x1b[31m\\udc80"
    assert quote("x" * 1000) == '"' + "x" * 57 + '..."'
