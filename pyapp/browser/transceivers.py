"""The transceivers of one `RTCPeerConnection`: both ways, sending what this side has switched on."""

from collections.abc import Callable
from typing import Any

from js import MediaStream, Reflect
from pyodide.ffi import jsnull

from pyapp.browser.ffi import jsobj, promise_of
from pyapp.browser.media import LocalMedia
from pyapp.core.commands import LimitVideo

_REFUSED = "refused"
"""In place of a track's id: the browser refused what the sender was given last, so that it is given it again."""


class Transceivers:
    """The transceivers of `pc`. They send the tracks of `media`, and show there what the other side sends.

    `when_settled` is called with a promise and what follows it; `failed` with a W3C operation that the browser refused,
    and its error.
    """

    def __init__(
        self,
        pc: Any,
        media: LocalMedia,
        when_settled: Callable[[Any, Callable[[Any], None], Callable[[Any], None]], None],
        failed: Callable[[str, Any], None],
    ) -> None:
        self._pc = pc
        self._media = media
        self._when_settled = when_settled
        self._failed = failed
        self._transceivers: list[Any] = []
        self._sent: dict[int, str] = {}  # the id of the track that the sender of each transceiver was given last
        self._limited: tuple[LimitVideo, str] | None = None
        """The limit that was set last, and the id of the track that it was set for."""
        self._remote_stream: Any = None

    def add(self) -> None:
        """Add one for sound and one for video."""
        for kind in ("audio", "video"):
            self._pc.addTransceiver(kind, jsobj({"direction": "sendrecv"}))
        self.adopt()

    def adopt(self) -> None:
        """Use every new one both ways, for what is switched on now or later."""
        known = len(self._transceivers)
        added = list(self._pc.getTransceivers())[known:]
        if not added:
            return
        if self._remote_stream is None:
            self._remote_stream = MediaStream.new()
        for transceiver in added:
            transceiver.direction = "sendrecv"
            self._transceivers.append(transceiver)
            self._remote_stream.addTrack(transceiver.receiver.track)
        self._media.show_remote(self._remote_stream)
        self.send()

    def send(self) -> None:
        """Give each sender the track that is on, or none; each track once."""
        tracks = self._media.tracks()
        for number, transceiver in enumerate(self._transceivers):
            track = tracks[transceiver.receiver.track.kind]
            self._send_track(number, transceiver.sender, track)
            if (limit := self._media.limit) and track is not None and track.kind == "video":
                self._limit_video(transceiver.sender, limit, str(track.id))

    def send_key_frame(self) -> None:
        """Have the encoder of the video begin with a key frame."""
        options = jsobj({"encodingOptions": [{"keyFrame": True}]})  # webrtc-extensions; other browsers pass it over
        for transceiver in self._transceivers:
            sender = transceiver.sender
            if sender.track is not jsnull and sender.track.kind == "video":
                self._set_parameters(sender, sender.getParameters(), options)

    def close(self) -> None:
        """Show nothing of the other side's any more."""
        if self._remote_stream is not None:
            self._media.show_remote(None)

    def _send_track(self, number: int, sender: Any, track: Any) -> None:
        identifier = "" if track is None else str(track.id)
        if identifier == self._sent.get(number, ""):
            return
        self._sent[number] = identifier

        def refused(error: Any) -> None:
            self._sent[number] = _REFUSED
            self._failed("replaceTrack", error)

        replaced = promise_of(sender, "replaceTrack", jsnull if track is None else track)
        self._when_settled(replaced, lambda _: None, refused)

    def _limit_video(self, sender: Any, limit: LimitVideo, track: str) -> None:
        """Send no more than the limit: the browser then finds resolution and frame rate for it by itself.

        Only a new limit or another track calls for it: it may make the encoder start over.
        """
        if self._limited == (limit, track):
            return
        self._limited = (limit, track)
        parameters = sender.getParameters()
        for encoding in parameters.encodings:
            _set_or_remove(encoding, "maxBitrate", limit.bits)
            _set_or_remove(encoding, "maxFramerate", limit.frames)
        self._set_parameters(sender, parameters)

    def _set_parameters(self, sender: Any, *arguments: Any) -> None:
        # A browser that knows only a part of them refuses; then it sends as it finds right.
        begun = promise_of(sender, "setParameters", *arguments)
        self._when_settled(begun, lambda _: None, lambda error: self._failed("setParameters", error))


def _set_or_remove(target: Any, name: str, value: int | None) -> None:
    if value is None:
        Reflect.deleteProperty(target, name)
    else:
        setattr(target, name, value)
