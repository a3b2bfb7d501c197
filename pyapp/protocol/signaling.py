"""The messages between a page and the server over `GET /ws`, one JSON object per frame.

Client to server: `Join`, `Relay`, `Journal`, `Ping`, `Leave`.
Server to client: `Welcome`, `PeerJoined`, `PeerLeft`, `Relayed`, `Journaled`, `Pong`, `Cost`, `Error`.
"""

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, TypeAlias, get_args

from pyapp.protocol.access import MOST_INVITATION
from pyapp.protocol.journal import Journal, Journaled
from pyapp.protocol.names import check_display_name, check_session_name, decoded, encoded
from pyapp.protocol.peer import PeerMessage, Unreadable
from pyapp.protocol.wire import (
    MessageError,
    check_identifier,
    check_length,
    check_not_negative,
    from_json,
    parse,
    to_json,
)

MOST_TOGETHER = 64
"""The most bodies after the first one in a frame."""

MAX_FRAME_BYTES = 64 * 1024
"""The longest frame that the server reads. An offer with audio, video and screen is about 12 kB."""

LONGEST_HOLD = 3600.0
"""The longest time for which a server may hold a place, in seconds."""


def _session(name: str) -> str:
    # Session names were once case-sensitive, and programs still join with capitals: they mean the same session.
    return check_session_name(name.lower() if name.isascii() else name)


@dataclass(frozen=True, slots=True)
class Join:
    """First frame on a new socket: claim, or reclaim, a place in a session.

    `participant` identifies this page load and is sent to the peer. `key` proves that a later socket is of the same
    browser tab, and is sent to nobody: with the same participant it reclaims the place, with another one (the page was
    reloaded) it takes over the place of the previous page load. `polite` is the role that it had before, so that a
    restarted server assigns it again: two peers that change roles while their offers collide could both yield, or
    neither. `socket` counts this participant's sockets: the highest number has the place, whatever the order of
    arrival. `name` is the display name, sent to the peer; it may be empty.
    """

    kind: ClassVar[str] = "join"
    session: str
    participant: str
    key: str = field(repr=False)
    invitation: str = field(default="", repr=False)
    polite: bool | None = None
    socket: int = 1
    name: str = ""

    def __post_init__(self) -> None:
        """Normalize the session name; reject what cannot be identified, logged or used as a file name."""
        object.__setattr__(self, "session", _session(self.session))
        check_not_negative("socket", self.socket)
        check_identifier("participant", self.participant)
        check_identifier("key", self.key)
        check_length("invitation", self.invitation, MOST_INVITATION)
        check_display_name("name", self.name)


PLACE_HEADER = "X-Place"
"""The request header in which a page proves, over HTTP, that it holds a place: `HeldPlace.to_header()`."""


@dataclass(frozen=True, slots=True)
class HeldPlace:
    """A place that its participant holds, even if the invitation has expired. The fields are as in its `Join`."""

    session: str
    participant: str
    key: str = field(repr=False)

    def __post_init__(self) -> None:
        """Normalize the session name, and reject what no `Join` could contain."""
        object.__setattr__(self, "session", _session(self.session))
        check_identifier("participant", self.participant)
        check_identifier("key", self.key)

    def to_header(self) -> str:
        """Return the value of `PLACE_HEADER`."""
        return f"{encoded(self.session)} {self.participant} {self.key}"

    @classmethod
    def from_header(cls, text: str) -> "HeldPlace":
        """Return the place in the value of a `PLACE_HEADER`, or raise `MessageError`."""
        words = text.split(" ")
        if len(words) != 3:
            raise MessageError(PLACE_HEADER, "session, participant and key, with a space between")
        session, participant, key = words
        return cls(decoded(session), participant, key)


@dataclass(frozen=True, slots=True)
class Relay:
    """A message for the peer. `number` counts from 1 in each direction; 0 without a body is a pure acknowledgement.

    `to` is the intended participant, or empty for whoever has the other place, now or later. `epoch` counts, from 1,
    how often the sender has started over; `peer_epoch` is the peer's last known epoch, 0 if unknown. A side that sees a
    newer epoch, or was forgotten, starts over too, so that the two never wait for each other's old numbers.

    `more` are the bodies with the numbers after `number`: messages that are sent together share a frame.
    """

    kind: ClassVar[str] = "relay"
    to: str
    number: int
    ack: int
    body: PeerMessage | None
    epoch: int = 1
    peer_epoch: int = 0
    more: tuple[PeerMessage, ...] = ()

    def __post_init__(self) -> None:
        """Reject a number without a body, and a body without a number."""
        if self.to:
            check_identifier("to", self.to)
        _check_numbered(self)


@dataclass(frozen=True, slots=True)
class Ping:
    """Answered at once by a `Pong` with the same `number`: the round trip of the signaling socket."""

    kind: ClassVar[str] = "ping"
    number: int

    def __post_init__(self) -> None:
        """Refuse what could not be counted exactly in JavaScript."""
        check_not_negative("number", self.number)


@dataclass(frozen=True, slots=True)
class Leave:
    """The participant gives up its place; the peer is told at once."""

    kind: ClassVar[str] = "leave"


@dataclass(frozen=True, slots=True)
class Welcome:
    """The participant has its place. `polite` is its role (W3C WebRTC 1.0, section 10.7); `peer` is empty if alone.

    `server` identifies this run of the server: a restarted one does not know yet who is still there. `hold` is how
    long, in seconds, it holds a place after its socket was lost. `peer_tab` and `peer_name` are as in `PeerJoined`.
    `build` is that of the page that the server gives out now (`build_of`); it may be empty, and is not compared. `left`
    is who left the other place with a goodbye, if it is free since: the `PeerLeft` may have been lost with a socket.
    """

    kind: ClassVar[str] = "welcome"
    polite: bool
    peer: str
    server: str = ""
    hold: float = 30.0
    peer_tab: str = field(default="", compare=False)
    peer_name: str = ""
    build: str = field(default="", compare=False)
    left: str = ""

    def __post_init__(self) -> None:
        """Reject invalid identifiers."""
        _check_who(self.peer_tab, self.peer_name)
        if self.left:
            check_identifier("left", self.left)
        if self.peer:
            check_identifier("peer", self.peer)
        if self.server:
            check_identifier("server", self.server)
        if self.build:
            check_identifier("build", self.build)
        if not 0 < self.hold <= LONGEST_HOLD:
            raise MessageError("hold", f"seconds, at most {LONGEST_HOLD}")


@dataclass(frozen=True, slots=True)
class PeerJoined:
    """The peer has taken the other place; also sent when the same peer came back with a new socket.

    `tab` identifies a browser tab in one session, across page loads: it is derived from the key, which only the tab and
    the server know. It is ignored when messages are compared. `name` is the peer's display name. Both may be empty.
    """

    kind: ClassVar[str] = "peer-joined"
    peer: str
    tab: str = field(default="", compare=False)
    name: str = ""

    def __post_init__(self) -> None:
        """Refuse what is no participant."""
        check_identifier("peer", self.peer)
        _check_who(self.tab, self.name)


@dataclass(frozen=True, slots=True)
class PeerLeft:
    """The other place is free. `lost` means without a goodbye: the peer's socket died, and none replaced it in time."""

    kind: ClassVar[str] = "peer-left"
    peer: str
    lost: bool = False

    def __post_init__(self) -> None:
        """Refuse what is no participant."""
        check_identifier("peer", self.peer)


@dataclass(frozen=True, slots=True)
class Relayed:
    """A `Relay` of the other participant, `sender`."""

    kind: ClassVar[str] = "relayed"
    sender: str
    number: int
    ack: int
    body: PeerMessage | None
    epoch: int = 1
    peer_epoch: int = 0
    more: tuple[PeerMessage, ...] = ()

    def __post_init__(self) -> None:
        """As for `Relay`."""
        check_identifier("sender", self.sender)
        _check_numbered(self)


@dataclass(frozen=True, slots=True)
class Pong:
    """The answer to `Ping`."""

    kind: ClassVar[str] = "pong"
    number: int

    def __post_init__(self) -> None:
        """Refuse what could not be counted exactly in JavaScript."""
        check_not_negative("number", self.number)


BudgetStep: TypeAlias = Literal["", "warn", "lower", "direct", "stop"]


@dataclass(frozen=True, slots=True)
class Cost:
    """What relays have cost, and what the budget for them allows now; each replaces the one before.

    `step` is what is done: `warn`; `lower` the video over relays to `video` kbit/s; look for a `direct` path; `stop`
    gathering relays. Each includes those before it. `scope` says whose budget it is, the day's and the month's by UTC;
    `share` is how much of it is used. The figures are for operators: bytes, and money in `currency` where there are
    prices. `expected` is what the month comes to if it goes on so.
    """

    kind: ClassVar[str] = "cost"
    step: str = ""
    scope: str = ""
    share: float = 0.0
    video: int = 0
    session_bytes: int | None = None
    month_bytes: int | None = None
    session_cost: float | None = None
    month_cost: float | None = None
    expected: float | None = None
    currency: str = ""

    def __post_init__(self) -> None:
        """Reject what no server could have counted."""
        check_length("step", self.step, 64)
        check_length("scope", self.scope, 64)
        check_length("currency", self.currency, 3)
        check_not_negative("video", self.video)
        for name in ("share", "session_bytes", "month_bytes", "session_cost", "month_cost", "expected"):
            if (getattr(self, name) or 0) < 0:
                raise MessageError(name, "a number from 0")


FATAL_CODES = frozenset(
    {
        "session-full",
        "replaced",
        "invitation-required",
        "invitation-invalid",
        "invitation-expired",
        "invitation-revoked",
        "not-joined",
    }
)
"""Codes of an `Error` after which the server closes the socket, and rejoining would not help."""


@dataclass(frozen=True, slots=True)
class Error:
    """The server refused a request. `limit` names the limit that was exceeded, if any.

    Codes: `malformed`, `limit`, `unavailable`, `superseded` (this participant joined with a newer socket), `place-held`
    (both places are taken, but one of them is only held) and those of `FATAL_CODES`. `retry_after` is the number of
    seconds after which a retry may help, 0 if unknown.
    """

    kind: ClassVar[str] = "error"
    code: str
    message: str
    limit: str = ""
    retry_after: float = 0.0

    def __post_init__(self) -> None:
        """Limit it to a sentence, which the page shows."""
        check_length("code", self.code, 64)
        check_length("message", self.message, 1024)
        check_length("limit", self.limit, 64)
        if not 0 <= self.retry_after <= LONGEST_HOLD:
            raise MessageError("retryAfter", f"seconds, at most {LONGEST_HOLD:g}")


ClientMessage: TypeAlias = Join | Relay | Journal | Ping | Leave

ServerMessage: TypeAlias = Welcome | PeerJoined | PeerLeft | Relayed | Journaled | Pong | Cost | Error


def _check_who(tab: str, name: str) -> None:
    if tab:
        check_identifier("tab", tab)
    check_display_name("name", name)


def _check_numbered(frame: Relay | Relayed) -> None:
    check_not_negative("number", frame.number)
    check_not_negative("number", frame.number + len(frame.more))
    check_not_negative("ack", frame.ack)
    if (frame.body is None) != (frame.number == 0):
        raise MessageError("number", "0 without a body, from 1 with one")
    if len(frame.more) > (MOST_TOGETHER if frame.number else 0):
        raise MessageError("more", f"at most {MOST_TOGETHER}, after a body")
    check_not_negative("epoch", frame.epoch)
    check_not_negative("peerEpoch", frame.peer_epoch)


def decode_client(text: str) -> ClientMessage:
    """Return the client's message in `text`, or raise `MessageError`."""
    message: ClientMessage = from_json(parse(text), get_args(ClientMessage), "frame")
    return message


def decode_server(text: str) -> ServerMessage:
    """Return the server's message in `text`, or raise `MessageError`.

    A page stays open while the server is updated, and while the other side loads a newer page: fields that it does not
    know are ignored. New fields are therefore optional for whoever receives them.
    """
    value = parse(text)
    try:
        message: ServerMessage = from_json(value, get_args(ServerMessage), "frame", newer=True)
    except MessageError:
        if not isinstance(value, dict) or value.get("kind") != Relayed.kind:
            raise
        # The server relays the peer's bodies unread: one invalid body must not discard the others.
        message = from_json(_with_readable_bodies(value), (Relayed,), "frame", newer=True)
    return message


def _with_readable_bodies(relayed: dict[str, Any]) -> dict[str, Any]:
    changed = relayed | {"body": _readable(relayed["body"])} if "body" in relayed else relayed
    more = relayed.get("more")
    return changed | {"more": [_readable(body) for body in more]} if isinstance(more, list) else changed


def _readable(body: Any) -> Any:
    try:
        from_json(body, get_args(PeerMessage), "body", newer=True)
    except MessageError as error:
        return body if body is None else to_json(Unreadable(str(error)[:256]))
    return body
