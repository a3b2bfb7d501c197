"""What can happen to a session: the only input of the core. The shells create events, and the inbox keeps their order.

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
TrackKind: TypeAlias = Literal["audio", "video"]
ChannelLabel: TypeAlias = Literal["messages", "heartbeat", "standby", "probe", "check", "check-bulk"]


# The person at the page.


@dataclass(frozen=True, slots=True)
class ConnectExpected:
    """The page is ready, and the person will probably press Connect for this session."""

    session: str


@dataclass(frozen=True, slots=True)
class SessionEdited:
    """The session name in the field has changed, and may be incomplete."""

    session: str


@dataclass(frozen=True, slots=True)
class ConnectRequested:
    """Connect was pressed.

    `by_itself` if nobody did so just now: the page's URL said `autoconnect`, or the tab comes back to the session.
    """

    session: str
    by_itself: bool = False


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
    """A message for somebody who left is to go to the present peer. `place` is its place in the conversation."""

    place: int


@dataclass(frozen=True, slots=True)
class NameGiven:
    """The person has chosen a display name, used from the next session on; it may be empty."""

    name: str


@dataclass(frozen=True, slots=True)
class MediaToggled:
    """Camera, microphone or screen was switched on or off."""

    kind: MediaKind


@dataclass(frozen=True, slots=True)
class DiagnosticsShown:
    """The person has opened the diagnostics, or closed them: while they are open, the path is measured more often."""

    is_shown: bool


@dataclass(frozen=True, slots=True)
class PersonActive:
    """A key or a pointer was pressed."""


@dataclass(frozen=True, slots=True)
class DeviceChosen:
    """The person has chosen a device; `device` is its `deviceId`, or empty for the system's default."""

    kind: DeviceKind
    device: str


@dataclass(frozen=True, slots=True)
class SoundChosen:
    """The person has chosen how the microphone's sound is processed."""

    echo_cancellation: bool
    noise_suppression: bool


@dataclass(frozen=True, slots=True)
class PageClosing:
    """The page is being left (`pagehide`)."""


@dataclass(frozen=True, slots=True)
class PageShown:
    """The page was restored from the back-forward cache (`pageshow` with `persisted`)."""


# The other tabs of this browser.


@dataclass(frozen=True, slots=True)
class TabEntered:
    """Another tab is in `session`; if this one is in it, too, the other one has been so for longer."""

    session: str


@dataclass(frozen=True, slots=True)
class TabLeft:
    """The other tab has left `session`."""

    session: str


@dataclass(frozen=True, slots=True)
class PlaceWanted:
    """The person wants to use `session` in another tab instead of this one."""

    session: str


@dataclass(frozen=True, slots=True)
class PlaceGiven:
    """Another tab has left its place in `session` to this one, with the place's key."""

    session: str
    key: str = field(repr=False)


TabEvent: TypeAlias = TabEntered | TabLeft | PlaceWanted | PlaceGiven


@dataclass(frozen=True, slots=True)
class InvitationGiven:
    """A link with an invitation was opened in this tab while the page was open."""

    invitation: str = field(repr=False)


# Invitations: what the person asks for, and the server's answers.

InvitingRequest: TypeAlias = Literal["access", "issue", "list", "revoke"]


@dataclass(frozen=True, slots=True)
class InviteOpened:
    """The person has opened the panel with the link and the invitations issued so far."""


@dataclass(frozen=True, slots=True)
class InviteClosed:
    """The person has closed that panel."""


@dataclass(frozen=True, slots=True)
class LinkWanted:
    """The link is about to be shared."""


@dataclass(frozen=True, slots=True)
class InvitationRequested:
    """The person asks for another invitation, named `name` (may be empty) and valid for `ttl` seconds."""

    name: str
    ttl: int


@dataclass(frozen=True, slots=True)
class RevocationRequested:
    """The person revokes an invitation."""

    identifier: str


@dataclass(frozen=True, slots=True)
class AddressChosen:
    """The person has chosen the page's address that links begin with."""

    address: str


@dataclass(frozen=True, slots=True)
class AccessTold:
    """`GET /access` answered."""

    access: Access


@dataclass(frozen=True, slots=True)
class InvitationIssued:
    """`POST /invitations` answered, or an earlier answer for `session` is still valid."""

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
    """The server did not answer in time (`no-answer`), answered with no JSON (`not-json`), or refused with `code`."""

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
    """`GET /ice` was not answered, or refused: `code` is that of the server's error, or empty.

    `number` is that of the command.
    """

    number: int
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class SignalingOpened:
    """The WebSocket is open, and nothing has been sent on it. `socket` is that of the command, here and below."""

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
    """A frame of the server's that is not a valid message."""

    socket: int
    reason: str


ObstacleKind: TypeAlias = Literal["log-in", "blocked", "down", "offline"]


@dataclass(frozen=True, slots=True)
class HealthTold:
    """What `GET /healthz` says of why no WebSocket opens: see `failures.Obstacle`."""

    obstacle: ObstacleKind
    cause: str


SignalingEvent: TypeAlias = SignalingOpened | SignalingClosed | SignalingReceived | SignalingGarbled | HealthTold


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


StateName: TypeAlias = Literal["connection", "ice-connection", "ice-gathering", "signaling", "dtls"]


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


# Camera, microphone and screen.


@dataclass(frozen=True, slots=True)
class MediaStarted:
    """The camera, microphone or screen is on. `number` is that of the command, here and below.

    `device` is the `deviceId` of the device in use, if it is known. `faces_away` says that it is a camera that looks
    where the person looks (`facingMode` is `environment`).
    """

    number: int
    kind: MediaKind
    device: str = ""
    faces_away: bool = False


@dataclass(frozen=True, slots=True)
class MediaStopped:
    """It was switched off on request."""

    number: int
    kind: MediaKind


@dataclass(frozen=True, slots=True)
class MediaEnded:
    """The track ended by itself: the device was unplugged, or the browser's own control stopped it."""

    number: int
    kind: MediaKind


@dataclass(frozen=True, slots=True)
class MediaMuted:
    """The system has muted or unmuted the track (a closed lid, a phone call): `mute` and `unmute`."""

    number: int
    kind: MediaKind
    muted: bool


@dataclass(frozen=True, slots=True)
class MediaFailed:
    """The request was rejected. `error` is the `DOMException`'s name, such as `NotAllowedError`."""

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


# The check of the network. `number` is that of the command.


@dataclass(frozen=True, slots=True)
class CheckRequested:
    """The person asks for a check; `session` is the name in the field."""

    session: str


@dataclass(frozen=True, slots=True)
class CheckStopRequested:
    """The person stops it, or closes its panel."""


@dataclass(frozen=True, slots=True)
class CheckServersReceived:
    """`GET /ice?check` answered: every configured URL, and what the server itself found at each (`seen`)."""

    number: int
    configuration: IceConfiguration
    seen: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class CheckServersFailed:
    """It was not answered, or refused: as in `IceConfigurationFailed`. `code` is `offline` without a network."""

    number: int
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class WebSocketTried:
    """A WebSocket to the server was `opened`, and closed again; or it did not open."""

    number: int
    opened: bool


@dataclass(frozen=True, slots=True)
class CheckReportKept:
    """The server keeps the report under `identifier`; it is empty if the server does not."""

    number: int
    identifier: str


CheckEvent: TypeAlias = (
    CheckRequested | CheckStopRequested | CheckServersReceived | CheckServersFailed | WebSocketTried | CheckReportKept
)


# The browser's network and window.


@dataclass(frozen=True, slots=True)
class NetworkChanged:
    """`offline`, `online`, or `change` of `navigator.connection`.

    `certain` is False for a `change` with new estimates of speed, which occurs on a healthy network, too.
    """

    kind: Literal["offline", "online", "change"]
    certain: bool


@dataclass(frozen=True, slots=True)
class CapturePermitted:
    """Whether the page may use the camera or the microphone: then the browser shows it every network interface, too."""

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
    """The machine slept: the runner's clock and all timers stood still for `seconds` of wall-clock time.

    A wall clock that is set forward looks the same.
    """

    seconds: float


@dataclass(frozen=True, slots=True)
class Fault:
    """An unhandled exception. It is shown and journaled, never swallowed."""

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
    | DiagnosticsShown
    | PersonActive
    | PageClosing
    | PageShown
    | TabEvent
    | InvitationGiven
    | InvitingEvent
    | CheckEvent
    | IceConfigurationReceived
    | IceConfigurationFailed
    | SignalingEvent
    | OfPeer
    | NetworkChanged
    | CapturePermitted
    | VisibilityChanged
    | TimerFired
    | Slept
    | Fault
)
