"""The metrics server against clients of every kind, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oomguardd.reporter.metrics.door import REFUSALS, Limits
from oomguardd.reporter.metrics.exposition import OPENMETRICS, TEXT
from oomguardd.reporter.metrics.http import LONGEST_HEAD_BYTES, Answer, Request, parse_request
from oomguardd.reporter.metrics.pages import wants_openmetrics
from tests.prometheus.story import kill
from tests.unit.reporter.metrics_site import GET, HASTY, answer_of, hanging, resident_bytes, run, serving


def test_a_scrape() -> None:
    async def scenario() -> None:
        async with serving() as site:
            status, headers, body = await site.ask(GET.replace(b"Host: x", b"Connection: close"))
            assert (status, headers["content-type"], headers["connection"]) == (200, TEXT, "close")
            assert b"\noomguard_guard_up 1.0\n" in body
            assert site.machine.meters.counts["told", "metrics"] == 1

    run(scenario())


def test_openmetrics_for_those_who_like_it() -> None:
    async def scenario() -> None:
        accept = b"Accept: application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.3\r\n\r\n"
        async with serving() as site:
            status, headers, body = await site.ask(GET.replace(b"\r\n\r\n", b"\r\n" + accept))
            assert (status, headers["content-type"]) == (200, OPENMETRICS)
            assert body.endswith(b"# EOF\n")

    run(scenario())


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("", False),
        ("*/*", False),
        ("text/plain;version=0.0.4;q=0.5,*/*;q=0.1", False),
        ("application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.5", True),
        ("application/openmetrics-text;version=2.0.0;q=0.9,text/plain;q=0.1", False),
        ("application/openmetrics-text", True),
        ("application/openmetrics-text;q=0", False),
        ("application/openmetrics-text;q=banana", False),
        (";;;,,=", False),
    ],
)
def test_which_format_is_wanted(accept: str, wanted: bool) -> None:
    assert wants_openmetrics(accept) is wanted


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        (b"GET / HTTP/1.1", 200),
        (b"HEAD /metrics HTTP/1.1", 200),
        (b"GET /metrics?name[]=x HTTP/1.1", 200),
        (b"GET http://h:1/metrics HTTP/1.1", 200),
        (b"GET /-/healthy HTTP/1.0", 200),
        (b"GET /-/ready HTTP/1.1", 200),
        (b"GET /../etc/passwd HTTP/1.1", 404),
        (b"GET /metrics/ HTTP/1.1", 404),
        (b"POST /metrics HTTP/1.1", 405),
        (b"get /metrics HTTP/1.1", 405),
        (b"GET metrics HTTP/1.1", 400),
        (b"GET /metrics HTTP/1.1 x", 400),
        (b"GET /metrics", 400),
        (b"GET  /metrics HTTP/1.1", 400),
        (b"GET /\xff HTTP/1.1", 400),
        (b"\x16\x03\x01\x02", 400),
        (b"GET /metrics HTTP/2.0", 505),
        (b"GET /metrics GOPHER/1", 400),
        (b"GET / HTTP/1.1\r\nno colon", 400),
        (b"GET / HTTP/1.1\r\nA: b\r\n folded", 400),
        (b"GET / HTTP/1.1\r\nbad name: b", 400),
        (b"GET / HTTP/1.1\r\nContent-Length: 0", 200),
        (b"GET / HTTP/1.1\r\nContent-Length: 5", 413),
        (b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked", 413),
    ],
)
def test_pages_and_bad_http(request_line: bytes, status: int) -> None:
    async def scenario() -> None:
        async with serving() as site:
            got, headers, body = await site.ask(request_line + b"\r\n\r\n")
            assert got == status
            assert body or request_line.startswith(b"HEAD")
            assert int(headers["content-length"]) > 0
            refusals = sum(site.refused(reason) for reason in REFUSALS)
            assert refusals == (status != 200)

    run(scenario())


@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_no_head_breaks_the_parser(head: bytes) -> None:
    assert isinstance(parse_request(head + b"\r\n\r\n"), (Request, Answer))
    assert isinstance(parse_request(b"GET / HTTP/1.1\r\n" + head + b"\r\n\r\n"), (Request, Answer))


def test_not_ready_without_the_guard() -> None:
    async def scenario() -> None:
        async with serving() as site:
            site.machine.present.connected = False
            assert (await site.ask(b"GET /-/ready HTTP/1.0\r\n\r\n"))[0] == 503
            assert (await site.ask(b"GET /-/healthy HTTP/1.0\r\n\r\n"))[0] == 200

    run(scenario())


def test_one_connection_serves_many_scrapes_pipelined_too() -> None:
    async def scenario() -> None:
        async with serving() as site:
            reader, writer = await site.connect()
            writer.write(GET * 5)
            for _ in range(5):
                assert (await answer_of(reader))[0] == 200
            assert site.server.connections == 1
            writer.write(GET)
            assert (await answer_of(reader))[0] == 200
            writer.close()

    run(scenario())


def test_a_connection_does_not_last_for_ever() -> None:
    async def scenario() -> None:
        async with serving() as site:
            reader, writer = await site.connect()
            with contextlib.closing(writer):
                for number in range(1, HASTY.requests + 1):
                    writer.write(GET)
                    headers = (await answer_of(reader))[1]
                    assert headers["connection"] == ("close" if number == HASTY.requests else "keep-alive")
                assert await reader.read() == b""

    run(scenario())


def test_an_idle_connection_ends_without_a_word() -> None:
    async def scenario() -> None:
        async with serving() as site:
            reader, writer = await site.connect()
            with contextlib.closing(writer):
                writer.write(GET)
                await answer_of(reader)
                assert await reader.read() == b""
                assert site.refused("too slow") == 0

    run(scenario())


@pytest.mark.parametrize("begun", [b"", b"G", b"GET /metrics HTTP/1.1\r\nHost: x\r\n"])
def test_half_a_request_has_its_time(begun: bytes) -> None:
    async def scenario() -> None:
        async with serving() as site:
            assert (await site.ask(begun))[0] == 408
            assert site.refused("too slow") == 1

    run(scenario())


def test_a_request_that_drips_has_its_time_as_a_whole() -> None:
    async def scenario() -> None:
        async with serving() as site:
            reader, writer = await site.connect()
            answer = asyncio.ensure_future(reader.read())
            began_s = time.monotonic()
            with contextlib.closing(writer):
                while not answer.done() and time.monotonic() - began_s < 5:
                    writer.write(b"X")
                    await asyncio.sleep(0.02)
                with contextlib.suppress(ConnectionError):
                    await answer
            assert time.monotonic() - began_s < 3
            assert site.refused("too slow") == 1

    run(scenario())


@pytest.mark.parametrize(
    "line", [b"GET /" + b"a" * LONGEST_HEAD_BYTES, b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 3000]
)
def test_a_huge_head_is_told_so_and_not_kept(line: bytes) -> None:
    async def scenario() -> None:
        async with serving() as site:
            reader, writer = await site.connect()
            with contextlib.closing(writer):
                writer.write(line + b"\r\n\r\n")
                assert (await answer_of(reader))[0] == 431
                writer.write(b"A: b\r\n" * 1000)
                assert await reader.read() == b""
            assert site.refused("too long") == 1

    run(scenario())


def test_who_leaves_at_once_leaves_nothing() -> None:
    async def scenario() -> None:
        async with serving(limits=HASTY._replace(connections=64)) as site:
            for linger in (b"\1\0\0\0\0\0\0\0", b"\0\0\0\0\0\0\0\0"):
                for request in (b"", b"GET", GET, GET * 20):
                    with socket.create_connection(site.address) as sock:
                        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                        sock.send(request) if request else None
            await site.calm()
            assert (await site.ask(GET))[0] == 200

    run(scenario())


def test_who_does_not_read_is_left() -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        async with serving(limits=HASTY._replace(requests=1_000_000)) as site, hanging(site, 1) as (sock,):
            sending = asyncio.ensure_future(loop.sock_sendall(sock, GET * 200_000))
            before = resident_bytes()
            await asyncio.wait({sending}, timeout=10)
            assert sending.done()
            with pytest.raises(ConnectionError):
                await sending
            assert site.refused("too slow") == 1
            assert resident_bytes() - before < 6 << 20

    run(scenario())


def test_two_hundred_connections_that_hang() -> None:
    async def scenario() -> None:
        limits = HASTY._replace(request_s=5.0, patience_s=0.5)
        async with serving(limits=limits) as site, hanging(site, 200, b"GET /metrics HT"):
            assert site.server.connections == HASTY.connections
            assert site.refused("too many connections") >= 200 - 2 * HASTY.connections
            await asyncio.sleep(0.6)
            assert (await site.ask(GET))[0] == 200, "who has hung for a while makes room"

    run(scenario())


@pytest.mark.parametrize("said", [GET * 500, GET.replace(b"Host", b"Connection: close\r\nHost")])
def test_who_does_not_read_or_does_not_go_makes_room(said: bytes) -> None:
    async def scenario() -> None:
        limits = HASTY._replace(write_s=60.0, close_s=60.0, requests=1000)
        async with serving(limits=limits) as site, hanging(site, HASTY.connections, said):
            until_s = time.monotonic() + 20.0  # answers to pipelined requests take their time
            while (await site.ask(GET))[0] != 200:
                assert time.monotonic() < until_s
                await asyncio.sleep(limits.patience_s)

    run(scenario())


def test_one_too_many_is_told_so() -> None:
    async def scenario() -> None:
        limits = HASTY._replace(patience_s=60.0)
        async with serving(limits=limits) as site, hanging(site, HASTY.connections):
            reader, writer = await site.connect()
            with contextlib.closing(writer):
                assert (await answer_of(reader))[0] == 503

    run(scenario())


def test_hanging_connections_take_little_memory() -> None:
    async def scenario() -> None:
        async with serving(limits=Limits(request_s=2.0)) as site:
            for _ in range(20):
                await site.ask(GET)
            before = resident_bytes()
            async with hanging(site, 200, b"x" * LONGEST_HEAD_BYTES):
                await asyncio.sleep(0.1)
                assert resident_bytes() - before < 6 << 20

    run(scenario())


def test_scrapes_and_events_leave_no_trace_in_memory() -> None:
    async def scenario() -> None:
        async with serving(limits=Limits()) as site:

            async def work(scrapes: int) -> None:
                for number in range(scrapes):
                    site.machine.clock_s += 1.0  # each one is rendered
                    for event in range(10):
                        site.machine.tell(kill(10 * number + event))
                    assert (await site.ask(GET))[0] == 200

            await work(200)
            gc.collect()
            before = resident_bytes()
            await work(600)
            gc.collect()
            assert resident_bytes() - before < 1 << 20

    run(scenario(), within_s=100)


def test_metrics_that_cannot_be_rendered_are_told_once() -> None:
    async def scenario() -> None:
        async with serving() as site:
            site.machine.meters.counts["no such meter", "x"] = 1
            for _ in range(3):
                site.machine.clock_s += 1
                assert (await site.ask(GET))[0] == 500
            assert [record["where"] for record in site.told] == ["metrics server"]
            assert site.machine.meters.counts["failed", "metrics"] == 3

    run(scenario())


def test_closing_ends_everything() -> None:
    async def scenario() -> None:
        async with serving() as site:
            reader, writer = await site.connect()
            await asyncio.sleep(0.05)
            async with hanging(site, 3):
                await site.server.close()
                await site.server.close()
            assert site.server.connections == 0
            with contextlib.closing(writer):
                assert await reader.read() == b""
            with pytest.raises(ConnectionError):
                await site.connect()

    run(scenario())
