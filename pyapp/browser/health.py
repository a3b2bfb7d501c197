"""Why no WebSocket to the server opens: `GET /healthz` gets through wherever the page does."""

from collections.abc import Callable
from typing import Any

from js import AbortSignal, location, navigator, window

from pyapp.browser.ffi import OnError, jsobj, plain, promise_of, when_settled
from pyapp.core.events import Obstacle
from pyapp.core.failures import obstacle_of
from pyapp.protocol.access import ORIGIN_HEADER

DEADLINE = 4_000
"""Milliseconds for the answer."""


def ask_health(told: Callable[[Obstacle], None], on_error: OnError) -> None:
    """Ask, and call `told` once. A redirection is not followed: its target is no part of us."""
    headers = {ORIGIN_HEADER: str(location.origin)}
    options: Any = jsobj({"cache": "no-store", "redirect": "manual", "headers": headers})
    options.signal = AbortSignal.timeout(DEADLINE)

    def failed(error: Any) -> None:
        told(Obstacle("down" if navigator.onLine else "offline", f"GET /healthz: {error}"))

    def answered(response: Any) -> None:
        if response.type == "opaqueredirect":
            told(Obstacle("log-in", "GET /healthz: a redirection"))
            return
        status, kind = int(response.status), str(plain(response.headers.get("content-type")) or "")
        text = promise_of(response, "text")
        when_settled(text, lambda text: told(obstacle_of(status, kind, str(text))), failed, on_error)

    when_settled(promise_of(window, "fetch", "healthz", options), answered, failed, on_error)
