"""Camera, microphone and screen of this page, behind events and commands; and where streams are shown."""

from collections.abc import Callable
from typing import Any

from js import MediaStream, navigator
from pyodide.ffi import to_js

from pyapp.browser.ffi import Listeners, OnError, jsobj, when_settled
from pyapp.core import commands
from pyapp.core.commands import MediaCommand
from pyapp.core.events import Event, MediaFailed, MediaKind, MediaStarted, MediaStopped


class Media:
    """Performs `MediaCommand`s. Nothing is asked for before the person switches it on.

    Streams go straight between the page and the peer connections: they are JavaScript's, and not the core's business.
    `show_remote` is for what the other side sends, or None. Camera and screen share one video track to the far end:
    switching one on switches the other off.
    """

    def __init__(
        self,
        emit: Callable[[Event], None],
        on_error: OnError,
        *,
        show_local: Callable[[Any], None],
        show_remote: Callable[[Any], None],
    ) -> None:
        self.show_remote = show_remote
        self._emit = emit
        self._on_error = on_error
        self._show_local = show_local
        self._changed: Callable[[], None] = lambda: None
        self._wanted: dict[MediaKind, int] = {}  # the latest request of each kind
        self._tracks: dict[MediaKind, Any] = {}
        self._numbers: dict[MediaKind, int] = {}  # the requests that the tracks were given for
        self._listeners: dict[MediaKind, Listeners] = {}

    def perform(self, command: MediaCommand) -> None:
        """Begin what `command` says."""
        match command:
            case commands.StartMedia(number, kind):
                self._start(number, kind)
            case commands.StopMedia(kind):
                self._stop(kind)

    def on_change(self, changed: Callable[[], None]) -> None:
        """Call `changed` when `tracks()` are others."""
        self._changed = changed

    def tracks(self) -> dict[str, Any]:
        """Return the track to send as `audio` and the one to send as `video`, or None."""
        return {
            "audio": self._tracks.get("microphone"),
            "video": self._tracks.get("screen") or self._tracks.get("camera"),
        }

    def _start(self, number: int, kind: MediaKind) -> None:
        if not hasattr(navigator, "mediaDevices"):
            # Only a secure context has it (W3C Media Capture, section 9.1).
            self._emit(MediaFailed(number, kind, "SecurityError"))
            return
        self._wanted[kind] = number
        devices = navigator.mediaDevices
        if kind == "screen":
            promise = devices.getDisplayMedia(jsobj({"video": True}))
        elif kind == "camera":
            promise = devices.getUserMedia(jsobj({"video": {"width": {"ideal": 1280}, "height": {"ideal": 720}}}))
        else:
            promise = devices.getUserMedia(jsobj({"audio": True}))
        when_settled(
            promise,
            lambda stream: self._given(number, kind, stream.getTracks()[0]),
            lambda error: self._emit(MediaFailed(number, kind, str(error.name))),
            self._on_error,
        )

    def _stop(self, kind: MediaKind) -> None:
        # Wanted no more, either, if the browser still asks the person.
        self._wanted.pop(kind, None)
        self._end(kind)

    def _given(self, number: int, kind: MediaKind, track: Any) -> None:
        if self._wanted.get(kind) != number:
            track.stop()  # nobody waits for it any more: its light must not stay on
            return
        if kind != "microphone":
            self._end("camera" if kind == "screen" else "screen")
        self._tracks[kind], self._numbers[kind] = track, number
        listeners = self._listeners[kind] = Listeners(self._on_error)
        listeners.add(track, "ended", lambda _: self._end(kind))
        self._emit(MediaStarted(number, kind))
        self._update()

    def _end(self, kind: MediaKind) -> None:
        track = self._tracks.pop(kind, None)
        if track is None:
            return
        self._listeners.pop(kind).close()
        track.stop()
        self._emit(MediaStopped(self._numbers.pop(kind), kind))
        self._update()

    def _update(self) -> None:
        video = self.tracks()["video"]
        self._show_local(None if video is None else MediaStream.new(to_js([video])))
        self._changed()
