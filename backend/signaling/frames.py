"""Fast reading and writing of the frames that the server relays, and of other frequent ones.

The server does not read what one page tells the other: the recipient checks it. So a frame is decoded only as far as
the server needs (msgspec: a hundredth of the time of a self-checking message). Everything else, and every malformed
frame, goes through `pyapp.protocol.signaling`, which has the error messages.
"""

from collections.abc import Iterable
from dataclasses import fields
from typing import Annotated, Any, TypeAlias, get_args

import msgspec

from pyapp.protocol.journal import Journaled
from pyapp.protocol.peer import PeerMessage
from pyapp.protocol.signaling import (
    MOST_TOGETHER,
    ClientMessage,
    Cost,
    Error,
    Join,
    Leave,
    PeerJoined,
    PeerLeft,
    Pong,
    Relay,
    Welcome,
    decode_client,
)
from pyapp.protocol.wire import encode

_Whole = Annotated[int, msgspec.Meta(ge=0, lt=2**53)]
_Participant = Annotated[str, msgspec.Meta(pattern="^(?:[0-9a-f]{32})?$", max_length=32)]
_Bodies = Annotated[tuple[msgspec.Raw, ...], msgspec.Meta(max_length=MOST_TOGETHER)]

_NULL = msgspec.Raw(b"null")


class RelayFrame(
    msgspec.Struct, frozen=True, tag_field="kind", tag="relay", rename="camel", forbid_unknown_fields=True, gc=False
):
    """A `Relay` whose bodies were not read."""

    to: _Participant
    number: _Whole
    ack: _Whole
    body: msgspec.Raw
    epoch: _Whole = 1
    peer_epoch: _Whole = 0
    more: _Bodies = ()

    @property
    def last(self) -> int:
        """The number of the last body in the frame; 0 if it only acknowledges."""
        return self.number + len(self.more)

    def passed_on(self, sender: str) -> "RelayedFrame":
        """Return the frame for the peer."""
        return RelayedFrame(sender, self.number, self.ack, self.body, self.epoch, self.peer_epoch, self.more)


class RelayedFrame(
    msgspec.Struct, frozen=True, tag_field="kind", tag="relayed", rename="camel", omit_defaults=True, gc=False
):
    """A `Relayed` whose bodies were not read."""

    sender: str
    number: int
    ack: int
    body: msgspec.Raw
    epoch: int = 1
    peer_epoch: int = 0
    more: tuple[msgspec.Raw, ...] = ()

    @property
    def last(self) -> int:
        """The number of the last body in the frame; 0 if it only acknowledges."""
        return self.number + len(self.more)

    def continues(self, frame: "RelayedFrame") -> bool:
        """Return whether the bodies of both could be in one frame, those of `frame` first."""
        is_next = self.number == frame.last + 1 and frame.number > 0
        is_of_same = (self.sender, self.epoch, self.peer_epoch) == (frame.sender, frame.epoch, frame.peer_epoch)
        return is_next and is_of_same and len(frame.more) + 1 + len(self.more) <= MOST_TOGETHER


class JoinFrame(msgspec.Struct, frozen=True, tag_field="kind", tag="join", forbid_unknown_fields=True, gc=False):
    """The fields of a `Join`, which checks them."""

    session: str
    participant: str
    key: str
    invitation: str = ""
    polite: bool | None = None
    socket: _Whole = 1
    name: str = ""


class LeaveFrame(msgspec.Struct, frozen=True, tag_field="kind", tag="leave", forbid_unknown_fields=True, gc=False):
    """A `Leave`."""


Received: TypeAlias = ClientMessage | RelayFrame
"""What a page says, as the server reads it: never a `Relay`."""

_Own: TypeAlias = Welcome | PeerJoined | PeerLeft | Journaled | Pong | Cost | Error

Sent: TypeAlias = _Own | RelayedFrame
"""What the server says."""


def _struct(kind: type[_Own]) -> tuple[type[msgspec.Struct], tuple[str, ...]]:
    """Return a struct that is written like a message of the class `kind`, and the names of its fields."""
    names = tuple(item.name for item in fields(kind))
    members = [(name, Any) for name in names]
    struct = msgspec.defstruct(kind.__name__, members, tag_field="kind", tag=kind.kind, rename="camel", gc=False)
    return struct, names


_structs = {kind: _struct(kind) for kind in get_args(_Own)}

_decoder = msgspec.json.Decoder(RelayFrame | JoinFrame | LeaveFrame)
_encoder = msgspec.json.Encoder()


def read(text: str) -> Received:
    """Return the message in a frame, or raise `MessageError`."""
    try:
        frame: RelayFrame | JoinFrame | LeaveFrame = _decoder.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        message = decode_client(text)
        return carried(message) if isinstance(message, Relay) else message
    if isinstance(frame, RelayFrame):  # most are
        if (bytes(frame.body) == b"null") != (frame.number == 0) or (frame.more and not frame.number):
            decode_client(text)  # says what is wrong
        return frame
    return Leave() if isinstance(frame, LeaveFrame) else Join(*msgspec.structs.astuple(frame))


def together(frames: Iterable[RelayedFrame]) -> list[RelayedFrame]:
    """Return `frames` with those that continue each other in one: to a page, a frame costs more than a body in it."""
    result: list[RelayedFrame] = []
    for frame in frames:
        if result and frame.continues(last := result[-1]):
            more = (*last.more, frame.body, *frame.more)
            result[-1] = RelayedFrame(last.sender, last.number, frame.ack, last.body, last.epoch, last.peer_epoch, more)
        else:
            result.append(frame)
    return result


def write(message: Sent) -> bytes:
    """Return the text of a frame, in UTF-8."""
    if isinstance(message, RelayedFrame):
        return _encoder.encode(message)
    struct, names = _structs[type(message)]
    return _encoder.encode(struct(*[getattr(message, name) for name in names]))


def carried(relay: Relay) -> RelayFrame:
    """Return `relay` as the server carries it."""
    bodies = tuple(_raw(body) for body in relay.more)
    body = _NULL if relay.body is None else _raw(relay.body)
    return RelayFrame(relay.to, relay.number, relay.ack, body, relay.epoch, relay.peer_epoch, bodies)


def _raw(body: PeerMessage) -> msgspec.Raw:
    return msgspec.Raw(encode(body).encode())
