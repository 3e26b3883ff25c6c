"""Who may scrape: bearer tokens and TLS."""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from oomguardd.reporter.metrics.access import load_access
from tests.unit.reporter.metrics_site import GET, HASTY, LOCAL, answer_of, hanging, run, serving


def test_no_token_no_metrics(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("s3cret\n")
    file.chmod(0o600)

    async def scenario() -> None:
        async with serving(replace(LOCAL, token_file=str(file))) as site:
            for header in (b"", b"Authorization: Bearer wrong", b"Authorization: Basic s3cret"):
                status, headers, _ = await site.ask(GET.replace(b"Host: x", header or b"Host: x"))
                assert (status, headers["www-authenticate"]) == (401, "bearer")
            right = GET.replace(b"Host: x", b"authorization: bearer  s3cret")
            assert (await site.ask(right))[0] == 200
            assert (await site.ask(b"GET /-/healthy HTTP/1.1\r\n\r\n"))[0] == 200
            file.write_text("newer")
            assert (await site.ask(right))[0] == 200, "until a reload"
            reader, writer = await site.connect()
            with contextlib.closing(writer):
                await asyncio.sleep(0.02)
                site.server.retune(replace(LOCAL, token_file=None))
                assert await reader.read() == b"", "who is in does not stay in"
            site.server.retune(replace(LOCAL, token_file=str(file)))
            assert (await site.ask(right))[0] == 401
            assert site.refused("wrong token") == 4
            assert site.told == []

    run(scenario())


def test_a_token_that_cannot_be_read_lets_nobody_in(tmp_path: Path) -> None:
    settings = replace(LOCAL, token_file=str(tmp_path / "none"))

    async def scenario() -> None:
        async with serving(settings) as site:
            status, _, body = await site.ask(GET)
            assert (status, b"log" in body) == (503, True)
            assert [record["kind"] for record in site.told] == ["fault"]
            assert "metrics.token_file" in str(site.told[0]["error"])
            (tmp_path / "none").write_text("now")
            site.server.retune(settings)
            assert (await site.ask(GET))[0] == 401
            (tmp_path / "none").unlink()
            site.server.retune(settings)
            assert (await site.ask(GET.replace(b"Host: x", b"Authorization: Bearer now")))[0] == 200

    run(scenario())


@pytest.mark.parametrize(
    ("content", "word"), [(b"", "no token"), (b"two words", "no token"), (b"\xff", "no token")]
)
def test_what_is_no_token(tmp_path: Path, content: bytes, word: str) -> None:
    file = tmp_path / "token"
    file.write_bytes(content)
    assert word in load_access(replace(LOCAL, token_file=str(file))).closed


def test_a_token_for_everybody_is_told(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("s3cret")
    file.chmod(0o644)
    access = load_access(replace(LOCAL, token_file=str(file)))
    assert access.closed == ""
    assert "everybody can read" in access.warnings[0]
    assert "directory" in load_access(replace(LOCAL, token_file=str(tmp_path))).closed
    os.mkfifo(tmp_path / "fifo")
    assert load_access(replace(LOCAL, token_file=str(tmp_path / "fifo"))).closed, "and nobody waits for it"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    cert, key = (tmp_path_factory.mktemp("tls") / name for name in ("cert.pem", "key.pem"))
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=x"
    more = ["-addext", "subjectAltName=IP:127.0.0.1", "-out", str(cert), "-keyout", str(key)]
    if subprocess.run([*command.split(), *more], capture_output=True, check=False).returncode:
        pytest.skip("openssl makes no certificate here (apt-get install openssl)")
    return cert, key


def test_tls(certificate: tuple[Path, Path]) -> None:
    cert, key = certificate
    client = ssl.create_default_context(cafile=str(cert))

    async def scenario() -> None:
        async with serving(replace(LOCAL, tls_cert=str(cert), tls_key=str(key))) as site:
            reader, writer = await site.connect(ssl=client)
            for _ in range(3):
                writer.write(GET)
                assert (await answer_of(reader))[0] == 200
            writer.close()
            close = GET.replace(b"Host: x", b"Connection: close")
            assert (await site.ask(close, ssl=client))[0] == 200
            with pytest.raises((OSError, EOFError)):
                await site.ask(GET)  # no TLS
            async with hanging(site, 200):
                assert site.server.connections <= HASTY.connections
                await asyncio.sleep(HASTY.request_s + 0.4)
                assert site.server.connections == 0, "a handshake has its time, too"

    run(scenario())


def test_a_certificate_that_is_none(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    cert, key = certificate
    nonsense = tmp_path / "x.pem"
    nonsense.write_text("nonsense")
    for settings in (
        replace(LOCAL, tls_cert=str(nonsense), tls_key=str(key)),
        replace(LOCAL, tls_cert=str(cert), tls_key=str(nonsense)),
        replace(LOCAL, tls_cert=str(cert), tls_key="/nowhere/key.pem"),
    ):
        access = load_access(settings)
        assert access.closed
        assert access.tls is None


def test_an_encrypted_key_asks_nobody(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    cert, key = certificate
    locked = tmp_path / "locked.pem"
    command = ["openssl", "ec", "-aes256", "-passout", "pass:secret", "-in", str(key), "-out", str(locked)]
    subprocess.run(command, capture_output=True, check=True)
    assert "unencrypted" in load_access(replace(LOCAL, tls_cert=str(cert), tls_key=str(locked))).closed
