"""The messages between two peers through the server, which relays them unread."""

from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from pyapp.protocol.wire import MAX_COUNT, MessageError, check_length, check_not_negative

MAX_SDP = 60 * 1024
"""Longest description, in characters: it has to fit into a frame (`signaling.MAX_FRAME_BYTES`)."""


def _check_description(kind: str, sdp: str) -> None:
    if kind not in ("offer", "answer"):
        raise MessageError("type", "'offer' or 'answer'")
    check_length("sdp", sdp, MAX_SDP)
    if not sdp.startswith("v=0"):
        raise MessageError("sdp", "starts with 'v=0' (RFC 8866, section 5.1)")


def _check_relay(name: str, url: str) -> None:
    check_length(name, url, 512)
    if not url.startswith(("turn:", "turns:")):
        raise MessageError(name, "starts with 'turn:' or 'turns:' (RFC 7065)")


@dataclass(frozen=True, slots=True)
class Description:
    """An offer or an answer (`RTCSessionDescriptionInit`, W3C WebRTC 1.0, section 4.6.2).

    `exchange` counts the sender's offers from 1; an answer repeats the number of its offer, so that an answer to an
    older offer can be recognized. `generation` counts the ICE restarts offered so far by either side: the generation
    that this exchange begins, or continues; both sides adopt it. `relays` says whether the sender gathers relay
    candidates for it; the answerer does the same.
    """

    kind: ClassVar[str] = "description"
    type: str
    sdp: str
    exchange: int
    generation: int = 0
    relays: bool = True

    def __post_init__(self) -> None:
        """Refuse what no `setRemoteDescription` would take."""
        _check_description(self.type, self.sdp)
        check_not_negative("exchange", self.exchange)
        check_not_negative("generation", self.generation)


@dataclass(frozen=True, slots=True)
class Candidate:
    """An `RTCIceCandidateInit` (W3C WebRTC 1.0, section 4.8.1); an empty `candidate` is the end of candidates."""

    kind: ClassVar[str] = "candidate"
    candidate: str
    sdp_mid: str | None
    sdp_m_line_index: int | None
    username_fragment: str | None

    def __post_init__(self) -> None:
        """Reject what no `addIceCandidate` would accept."""
        check_length("candidate", self.candidate, 2048)
        if self.candidate and not self.candidate.startswith("candidate:"):
            raise MessageError("candidate", "empty, or starts with 'candidate:' (RFC 8839, section 5.1)")
        if self.sdp_mid is None and self.sdp_m_line_index is None:
            raise MessageError("sdpMid", "sdpMid or sdpMLineIndex must be there")
        check_length("sdpMid", self.sdp_mid or "", 256)
        check_length("usernameFragment", self.username_fragment or "", 256)
        if self.sdp_m_line_index is not None and not 0 <= self.sdp_m_line_index < 2**16:
            raise MessageError("sdpMLineIndex", "a whole number from 0 to 65535")


@dataclass(frozen=True, slots=True)
class RelaySuspected:
    """The sender's path over the relay at `url` went silent: both sides should prefer other relays."""

    kind: ClassVar[str] = "relay-suspected"
    url: str

    def __post_init__(self) -> None:
        """Reject what is not a TURN URL."""
        _check_relay("url", self.url)


@dataclass(frozen=True, slots=True)
class RestartWanted:
    """The sender wants an ICE restart whose offer the receiver should make.

    `generation` is the highest ICE generation, counted as in `Description`, that the sender knew of: a newer one is
    what it wants. A page of before this field takes whatever there is for too old.
    """

    kind: ClassVar[str] = "restart-wanted"
    generation: int = MAX_COUNT

    def __post_init__(self) -> None:
        """Reject what counts nothing."""
        check_not_negative("generation", self.generation)


@dataclass(frozen=True, slots=True)
class RelaysUnknown:
    """The sender goes on without relays, because the server does not name any to it."""

    kind: ClassVar[str] = "relays-unknown"


@dataclass(frozen=True, slots=True)
class StandbyDescription:
    """An offer or an answer for the standby path (`standby.py`), with all its candidates.

    `attempt` counts the sender's offers from 1; an answer repeats the number of its offer. `avoid` is the URL of the
    offerer's relay on the path in use, which the answerer's standby should avoid; empty in an answer.
    """

    kind: ClassVar[str] = "standby-description"
    type: str
    sdp: str
    attempt: int
    avoid: str = ""

    def __post_init__(self) -> None:
        """Reject what no `setRemoteDescription` would accept, and what is not a TURN URL."""
        _check_description(self.type, self.sdp)
        check_not_negative("attempt", self.attempt - 1)
        if self.type == "offer":
            _check_relay("avoid", self.avoid)
        elif self.avoid:
            raise MessageError("avoid", "empty in an answer")


@dataclass(frozen=True, slots=True)
class Unreadable:
    """The receiver's replacement for an invalid message, so that the numbering and the other messages go on."""

    kind: ClassVar[str] = "unreadable"
    why: str

    def __post_init__(self) -> None:
        """Keep it to a line."""
        check_length("why", self.why, 256)


PeerMessage: TypeAlias = (
    Description | Candidate | RelaySuspected | RestartWanted | RelaysUnknown | StandbyDescription | Unreadable
)
