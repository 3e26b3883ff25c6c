"""Hooks with a URL: real servers on loopback that answer well, badly, slowly, or not at all."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from oomguardd.notifiers.base import Gear, Notice, NotifyError
from oomguardd.notifiers.post import Post, make, parse_target, request
from oomguardd.telling import Hook, Telling

NOTICE = Notice("kill", 1700000000.0, "hog was ended", "", {"pid": 1}, {"kind": "kill", "run": "r", "seq": 1})

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(scenario, 30))


class Server:
    """Keeps what it was sent; answers as a test says."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)
        self.requests: list[bytes] = []
        self.port = 0

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].split()[0])
            self.requests.append(head + await reader.readexactly(length))
            writer.write(self.answers.pop(0))
            await writer.drain()
            await reader.read()  # until they have read it, and hung up


@contextlib.asynccontextmanager
async def serving(handle: Answer, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        try:
            await handle(reader, writer)
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)


async def tell(url: str, timeout_s: float = 10.0) -> str:
    """Empty, or why it did not arrive."""
    made = Post(Hook("test", ("kill",), url=url, timeout_s=timeout_s), "box")
    made.start()
    try:
        await made.tell([NOTICE])
    except NotifyError as error:
        return str(error)
    finally:
        await made.close()
    return ""


def test_it_arrives() -> None:
    async def scenario() -> None:
        server = Server(b"HTTP/1.1 204 No Content\r\n\r\n")
        async with serving(server.handle) as port:
            assert await tell(f"http://127.0.0.1:{port}/hook/?room=a%20b&c=d") == ""
        (sent,) = server.requests
        head, _, body = sent.partition(b"\r\n\r\n")
        assert head.startswith(b"POST /hook/?room=a%20b&c=d HTTP/1.1\r\n")
        assert f"Host: 127.0.0.1:{port}".encode() in head.split(b"\r\n")
        assert b"Content-Type: application/json" in head
        event = json.loads(body)
        assert (event["event"], event["id"], event["text"]) == ("kill", "r-1", "box: hog was ended")

    run(scenario())


def test_it_tries_again_when_that_may_help() -> None:
    async def scenario() -> None:
        server = Server(b"HTTP/1.1 503 x\r\n\r\n", b"junk\r\n", b"HTTP/1.0 200 OK\r\n\r\n")
        async with serving(server.handle) as port:
            assert await tell(f"http://127.0.0.1:{port}/") == ""
        assert len(server.requests) == 3

    run(scenario())


def test_three_times_is_all() -> None:
    async def scenario() -> None:
        server = Server(*[b"HTTP/1.1 500 x\r\n\r\n"] * 5)
        async with serving(server.handle) as port:
            assert (await tell(f"http://127.0.0.1:{port}/")).startswith("status 500, 3 times")
        assert len(server.requests) == 3

    run(scenario())


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 404 Not Found\r\n\r\n", "refused with status 404"),
        (
            b"HTTP/1.1 301 Moved\r\nServer: x\r\nLocation: file:///etc/\x1bpasswd\r\n\r\n",
            "redirected (status 301) to file:///etc/\\x1bpasswd: write that url, if it is right",
        ),
    ],
)
def test_what_trying_again_does_not_mend(answer: bytes, said: str) -> None:
    async def scenario() -> None:
        server = Server(answer)
        async with serving(server.handle) as port:
            assert await tell(f"http://127.0.0.1:{port}/") == said
        assert len(server.requests) == 1

    run(scenario())


def test_a_byte_at_a_time_is_too_slow() -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while True:
                writer.write(b"H")
                await writer.drain()
                await asyncio.sleep(0.05)

    async def scenario() -> None:
        async with serving(drip) as port:
            began_s = time.monotonic()
            assert (await tell(f"http://127.0.0.1:{port}/", timeout_s=0.5)).startswith(
                "not delivered within 500 ms"
            )
            assert time.monotonic() - began_s < 2

    run(scenario())


@pytest.mark.parametrize("flood", [b"x" * 100_000, b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 100_000])
def test_an_answer_without_end_is_not_read(flood: bytes) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            for _ in range(100):
                writer.write(flood)
                await writer.drain()

    async def scenario() -> None:
        async with serving(answer) as port:
            said = await tell(f"http://127.0.0.1:{port}/", timeout_s=5)
            assert said == "" if flood.startswith(b"HTTP") else "no HTTP answer, 3 times" in said

    run(scenario())


def test_nobody_listens_and_no_such_host() -> None:
    async def scenario() -> None:
        async with serving(Server().handle) as port:
            pass
        said = await tell(f"http://127.0.0.1:{port}/", timeout_s=5)
        assert said.startswith("127.0.0.1: ")
        assert "3 times" in said
        said = await tell("http://no-such-host.invalid/secret-token", timeout_s=8)
        assert "no-such-host.invalid" in said
        assert "secret-token" not in said

    run(scenario())


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    path = tmp_path / "certificate.pem"
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1"
        f" -subj /CN=localhost -addext subjectAltName=DNS:localhost -keyout {path} -out {tmp_path}/cert"
    )
    try:
        subprocess.run(command.split(), capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs openssl")
    path.write_bytes(path.read_bytes() + (tmp_path / "cert").read_bytes())
    return path


def test_a_certificate_that_nobody_vouches_for(certificate: Path) -> None:
    async def scenario() -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server = Server(b"HTTP/1.1 200 OK\r\n\r\n")
        async with serving(server.handle, context) as port:
            said = await tell(f"https://localhost:{port}/")
        assert said.startswith("the certificate of localhost is not valid: self")
        assert not server.requests

    run(scenario())


def test_a_certificate_that_is_trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server = Server(b"HTTP/1.1 200 OK\r\n\r\n")
        async with serving(server.handle, context) as port:
            assert await tell(f"https://localhost:{port}/") == ""
        assert len(server.requests) == 1

    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    run(scenario())


def test_proxies_of_the_environment_are_not_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        server = Server(b"HTTP/1.1 200 OK\r\n\r\n")
        async with serving(server.handle) as port:
            assert await tell(f"http://127.0.0.1:{port}/") == ""
        assert len(server.requests) == 1

    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1/")
    run(scenario())


@pytest.mark.parametrize(
    ("url", "path", "host", "authorization"),
    [
        ("https://example.org", "/", "example.org", ""),
        ("http://[::1]:8080/a", "/a", "[::1]:8080", ""),
        ("http://us%40er:p%3Aw@h/x?y=é", "/x?y=%C3%A9", "h", "Basic dXNAZXI6cDp3"),
        ("http://bücher.example/ä", "/%C3%A4", "xn--bcher-kva.example", ""),
    ],
)
def test_targets(url: str, path: str, host: str, authorization: str) -> None:
    target = parse_target(url)
    assert (target.path, target.host_header, target.authorization) == (path, host, authorization)
    assert target.tls is url.startswith("https")
    message = request(target, b"{}")
    assert message.endswith(b"\r\n\r\n{}")
    assert message.count(b"\r\n\r\n") == 1


@pytest.mark.parametrize(
    ("url", "under_systemd", "hinted"),
    [
        ("http://x.invalid/", True, True),
        ("http://x.invalid/", False, False),
        ("http://[::1]:1/", True, False),
    ],
)
def test_what_systemd_does_not_say(url: str, under_systemd: bool, hinted: bool) -> None:
    made = Post(Hook("test", ("kill",), url=url, timeout_s=0.2), "box", under_systemd)
    with pytest.raises(NotifyError) as failure:
        run(made.tell([NOTICE]))
    assert ("IPAddressAllow=" in str(failure.value)) is hinted


def test_which_hooks_are_made() -> None:
    hooks = (Hook("a", ("kill",), run=("/bin/true",)), Hook("b", ("warn",), url="http://x/"))
    (only,) = make(Telling(hooks=hooks), Gear(missing=lambda what, cost, remedy: None))
    assert only.label == "hook:b"
    assert not only.wants(NOTICE)
