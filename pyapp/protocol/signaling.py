"""What a page and the server say to each other over `GET /ws`, one JSON object a frame.

Client to server: `Join`, `Relay`, `Journal`, `Ping`, `Leave`.
Server to client: `Welcome`, `PeerJoined`, `PeerLeft`, `Relayed`, `Journaled`, `Pong`, `Error`.
"""

from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeAlias, get_args

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
"""Bodies that follow the first one in a frame."""

MAX_FRAME_BYTES = 64 * 1024
"""The longest frame that the server reads. An offer with audio, video and screen is about 12 kB."""

LONGEST_HOLD = 3600.0
"""Seconds that a server may keep a place for who has lost it."""


def _session(name: str) -> str:
    # Pages were once told apart by case, and programs still join with capitals: they mean the same session.
    return check_session_name(name.lower() if name.isascii() else name)


@dataclass(frozen=True, slots=True)
class Join:
    """First frame on a new socket: take, or take again, a place in a session.

    `participant` names this page load and is told to the other side. `key` proves that a later socket is of the same
    browser tab, and is told to nobody: with the same participant it takes the place back, with another one (the page
    was reloaded) it takes the place of the page load before. `polite` is the role that it was given before, so that a
    server that was restarted gives it again: two peers that change roles in the middle of crossing offers could both
    yield, or neither. `socket` counts this participant's sockets: the latest has the place, whichever comes in last.
    `name` is what the person wants to be called, and is told to the other side; it may be empty.
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
        """Take the session that is meant; refuse what cannot be told apart, logged or used as a file name."""
        object.__setattr__(self, "session", _session(self.session))
        check_not_negative("socket", self.socket)
        check_identifier("participant", self.participant)
        check_identifier("key", self.key)
        check_length("invitation", self.invitation, MOST_INVITATION)
        check_display_name("name", self.name)


PLACE_HEADER = "X-Place"
"""The request header in which a page proves, at `GET /ice`, that it holds a place: `HeldPlace.to_header()`."""


@dataclass(frozen=True, slots=True)
class HeldPlace:
    """A place in a session that its participant holds, whatever became of the invitation: as in its `Join`."""

    session: str
    participant: str
    key: str = field(repr=False)

    def __post_init__(self) -> None:
        """Take the session that is meant, and refuse what no `Join` could say."""
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
    """For the other participant. `number` counts from 1 in each direction; 0 with no body only acknowledges.

    `to` names the participant meant, or is empty: whoever is, or comes, there. `epoch` counts how often this side began
    to count anew, from 1; `peer_epoch` is what it knows of the other's, 0 for nothing. Who hears of a newer epoch, or
    was forgotten, begins anew too: two sides never wait for each other's old numbers.

    `more` are the bodies with the numbers after `number`: what is sent at one moment travels together.
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
        """Refuse a number without a body and a body without a number."""
        if self.to:
            check_identifier("to", self.to)
        _check_numbered(self.number, self.ack, self.body, self.more)
        check_not_negative("epoch", self.epoch)
        check_not_negative("peerEpoch", self.peer_epoch)


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
    """The participant gives up the place; the other side is told at once."""

    kind: ClassVar[str] = "leave"


@dataclass(frozen=True, slots=True)
class Welcome:
    """The place is taken. `polite` is this side's role (W3C WebRTC 1.0, section 10.7); `peer` is empty when alone.

    `server` names this run of the server: one that was restarted does not know yet who is still there. `hold` is how
    long, in seconds, it keeps a place for who has lost it. `peer_tab` and `peer_name` are as in `PeerJoined`.
    """

    kind: ClassVar[str] = "welcome"
    polite: bool
    peer: str
    server: str = ""
    hold: float = 30.0
    peer_tab: str = field(default="", compare=False)
    peer_name: str = ""

    def __post_init__(self) -> None:
        """Refuse what is no participant, and no server."""
        _check_who(self.peer_tab, self.peer_name)
        if self.peer:
            check_identifier("peer", self.peer)
        if self.server:
            check_identifier("server", self.server)
        if not 0 < self.hold <= LONGEST_HOLD:
            raise MessageError("hold", f"seconds, at most {LONGEST_HOLD}")


@dataclass(frozen=True, slots=True)
class PeerJoined:
    """The other place is taken now; sent also when the same peer came back with a new socket.

    `tab` is the same for all page loads of one browser tab in one session, and for nobody else: it is made of the key,
    which only the tab and the server know; two messages about one peer are the same without it. `name` is what the
    person wants to be called. Both may be empty.
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
    """The other place is free. `lost` means that nobody said goodbye: its socket died and did not come back in time."""

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
        _check_numbered(self.number, self.ack, self.body, self.more)
        check_not_negative("epoch", self.epoch)
        check_not_negative("peerEpoch", self.peer_epoch)


@dataclass(frozen=True, slots=True)
class Pong:
    """The answer to `Ping`."""

    kind: ClassVar[str] = "pong"
    number: int

    def __post_init__(self) -> None:
        """Refuse what could not be counted exactly in JavaScript."""
        check_not_negative("number", self.number)


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
"""Codes of an `Error` after which the server closes the socket, and joining again as before would not help."""


@dataclass(frozen=True, slots=True)
class Error:
    """The server could not do what was asked. `limit` names the limit that was hit, where it was one.

    Codes: `malformed`, `limit`, `unavailable`, `superseded` (this participant joined with a newer socket),
    `place-held` (both places are taken, one of them only kept for who is away) and those of `FATAL_CODES`.
    `retry_after` is after how many seconds asking again may help, 0 if nobody knows.
    """

    kind: ClassVar[str] = "error"
    code: str
    message: str
    limit: str = ""
    retry_after: float = 0.0

    def __post_init__(self) -> None:
        """Keep it to a sentence, which the page shows."""
        check_length("code", self.code, 64)
        check_length("message", self.message, 1024)
        check_length("limit", self.limit, 64)
        if not 0 <= self.retry_after <= LONGEST_HOLD:
            raise MessageError("retryAfter", f"seconds, at most {LONGEST_HOLD:g}")


ClientMessage: TypeAlias = Join | Relay | Journal | Ping | Leave

ServerMessage: TypeAlias = Welcome | PeerJoined | PeerLeft | Relayed | Journaled | Pong | Error


def _check_who(tab: str, name: str) -> None:
    if tab:
        check_identifier("tab", tab)
    check_display_name("name", name)


def _check_numbered(number: int, ack: int, body: PeerMessage | None, more: tuple[PeerMessage, ...]) -> None:
    check_not_negative("number", number)
    check_not_negative("number", number + len(more))
    check_not_negative("ack", ack)
    if (body is None) != (number == 0):
        raise MessageError("number", "0 without a body, from 1 with one")
    if len(more) > (MOST_TOGETHER if number else 0):
        raise MessageError("more", f"at most {MOST_TOGETHER}, after a body")


def decode_client(text: str) -> ClientMessage:
    """Return the client's message in `text`, or raise `MessageError`."""
    message: ClientMessage = from_json(parse(text), get_args(ClientMessage), "frame")
    return message


def decode_server(text: str) -> ServerMessage:
    """Return the server's message in `text`, or raise `MessageError`."""
    value = parse(text)
    try:
        message: ServerMessage = from_json(value, get_args(ServerMessage), "frame")
    except MessageError:
        if not isinstance(value, dict) or value.get("kind") != Relayed.kind:
            raise
        # The server passes on what the other side says unread: one bad body must not take the others with it.
        message = from_json(_with_readable_bodies(value), (Relayed,), "frame")
    return message


def _with_readable_bodies(relayed: dict[str, Any]) -> dict[str, Any]:
    changed = relayed | {"body": _readable(relayed["body"])} if "body" in relayed else relayed
    more = relayed.get("more")
    return changed | {"more": [_readable(body) for body in more]} if isinstance(more, list) else changed


def _readable(body: Any) -> Any:
    try:
        from_json(body, get_args(PeerMessage), "body")
    except MessageError as error:
        return body if body is None else to_json(Unreadable(str(error)[:256]))
    return body
