"""A headless Chromium, spoken to over its own pipe (Chrome DevTools Protocol, --remote-debugging-pipe).

Rule of this file: nothing of it survives a test, and it never reaches the network.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome-headless-shell")
PACKAGES = ("chromium", "fonts-dejavu-core")

LONGEST_S = 30.0
"""For one answer; a busy machine starts it in three."""

FLAGS = (
    "--headless=new",
    "--remote-debugging-pipe",
    "--no-first-run",
    "--no-sandbox",  # tests run as root in containers, where its own sandbox cannot be made
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-component-update",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--hide-scrollbars",
    "--mute-audio",
)


class NoBrowser(Exception):
    """There is none, and none could be installed; says what to do."""


def ensure_chromium() -> str:
    """The path of the browser; installed from Debian's packages where it is missing and we are root."""
    found = _find()
    if found:
        return found
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise NoBrowser(f"the browser tests need a package: sudo apt-get install {' '.join(PACKAGES)}")
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "-q", "-y", "install", "--no-install-recommends", *PACKAGES]
    for command in (["apt-get", "-q", "update"], install):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise NoBrowser(f"{' '.join(command)} failed: {done.stderr.strip()[-300:]}")
    found = _find()
    if not found:
        raise NoBrowser(f"{' '.join(PACKAGES)} is installed, but there is no {NAMES[0]} in the PATH")
    return found


def _find() -> str | None:
    return next((path for path in map(shutil.which, NAMES) if path), None)


class Tab:
    """One page of it."""

    def __init__(self, call: Callable[..., dict[str, Any]], events: list[dict[str, Any]]) -> None:
        self._call = call
        self._events = events

    def look(self, width: int, height: int, scheme: str = "light") -> None:
        """From now on the screen is like that; `scheme` is light or dark."""
        self._call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        self._call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def open(self, path: Path) -> None:
        """Load a file, and wait until it is there."""
        self._events.clear()
        self._call("Page.navigate", url=path.as_uri())
        deadline = time.monotonic() + LONGEST_S
        while self.run("document.readyState") != "complete" or self.run("location.href") == "about:blank":
            assert time.monotonic() < deadline, f"{path} does not load"
            time.sleep(0.02)

    def run(self, script: str) -> Any:
        """The value of the expression in the page."""
        answer = self._call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def move(self, x: float, y: float) -> None:
        """The pointer goes there, and what it causes is drawn."""
        self._call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        self.run("new Promise(done => requestAnimationFrame(() => done(1)))")

    def complaints(self) -> list[str]:
        """What the console has said since the page was opened: errors, warnings, what the policy stopped."""
        return [
            json.dumps(event["params"])[:600]
            for event in self._events
            if event["method"] in ("Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled")
        ]

    def requests(self) -> list[str]:
        """Every address that was asked for since the page was opened."""
        return [
            event["params"]["request"]["url"]
            for event in self._events
            if event["method"] == "Network.requestWillBeSent"
        ]

    def picture(self, path: Path, whole: bool = True) -> None:
        """A PNG of the page, or of what is on the screen."""
        data = self._call(
            "Page.captureScreenshot", format="png", captureBeyondViewport=whole, **self._clip(whole)
        )
        path.write_bytes(base64.b64decode(data["data"]))

    def _clip(self, whole: bool) -> dict[str, Any]:
        if not whole:
            return {}
        size = self._call("Page.getLayoutMetrics")["cssContentSize"]
        return {"clip": {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}}


class _Pipe:
    """Messages with a NUL behind each, both ways."""

    def __init__(self, write_fd: int, read_fd: int) -> None:
        self._write_fd, self._read_fd = write_fd, read_fd
        self._rest = b""
        self._last = 0
        self.events: list[dict[str, Any]] = []
        self.session = ""

    def call(self, method: str, /, **params: object) -> dict[str, Any]:
        self._last += 1
        message: dict[str, object] = {"id": self._last, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._write_fd, data) :]
        while True:
            answer = self._next(method)
            if answer.get("id") == self._last:
                assert "error" not in answer, f"{method}: {answer['error']}"
                result: dict[str, Any] = answer["result"]
                return result
            self.events.append(answer)

    def _next(self, method: str) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._read_fd], [], [], LONGEST_S)
            assert ready, f"{method}: no answer from the browser"
            data = os.read(self._read_fd, 1 << 20)
            assert data, f"{method}: the browser has ended"
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        return message


_LAUNCH = """
import fcntl, os, sys
ends = [fcntl.fcntl(int(fd), fcntl.F_DUPFD, 10) for fd in sys.argv[1:3]]
os.dup2(ends[0], 3)
os.dup2(ends[1], 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
"""It expects to read from descriptor 3 and to write to 4, whatever those are here."""


@contextlib.contextmanager
def browser(path: str) -> Iterator[Tab]:
    """A running one with an empty tab."""
    theirs_in, ours_out = os.pipe()
    ours_in, theirs_out = os.pipe()
    with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as profile:
        command = [sys.executable, "-c", _LAUNCH, str(theirs_in), str(theirs_out), path, *FLAGS]
        process = subprocess.Popen(
            [*command, f"--user-data-dir={profile}", "about:blank"],
            pass_fds=(theirs_in, theirs_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        pipe = _Pipe(ours_out, ours_in)
        try:
            yield _tab(pipe)
        finally:
            _end(process, ours_out, ours_in)


def _tab(pipe: _Pipe) -> Tab:
    target = pipe.call("Target.createTarget", url="about:blank")["targetId"]
    pipe.session = pipe.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
    for domain in ("Page", "Runtime", "Log", "Network"):
        pipe.call(f"{domain}.enable")
    return Tab(pipe.call, pipe.events)


def _end(process: subprocess.Popen[bytes], *fds: int) -> None:
    for fd in fds:
        os.close(fd)
    with contextlib.suppress(ProcessLookupError):  # its own session: all helpers of it, and nobody else
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(LONGEST_S)
