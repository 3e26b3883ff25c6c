"""What is where on the metrics server, and who gets it."""

from __future__ import annotations

from oomguardd.reporter.metrics.access import Access
from oomguardd.reporter.metrics.exposition import OPENMETRICS, TEXT, Exposition
from oomguardd.reporter.metrics.http import Answer, Request, refuse

LANDING = b"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>oomguardd</title></head>
<body><h1>oomguardd</h1><p><a href="/metrics">Metrics</a> for Prometheus</p></body></html>
"""


class Pages:
    """The whole site. `enabled` and `access` change when the configuration is loaded anew."""

    def __init__(self, exposition: Exposition, access: Access, enabled: bool) -> None:
        self._exposition = exposition
        self.access = access
        self.enabled = enabled

    def answer(self, request: Request) -> Answer:
        """GET and HEAD have the same answer; of HEAD's, the body is not sent."""
        if request.method not in ("GET", "HEAD"):
            return refuse(405, "only GET and HEAD are answered", "wrong method", Allow="GET, HEAD")
        if request.path == "/metrics":
            return self._metrics(request)
        if request.path == "/":
            return Answer(200, LANDING, "text/html; charset=utf-8")
        if request.path == "/-/healthy":
            return Answer(200, b"the reporter is running\n")
        if request.path == "/-/ready":
            return self._ready()
        return refuse(404, "there are /metrics, /-/healthy and /-/ready", "no such page")

    def _ready(self) -> Answer:
        if self._exposition.guard_is_up:
            return Answer(200, b"connected to the guard\n")
        return Answer(503, b"not connected to the guard\n")

    def _metrics(self, request: Request) -> Answer:
        if not self.enabled:
            return refuse(503, "metrics are switched off (metrics.enabled)", "switched off")
        if self.access.closed:
            return refuse(503, "closed: a file of the metrics' settings is of no use, see the log", "closed")
        if not self.access.admits(request.headers.get("authorization", "")):
            return refuse(401, "show the bearer token", "wrong token", WWW_Authenticate="Bearer")
        openmetrics = wants_openmetrics(request.headers.get("accept", ""))
        return Answer(200, self._exposition.body(openmetrics), OPENMETRICS if openmetrics else TEXT)


def wants_openmetrics(accept: str) -> bool:
    """Whether OpenMetrics 1.0 is liked at least as much as the old text format."""
    liked = {"application/openmetrics-text": 0.0, "text/plain": 0.0}
    for each in accept.split(","):
        kind, *parameters = (part.strip().lower() for part in each.split(";"))
        wishes = dict(part.partition("=")[::2] for part in parameters)
        if kind in liked and wishes.get("version", "1.0.0") in ("1.0.0", "0.0.4"):
            liked[kind] = max(liked[kind], _quality(wishes.get("q", "1")))
    return liked["application/openmetrics-text"] > 0 and (
        liked["application/openmetrics-text"] >= liked["text/plain"]
    )


def _quality(text: str) -> float:
    try:
        return min(max(float(text), 0.0), 1.0)
    except ValueError:
        return 0.0
