"""Where the metrics server listens, at the start and after a reload."""

from __future__ import annotations

import socket
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from oomguardd.reporter.listening import ListenError
from oomguardd.reporter.metrics.server import open_listener
from oomguardd.telling import MetricsSettings
from tests.prometheus.tools import free_port
from tests.unit.reporter.metrics_site import GET, LOCAL, run, serving


def test_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "metrics.sock"
    settings = MetricsSettings(listen=str(path))

    async def scenario() -> None:
        async with serving(settings) as site:
            assert stat.S_IMODE(path.stat().st_mode) == 0o666
            assert (await site.ask(GET))[0] == 200
            with pytest.raises(ListenError, match="another program answers there"):
                open_listener(str(path))

    run(scenario())
    open_listener(str(path)).close()  # nobody serves it any more
    path.unlink()
    path.write_text("precious")
    with pytest.raises(ListenError, match="is no socket"):
        open_listener(str(path))
    assert path.read_text() == "precious"


def test_why_nobody_can_listen_there() -> None:
    with open_listener("127.0.0.1:0") as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ListenError, match=rf"in use.*ss -ltnp sport = :{port}.*metrics\.listen"):
            open_listener(f"127.0.0.1:{port}")
    with pytest.raises(ListenError, match="no such address"):
        open_listener("192.0.2.1:10066")
    with pytest.raises(ListenError, match=r"metrics\.listen"):
        open_listener("no-such-host.invalid:10066")


def test_both_families() -> None:
    with open_listener("[::1]:0") as six, open_listener("127.0.0.1:0") as four:
        assert (six.family, four.family) == (socket.AF_INET6, socket.AF_INET)


def test_another_address_after_a_reload() -> None:
    async def scenario() -> None:
        async with serving() as site:
            port = free_port()
            site.server.retune(replace(LOCAL, listen=f"127.0.0.1:{port}"))
            with pytest.raises(ConnectionError):
                await site.ask(GET)
            site.address = ("127.0.0.1", port)
            assert (await site.ask(GET))[0] == 200
            site.server.retune(replace(LOCAL, listen="192.0.2.1:1"))
            assert "192.0.2.1:1" in str(site.told[0]["error"])
            assert (await site.ask(GET))[0] == 200, "the old one is better than none"
            site.server.retune(replace(LOCAL, enabled=False))
            with pytest.raises(ConnectionError):
                await site.ask(GET)
            site.server.retune(replace(LOCAL, listen=f"127.0.0.1:{port}"))
            assert (await site.ask(GET))[0] == 200

    run(scenario())


def test_a_listener_of_systemds_stays() -> None:
    async def scenario() -> None:
        async with serving(passed=True) as site:
            site.server.retune(replace(LOCAL, enabled=False, listen="127.0.0.1:1"))
            assert (await site.ask(GET))[0] == 503
            assert site.refused("switched off") == 1
            site.server.retune(replace(LOCAL, listen="127.0.0.1:1"))
            assert (await site.ask(GET))[0] == 200
            assert site.told == []

    run(scenario())
