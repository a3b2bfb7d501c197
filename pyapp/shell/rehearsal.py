"""A rehearsal of the first connection, so that the real one runs on warm code. Pure.

A browser compiles a WebAssembly function quickly at its first call, and optimizes it on other threads once it has run
often. Most of what Python needs to connect would reach these points while it connects: on two cores the first
connection of a page took 218 ms where the second took 98, with no network between (docs/boot.md). So the core rehearses
a connection while the person still reads. Nothing of it leaves this module or is shown.
"""

import json
from collections.abc import Iterator
from typing import Literal

from pyapp.core import commands
from pyapp.core.events import (
    ChannelOpened,
    ChannelReceived,
    ConnectExpected,
    ConnectRequested,
    Event,
    HangUpRequested,
    IceConfigurationReceived,
    LocalCandidate,
    LocalCandidatesEnded,
    LocalDescriptionSet,
    NegotiationNeeded,
    OfPeer,
    PairChanged,
    PeerEvent,
    RemoteDescriptionSet,
    SessionDescription,
    SignalingOpened,
    SignalingReceived,
    StateChanged,
    StatsSampled,
)
from pyapp.core.path.heartbeat import Pulse
from pyapp.core.peers import PeerIds
from pyapp.core.session import Session
from pyapp.protocol.ice import ice_configuration_from_json
from pyapp.protocol.peer import Candidate, Description, PeerMessage
from pyapp.protocol.signaling import PeerJoined, Relayed, ServerMessage, Welcome, decode_server
from pyapp.protocol.wire import encode
from pyapp.view.console import Presenter, View

TIMES = 10
"""How often it is rehearsed: more did not make the real connection faster."""

_US, _PEER, _NAME = "0" * 32, "1" * 32, "rehearsal"
_CANDIDATES = 8

_CONFIGURATION = """{"iceServers": [{"urls": ["turn:turn.invalid:3478?transport=udp", "turns:turn.invalid:443"],
"username": "1:rehearsal", "credential": "none"}, {"urls": ["stun:stun.invalid:3478"]}], "lifetime": 3600}"""

_STATS = """{"T": {"type": "transport", "selectedCandidatePairId": "P", "bytesSent": 1, "bytesReceived": 1,
"dtlsState": "connected", "tlsVersion": "FEFC", "selectedCandidatePairChanges": 1},
"P": {"type": "candidate-pair", "localCandidateId": "L", "remoteCandidateId": "R", "currentRoundTripTime": 0.05},
"L": {"type": "local-candidate", "candidateType": "host", "protocol": "udp", "usernameFragment": "here"},
"R": {"type": "remote-candidate", "candidateType": "host", "protocol": "udp", "address": "192.0.2.1", "port": 50000}}"""


def rehearse(times: int = TIMES) -> Iterator[View]:
    """Rehearse a first connection in steps of about a millisecond, and yield what the page would show.

    Each time twice: as the side that comes second, and as the one that waits.
    """
    for _ in range(times):
        yield from _rehearse(_comes())
        yield from _rehearse(_waits())


def _rehearse(story: Iterator[Event | PeerEvent]) -> Iterator[View]:
    session, presenter = Session(_US, _US, 0.0), Presenter()
    peer = PeerIds().next()  # the session's first
    for number, step in enumerate(story):
        event = OfPeer(peer, step) if isinstance(step, PeerEvent) else step
        for command in session.receive(event, number / 100):
            if isinstance(command, commands.SendSignaling):
                encode(command.message)
        yield presenter.present(session)


def _comes() -> Iterator[Event | PeerEvent]:
    """Yield the events of joining a session in which the peer waits, and has made its offer."""
    yield from _connect()
    yield NegotiationNeeded()
    yield _received(Welcome(polite=True, peer=_PEER))
    offer = Description("offer", sdp("there", "actpass"), exchange=1)
    yield _received(
        Relayed(_PEER, 1, 0, offer, more=tuple(candidate("there", number) for number in range(_CANDIDATES)))
    )
    yield StateChanged("signaling", "have-remote-offer")
    yield RemoteDescriptionSet(1, SessionDescription("offer", sdp("there", "actpass")))
    yield LocalDescriptionSet(2, SessionDescription("answer", sdp("here", "active")))
    yield StateChanged("signaling", "stable")
    yield from _gathered("answer", "active")
    yield from _connected()


def _waits() -> Iterator[Event | PeerEvent]:
    """Yield the events of waiting in a session for a peer, who answers our offer."""
    yield from _connect()
    yield _received(Welcome(polite=False, peer=""))
    yield NegotiationNeeded()
    yield LocalDescriptionSet(1, SessionDescription("offer", sdp("here", "actpass")))
    yield StateChanged("signaling", "have-local-offer")
    yield from _gathered("offer", "actpass")
    yield _received(PeerJoined(_PEER))
    yield _said(1, Description("answer", sdp("there", "active"), exchange=1))
    yield StateChanged("signaling", "stable")
    yield RemoteDescriptionSet(2, SessionDescription("answer", sdp("there", "active")))
    for number in range(_CANDIDATES):
        yield _said(2 + number, candidate("there", number))
    yield from _connected()


def _connect() -> Iterator[Event]:
    yield ConnectExpected(_NAME)
    yield IceConfigurationReceived(1, ice_configuration_from_json(json.loads(_CONFIGURATION)))
    yield SignalingOpened(1)
    yield ConnectRequested(_NAME)


def _gathered(kind: Literal["offer", "answer"], setup: str) -> Iterator[PeerEvent]:
    yield StateChanged("ice-gathering", "gathering")
    for number in range(_CANDIDATES):
        yield LocalCandidate(candidate("here", number), "stun:stun.invalid:3478")
    yield LocalCandidatesEnded(SessionDescription(kind, sdp("here", setup)))


def _connected() -> Iterator[Event | PeerEvent]:
    yield StateChanged("ice-connection", "checking")
    yield PairChanged()
    yield StateChanged("ice-connection", "connected")
    yield StateChanged("connection", "connected")
    yield ChannelOpened("messages")
    yield ChannelOpened("heartbeat")
    yield StatsSampled(json.loads(_STATS))
    yield ChannelReceived("heartbeat", Pulse().next_beat(1.0, due=0.1, generation=0).encode())
    yield HangUpRequested()


def _received(message: ServerMessage) -> Event:
    return SignalingReceived(1, decode_server(encode(message)))


def _said(number: int, message: PeerMessage) -> Event:
    return _received(Relayed(_PEER, number, 0, message))


def candidate(fragment: str, number: int) -> Candidate:
    """Return the `number`-th candidate of the side with this `ice-ufrag`; nobody is there."""
    text = (
        f"candidate:{number} 1 udp {2**31 - number} 192.0.2.1 {50000 + number} typ host generation 0 ufrag {fragment}"
    )
    return Candidate(text, "0", 0, fragment)


def sdp(fragment: str, setup: str) -> str:
    """Return a description of that side, with channels alone; `setup` as in RFC 8842, section 5.1."""
    return (
        "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\na=msid-semantic: WMS\r\n"
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\n"
        f"a=ice-ufrag:{fragment}\r\na=ice-pwd:{'x' * 24}\r\na=ice-options:trickle\r\n"
        f"a=fingerprint:sha-256 {':'.join(['00'] * 32)}\r\na=setup:{setup}\r\na=mid:0\r\n"
        "a=sctp-port:5000\r\na=max-message-size:262144\r\n"
    )
