"""What the core wants done: its only output. The runner hands each to the shell that can do it."""

from dataclasses import dataclass
from typing import TypeAlias

from pyapp.core.devices import DEFAULT, Choices
from pyapp.core.events import ChannelLabel, MediaKind, SessionDescription
from pyapp.core.peers import PeerId
from pyapp.core.timers import Timer
from pyapp.protocol.ice import IceConfiguration
from pyapp.protocol.peer import Candidate
from pyapp.protocol.signaling import ClientMessage, HeldPlace

# To the server.


@dataclass(frozen=True, slots=True)
class FetchIceConfiguration:
    """Ask `GET /ice`; answered by `IceConfigurationReceived` or `IceConfigurationFailed` with the same `number`.

    `avoid` are hosts of relays that went silent: the answer has others instead, as far as there are any. `place` is
    ours in the session, if we hold one: it proves who we are when the invitation has expired.
    """

    number: int
    session: str
    avoid: tuple[str, ...] = ()
    place: HeldPlace | None = None


@dataclass(frozen=True, slots=True)
class OpenSignaling:
    """Open a WebSocket; answered by `SignalingOpened` or `SignalingClosed` with its number, `socket`.

    It takes the place of one that is still connecting at once, and of one that is open when it is open itself: until
    then the old one carries what there is, if it is alive. What takes another one's place closes it without an event.
    """

    socket: int


@dataclass(frozen=True, slots=True)
class CloseSignaling:
    """Close the WebSocket; no event follows."""


@dataclass(frozen=True, slots=True)
class SendSignaling:
    """Send a message to the server."""

    message: ClientMessage


# To the server, about invitations. Whatever is not answered as the events below say is `InvitingFailed`.


@dataclass(frozen=True, slots=True)
class AskAccess:
    """Ask `GET /access`; answered by `AccessTold`."""


@dataclass(frozen=True, slots=True)
class IssueInvitation:
    """Ask `POST /invitations` for one to `session`; answered by `InvitationIssued`.

    `ttl` is in seconds, None for the server's. Unless `anew`, one that this tab had issued before will do.
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


# To an RTCPeerConnection: `OfPeer` says which. The browser chains calls on it (W3C WebRTC 1.0, section 4.4.1.2), so
# their order holds.


@dataclass(frozen=True, slots=True)
class Channel:
    """A data channel that both ends make (`negotiated`), which saves the DCEP exchange (RFC 8832)."""

    label: ChannelLabel
    id: int
    ordered: bool = False
    max_retransmits: int | None = 0
    """How often SCTP sends a message again (RFC 3758): None as often as it takes."""


@dataclass(frozen=True, slots=True)
class CreatePeer:
    """Make it, with its channels.

    It gathers on the default route alone, or on `every_interface` if the page may know them.
    """

    configuration: IceConfiguration
    channels: tuple[Channel, ...]
    every_interface: bool = False


@dataclass(frozen=True, slots=True)
class ClosePeer:
    """Close it; no event follows, but for those that are on the way."""


@dataclass(frozen=True, slots=True)
class SetConfiguration:
    """`setConfiguration()`: for what is gathered from now on."""

    configuration: IceConfiguration


@dataclass(frozen=True, slots=True)
class SetLocalDescription:
    """`setLocalDescription()` without an argument: the browser makes the offer or answer that fits.

    `attempt` comes back with the result: by then `localDescription` may be another one, because a remote offer that was
    waiting in the chain has rolled this one back.
    """

    attempt: int


@dataclass(frozen=True, slots=True)
class SetRemoteDescription:
    """`setRemoteDescription()`, which rolls back an own offer that stands in the way.

    `attempt` comes back with the result; `SetLocalDescription` and this count together.
    """

    attempt: int
    description: SessionDescription


@dataclass(frozen=True, slots=True)
class AddIceCandidate:
    """`addIceCandidate()`."""

    candidate: Candidate


@dataclass(frozen=True, slots=True)
class KeepChecking:
    """Have the browser look for connectivity checks to send without long pauses, in the next ICE generation, too.

    `priority` is that of the candidate which does it: above the selected pair's, or else its own pairs are pruned, and
    no more than that, or else relays of ours that an ICE restart left behind are kept. `network_cost` is what the
    other side's candidates cost, for the same reason.
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
    """Send a picture that can be shown without those before it, if one is sent."""


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
    """A command to the `RTCPeerConnection` `peer`; events of it are an `events.OfPeer` of the same name."""

    peer: PeerId
    command: PeerCommand


# To the camera, the microphone and the screen.


@dataclass(frozen=True, slots=True)
class StartMedia:
    """Ask for the camera, microphone or screen and send it; answered by `MediaStarted` or `MediaFailed`.

    `number` comes back with the answer, and with all that is said of it. What was on of the same kind ends with it.
    """

    number: int
    kind: MediaKind
    choices: Choices = DEFAULT


@dataclass(frozen=True, slots=True)
class StopMedia:
    """Switch it off; answered by `MediaStopped`. What the browser has not given yet is stopped as soon as it comes."""

    kind: MediaKind


@dataclass(frozen=True, slots=True)
class LimitVideo:
    """Send at most so many bits and frames of video in a second; None is what the browser finds right."""

    bits: int | None
    frames: int | None


# To the runner.


@dataclass(frozen=True, slots=True)
class StartTimer:
    """Emit `TimerFired(timer)` after so many seconds, and up to `spread` later at random.

    It replaces the one that runs, or with `only_if_idle` leaves it as it is.
    """

    timer: Timer
    after: float
    spread: float = 0.0
    only_if_idle: bool = False


@dataclass(frozen=True, slots=True)
class CancelTimer:
    """Forget the timer, if it runs."""

    timer: Timer


@dataclass(frozen=True, slots=True)
class ReportFault:
    """Report an exception that the core kept to what raised it, as one that nothing handled: a `Fault` follows."""

    where: str
    error: Exception


InvitingCommand: TypeAlias = AskAccess | IssueInvitation | ListInvitations | RevokeInvitation
ServerCommand: TypeAlias = FetchIceConfiguration | OpenSignaling | CloseSignaling | SendSignaling | InvitingCommand
MediaCommand: TypeAlias = StartMedia | StopMedia | LimitVideo
TimerCommand: TypeAlias = StartTimer | CancelTimer
PartCommand: TypeAlias = PeerCommand | TimerCommand
"""Of a part that knows of one `RTCPeerConnection` alone: who owns that says which one it is (`OfPeer`)."""
Command: TypeAlias = ServerCommand | OfPeer | MediaCommand | TimerCommand | ReportFault
