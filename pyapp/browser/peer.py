"""An `RTCPeerConnection` of the browser and its channels, behind events and commands."""

import asyncio
from collections.abc import Callable
from typing import Any

from pyodide.ffi import JsException, jsnull

from pyapp.browser.ffi import Listeners, OnError, jsobj, promise_of, when_settled
from pyapp.browser.leaving import leave
from pyapp.browser.media import LocalMedia
from pyapp.browser.stats import Stats
from pyapp.browser.transceivers import Transceivers
from pyapp.core import commands
from pyapp.core.commands import UNCHECKED, Channel, CreatePeer, PeerCommand
from pyapp.core.events import (
    CandidateError,
    ChannelClosed,
    ChannelDrained,
    ChannelFilled,
    ChannelLabel,
    ChannelOpened,
    ChannelReceived,
    LocalCandidate,
    LocalCandidatesEnded,
    LocalDescriptionSet,
    NegotiationNeeded,
    PairChanged,
    PeerEvent,
    PeerOperationFailed,
    RemoteDescriptionSet,
    SessionDescription,
    StateChanged,
    StateName,
    StatsSampled,
)
from pyapp.protocol.ice import IceConfiguration
from pyapp.protocol.peer import Candidate

BUFFERED_MOST, BUFFERED_LEAST = 1 << 12, 1 << 10
"""Bytes that wait in the browser for a channel (`bufferedAmount`): above the first it is full, until the second.

Little, because what waits there is late without being lost, and would be sent again behind itself."""

UNCHECKED_ADDRESSES = ("192.0.2.{}", "2001:db8::{}")
"""Addresses of candidates that keep Chromium checking: one of each family, of documentation (RFC 5737, RFC 3849), and
others each time, since Chromium does not take the priority of one that it has.

On a path that works, Chromium looks for checks to send every 250 ms, and checks a new pair three times and then once in
480 ms; as long as a pair has had fewer than three checks, it looks every 48 ms, and all new pairs have their turn. No
check can be sent to a candidate whose `ice-ufrag` belongs to no description yet, for want of the password: so its pair
stays at none, without a packet to it (a TURN server is asked for a permission, and may refuse it). Chromium counts the
candidate to the next generation; with the one after, its pair is gone.
"""

STATES: dict[StateName, str] = {
    "connection": "connectionState",
    "ice-connection": "iceConnectionState",
    "ice-gathering": "iceGatheringState",
    "signaling": "signalingState",
}
"""Attributes that have an event of their own, by the name of ours."""


class Peer:
    """Performs the commands to one `RTCPeerConnection`, which was just `made`, until it is closed."""

    def __init__(
        self,
        pc: Any,
        made: CreatePeer,
        emit: Callable[[PeerEvent], None],
        on_error: OnError,
        media: LocalMedia,
    ) -> None:
        self._pc = pc
        self._emit = emit
        self._on_error = on_error
        self._channels: dict[ChannelLabel, Any] = {}
        self._full: set[ChannelLabel] = set()
        self._transceivers = Transceivers(pc, media, self._when_settled, self._failed)
        self._configuration = made.configuration
        self._watched_transport = False
        self._unchecked = 0
        self._is_closed = False
        listeners = self._listeners = Listeners(on_error)
        self._stats = Stats(
            pc,
            lambda entries: emit(StatsSampled(entries)),
            lambda error: self._failed("getStats", error),
            listeners,
        )
        listeners.add(pc, "negotiationneeded", lambda _: emit(NegotiationNeeded()))
        listeners.add(pc, "icecandidate", self._local_candidate)
        listeners.add(pc, "icecandidateerror", self._candidate_error)
        for name, attribute in STATES.items():
            self._watch_state(name, attribute)
        for channel in made.channels:
            self._add_channel(channel)

    def perform(self, command: PeerCommand) -> None:
        """Begin what `command` says; a call that the browser refuses at once is an event too."""
        try:
            self._perform(command)
        except JsException as error:
            self._failed(_operation(command), error, _attempt(command))

    def send_media(self) -> None:
        """Send what is switched on now."""
        self._transceivers.send()

    def _perform(self, command: PeerCommand) -> None:
        match command:
            case commands.ClosePeer():
                self._close()
            case commands.SetConfiguration(configuration):
                self._set_configuration(configuration)
            case commands.SetLocalDescription(attempt):
                done = promise_of(self._pc, "setLocalDescription")
                self._call(command, done, lambda: self._local_description_set(attempt))
            case commands.SetRemoteDescription(attempt, description):
                init = jsobj({"type": description.type, "sdp": description.sdp})
                done = promise_of(self._pc, "setRemoteDescription", init)
                self._call(command, done, lambda: self._remote_description_set(attempt, description))
            case commands.AddIceCandidate(candidate):
                added = promise_of(self._pc, "addIceCandidate", _candidate_init(candidate))
                self._call(command, added, lambda: None)
            case commands.KeepChecking(priority, network_cost):
                self._keep_checking(priority, network_cost)
            case commands.RestartIce():
                self._pc.restartIce()
            case commands.SendOnChannel(label, text):
                self._send(label, text)
            case commands.SampleStats():
                self._stats.ask()
            case commands.SendKeyFrame():
                self._transceivers.send_key_frame()
            case commands.AddMediaSections():
                self._transceivers.add()

    def _set_configuration(self, configuration: IceConfiguration) -> None:
        # In an outage the same comes several times, and each time the page waits for the browser's network thread.
        if configuration != self._configuration:
            self._pc.setConfiguration(jsobj(configuration.to_rtc_configuration()))
            self._configuration = configuration

    def _watch_state(self, name: StateName, attribute: str) -> None:
        def changed(_: Any) -> None:
            self._emit(StateChanged(name, str(getattr(self._pc, attribute))))

        self._listeners.add(self._pc, f"{attribute.lower()}change", changed)

    def _add_channel(self, wanted: Channel) -> None:
        label = wanted.label
        options = {"negotiated": True, "id": wanted.id, "ordered": wanted.ordered}
        if wanted.max_retransmits is not None:
            options["maxRetransmits"] = wanted.max_retransmits
        channel = self._channels[label] = self._pc.createDataChannel(label, jsobj(options))
        channel.bufferedAmountLowThreshold = BUFFERED_LEAST
        self._listeners.add(channel, "bufferedamountlow", lambda _: self._drained(label))
        self._listeners.add(channel, "open", lambda _: self._emit(ChannelOpened(label)))
        self._listeners.add(channel, "close", lambda _: self._emit(ChannelClosed(label)))
        self._listeners.add(channel, "message", lambda event: self._emit(ChannelReceived(label, str(event.data))))

    def _send(self, label: ChannelLabel, text: str) -> None:
        channel = self._channels[label]
        channel.send(text)
        if label not in self._full and channel.bufferedAmount > BUFFERED_MOST:
            self._full.add(label)
            self._emit(ChannelFilled(label))

    def _drained(self, label: ChannelLabel) -> None:
        if label in self._full:
            self._full.remove(label)
            self._emit(ChannelDrained(label))

    def _keep_checking(self, priority: int, network_cost: int) -> None:
        # A browser may refuse what belongs to no description (W3C WebRTC 1.0, addIceCandidate): then it is as before.
        self._unchecked = self._unchecked % 250 + 1
        for address in UNCHECKED_ADDRESSES:
            line = f"candidate:1 1 udp {priority} {address.format(self._unchecked)} 9999 typ host ufrag {UNCHECKED}"
            line += f" network-cost {network_cost}"
            candidate = _candidate_init(Candidate(line, None, 0, UNCHECKED))
            added = promise_of(self._pc, "addIceCandidate", candidate)
            when_settled(added, lambda _: None, lambda _: None, self._on_error)

    def _close(self) -> None:
        self._is_closed = True
        self._stats.close()
        self._listeners.close()
        for channel in self._channels.values():
            channel.close()
        self._transceivers.close()
        leave(self._pc, Listeners(self._on_error), asyncio.get_running_loop().call_later)

    def _when_settled(self, promise: Any, fulfilled: Callable[[Any], None], rejected: Callable[[Any], None]) -> None:
        """Do what follows a promise of this connection: once it is closed, what comes of it concerns nobody."""
        when_settled(
            promise,
            lambda value: None if self._is_closed else fulfilled(value),
            lambda error: None if self._is_closed else rejected(error),
            self._on_error,
        )

    def _call(self, command: PeerCommand, promise: Any, done: Callable[[], None]) -> None:
        """Emit what comes of a promise of this connection."""

        def refused(error: Any) -> None:
            self._failed(_operation(command), error, _attempt(command))

        self._when_settled(promise, lambda _: done(), refused)

    def _failed(self, operation: str, error: Any, attempt: int = 0) -> None:
        self._emit(PeerOperationFailed(operation, f"{error.name}: {error.message}", attempt))

    def _local_description_set(self, attempt: int) -> None:
        description = self._local_description()
        if description is None:
            return  # the first offer of all, rolled back already: nobody waits for it
        self._emit(LocalDescriptionSet(attempt, description))
        self._watch_transport()

    def _local_description(self) -> SessionDescription | None:
        description = self._pc.localDescription
        return None if description is jsnull else SessionDescription(str(description.type), str(description.sdp))

    def _watch_transport(self) -> None:
        """Listen to the DTLS and ICE transports, which are there once the channel has been negotiated."""
        sctp = self._pc.sctp
        if self._watched_transport or self._is_closed or sctp is jsnull:
            return
        self._watched_transport = True
        dtls = sctp.transport
        self._listeners.add(dtls, "statechange", lambda _: self._emit(StateChanged("dtls", str(dtls.state))))
        self._listeners.add(dtls.iceTransport, "selectedcandidatepairchange", lambda _: self._emit(PairChanged()))

    def _local_candidate(self, event: Any) -> None:
        candidate = event.candidate
        if candidate is jsnull:
            self._emit(LocalCandidatesEnded(self._local_description()))
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

    def _remote_description_set(self, attempt: int, description: SessionDescription) -> None:
        # What the other side's offer added is two-way before the answer is made.
        self._transceivers.adopt()
        self._emit(RemoteDescriptionSet(attempt, description))
        self._watch_transport()


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
