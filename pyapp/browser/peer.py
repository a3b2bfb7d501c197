"""The browser's `RTCPeerConnection`, its channels and media, behind events and commands."""

import json
from collections.abc import Callable
from typing import Any

from js import JSON, Array, MediaStream, navigator
from pyodide.ffi import JsException, jsnull, to_js

from pyapp.browser.constructor import Constructor
from pyapp.browser.ffi import Listeners, OnError, jsobj, when_settled, when_settled_unless_closed
from pyapp.browser.probe import UdpProbe
from pyapp.browser.standby import StandbyPeer
from pyapp.core import commands
from pyapp.core.commands import PeerCommand
from pyapp.core.events import (
    CandidateError,
    ChannelClosed,
    ChannelDrained,
    ChannelFilled,
    ChannelLabel,
    ChannelOpened,
    ChannelReceived,
    Event,
    LocalCandidate,
    LocalCandidatesEnded,
    LocalDescriptionSet,
    MediaFailed,
    MediaKind,
    MediaStarted,
    MediaStopped,
    NegotiationNeeded,
    PairChanged,
    PeerOperationFailed,
    RemoteDescriptionSet,
    SessionDescription,
    StateChanged,
    StatsSampled,
)
from pyapp.protocol.peer import Candidate

CHANNELS: dict[ChannelLabel, int] = {"messages": 0, "heartbeat": 1}
"""Data channels by label: their ids. Both ends make them (`negotiated`), which saves the DCEP exchange (RFC 8832)."""

BUFFERED_MOST, BUFFERED_LEAST = 1 << 12, 1 << 10
"""Bytes of messages that wait in the browser (`bufferedAmount`): above the first no more are sent until the second.

Little, because what waits there is late without being lost, and would be sent again behind itself."""

_UNKNOWN = "keep-checking"
UNCHECKED = ("192.0.2.{}", "2001:db8::{}")
"""Addresses of candidates that keep Chromium checking: one of each family, of documentation (RFC 5737, RFC 3849), and
others each time, since Chromium does not take the priority of one that it has.

On a path that works, Chromium looks for checks to send every 250 ms, and checks a new pair three times and then once in
480 ms; as long as a pair has had fewer than three checks, it looks every 48 ms, and all new pairs have their turn. No
check can be sent to a candidate whose `ice-ufrag` belongs to no description yet, for want of the password: so its pair
stays at none, without a packet to it (a TURN server is asked for a permission, and may refuse it). Chromium counts the
candidate to the next generation; with the one after, its pair is gone.
"""

STATS_FIELDS = [
    "id",
    "type",
    "selectedCandidatePairId",
    "selectedCandidatePairChanges",
    "dtlsState",
    "tlsVersion",
    "bytesSent",
    "bytesReceived",
    "packetsReceived",
    "selected",
    "localCandidateId",
    "remoteCandidateId",
    "currentRoundTripTime",
    "candidateType",
    "protocol",
    "relayProtocol",
    "priority",
    "address",
    "port",
    "url",
    "usernameFragment",
]
"""What the diagnostics read of `getStats()`; the rest does not cross the border."""


class Peer:
    """Performs `PeerCommand`s. Streams go straight to the page: they are JavaScript's, and not the core's business."""

    def __init__(
        self,
        emit: Callable[[Event], None],
        on_error: OnError,
        *,
        show_local: Callable[[Any], None],
        show_remote: Callable[[Any], None],
    ) -> None:
        self._emit = emit
        self._on_error = on_error
        self._media = LocalMedia(emit, on_error, show=show_local, changed=self._send_media)
        self._constructor = Constructor()
        self._standby = StandbyPeer(emit, on_error, self._constructor)
        self._probe = UdpProbe(emit, on_error, self._constructor)
        self._show_remote = show_remote
        self._pc: Any = None
        self._listeners: Listeners | None = None
        self._channels: dict[ChannelLabel, Any] = {}
        self._transceivers: list[Any] = []
        self._remote_stream: Any = None
        self._watched_transport = False
        self._is_full = False
        self._unchecked = 0

    def perform(self, command: PeerCommand) -> None:
        """Begin what `command` says; a call that the browser refuses at once is an event too."""
        try:
            self._perform(command)
        except JsException as error:
            self._failed(_operation(command), error, _attempt(command))

    def _perform(self, command: PeerCommand) -> None:
        match command:
            case commands.CreatePeer(configuration, every_interface):
                self._close()
                self._create(self._constructor.new(configuration, every_interface=every_interface))
            case commands.ClosePeer():
                self._close()
            case commands.SetConfiguration(configuration):
                self._pc.setConfiguration(jsobj(configuration.to_rtc_configuration()))
            case commands.SetLocalDescription(attempt):
                self._call(command, self._pc.setLocalDescription(), lambda: self._local_description_set(attempt))
            case commands.SetRemoteDescription(attempt, description):
                init = jsobj({"type": description.type, "sdp": description.sdp})
                self._call(
                    command,
                    self._pc.setRemoteDescription(init),
                    lambda: self._remote_description_set(attempt, description),
                )
            case commands.AddIceCandidate(candidate):
                self._call(command, self._pc.addIceCandidate(_candidate_init(candidate)), lambda: None)
            case commands.KeepChecking(priority, network_cost):
                self._keep_checking(priority, network_cost)
            case commands.RestartIce():
                self._pc.restartIce()
            case commands.SendOnChannel("standby", text):
                self._standby.send(text)
            case commands.SendOnChannel(label, text):
                self._channels[label].send(text)
                if label == "messages" and not self._is_full and self._channels[label].bufferedAmount > BUFFERED_MOST:
                    self._is_full = True
                    self._emit(ChannelFilled())
            case commands.SampleStats():
                self._sample_stats()
            case commands.AddMediaSections():
                self._add_media_sections()
            case commands.StartMedia(number, kind):
                self._media.start(number, kind)
            case commands.StopMedia(kind):
                self._media.stop(kind)
            case (
                commands.OfferStandby() | commands.AnswerStandby() | commands.AcceptStandby() | commands.CloseStandby()
            ):
                self._standby.perform(command)
            case commands.ProbeUdp():
                self._probe.begin(command)

    def _create(self, pc: Any) -> None:
        self._pc = pc
        listeners = self._listeners = Listeners(self._on_error)
        listeners.add(pc, "negotiationneeded", lambda _: self._emit(NegotiationNeeded()))
        listeners.add(pc, "icecandidate", self._local_candidate)
        listeners.add(pc, "icecandidateerror", self._candidate_error)
        listeners.add(
            pc, "connectionstatechange", lambda _: self._emit(StateChanged("connection", str(pc.connectionState)))
        )
        listeners.add(
            pc,
            "iceconnectionstatechange",
            lambda _: self._emit(StateChanged("ice-connection", str(pc.iceConnectionState))),
        )
        listeners.add(
            pc,
            "icegatheringstatechange",
            lambda _: self._emit(StateChanged("ice-gathering", str(pc.iceGatheringState))),
        )
        listeners.add(
            pc, "signalingstatechange", lambda _: self._emit(StateChanged("signaling", str(pc.signalingState)))
        )
        for label, identifier in CHANNELS.items():
            self._add_channel(listeners, label, identifier)
        self._remote_stream = MediaStream.new()

    def _add_channel(self, listeners: Listeners, label: ChannelLabel, identifier: int) -> None:
        options = jsobj({"negotiated": True, "id": identifier, "ordered": False, "maxRetransmits": 0})
        channel = self._channels[label] = self._pc.createDataChannel(label, options)
        if label == "messages":
            channel.bufferedAmountLowThreshold = BUFFERED_LEAST
            listeners.add(channel, "bufferedamountlow", lambda _: self._drained())
        listeners.add(channel, "open", lambda _: self._emit(ChannelOpened(label)))
        listeners.add(channel, "close", lambda _: self._emit(ChannelClosed(label)))
        listeners.add(channel, "message", lambda event: self._emit(ChannelReceived(label, str(event.data))))

    def _drained(self) -> None:
        if self._is_full:
            self._is_full = False
            self._emit(ChannelDrained())

    def _keep_checking(self, priority: int, network_cost: int) -> None:
        # A browser may refuse what belongs to no description (W3C WebRTC 1.0, addIceCandidate): then it is as before.
        self._unchecked = self._unchecked % 250 + 1
        for address in UNCHECKED:
            line = f"candidate:1 1 udp {priority} {address.format(self._unchecked)} 9999 typ host ufrag {_UNKNOWN}"
            line += f" network-cost {network_cost}"
            added = self._pc.addIceCandidate(_candidate_init(Candidate(line, None, 0, _UNKNOWN)))
            when_settled(added, lambda _: None, lambda _: None, self._on_error)

    def _close(self) -> None:
        self._probe.close()
        if self._listeners is not None:
            self._listeners.close()
            self._listeners = None
        if self._pc is not None:
            self._pc.close()
            self._pc = None
        self._channels.clear()
        self._transceivers.clear()
        self._remote_stream = None
        self._watched_transport = False
        self._is_full = False
        self._show_remote(None)

    def _call(self, command: PeerCommand, promise: Any, done: Callable[[], None]) -> None:
        """Emit what comes of a promise of this connection."""

        def refused(error: Any) -> None:
            self._failed(_operation(command), error, _attempt(command))

        when_settled_unless_closed(lambda: self._pc, promise, done, refused, self._on_error)

    def _failed(self, operation: str, error: Any, attempt: int = 0) -> None:
        self._emit(PeerOperationFailed(operation, f"{error.name}: {error.message}", attempt))

    def _local_description_set(self, attempt: int) -> None:
        description = self._pc.localDescription
        if description is jsnull:
            return  # the first offer of all, rolled back already: nobody waits for it
        self._emit(LocalDescriptionSet(attempt, SessionDescription(str(description.type), str(description.sdp))))
        self._watch_transport()

    def _watch_transport(self) -> None:
        """Listen to the DTLS and ICE transports, which are there once the channel has been negotiated."""
        sctp = self._pc.sctp
        if self._watched_transport or sctp is jsnull or self._listeners is None:
            return
        self._watched_transport = True
        dtls = sctp.transport
        self._listeners.add(dtls, "statechange", lambda _: self._emit(StateChanged("dtls", str(dtls.state))))
        self._listeners.add(dtls.iceTransport, "selectedcandidatepairchange", lambda _: self._emit(PairChanged()))

    def _local_candidate(self, event: Any) -> None:
        candidate = event.candidate
        if candidate is jsnull:
            self._emit(LocalCandidatesEnded())
            return
        text = str(candidate.candidate)
        if not text:
            # The end of one generation (W3C WebRTC 1.0, section 4.8.1.1). Not every browser says it; null they all do.
            return
        url = getattr(candidate, "url", None) or getattr(event, "url", None)
        self._emit(
            LocalCandidate(
                Candidate(
                    text,
                    _text_or_none(candidate.sdpMid),
                    None if candidate.sdpMLineIndex is jsnull else int(candidate.sdpMLineIndex),
                    _text_or_none(candidate.usernameFragment),
                ),
                url if isinstance(url, str) else "",
            )
        )

    def _candidate_error(self, event: Any) -> None:
        address = _text_or_none(event.address) or ""
        self._emit(CandidateError(str(event.url), int(event.errorCode), str(event.errorText), address))

    def _sample_stats(self) -> None:
        pc = self._pc

        def sampled(report: Any) -> None:
            if pc is self._pc:
                text = JSON.stringify(Array.from_(report.values()), to_js(STATS_FIELDS))
                self._emit(StatsSampled({entry["id"]: entry for entry in json.loads(text)}))

        when_settled(pc.getStats(), sampled, lambda error: self._failed("getStats", error), self._on_error)

    def _add_media_sections(self) -> None:
        for kind in ("audio", "video"):
            self._pc.addTransceiver(kind, jsobj({"direction": "sendrecv"}))
        self._adopt_media_sections()

    def _remote_description_set(self, attempt: int, description: SessionDescription) -> None:
        # What the other side's offer added is two-way before the answer is made.
        self._adopt_media_sections()
        self._emit(RemoteDescriptionSet(attempt, description))
        self._watch_transport()

    def _adopt_media_sections(self) -> None:
        """Use every new transceiver both ways, for what is switched on now or later."""
        known = len(self._transceivers)
        for transceiver in list(self._pc.getTransceivers())[known:]:
            transceiver.direction = "sendrecv"
            self._transceivers.append(transceiver)
            self._remote_stream.addTrack(transceiver.receiver.track)
        if len(self._transceivers) > known:
            self._show_remote(self._remote_stream)
            self._send_media()

    def _send_media(self) -> None:
        """Give each sender the track that is on, or none."""
        tracks = self._media.tracks()
        for transceiver in self._transceivers:
            track = tracks[transceiver.receiver.track.kind]
            replaced = transceiver.sender.replaceTrack(jsnull if track is None else track)
            when_settled(replaced, lambda _: None, lambda error: self._failed("replaceTrack", error), self._on_error)


class LocalMedia:
    """Camera, microphone and screen. Nothing is asked for before the person switches it on.

    Camera and screen share one video track to the far end: switching one on switches the other off.
    """

    def __init__(
        self,
        emit: Callable[[Event], None],
        on_error: OnError,
        *,
        show: Callable[[Any], None],
        changed: Callable[[], None],
    ) -> None:
        self._emit = emit
        self._on_error = on_error
        self._show = show
        self._changed = changed
        self._wanted: dict[MediaKind, int] = {}  # the latest request of each kind
        self._tracks: dict[MediaKind, Any] = {}
        self._numbers: dict[MediaKind, int] = {}  # the requests that the tracks were given for
        self._listeners: dict[MediaKind, Listeners] = {}

    def tracks(self) -> dict[str, Any]:
        """Return the track to send as `audio` and the one to send as `video`, or None."""
        return {
            "audio": self._tracks.get("microphone"),
            "video": self._tracks.get("screen") or self._tracks.get("camera"),
        }

    def start(self, number: int, kind: MediaKind) -> None:
        """Ask the browser, and so the person, for it."""
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

    def stop(self, kind: MediaKind) -> None:
        """Switch it off, and want it no more if the browser still asks the person."""
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
        self._show(None if video is None else MediaStream.new(to_js([video])))
        self._changed()


def _operation(command: PeerCommand) -> str:
    name = type(command).__name__
    return name[0].lower() + name[1:]


def _attempt(command: PeerCommand) -> int:
    match command:
        case commands.SetLocalDescription(attempt) | commands.SetRemoteDescription(attempt):
            return attempt
    return 0


def _text_or_none(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _candidate_init(candidate: Candidate) -> Any:
    init = {
        "candidate": candidate.candidate,
        "sdpMid": candidate.sdp_mid,
        "sdpMLineIndex": candidate.sdp_m_line_index,
        "usernameFragment": candidate.username_fragment,
    }
    return jsobj({name: value for name, value in init.items() if value is not None})
