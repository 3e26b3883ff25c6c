"""The varlink protocol's messages: JSON objects, each ended by a NUL. See https://varlink.org/Method-Call.

Rule of this file: no socket; what is sent can be read by the strictest parser, whatever a process is called.
"""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

Parameters = Mapping[str, object]

SERVICE = "org.varlink.service"
SERVICE_DESCRIPTION = """\
# What every varlink service answers.
interface org.varlink.service

# Who this is, and which interfaces there are.
method GetInfo() -> (
  vendor: string,
  product: string,
  version: string,
  url: string,
  interfaces: []string
)

# An interface, in words that programs can read.
method GetInterfaceDescription(interface: string) -> (description: string)

error InterfaceNotFound (interface: string)

error MethodNotFound (method: string)

error MethodNotImplemented (method: string)

error InvalidParameter (parameter: string)

# The method has many replies: call it with "more".
error ExpectedMore ()
"""

_DEEPEST = 32
"""Objects within objects that are sent; ours have six."""


class VarlinkError(Exception):
    """An error that the client gets: its whole name, and its parameters."""

    def __init__(self, name: str, **parameters: object) -> None:
        super().__init__(name)
        self.name = name
        self.parameters = parameters


class Peer(NamedTuple):
    """Who asks, as the kernel knows it (SO_PEERCRED): at the time of the connection."""

    pid: int
    uid: int


@dataclass(frozen=True, slots=True)
class Method:
    """One method. Exactly one of `answer` and `stream`."""

    takes: Mapping[str, type]
    """Its parameters. Each may be left out or null, and is absent then."""
    answer: Callable[[Parameters], Parameters] | None = None
    stream: Callable[[Parameters], AsyncIterator[bytes]] | None = None
    """Many replies, as `encode` makes them, for as long as the client listens."""

    def unfit(self, parameters: Parameters) -> str | None:
        """The name of a parameter that there is not, or is of another type."""
        return next((name for name in parameters if not _fits(parameters[name], self.takes.get(name))), None)


@dataclass(frozen=True, slots=True)
class Interface:
    """An interface and its methods, by their short names."""

    name: str
    description: str
    methods: Mapping[str, Method]


@dataclass(frozen=True, slots=True)
class About:
    """What GetInfo says."""

    vendor: str
    product: str
    version: str
    url: str


@dataclass(frozen=True, slots=True)
class Call:
    """A client's message."""

    interface: str
    method: str
    parameters: Parameters
    more: bool
    oneway: bool
    upgrade: bool

    @property
    def whole(self) -> str:
        return f"{self.interface}.{self.method}"


def parse_call(message: bytes) -> Call | None:
    """None for what is no call at all: such a client gets no answer."""
    try:
        raw = json.loads(message)
    except (ValueError, RecursionError):
        return None
    if not isinstance(raw, dict) or not isinstance(raw.get("method"), str):
        return None
    interface, _, method = raw["method"].rpartition(".")
    parameters = raw.get("parameters")
    if parameters is not None and not isinstance(parameters, dict):
        return None
    flags = (raw.get(name) is True for name in ("more", "oneway", "upgrade"))
    return Call(interface, method, parameters or {}, *flags)


def encode(parameters: Parameters, continues: bool = False, error: str = "") -> bytes:
    """One reply. What strict readers of JSON refuse (half a surrogate, NaN) is replaced."""
    head: dict[str, object] = {"error": error} if error else {}
    tail: dict[str, object] = {"continues": True} if continues else {}
    reply = {**head, "parameters": _clean(parameters, _DEEPEST), **tail}
    return json.dumps(reply, allow_nan=False, separators=(",", ":")).encode() + b"\0"


def _clean(value: object, depth: int) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if depth == 0:
        return None
    if isinstance(value, Mapping):
        return {_clean(str(key), 0): _clean(item, depth - 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_clean(item, depth - 1) for item in value]
    return _clean(str(value), 0)


def _fits(value: object, wanted: type | None) -> bool:
    if wanted is None:
        return False  # a parameter that there is not
    return value is None or (isinstance(value, wanted) and (wanted is bool or not isinstance(value, bool)))
