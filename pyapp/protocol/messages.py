"""The signaling vocabulary: what a page and the server say to each other over `GET /ws`, one JSON object a frame.

Client to server: `Join`, `Relay`, `Journal`, `Ping`, `Leave`.
Server to client: `Welcome`, `PeerJoined`, `PeerLeft`, `Relayed`, `Journaled`, `Pong`, `Error`.

A message checks itself when it is built, so an invalid one cannot exist on either side. Wire names are the
camelCase of the field names; the W3C's names stand for the W3C's things (`sdpMid`, `usernameFragment`).
Imported by the server too: standard library only, nothing newer than Python 3.11.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any, ClassVar, TypeAlias, TypeVar, get_args, get_origin, get_type_hints

MAX_FRAME_BYTES = 64 * 1024
"""The longest frame that the server reads. An offer with audio, video and screen is about 12 kB."""

LONGEST_HOLD = 3600.0
"""Seconds that a server may keep a place for who has lost it."""

MAX_JOURNAL_ENTRIES = 100
"""Entries in one `Journal` frame."""

Scalar: TypeAlias = str | int | float | bool | None

_SESSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_IDENTIFIER = re.compile(r"[0-9a-f]{32}")
_EVENT = re.compile(r"[a-z][a-z0-9-]{0,63}")


class MessageError(ValueError):
    """A message breaks a rule: `field` names where (wire name), `rule` says which."""

    def __init__(self, field_name: str, rule: str) -> None:
        """Name the field as it stands on the wire, and the rule it breaks."""
        super().__init__(f"{field_name}: {rule}")
        self.field = field_name
        self.rule = rule


def check_session_name(name: str) -> str:
    """Return `name` if it can name a session, else raise `MessageError`."""
    if not _SESSION.fullmatch(name):
        raise MessageError("session", "1 to 64 letters, digits, '.', '_' or '-', and begins with a letter or digit")
    return name


def _check_identifier(name: str, value: str) -> None:
    if not _IDENTIFIER.fullmatch(value):
        raise MessageError(name, "32 hexadecimal digits, lower case")


def _check_length(name: str, value: str, longest: int) -> None:
    if len(value) > longest:
        raise MessageError(name, f"at most {longest} characters")


def _check_not_negative(name: str, value: int) -> None:
    if not 0 <= value < 2**53:
        raise MessageError(name, "a whole number from 0, below 2^53")


def _check_description(kind: str, sdp: str) -> None:
    if kind not in ("offer", "answer"):
        raise MessageError("type", "'offer' or 'answer'")
    if not sdp.startswith("v=0"):
        raise MessageError("sdp", "starts with 'v=0' (RFC 8866, section 5.1)")


def _check_relay(name: str, url: str) -> None:
    _check_length(name, url, 512)
    if not url.startswith(("turn:", "turns:")):
        raise MessageError(name, "starts with 'turn:' or 'turns:' (RFC 7065)")


# What one peer tells the other; the server carries it unread.


@dataclass(frozen=True, slots=True)
class Description:
    """An offer or an answer (`RTCSessionDescriptionInit`, W3C WebRTC 1.0, section 4.6.2).

    `exchange` counts the sender's offers from 1; an answer repeats the number of its offer, so that an answer to an
    older offer is known for what it is. `generation` counts the ICE restarts that were offered so far, by either side:
    the one that this exchange begins, or goes on with; both sides take it over. `relays` says whether the sender
    gathers relay candidates for it; who answers does the same.
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
        _check_not_negative("exchange", self.exchange)
        _check_not_negative("generation", self.generation)


@dataclass(frozen=True, slots=True)
class Candidate:
    """An `RTCIceCandidateInit` (W3C WebRTC 1.0, section 4.8.1); an empty `candidate` is the end of candidates."""

    kind: ClassVar[str] = "candidate"
    candidate: str
    sdp_mid: str | None
    sdp_m_line_index: int | None
    username_fragment: str | None

    def __post_init__(self) -> None:
        """Refuse what no `addIceCandidate` would take."""
        _check_length("candidate", self.candidate, 2048)
        if self.candidate and not self.candidate.startswith("candidate:"):
            raise MessageError("candidate", "empty, or starts with 'candidate:' (RFC 8839, section 5.1)")
        if self.sdp_mid is None and self.sdp_m_line_index is None:
            raise MessageError("sdpMid", "sdpMid or sdpMLineIndex must be there")
        _check_length("sdpMid", self.sdp_mid or "", 256)
        _check_length("usernameFragment", self.username_fragment or "", 256)
        if self.sdp_m_line_index is not None and not 0 <= self.sdp_m_line_index < 2**16:
            raise MessageError("sdpMLineIndex", "a whole number from 0 to 65535")


@dataclass(frozen=True, slots=True)
class RelaySuspected:
    """The sender's path over the relay at `url` went silent: neither side should gather there first."""

    kind: ClassVar[str] = "relay-suspected"
    url: str

    def __post_init__(self) -> None:
        """Refuse what is no URL of a relay."""
        _check_relay("url", self.url)


@dataclass(frozen=True, slots=True)
class RestartWanted:
    """The sender wants an ICE restart, and leaves the offer to the receiver."""

    kind: ClassVar[str] = "restart-wanted"


@dataclass(frozen=True, slots=True)
class StandbyDescription:
    """An offer or an answer for the standby path (`standby.py`), with all its candidates.

    `attempt` counts the sender's offers from 1; an answer repeats the number of its offer. `avoid` is the URL of the
    relay that the offerer's path in use goes over, and that the answerer's standby should not; empty in an answer.
    """

    kind: ClassVar[str] = "standby-description"
    type: str
    sdp: str
    attempt: int
    avoid: str = ""

    def __post_init__(self) -> None:
        """Refuse what no `setRemoteDescription` would take, and what is no URL of a relay."""
        _check_description(self.type, self.sdp)
        _check_not_negative("attempt", self.attempt - 1)
        if self.type == "offer":
            _check_relay("avoid", self.avoid)
        elif self.avoid:
            raise MessageError("avoid", "empty in an answer")


PeerMessage: TypeAlias = Description | Candidate | RelaySuspected | RestartWanted | StandbyDescription


# Client to server.


@dataclass(frozen=True, slots=True)
class Join:
    """First frame on a new socket: take, or take again, a place in a session.

    `participant` names this page load and is told to the other side. `key` proves that a later socket is of the same
    browser tab, and is told to nobody: with the same participant it takes the place back, with another one (the page
    was reloaded) it takes the place of the page load before. `polite` is the role that it was given before, so that a
    server that was restarted gives it again: two peers that change roles in the middle of crossing offers could both
    yield, or neither. `socket` counts this participant's sockets: the latest has the place, whichever comes in last.
    """

    kind: ClassVar[str] = "join"
    session: str
    participant: str
    key: str = field(repr=False)
    invitation: str = field(default="", repr=False)
    polite: bool | None = None
    socket: int = 1

    def __post_init__(self) -> None:
        """Refuse names that could not be told apart, logged or used as a file name."""
        check_session_name(self.session)
        _check_not_negative("socket", self.socket)
        _check_identifier("participant", self.participant)
        _check_identifier("key", self.key)
        _check_length("invitation", self.invitation, 4096)


@dataclass(frozen=True, slots=True)
class Relay:
    """For the other participant. `number` counts from 1 in each direction; 0 with no body only acknowledges.

    `to` names the participant meant, or is empty: whoever is, or comes, there. `epoch` counts how often this side began
    to count anew, from 1; `peer_epoch` is what it knows of the other's, 0 for nothing. Who hears of a newer epoch, or
    was forgotten, begins anew too: two sides never wait for each other's old numbers.
    """

    kind: ClassVar[str] = "relay"
    to: str
    number: int
    ack: int
    body: PeerMessage | None
    epoch: int = 1
    peer_epoch: int = 0

    def __post_init__(self) -> None:
        """Refuse a number without a body and a body without a number."""
        if self.to:
            _check_identifier("to", self.to)
        _check_numbered(self.number, self.ack, self.body)
        _check_not_negative("epoch", self.epoch)
        _check_not_negative("peerEpoch", self.peer_epoch)


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One line of diagnostics. `number` counts from 1 in a page load; `at` is Unix time in milliseconds."""

    kind: ClassVar[str] = "entry"
    number: int
    at: float
    event: str
    data: Mapping[str, Scalar]

    def __post_init__(self) -> None:
        """Keep an entry one short flat line."""
        _check_not_negative("number", self.number)
        if not math.isfinite(self.at):
            raise MessageError("at", "a finite number")
        if not _EVENT.fullmatch(self.event):
            raise MessageError("event", "lower-case words joined by '-', at most 64 characters")
        if len(self.data) > 48:
            raise MessageError("data", "at most 48 fields")
        for name, value in self.data.items():
            _check_length("data", name, 64)
            if isinstance(value, str):
                _check_length(f"data.{name}", value, 1024)
            elif value is not None and not (isinstance(value, int | float) and math.isfinite(value)):
                raise MessageError(f"data.{name}", "text, a finite number, true, false or null")


@dataclass(frozen=True, slots=True)
class Journal:
    """Diagnostics for the server's journal of the session; answered by `Journaled`."""

    kind: ClassVar[str] = "journal"
    entries: tuple[JournalEntry, ...]

    def __post_init__(self) -> None:
        """Keep a frame small."""
        if not 1 <= len(self.entries) <= MAX_JOURNAL_ENTRIES:
            raise MessageError("entries", f"1 to {MAX_JOURNAL_ENTRIES} entries")


@dataclass(frozen=True, slots=True)
class Ping:
    """Answered at once by a `Pong` with the same `number`: the round trip of the signaling socket."""

    kind: ClassVar[str] = "ping"
    number: int

    def __post_init__(self) -> None:
        """Refuse what could not be counted exactly in JavaScript."""
        _check_not_negative("number", self.number)


@dataclass(frozen=True, slots=True)
class Leave:
    """The participant gives up the place; the other side is told at once."""

    kind: ClassVar[str] = "leave"


# Server to client.


@dataclass(frozen=True, slots=True)
class Welcome:
    """The place is taken. `polite` is this side's role (W3C WebRTC 1.0, section 10.7); `peer` is empty when alone.

    `server` names this run of the server: one that was restarted does not know yet who is still there. `hold` is how
    long, in seconds, it keeps a place for who has lost it.
    """

    kind: ClassVar[str] = "welcome"
    polite: bool
    peer: str
    server: str = ""
    hold: float = 30.0

    def __post_init__(self) -> None:
        """Refuse what is no participant, and no server."""
        if self.peer:
            _check_identifier("peer", self.peer)
        if self.server:
            _check_identifier("server", self.server)
        if not 0 < self.hold <= LONGEST_HOLD:
            raise MessageError("hold", f"seconds, at most {LONGEST_HOLD}")


@dataclass(frozen=True, slots=True)
class PeerJoined:
    """The other place is taken now; sent also when the same peer came back with a new socket."""

    kind: ClassVar[str] = "peer-joined"
    peer: str

    def __post_init__(self) -> None:
        """Refuse what is no participant."""
        _check_identifier("peer", self.peer)


@dataclass(frozen=True, slots=True)
class PeerLeft:
    """The other place is free. `lost` means that nobody said goodbye: its socket died and did not come back in time."""

    kind: ClassVar[str] = "peer-left"
    peer: str
    lost: bool = False

    def __post_init__(self) -> None:
        """Refuse what is no participant."""
        _check_identifier("peer", self.peer)


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

    def __post_init__(self) -> None:
        """As for `Relay`."""
        _check_identifier("sender", self.sender)
        _check_numbered(self.number, self.ack, self.body)
        _check_not_negative("epoch", self.epoch)
        _check_not_negative("peerEpoch", self.peer_epoch)


@dataclass(frozen=True, slots=True)
class Journaled:
    """Entries up to and including `number` are kept."""

    kind: ClassVar[str] = "journaled"
    number: int

    def __post_init__(self) -> None:
        """Refuse what could not be counted exactly in JavaScript."""
        _check_not_negative("number", self.number)


@dataclass(frozen=True, slots=True)
class Pong:
    """The answer to `Ping`."""

    kind: ClassVar[str] = "pong"
    number: int

    def __post_init__(self) -> None:
        """Refuse what could not be counted exactly in JavaScript."""
        _check_not_negative("number", self.number)


FATAL_CODES = frozenset(
    {
        "session-full",
        "replaced",
        "invitation-required",
        "invitation-invalid",
        "invitation-expired",
        "not-joined",
    }
)
"""Codes of an `Error` after which the server closes the socket, and joining again as before would not help."""


@dataclass(frozen=True, slots=True)
class Error:
    """The server could not do what was asked. `limit` names the limit that was hit, where it was one.

    Codes: `malformed`, `limit`, `unavailable`, `superseded` (this participant joined with a newer socket) and those of
    `FATAL_CODES`.
    """

    kind: ClassVar[str] = "error"
    code: str
    message: str
    limit: str = ""


ClientMessage: TypeAlias = Join | Relay | Journal | Ping | Leave
ServerMessage: TypeAlias = Welcome | PeerJoined | PeerLeft | Relayed | Journaled | Pong | Error
Message: TypeAlias = ClientMessage | ServerMessage | PeerMessage | JournalEntry


def _check_numbered(number: int, ack: int, body: PeerMessage | None) -> None:
    _check_not_negative("number", number)
    _check_not_negative("ack", ack)
    if (body is None) != (number == 0):
        raise MessageError("number", "0 without a body, from 1 with one")


def encode(message: Message) -> str:
    """Return `message` as the text of one frame."""
    return json.dumps(to_json(message), separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def to_json(message: Message) -> dict[str, Any]:
    """Return `message` as the object that stands in the frame."""
    return {"kind": message.kind} | {
        name: _value_to_json(getattr(message, item.name)) for name, (item, _) in _members(type(message)).items()
    }


def decode_client(text: str) -> ClientMessage:
    """Return the client's message in `text`, or raise `MessageError`."""
    message: ClientMessage = _from_json(_parse(text), get_args(ClientMessage), "frame")
    return message


def decode_server(text: str) -> ServerMessage:
    """Return the server's message in `text`, or raise `MessageError`."""
    message: ServerMessage = _from_json(_parse(text), get_args(ServerMessage), "frame")
    return message


def _refuse_constant(name: str) -> float:
    raise MessageError("frame", f"{name} is not JSON (RFC 8259)")


def _parse_float(digits: str) -> float:
    value = float(digits)
    if value in (float("inf"), float("-inf")):  # 1e999 is JSON, and could then not be written as JSON
        raise MessageError("frame", f"{digits[:32]} is too large a number")
    return value


def _parse(text: str) -> Any:
    try:
        value = json.loads(text, parse_constant=_refuse_constant, parse_float=_parse_float)
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise MessageError("frame", "nested too deeply") from None
    except MessageError:
        raise
    except UnicodeEncodeError:
        # Half of a surrogate pair parses, and could then not be sent on to the other side (RFC 8259, section 8.2).
        raise MessageError("frame", "half of a surrogate pair is no text") from None
    except ValueError:
        raise MessageError("frame", "not JSON (RFC 8259)") from None
    return value


_members_by_class: dict[type, dict[str, tuple[Field[Any], Any]]] = {}


def _members(cls: type) -> dict[str, tuple[Field[Any], Any]]:
    """Return the fields of a message by their wire names, with their types. To find them out takes long: only once."""
    if cls not in _members_by_class:
        hints = get_type_hints(cls)
        _members_by_class[cls] = {_wire_name(item.name): (item, hints[item.name]) for item in fields(cls)}
    return _members_by_class[cls]


_T = TypeVar("_T")


def _from_json(value: Any, types: tuple[type[_T], ...], where: str) -> _T:
    if not isinstance(value, dict):
        raise MessageError(where, "an object")
    by_kind = {getattr(cls, "kind", ""): cls for cls in types}
    kind = value.get("kind")
    if not isinstance(kind, str) or kind not in by_kind:
        raise MessageError("kind", f"one of {', '.join(sorted(by_kind))}")
    return _build(by_kind[kind], value)


def _build(cls: type[_T], value: dict[str, Any]) -> _T:
    known = _members(cls)
    for name in value:
        if name not in known and name != "kind":
            raise MessageError(name[:64], f"no such field in '{getattr(cls, 'kind', '')}'")
    arguments: dict[str, Any] = {}
    for name, (item, hint) in known.items():
        if name in value:
            arguments[item.name] = _read(value[name], hint, name)
        elif item.default is MISSING:
            raise MessageError(name, "missing")
    return cls(**arguments)


_NAMES = {str: "text", bool: "true or false", int: "a whole number", float: "a number", type(None): "null"}


def _read(value: Any, hint: Any, name: str) -> Any:
    """Return `value` as the annotated type `hint`; only the shapes that stand in this module's dataclasses."""
    if hint == PeerMessage | None:
        return None if value is None else _from_json(value, get_args(PeerMessage), name)
    if get_origin(hint) is tuple:
        if not isinstance(value, list):
            raise MessageError(name, "a list")
        return tuple(_from_json(entry, (get_args(hint)[0],), name) for entry in value)
    if get_origin(hint) is Mapping:
        if not isinstance(value, dict):
            raise MessageError(name, "an object")
        return value
    allowed = get_args(hint) or (hint,)
    if float in allowed:
        allowed = (*allowed, int)
    # A bool is an int to Python, and is not one to JSON.
    if type(value) not in allowed:
        raise MessageError(name, " or ".join(_NAMES[kind] for kind in get_args(hint) or (hint,)))
    return value


def _value_to_json(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_value_to_json(entry) for entry in value]
    if isinstance(value, Mapping):
        return dict(value)
    return to_json(value) if hasattr(value, "kind") else value


def _wire_name(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
