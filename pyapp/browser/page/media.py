"""Camera, microphone and screen: their buttons, and what both sides show."""

from collections.abc import Callable
from typing import Any

from js import navigator
from pyodide.ffi import JsException, jsnull

from pyapp.browser.page.dom import Dom
from pyapp.core.events import Event, MediaKind, MediaToggled
from pyapp.view.media import Media

_KINDS: tuple[MediaKind, ...] = ("camera", "microphone", "screen")


class MediaPanel:
    """Shows what is shared."""

    def __init__(self, dom: Dom, emit: Callable[[Event], None]) -> None:
        self._dom = dom
        self._emit = emit
        self._is_shared = False
        """Whether the other side shares anything, so that there is something to play."""
        self._is_refused = False
        """Whether the browser would not play it by itself."""
        self._offered: MediaKind = "camera"
        for kind in _KINDS:
            dom.on(kind, "click", self._toggle(kind))
        dom.on("media-offer", "click", lambda _: emit(MediaToggled(self._offered)))
        # Phones have no way to share a screen. A page without TLS has none for the camera either, and says so if asked.
        devices = getattr(navigator, "mediaDevices", None)
        dom.write("screen", "hidden", devices is not None and not hasattr(devices, "getDisplayMedia"))
        dom.on("play", "click", lambda _: dom.run("play", self._play()))
        dom.on("remote-video", "play", lambda _: self._plays(refused=False))
        dom.on("remote-video", "pause", lambda _: self._paused())

    def draw(self, media: Media) -> None:
        """Show it."""
        write = self._dom.write
        controls = {control.kind: control for control in media.controls}
        for kind in _KINDS:
            control = controls.get(kind)
            write(kind, "disabled", control is None)
            write(kind, "aria-pressed", "true" if control and control.on else "false")
            write(kind, "aria-busy", "true" if control and control.busy else "false")
            if control:
                write(f"{kind}-label", "textContent", control.label)
        for name, shown in (
            ("data-remote-video", media.remote_video),
            ("data-remote-audio", media.remote_audio),
            ("data-local-video", media.local_video),
            ("data-mirrored", media.is_mirrored),
        ):
            write("stage", name, "true" if shown else "false")
        self._dom.write_problem("media-problem", media.problem)
        self._dom.write_problem("media-note", media.note)
        self._dom.write_problem("remote-note", media.remote_note)
        self._offered = media.offered
        write("media-offer", "textContent", media.offer)
        write("media-offer", "hidden", not media.offer)
        self._is_shared = media.remote_video or media.remote_audio
        self._offer_to_play()

    def show_local_stream(self, stream: Any) -> None:
        """Show one's own `MediaStream`, or nothing when it is `None`."""
        self._dom.element("local-video").srcObject = jsnull if stream is None else stream

    def show_remote_stream(self, stream: Any) -> None:
        """Play the other side's `MediaStream`, or nothing when it is `None`."""
        self._dom.element("remote-video").srcObject = jsnull if stream is None else stream
        self._plays(refused=False)
        if stream is not None:
            self._dom.run("play", self._play())

    def _toggle(self, kind: MediaKind) -> Callable[[Any], None]:
        return lambda _: self._emit(MediaToggled(kind))

    async def _play(self) -> None:
        """Play the other side, or offer a button for it: before a first click the browser may refuse to make sound.

        With sound alone the promise is kept only when a first picture comes; the event `play` comes at once.
        """
        try:
            await self._dom.element("remote-video").play()
        except JsException as error:
            if error.name == "AbortError":  # another stream took its place, and is played by a call of its own
                return
            if error.name != "NotAllowedError":
                raise
            self._plays(refused=True)

    def _paused(self) -> None:
        """Offer to go on when something else stopped it: a phone call, a media key, the picture-in-picture window."""
        self._plays(refused=bool(self._dom.element("remote-video").srcObject))

    def _plays(self, *, refused: bool) -> None:
        self._is_refused = refused
        self._offer_to_play()

    def _offer_to_play(self) -> None:
        """Show the button while there is something to play that does not play. It never lies over an empty picture."""
        self._dom.write("play", "hidden", not (self._is_refused and self._is_shared))
