"""Commands: the only output of the core. The runner passes each one to the shell that performs it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from pyapp.core.devices import DEFAULT, Choices
from pyapp.core.events import ChannelLabel, MediaKind, SessionDescription
from pyapp.core.peers import PeerId
from pyapp.core.timers import Timer
from pyapp.protocol.ice import IceConfiguration
from pyapp.protocol.journal import Journal
from pyapp.protocol.peer import Candidate
from pyapp.protocol.signaling import ClientMessage, HeldPlace

# To the server.


@dataclass(frozen=True, slots=True)
class FetchIceConfiguration:
    """Ask `GET /ice`; answered by `IceConfigurationReceived` or `IceConfigurationFailed` with the same `number`.

    `avoid` are the hosts of relays that went silent: the answer has others instead, if there are any. `place` is ours
    in the session, if we hold one: it authenticates us when the invitation has expired.
    """

    number: int
    session: str
    avoid: tuple[str, ...] = ()
    place: HeldPlace | None = None


@dataclass(frozen=True, slots=True)
class OpenSignaling:
    """Open a WebSocket; answered by `SignalingOpened` or `SignalingClosed` with its number, `socket`.

    It replaces a socket that is still connecting at once, and an open one when it is open itself: until then the old
    socket stays in use. A replaced socket is closed without an event.
    """

    socket: int


@dataclass(frozen=True, slots=True)
class CloseSignaling:
    """Close the WebSocket; no event follows."""


@dataclass(frozen=True, slots=True)
class SendSignaling:
    """Send a message to the server."""

    message: ClientMessage


@dataclass(frozen=True, slots=True)
class AskHealth:
    """Ask `GET /healthz`, since no WebSocket opens; answered by `HealthTold`. One question at a time is enough."""


# To the server, about invitations. Any failure is answered by `InvitingFailed`.


@dataclass(frozen=True, slots=True)
class AskAccess:
    """Ask `GET /access`; answered by `AccessTold`."""


@dataclass(frozen=True, slots=True)
class IssueInvitation:
    """Ask `POST /invitations` for one to `session`; answered by `InvitationIssued`.

    `ttl` is in seconds, None for the server's. Unless `anew`, an invitation that this tab was issued before is reused.
    """

    session: str
    name: str
    ttl: int | None
    anew: bool


@dataclass(frozen=True, slots=True)
class ListInvitations:
    """Ask `GET /invitations`; answered by `InvitationsListed`."""


@dataclass(frozen=True, slots=True)
class RevokeInvitation:
    """Ask `DELETE /invitations/ID`; answered by `InvitationRevoked`."""

    identifier: str


@dataclass(frozen=True, slots=True)
class GiveUpPlace:
    """Ask `DELETE /place`: the goodbye of a page whose socket may be dead. There is no answer.

    `journal` is what the server has not confirmed of it.
    """

    place: HeldPlace
    journal: Journal | None = None


# To the server, about a check of the network. The answers carry `number`.


@dataclass(frozen=True, slots=True)
class AskCheckServers:
    """Ask `GET /ice?check`; answered by `CheckServersReceived` or `CheckServersFailed`.

    `session` may be empty; `place` as in `FetchIceConfiguration`.
    """

    number: int
    session: str
    place: HeldPlace | None = None


@dataclass(frozen=True, slots=True)
class TryWebSocket:
    """Open a WebSocket to the server, and close it; answered by `WebSocketTried`."""

    number: int


@dataclass(frozen=True, slots=True)
class GiveUpWebSocket:
    """Close the WebSocket that is being tried, if it has not opened yet; there is no answer."""


@dataclass(frozen=True, slots=True)
class KeepCheckReport:
    """Ask `POST /checks` to keep `report`; answered by `CheckReportKept`."""

    number: int
    session: str
    place: HeldPlace | None
    report: Mapping[str, Any]


# To an RTCPeerConnection: `OfPeer` says which. The browser chains calls on it (W3C WebRTC 1.0, section 4.4.1.2), so
# their order holds.


@dataclass(frozen=True, slots=True)
class Channel:
    """A data channel that both ends create (`negotiated`), which saves the DCEP exchange (RFC 8832)."""

    label: ChannelLabel
    id: int
    ordered: bool = False
    max_retransmits: int | None = 0
    """How often SCTP retransmits a message (RFC 3758): None for a reliable channel."""


@dataclass(frozen=True, slots=True)
class CreatePeer:
    """Create it, with its channels.

    It gathers on the default route alone, or on `every_interface` if the page may know them.
    """

    configuration: IceConfiguration
    channels: tuple[Channel, ...]
    every_interface: bool = False


@dataclass(frozen=True, slots=True)
class ClosePeer:
    """Close it; no event follows, except those already in the inbox."""


@dataclass(frozen=True, slots=True)
class SetConfiguration:
    """`setConfiguration()`: takes effect with the next gathering."""

    configuration: IceConfiguration


@dataclass(frozen=True, slots=True)
class SetLocalDescription:
    """`setLocalDescription()` without an argument: the browser creates the offer or answer that fits.

    The result carries `attempt`: by then `localDescription` may be another one, because a remote offer that was waiting
    in the operations chain has rolled this one back.
    """

    attempt: int


@dataclass(frozen=True, slots=True)
class SetRemoteDescription:
    """`setRemoteDescription()`, which rolls back a colliding offer of ours.

    The result carries `attempt`; it is counted together with that of `SetLocalDescription`.
    """

    attempt: int
    description: SessionDescription


@dataclass(frozen=True, slots=True)
class AddIceCandidate:
    """`addIceCandidate()`."""

    candidate: Candidate


UNCHECKED = "keep-checking"
"""The `ice-ufrag` of the candidates of `KeepChecking`: it belongs to no description, so they are never checked."""


@dataclass(frozen=True, slots=True)
class KeepChecking:
    """Keep the browser sending connectivity checks without long pauses, in the next ICE generation, too.

    `priority` is that of the candidate used for it. If it is not above the selected pair's, its own pairs are pruned;
    if it is much above, relays of ours that an ICE restart left behind are kept. `network_cost` is the network cost of
    the peer's candidates, for the same reason.
    """

    priority: int
    network_cost: int


@dataclass(frozen=True, slots=True)
class RestartIce:
    """`restartIce()`; `negotiationneeded` follows."""


@dataclass(frozen=True, slots=True)
class SendOnChannel:
    """Send a text on a data channel."""

    label: ChannelLabel
    text: str


@dataclass(frozen=True, slots=True)
class SampleStats:
    """`getStats()`; answered by `StatsSampled`."""


@dataclass(frozen=True, slots=True)
class SendKeyFrame:
    """Send a key frame, if video is being sent."""


@dataclass(frozen=True, slots=True)
class AddMediaSections:
    """Add an audio and a video section, idle until something is shared; `negotiationneeded` follows."""


PeerCommand: TypeAlias = (
    CreatePeer
    | ClosePeer
    | SetConfiguration
    | SetLocalDescription
    | SetRemoteDescription
    | AddIceCandidate
    | KeepChecking
    | RestartIce
    | SendOnChannel
    | SampleStats
    | SendKeyFrame
    | AddMediaSections
)


@dataclass(frozen=True, slots=True)
class OfPeer:
    """A command to the `RTCPeerConnection` `peer`; its events are `events.OfPeer` with the same `peer`."""

    peer: PeerId
    command: PeerCommand


# To the camera, the microphone and the screen.


@dataclass(frozen=True, slots=True)
class StartMedia:
    """Ask for the camera, microphone or screen and send it; answered by `MediaStarted` or `MediaFailed`.

    The answer, and every later event of the track, carries `number`. It replaces a track of the same kind.
    """

    number: int
    kind: MediaKind
    choices: Choices = DEFAULT


@dataclass(frozen=True, slots=True)
class StopMedia:
    """Switch it off; answered by `MediaStopped`. A pending request is stopped as soon as it is fulfilled."""

    kind: MediaKind


@dataclass(frozen=True, slots=True)
class LimitVideo:
    """Limit sent video to `bits` and `frames` per second; None leaves it to the browser."""

    bits: int | None
    frames: int | None


# To the other tabs of this browser.


@dataclass(frozen=True, slots=True)
class TabIsIn:
    """Tell the other tabs that this one is in `session` from now on; a reload of the page comes back to it."""

    session: str


@dataclass(frozen=True, slots=True)
class TabIsOut:
    """Tell them that it is in none any more. `comes_back` if the page was only reloaded, or left for another one."""

    comes_back: bool


@dataclass(frozen=True, slots=True)
class TakePlace:
    """Ask the tab that is in `session` for its place; answered by `PlaceGiven`, or not at all."""

    session: str


@dataclass(frozen=True, slots=True)
class GivePlace:
    """Give the place in `session` to the tab that asked. Its key makes that tab the same person for the peer."""

    session: str
    key: str = field(repr=False)


# To the runner.


@dataclass(frozen=True, slots=True)
class StartTimer:
    """Emit `TimerFired(timer)` after `after` seconds, plus a random delay of up to `spread` seconds.

    It replaces the running timer, or with `only_if_idle` leaves it as it is.
    """

    timer: Timer
    after: float
    spread: float = 0.0
    only_if_idle: bool = False


@dataclass(frozen=True, slots=True)
class CancelTimer:
    """Cancel the timer, if it runs."""

    timer: Timer


@dataclass(frozen=True, slots=True)
class ReportFault:
    """Report an exception that the core caught to protect the rest, as if it were unhandled: a `Fault` follows."""

    where: str
    error: Exception


InvitingCommand: TypeAlias = AskAccess | IssueInvitation | ListInvitations | RevokeInvitation
CheckCommand: TypeAlias = AskCheckServers | TryWebSocket | GiveUpWebSocket | KeepCheckReport
ServerCommand: TypeAlias = (
    FetchIceConfiguration
    | OpenSignaling
    | CloseSignaling
    | SendSignaling
    | AskHealth
    | GiveUpPlace
    | InvitingCommand
    | CheckCommand
)
TabCommand: TypeAlias = TabIsIn | TabIsOut | TakePlace | GivePlace
MediaCommand: TypeAlias = StartMedia | StopMedia | LimitVideo
TimerCommand: TypeAlias = StartTimer | CancelTimer
PartCommand: TypeAlias = PeerCommand | TimerCommand
"""A command of a part that knows only one `RTCPeerConnection`: its owner says which one (`OfPeer`)."""
Command: TypeAlias = ServerCommand | OfPeer | MediaCommand | TabCommand | TimerCommand | ReportFault
