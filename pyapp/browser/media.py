"""Camera, microphone and screen, as the browser gives them. Nothing is asked for before the person switches it on.

Camera and screen share one video track to the far end: while both are on, the screen is sent.
"""

from collections.abc import Callable
from typing import Any

from js import MediaStream, navigator
from pyodide.ffi import to_js

from pyapp.browser.ffi import Listeners, OnError, jsobj, promise_of, when_settled
from pyapp.core import commands
from pyapp.core.commands import MediaCommand
from pyapp.core.devices import Choices
from pyapp.core.events import Event, MediaEnded, MediaFailed, MediaKind, MediaMuted, MediaStarted, MediaStopped

WIDTH, HEIGHT, FRAMES = 1280, 720, 30
"""What is asked of a camera. How much of it is sent follows the path."""


class LocalMedia:
    """Performs `MediaCommand`s.

    Streams go straight between the page and the peer connections: they are JavaScript's, and not the core's business.
    `show_local` is given streams of what is sent as video and as sound, `show_remote` what the other side sends; each
    may be None.
    """

    def __init__(
        self,
        emit: Callable[[Event], None],
        on_error: OnError,
        *,
        show_local: Callable[[Any, Any], None],
        show_remote: Callable[[Any], None],
    ) -> None:
        self.show_remote = show_remote
        self.limit: commands.LimitVideo | None = None
        """What is to be sent of video at most."""
        self._emit = emit
        self._on_error = on_error
        self._show_local = show_local
        self._changed: Callable[[], None] = lambda: None
        self._wanted: dict[MediaKind, int] = {}  # the latest request of each kind
        self._asked: dict[MediaKind, int] = {}  # how many requests of each kind the browser has not answered
        self._tracks: dict[MediaKind, Any] = {}
        self._numbers: dict[MediaKind, int] = {}  # the requests that the tracks were given for
        self._listeners: dict[MediaKind, Listeners] = {}

    def perform(self, command: MediaCommand) -> None:
        """Begin what `command` says."""
        match command:
            case commands.StartMedia(number, kind, choices):
                self._start(number, kind, choices)
            case commands.StopMedia(kind):
                self._stop(kind)
            case commands.LimitVideo():
                self.limit = command
                self._changed()

    def on_change(self, changed: Callable[[], None]) -> None:
        """Call `changed` when `tracks()` or `limit` are others."""
        self._changed = changed

    def tracks(self) -> dict[str, Any]:
        """Return the track to send as `audio` and the one to send as `video`, or None."""
        return {
            "audio": self._tracks.get("microphone"),
            "video": self._tracks.get("screen") or self._tracks.get("camera"),
        }

    def _start(self, number: int, kind: MediaKind, choices: Choices) -> None:
        """Ask the browser, and so the person, for it. What is on of the same kind ends: few devices are given twice."""
        if not hasattr(navigator, "mediaDevices"):
            # Only a secure context has it (W3C Media Capture, section 9.1).
            self._emit(MediaFailed(number, kind, "InsecureContextError"))
            return
        self._wanted[kind] = number
        self._release(kind)
        self._ask(number, kind, choices)

    def _ask(self, number: int, kind: MediaKind, choices: Choices, *, is_last: bool = False) -> None:
        devices = navigator.mediaDevices
        unanswered = self._asked.get(kind, 0)
        self._asked[kind] = unanswered + 1
        crosses = unanswered > 0 and not is_last
        if kind == "screen":
            promise = promise_of(devices, "getDisplayMedia", jsobj({"video": True}))
        else:
            promise = promise_of(devices, "getUserMedia", jsobj(constraints(kind, choices)))
        when_settled(
            promise,
            lambda stream: self._given(number, kind, stream.getTracks()[0], choices, crosses=crosses),
            lambda error: self._refused(number, kind, error, choices),
            self._on_error,
        )

    def _stop(self, kind: MediaKind) -> None:
        """Switch it off, and want it no more if the browser still asks the person."""
        self._wanted.pop(kind, None)
        if self._release(kind):
            self._emit(MediaStopped(self._numbers.pop(kind), kind))
        self._update()  # what was on may have been asked for anew

    def _given(self, number: int, kind: MediaKind, track: Any, choices: Choices, *, crosses: bool) -> None:
        self._asked[kind] -= 1
        if self._wanted.get(kind) != number:
            track.stop()  # nobody waits for it any more: its light must not stay on
            return
        settings = track.getSettings()
        if crosses and kind == "microphone" and not _is_as_chosen(settings, choices):
            # Chromium treats the sound as the request before wanted it, while that one's track is not yet stopped.
            track.stop()
            self._ask(number, kind, choices, is_last=True)
            return
        self._tracks[kind], self._numbers[kind] = track, number
        track.contentHint = _hint(kind, choices)
        listeners = self._listeners[kind] = Listeners(self._on_error)
        listeners.add(track, "ended", lambda _: self._ended(kind))
        listeners.add(track, "mute", lambda _: self._emit(MediaMuted(number, kind, muted=True)))
        listeners.add(track, "unmute", lambda _: self._emit(MediaMuted(number, kind, muted=False)))
        device = getattr(settings, "deviceId", None)
        faces_away = getattr(settings, "facingMode", None) == "environment"
        self._emit(MediaStarted(number, kind, device if isinstance(device, str) else "", faces_away))
        if track.muted:
            self._emit(MediaMuted(number, kind, muted=True))
        self._update()

    def _refused(self, number: int, kind: MediaKind, error: Any, choices: Choices) -> None:
        self._asked[kind] -= 1
        if (others := any_instead(kind, error, choices)) and self._wanted.get(kind) == number:
            self._ask(number, kind, others)
            return
        self._emit(MediaFailed(number, kind, str(error.name), str(error.message)))
        self._update()  # what was on before it was asked for is not

    def _ended(self, kind: MediaKind) -> None:
        self._wanted.pop(kind, None)
        if self._release(kind):
            self._emit(MediaEnded(self._numbers.pop(kind), kind))
            self._update()

    def _release(self, kind: MediaKind) -> bool:
        """Stop the track of a kind, and return whether there was one."""
        track = self._tracks.pop(kind, None)
        if track is None:
            return False
        self._listeners.pop(kind).close()
        track.stop()
        return True

    def _update(self) -> None:
        tracks = self.tracks()
        self._show_local(_stream_of(tracks["video"]), _stream_of(tracks["audio"]))
        self._changed()


def _stream_of(track: Any) -> Any:
    return None if track is None else MediaStream.new(to_js([track]))


def constraints(kind: MediaKind, choices: Choices) -> dict[str, Any]:
    """Return the `MediaStreamConstraints` of a camera or microphone."""
    if kind == "camera":
        wanted: dict[str, Any] = {
            "width": {"ideal": WIDTH},
            "height": {"ideal": HEIGHT},
            "frameRate": {"ideal": FRAMES, "max": FRAMES},
        }
        if choices.camera:
            wanted["deviceId"] = {"exact": choices.camera}  # less counts for less than the resolution of another one
        return {"video": wanted}
    wanted = {"echoCancellation": choices.echo_cancellation, "noiseSuppression": choices.noise_suppression}
    if not choices.noise_suppression:
        wanted["autoGainControl"] = False  # it would raise the noise between two sounds
    if choices.microphone:
        wanted["deviceId"] = {"exact": choices.microphone}
    return {"audio": wanted}


def _is_as_chosen(settings: Any, choices: Choices) -> bool:
    """Return whether a microphone treats the sound as the person chose, as far as the browser says."""
    echo, noise = choices.echo_cancellation, choices.noise_suppression
    return getattr(settings, "echoCancellation", echo) == echo and getattr(settings, "noiseSuppression", noise) == noise


def any_instead(kind: MediaKind, error: Any, choices: Choices) -> Choices | None:
    """Return what to ask for instead if the chosen device is not there, or None if that is not why it failed."""
    if kind == "screen" or not choices.of(kind) or error.name not in ("OverconstrainedError", "NotFoundError"):
        return None
    return choices.choose(kind, "")


def _hint(kind: MediaKind, choices: Choices) -> str:
    """Return what is to be kept when there is not enough for all (W3C MediaStreamTrack Content Hints)."""
    if kind == "screen":
        return "detail"
    if kind == "camera":
        return "motion"
    return "speech" if choices.noise_suppression else "music"
