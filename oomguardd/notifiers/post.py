"""`[[hook]] url`: the event as JSON, by an HTTP POST. See RFC 9112 (messages), RFC 9110 (what statuses mean).

Why not urllib: its time limits are for each read, so that a server which answers a byte at a time holds it
for ever; it follows redirects to where nobody told it, and obeys proxies of the environment. Here one limit
is for all of it, redirects are an error with their target, and an answer is read as far as its headers.
"""

from __future__ import annotations

import asyncio
import encodings.idna  # noqa: F401  # now: who was root may not be able to read where Python lies
import importlib
import ipaddress
import json
import socket
from base64 import b64encode
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote, unquote, urlsplit

from oomguardd import __version__
from oomguardd.engine.words import duration, safe
from oomguardd.notifiers.aside import Aside
from oomguardd.notifiers.base import Gear, Notice, NotifyError
from oomguardd.telling import Hook, Telling

ATTEMPTS = 3
FIRST_PAUSE_S = 0.5
"""Before the second attempt; it doubles."""
MOST_ADDRESSES = 4
MOST_HEADERS = 100
LINE_BYTES = 8192

_LATER = (408, 425, 429)
"""Statuses besides 5xx that mean "try again"."""


class Target(NamedTuple):
    """What a URL says."""

    tls: bool
    host: str
    port: int
    path: str
    """With the query."""
    host_header: str
    authorization: str
    """Of user and password in the URL; empty without."""


class _TryAgain(Exception):
    """It may work a moment later; the message says what went wrong."""


def make(telling: Telling, gear: Gear) -> Iterable[Post]:
    """One for each hook with a URL."""
    under_systemd = "INVOCATION_ID" in gear.environ  # systemd.exec(5)
    return [Post(hook, gear.host, under_systemd) for hook in telling.hooks if hook.url]


def parse_target(url: str) -> Target:
    """The URL of a hook, which the configuration has checked. ValueError for a host that is no name."""
    parts = urlsplit(url)
    tls = parts.scheme == "https"
    host = parts.hostname or ""
    name = f"[{host}]" if ":" in host else host.encode("idna").decode("ascii")
    port = parts.port or (443 if tls else 80)
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._") + (
        f"?{quote(parts.query, safe='/%:@!$&()*+,;=~-._?')}" if parts.query else ""
    )
    authorization = ""
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = f"Basic {b64encode(pair.encode()).decode()}"
    return Target(
        tls, name.strip("[]"), port, path, name + (f":{parts.port}" if parts.port else ""), authorization
    )


def request(target: Target, body: bytes) -> bytes:
    """The whole message."""
    lines = [
        f"POST {target.path} HTTP/1.1",
        f"Host: {target.host_header}",
        f"User-Agent: oomguardd/{__version__}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "Connection: close",
    ]
    if target.authorization:
        lines.append(f"Authorization: {target.authorization}")
    return "\r\n".join([*lines, "", ""]).encode("ascii") + body


class Post:
    """One hook."""

    most = 1
    pause_s = 0.0

    def __init__(self, hook: Hook, host: str, under_systemd: bool = False) -> None:
        self.settings: object = (hook, host)
        self._under_systemd = under_systemd
        self.label = f"hook:{hook.name}"
        self.limit_s = hook.timeout_s + 1.0
        self._hook = hook
        self._host = host
        self._resolving: Aside[list[str]] = Aside("name resolution")

    def start(self) -> None:
        """See Notifier."""

    def wants(self, notice: Notice) -> bool:
        """What it was configured for."""
        return notice.kind in self._hook.on

    async def tell(self, notices: Sequence[Notice]) -> None:
        """See Notifier. The server has answered with a status of 200 to 299."""
        for notice in notices:
            body = json.dumps(notice.event(self._host)).encode()
            said = ["no answer"]
            try:
                await asyncio.wait_for(self._deliver(body, said), self._hook.timeout_s)
            except asyncio.TimeoutError:
                limit = duration(self._hook.timeout_s)
                raise NotifyError(f"not delivered within {limit} ({said[0]}){self._hint()}") from None

    async def close(self) -> None:
        """See Notifier."""

    def _hint(self) -> str:
        """What the administrator may not know: systemd drops packets to elsewhere without a word."""
        if not self._under_systemd or _is_local(urlsplit(self._hook.url).hostname or ""):
            return ""
        return (
            "; other machines need IPAddressAllow= in a drop-in (systemctl edit oomguardd-reporter.service)"
        )

    async def _deliver(self, body: bytes, said: list[str]) -> None:
        """`said`: what has gone wrong so far, for whoever gives up waiting."""
        try:
            target = parse_target(self._hook.url)
        except ValueError as error:
            raise NotifyError(f"the host of its url is no host name ({error})") from error
        message, pause_s = request(target, body), FIRST_PAUSE_S
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return await self._attempt(target, message)
            except _TryAgain as error:
                said[0] = str(error)
                if attempt == ATTEMPTS:
                    raise NotifyError(f"{error}, {ATTEMPTS} times{self._hint()}") from error
            await asyncio.sleep(pause_s)
            pause_s *= 2
        return None

    async def _attempt(self, target: Target, message: bytes) -> None:
        tls = _tls_context() if target.tls else None
        writer = None
        try:
            reader, writer = await self._connect(target, tls)
            writer.write(message)
            await writer.drain()
            _judge(*await _read_answer(reader))
        except OSError as error:
            if reason := getattr(error, "verify_message", ""):
                raise NotifyError(f"the certificate of {target.host} is not valid: {reason}") from error
            raise _TryAgain(f"{target.host}: {error.strerror or error}") from error
        finally:
            if writer is not None:
                writer.transport.abort()

    async def _connect(self, target: Target, tls: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """To the first address that answers."""
        addresses = await self._addresses(target)
        limit_s = self._hook.timeout_s / len(addresses)
        name = target.host if tls is not None else None
        failed: OSError = OSError("no address")
        for address in addresses:
            opening = asyncio.open_connection(
                address, target.port, ssl=tls, server_hostname=name, limit=LINE_BYTES
            )
            try:
                return await asyncio.wait_for(opening, limit_s)
            except asyncio.TimeoutError:
                failed = OSError(f"{address} does not answer")
            except OSError as error:
                if hasattr(error, "verify_message"):
                    raise
                failed = error
        raise failed

    async def _addresses(self, target: Target) -> list[str]:
        try:
            return [str(ipaddress.ip_address(target.host))]
        except ValueError:
            pass
        try:
            return await self._resolving.run(lambda: _resolve(target.host, target.port), _forget)
        except (OSError, UnicodeError) as error:
            raise _TryAgain(f"{target.host}: {getattr(error, 'strerror', None) or error}") from error


def _resolve(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))[:MOST_ADDRESSES]


def _forget(addresses: list[str]) -> None:
    """They came too late."""


def _tls_context() -> Any:
    """Made anew each time: certificates change, and this is rare. The module takes 4 MiB, so that only those
    who use it have it."""
    try:
        return importlib.import_module("ssl").create_default_context()
    except ImportError as error:
        raise NotifyError(
            "https needs Python's module ssl, which is not there: use http, or a program"
        ) from error


async def _read_answer(reader: asyncio.StreamReader) -> tuple[int, str]:
    """Its status, and where it redirects to. The rest of the answer is not for us."""
    status, location = 0, ""
    try:
        words = (await reader.readline()).split(None, 2)
        if len(words) >= 2 and words[0].startswith(b"HTTP/1.") and words[1].isdigit():
            status = int(words[1][:4])
        for _ in range(MOST_HEADERS if status else 0):
            name, colon, value = (await reader.readline()).partition(b":")
            if not colon:
                break
            if name.strip().lower() == b"location":
                location = value.strip().decode("ascii", "replace")
    except ValueError:  # a line that is too long
        status = status or -1
    return status, location


def _judge(status: int, location: str) -> None:
    """Returns for a success. NotifyError for good, _TryAgain for the moment."""
    if 200 <= status < 300:
        return
    if status <= 0:
        raise _TryAgain("no HTTP answer")
    if status >= 500 or status in _LATER:
        raise _TryAgain(f"status {status}")
    if 300 <= status < 400:
        raise NotifyError(
            f"redirected (status {status}) to {safe(location, 100)}: write that url, if it is right"
        )
    raise NotifyError(f"refused with status {status}")


def _is_local(host: str) -> bool:
    """Whether that is this machine, by its name alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
