"""What the browser says of the network, of the window, and of what the page may use."""

import math
import time
from collections.abc import Callable
from typing import Any, Literal

from js import document, navigator, window

from pyapp.browser.ffi import Listeners, OnError, jsobj, promise_of, when_settled
from pyapp.core.events import CapturePermitted, Event, NetworkChanged, PersonActive, VisibilityChanged


class Network:
    """Emits `NetworkChanged`, `VisibilityChanged`, `PersonActive` and `CapturePermitted` while the page lives."""

    def __init__(self, emit: Callable[[Event], None], on_error: OnError) -> None:
        self._emit = emit
        listeners = Listeners(on_error)
        listeners.add(window, "online", lambda _: emit(NetworkChanged("online", certain=True)))
        listeners.add(window, "offline", lambda _: emit(NetworkChanged("offline", certain=True)))
        listeners.add(document, "visibilitychange", lambda _: emit(VisibilityChanged(hidden=bool(document.hidden))))
        if document.hidden:  # a tab that was opened in the background
            emit(VisibilityChanged(hidden=True))
        # A page that the browser froze (Page Lifecycle) missed whatever happened to its network meanwhile.
        listeners.add(document, "resume", lambda _: emit(NetworkChanged("change", certain=True)))
        self._pressed_at = -math.inf
        for kind in ("keydown", "pointerdown"):
            listeners.add(window, kind, lambda _: self._pressed())
        self._permissions: dict[str, bool] = {}
        for name in ("camera", "microphone"):
            self._watch_permission(listeners, name, on_error)
        # Only Chromium has it (WICG Network Information).
        self._connection: Any = getattr(navigator, "connection", None)
        if self._connection is not None:
            self._estimates = self._read()
            listeners.add(self._connection, "change", lambda _: self._changed())

    def _pressed(self) -> None:
        # Once a second is enough to know that somebody is there.
        if (now := time.monotonic()) - self._pressed_at >= 1.0:
            self._pressed_at = now
            self._emit(PersonActive())

    def _changed(self) -> None:
        before, self._estimates = self._estimates, self._read()
        # The event also comes when the browser only estimates the speed anew, as it does on every healthy network.
        kind: Literal["change", "offline"] = "change" if navigator.onLine else "offline"
        self._emit(NetworkChanged(kind, certain=before == self._estimates))

    def _read(self) -> tuple[Any, ...]:
        names = ("effectiveType", "downlink", "rtt", "saveData")
        return tuple(getattr(self._connection, name, None) for name in names)

    def _watch_permission(self, listeners: Listeners, name: str, on_error: OnError) -> None:
        def is_now(status: Any) -> None:
            self._permissions[name] = str(status.state) == "granted"
            self._emit(CapturePermitted(permitted=any(self._permissions.values())))

        def found(status: Any) -> None:
            is_now(status)
            listeners.add(status, "change", lambda _: is_now(status))

        if hasattr(navigator, "permissions"):  # only a secure context has it
            # A browser that does not know the name rejects it: then only what is on is known.
            asked = promise_of(navigator.permissions, "query", jsobj({"name": name}))
            when_settled(asked, found, lambda _: None, on_error)
