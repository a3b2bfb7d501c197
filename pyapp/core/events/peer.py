"""What happens to an `RTCPeerConnection` of the browser: `OfPeer` says which."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from pyapp.core.peers import PeerId
from pyapp.protocol.peer import Candidate

ChannelLabel: TypeAlias = Literal["messages", "heartbeat", "standby", "probe", "check", "check-bulk"]
StateName: TypeAlias = Literal["connection", "ice-connection", "ice-gathering", "signaling", "dtls"]


@dataclass(frozen=True, slots=True)
class SessionDescription:
    """An `RTCSessionDescription`: `type` is `offer` or `answer`."""

    type: str
    sdp: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class NegotiationNeeded:
    """`negotiationneeded`."""


@dataclass(frozen=True, slots=True)
class LocalDescriptionSet:
    """`setLocalDescription()` was fulfilled with this `localDescription`. `attempt` is that of the command."""

    attempt: int
    description: SessionDescription


@dataclass(frozen=True, slots=True)
class RemoteDescriptionSet:
    """`setRemoteDescription()` was fulfilled. `attempt` is that of the command."""

    attempt: int
    description: SessionDescription


@dataclass(frozen=True, slots=True)
class PeerOperationFailed:
    """A call on the `RTCPeerConnection` was rejected. `operation` is its W3C name, `error` its `DOMException`.

    `attempt` is that of the command if it sets a description, otherwise 0.
    """

    operation: str
    error: str
    attempt: int = 0


@dataclass(frozen=True, slots=True)
class LocalCandidate:
    """`icecandidate`. `url` is the STUN or TURN server it came from, or empty."""

    candidate: Candidate
    url: str


@dataclass(frozen=True, slots=True)
class LocalCandidatesEnded:
    """`icecandidate` with null: gathering is complete. `description` is the `localDescription`, with all candidates.

    It is None if our first offer has been rolled back by then.
    """

    description: SessionDescription | None


@dataclass(frozen=True, slots=True)
class CandidateError:
    """`icecandidateerror` (W3C WebRTC 1.0, section 4.8.3.1)."""

    url: str
    code: int
    text: str
    address: str


@dataclass(frozen=True, slots=True)
class StateChanged:
    """A state attribute of the `RTCPeerConnection` changed; `dtls` is that of its `RTCDtlsTransport`."""

    name: StateName
    value: str


@dataclass(frozen=True, slots=True)
class ChannelOpened:
    """A data channel is open."""

    label: ChannelLabel


@dataclass(frozen=True, slots=True)
class ChannelClosed:
    """A data channel closed."""

    label: ChannelLabel


@dataclass(frozen=True, slots=True)
class ChannelFilled:
    """The browser buffers much data of a data channel (`bufferedAmount`): send no more."""

    label: ChannelLabel


@dataclass(frozen=True, slots=True)
class ChannelDrained:
    """The browser has sent nearly all of the buffered data (`bufferedamountlow`)."""

    label: ChannelLabel


@dataclass(frozen=True, slots=True)
class ChannelReceived:
    """A message on a data channel."""

    label: ChannelLabel
    text: str


@dataclass(frozen=True, slots=True)
class PairChanged:
    """`selectedcandidatepairchange` of the ICE transport."""


@dataclass(frozen=True, slots=True)
class StatsSampled:
    """`getStats()`: the entries that the diagnostics need, by id, with W3C names (webrtc-stats)."""

    entries: Mapping[str, Mapping[str, Any]] = field(repr=False)


PeerEvent: TypeAlias = (
    NegotiationNeeded
    | LocalDescriptionSet
    | RemoteDescriptionSet
    | PeerOperationFailed
    | LocalCandidate
    | LocalCandidatesEnded
    | CandidateError
    | StateChanged
    | ChannelOpened
    | ChannelClosed
    | ChannelFilled
    | ChannelDrained
    | ChannelReceived
    | PairChanged
    | StatsSampled
)


@dataclass(frozen=True, slots=True)
class OfPeer:
    """An event of the `RTCPeerConnection` `peer`, which may have been closed while the event waited in the inbox."""

    peer: PeerId
    event: PeerEvent
