"""The private listener: `/metrics` in the Prometheus text format and nothing else.

Trust side: host. Not for the public: traffic figures help whoever watches for the effect of an attack.
"""

from host_proxy.http import NOT_FOUND_TEXT, Receive, Scope, Send
from host_proxy.metrics import Metrics

_TEXT = b"text/plain; charset=utf-8"
_EXPOSITION = b"text/plain; version=0.0.4; charset=utf-8"


class MetricsApp:
    """The ASGI application."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    async def __call__(self, scope: Scope, _: Receive, send: Send) -> None:
        found = scope["path"] == "/metrics" and scope["method"] in ("GET", "HEAD")
        body = self._metrics.exposition() if found else NOT_FOUND_TEXT
        headers = [(b"content-type", _EXPOSITION if found else _TEXT), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200 if found else 404, "headers": headers})
        await send({"type": "http.response.body", "body": body})
