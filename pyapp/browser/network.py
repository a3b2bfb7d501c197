"""What the browser says of the network and of the window."""

from collections.abc import Callable
from typing import Any, Literal

from js import document, navigator, window

from pyapp.browser.ffi import Listeners, OnError
from pyapp.core.events import Event, NetworkChanged, VisibilityChanged


class Network:
    """Emits `NetworkChanged` and `VisibilityChanged` for as long as the page lives, the first before it returns."""

    def __init__(self, emit: Callable[[Event], None], on_error: OnError) -> None:
        self._emit = emit
        listeners = Listeners(on_error)
        listeners.add(window, "online", lambda _: emit(NetworkChanged("online", certain=True)))
        listeners.add(window, "offline", lambda _: emit(NetworkChanged("offline", certain=True)))
        listeners.add(document, "visibilitychange", lambda _: emit(VisibilityChanged(hidden=bool(document.hidden))))
        if document.hidden:  # a tab that was opened in the background
            emit(VisibilityChanged(hidden=True))
        # Only Chromium has it (WICG Network Information).
        self._connection: Any = getattr(navigator, "connection", None)
        if self._connection is not None:
            self._estimates = self._read()
            listeners.add(self._connection, "change", lambda _: self._changed())

    def _changed(self) -> None:
        before, self._estimates = self._estimates, self._read()
        # The event also comes when the browser only estimates the speed anew, as it does on every healthy network.
        kind: Literal["change", "offline"] = "change" if navigator.onLine else "offline"
        self._emit(NetworkChanged(kind, certain=before == self._estimates))

    def _read(self) -> tuple[Any, ...]:
        names = ("effectiveType", "downlink", "rtt", "saveData")
        return tuple(getattr(self._connection, name, None) for name in names)
