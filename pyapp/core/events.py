"""What can happen to a session: the only input of the core. Shells build these, the inbox carries them in order.

Times are seconds on the runner's monotonic clock, unless a name says otherwise.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from pyapp.core.devices import Device, DeviceKind
from pyapp.core.peers import PeerId
from pyapp.core.timers import Timer
from pyapp.protocol.access import Access, Invitation
from pyapp.protocol.ice import IceConfiguration
from pyapp.protocol.peer import Candidate
from pyapp.protocol.signaling import ServerMessage
from pyapp.protocol.wire import Scalar

MediaKind: TypeAlias = Literal["camera", "microphone", "screen"]
ChannelLabel: TypeAlias = Literal["messages", "heartbeat", "standby", "probe"]


# The person at the page.


@dataclass(frozen=True, slots=True)
class ConnectExpected:
    """The page is ready, and Connect will probably be pressed for this session."""

    session: str


@dataclass(frozen=True, slots=True)
class SessionEdited:
    """Another name stands in the field, and may not be all of it yet."""

    session: str


@dataclass(frozen=True, slots=True)
class ConnectRequested:
    """Connect was pressed, or the address said `autoconnect`."""

    session: str


@dataclass(frozen=True, slots=True)
class HangUpRequested:
    """Hang up was pressed."""


@dataclass(frozen=True, slots=True)
class RestartRequested:
    """Restart ICE was pressed."""


@dataclass(frozen=True, slots=True)
class MessageSubmitted:
    """The person sent a message."""

    text: str


@dataclass(frozen=True, slots=True)
class MessageSentAgain:
    """What was for somebody who left is to go to who is there now. `place` is that in the conversation."""

    place: int


@dataclass(frozen=True, slots=True)
class NameGiven:
    """The person here wants to be called so, from the next session on; empty for nothing."""

    name: str


@dataclass(frozen=True, slots=True)
class MediaToggled:
    """Camera, microphone or screen was switched on or off."""

    kind: MediaKind


@dataclass(frozen=True, slots=True)
class PersonActive:
    """A key or a pointer was pressed."""


@dataclass(frozen=True, slots=True)
class DeviceChosen:
    """A device is to be used from now on; `device` is its `deviceId`, or empty for the system's default."""

    kind: DeviceKind
    device: str


@dataclass(frozen=True, slots=True)
class SoundChosen:
    """How the microphone is to be treated from now on."""

    echo_cancellation: bool
    noise_suppression: bool


@dataclass(frozen=True, slots=True)
class PageClosing:
    """The page is being left (`pagehide`)."""


@dataclass(frozen=True, slots=True)
class PageShown:
    """The page is there again as it was left (`pageshow` with `persisted`: from the back-forward cache)."""


# Inviting the other side: the person, and the server's answers.

InvitingRequest: TypeAlias = Literal["access", "issue", "list", "revoke"]


@dataclass(frozen=True, slots=True)
class InviteOpened:
    """The person wants to invite: the link, and what was issued so far."""


@dataclass(frozen=True, slots=True)
class InviteClosed:
    """The person has seen enough of it."""


@dataclass(frozen=True, slots=True)
class LinkWanted:
    """The link is about to be given away."""


@dataclass(frozen=True, slots=True)
class InvitationRequested:
    """Another invitation is wanted, called `name`, which may be empty, and good for `ttl` seconds."""

    name: str
    ttl: int


@dataclass(frozen=True, slots=True)
class RevocationRequested:
    """An invitation is to be taken back."""

    identifier: str


@dataclass(frozen=True, slots=True)
class AddressChosen:
    """Links are to begin with this address of the page."""

    address: str


@dataclass(frozen=True, slots=True)
class AccessTold:
    """`GET /access` answered."""

    access: Access


@dataclass(frozen=True, slots=True)
class InvitationIssued:
    """`POST /invitations` answered, or an earlier answer for `session` is good still."""

    session: str
    invitation: Invitation


@dataclass(frozen=True, slots=True)
class InvitationsListed:
    """`GET /invitations` answered."""

    invitations: tuple[Invitation, ...]


@dataclass(frozen=True, slots=True)
class InvitationRevoked:
    """`DELETE /invitations/ID` answered."""

    identifier: str


@dataclass(frozen=True, slots=True)
class InvitingFailed:
    """The server did not answer in time (`no-answer`), something else did (`not-json`), or it refused with `code`."""

    request: InvitingRequest
    code: str
    reason: str


InvitingEvent: TypeAlias = (
    InviteOpened
    | InviteClosed
    | LinkWanted
    | InvitationRequested
    | RevocationRequested
    | AddressChosen
    | AccessTold
    | InvitationIssued
    | InvitationsListed
    | InvitationRevoked
    | InvitingFailed
)


# The server.


@dataclass(frozen=True, slots=True)
class IceConfigurationReceived:
    """`GET /ice` answered. `number` is that of the command."""

    number: int
    configuration: IceConfiguration


@dataclass(frozen=True, slots=True)
class IceConfigurationFailed:
    """`GET /ice` did not answer, or refused: `code` is that of the server's error, or empty.

    `number` is that of the command.
    """

    number: int
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class SignalingOpened:
    """The WebSocket is open; nothing was sent on it yet. `socket` is that of the command, here and below."""

    socket: int


@dataclass(frozen=True, slots=True)
class SignalingClosed:
    """The WebSocket closed, or never opened. `code` as in RFC 6455, section 7.4."""

    socket: int
    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class SignalingReceived:
    """A message of the server."""

    socket: int
    message: ServerMessage


@dataclass(frozen=True, slots=True)
class SignalingGarbled:
    """A frame that is no message of the vocabulary."""

    socket: int
    reason: str


# An RTCPeerConnection of the browser: `OfPeer` says which.


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
    """`setLocalDescription()` is done; this is the `localDescription` by then. `attempt` is that of the command."""

    attempt: int
    description: SessionDescription


@dataclass(frozen=True, slots=True)
class RemoteDescriptionSet:
    """`setRemoteDescription()` is done. `attempt` is that of the command."""

    attempt: int
    description: SessionDescription


@dataclass(frozen=True, slots=True)
class PeerOperationFailed:
    """A call on the `RTCPeerConnection` was refused. `operation` is its W3C name, `error` its `DOMException`.

    `attempt` is that of a command which sets a description, 0 of any other.
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

    It is None if an own first offer has been rolled back by then.
    """

    description: SessionDescription | None


@dataclass(frozen=True, slots=True)
class CandidateError:
    """`icecandidateerror` (W3C WebRTC 1.0, section 4.8.3.1)."""

    url: str
    code: int
    text: str
    address: str


StateName: TypeAlias = Literal["connection", "ice-connection", "ice-gathering", "signaling", "dtls"]


@dataclass(frozen=True, slots=True)
class StateChanged:
    """A state attribute of the `RTCPeerConnection` changed, `dtls` meaning its `RTCDtlsTransport`."""

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
    """The browser keeps much that is to go over a data channel (`bufferedAmount`): send no more."""

    label: ChannelLabel


@dataclass(frozen=True, slots=True)
class ChannelDrained:
    """It has sent nearly all of it (`bufferedamountlow`)."""

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
    """An event of the `RTCPeerConnection` `peer`. It may have waited in the inbox while that was closed."""

    peer: PeerId
    event: PeerEvent


# Camera, microphone and screen.


@dataclass(frozen=True, slots=True)
class MediaStarted:
    """The browser gave the camera, microphone or screen. `number` is that of the command, here and below.

    `device` is the `deviceId` of what it gave, as far as it is known.
    """

    number: int
    kind: MediaKind
    device: str = ""


@dataclass(frozen=True, slots=True)
class MediaStopped:
    """It is off, since it was asked for."""

    number: int
    kind: MediaKind


@dataclass(frozen=True, slots=True)
class MediaEnded:
    """It ended by itself: it was unplugged, or stopped by the browser's own control."""

    number: int
    kind: MediaKind


@dataclass(frozen=True, slots=True)
class MediaMuted:
    """The system holds it back (a closed lid, a phone call), or no more: `mute` and `unmute` of the track."""

    number: int
    kind: MediaKind
    muted: bool


@dataclass(frozen=True, slots=True)
class MediaFailed:
    """The browser did not give it. `error` is the `DOMException`'s name, such as `NotAllowedError`."""

    number: int
    kind: MediaKind
    error: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class DevicesListed:
    """`enumerateDevices()`: what is plugged in now."""

    devices: tuple[Device, ...]


MediaEvent: TypeAlias = (
    MediaToggled
    | DeviceChosen
    | SoundChosen
    | MediaStarted
    | MediaStopped
    | MediaEnded
    | MediaMuted
    | MediaFailed
    | DevicesListed
)


# The browser's network and window.


@dataclass(frozen=True, slots=True)
class NetworkChanged:
    """`offline`, `online`, or `change` of `navigator.connection`.

    `certain` is False for a `change` that came with new estimates of speed: those come on a healthy network too.
    """

    kind: Literal["offline", "online", "change"]
    certain: bool


@dataclass(frozen=True, slots=True)
class CapturePermitted:
    """Whether the page may use the camera or the microphone: then it may know every interface, too."""

    permitted: bool


@dataclass(frozen=True, slots=True)
class VisibilityChanged:
    """`visibilitychange`: the timers of a hidden page fire about once a second."""

    hidden: bool


# The runner.


@dataclass(frozen=True, slots=True)
class TimerFired:
    """A timer set by `commands.StartTimer` is due."""

    timer: Timer


@dataclass(frozen=True, slots=True)
class Slept:
    """The machine slept: for so many seconds of the wall's clock the runner's stood still, and all timers with it.

    A wall clock that is set forward looks the same.
    """

    seconds: float


@dataclass(frozen=True, slots=True)
class Fault:
    """An exception that nothing handled. It is shown and journaled, never swallowed."""

    where: str
    error: str
    data: Mapping[str, Scalar] = field(default_factory=dict)


Event: TypeAlias = (
    ConnectExpected
    | SessionEdited
    | ConnectRequested
    | HangUpRequested
    | RestartRequested
    | MessageSubmitted
    | MediaEvent
    | MessageSentAgain
    | NameGiven
    | PersonActive
    | PageClosing
    | PageShown
    | InvitingEvent
    | IceConfigurationReceived
    | IceConfigurationFailed
    | SignalingOpened
    | SignalingClosed
    | SignalingReceived
    | SignalingGarbled
    | OfPeer
    | NetworkChanged
    | CapturePermitted
    | VisibilityChanged
    | TimerFired
    | Slept
    | Fault
)
