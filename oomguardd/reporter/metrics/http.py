"""As much of HTTP/1.1 as a scrape needs: a request's head parsed, an answer's bytes made. Pure.

Rule of this file: requests have no body, and whatever is not plainly right is refused. See RFC 9112.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

LONGEST_HEAD_BYTES = 8192
"""Request line and headers; what a reverse proxy adds fits in half of it."""

REASONS = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    413: "Content Too Large",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
    505: "HTTP Version Not Supported",
}

_TOKEN = frozenset(b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for."""

    method: str
    path: str
    """Without the query."""
    headers: Mapping[str, str]
    """By name in small letters; of several with one name, all values, joined by commas."""
    keep_alive: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered."""

    status: int
    body: bytes
    type: str = "text/plain; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)
    refused: str = ""
    """Why the request was refused, in the words of the meter; empty if it was not."""


def refuse(status: int, words: str, refused: str, **headers: str) -> Answer:
    """An answer that says no, and why. An underscore in a header's name stands for a hyphen."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, f"{words}\n".encode(), headers=named, refused=refused)


def parse_request(head: bytes) -> Request | Answer:
    """The request, or the answer to what is none. `head` ends with the empty line."""
    lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    words = lines[0].split(b" ")
    if len(words) != 3 or not words[0] or not _TOKEN.issuperset(words[0]):
        return _bad("the first line is no request")
    method, target, version = words
    if version not in (b"HTTP/1.1", b"HTTP/1.0"):
        if not version.startswith(b"HTTP/"):
            return _bad("the first line names no version of HTTP")
        return refuse(505, "this server speaks HTTP/1.1", "bad request")
    headers = _parse_headers(lines[1:])
    path = _path_of(target)
    if headers is None or path is None:
        return _bad("a header is malformed" if headers is None else "the request's target is malformed")
    if "transfer-encoding" in headers or headers.get("content-length", "0").strip("0"):
        return refuse(413, "a request for metrics has no body", "bad request")
    connection = {word.strip().lower() for word in headers.get("connection", "").split(",")}
    keep = "close" not in connection and (version == b"HTTP/1.1" or "keep-alive" in connection)
    return Request(method.decode("ascii"), path, headers, keep)


def _bad(words: str) -> Answer:
    return refuse(400, words, "bad request")


def _parse_headers(lines: list[bytes]) -> dict[str, str] | None:
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or not name or not _TOKEN.issuperset(name) or b"\0" in value or b"\n" in value:
            return None  # a line that continues the last one is not allowed any more, either
        key, text = name.decode("ascii").lower(), value.strip(b" \t").decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers


def _path_of(target: bytes) -> str | None:
    """The path, also of a whole URL, which every server has to understand (RFC 9112, 3.2.2)."""
    if target[:7].lower() == b"http://" or target[:8].lower() == b"https://":
        target = b"/" + target.split(b"//", 1)[1].partition(b"/")[2]
    path = target.partition(b"?")[0]
    if not path.startswith(b"/") or not all(0x21 <= byte <= 0x7E for byte in path):
        return None
    return path.decode("ascii")


def render(answer: Answer, keep_alive: bool, with_body: bool) -> bytes:
    """The answer as it is sent; to HEAD without its body."""
    headers = {
        "Content-Type": answer.type,
        "Content-Length": str(len(answer.body)),
        "Connection": "keep-alive" if keep_alive else "close",
        "X-Content-Type-Options": "nosniff",
        **answer.headers,
    }
    lines = [f"HTTP/1.1 {answer.status} {REASONS[answer.status]}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    head = "\r\n".join(lines).encode("ascii") + b"\r\n\r\n"
    return head + answer.body if with_body else head
