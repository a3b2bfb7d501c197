"""Sessions and their two places. Pure: events in, a list of what to send and what to close out; no clock, no sockets.

A place has a role that stays with it: the first is impolite, the second polite (W3C WebRTC 1.0, section 10.7).

    free --join--> taken --lose--> held --join by the same participant--> taken
                     |               |
                     +--leave--------+--`hold` seconds pass--> free

A session exists as long as one of its places is not free.
"""

from collections import deque
from dataclasses import dataclass, field
from hmac import compare_digest
from typing import TypeAlias

from backend.access.limits import Limits
from pyapp.protocol.signaling import (
    Error,
    HeldPlace,
    Join,
    PeerJoined,
    PeerLeft,
    Relay,
    Relayed,
    ServerMessage,
    Welcome,
)

MOST_PASSED = 32
"""Frames that are sent again on a newer socket: an offer with its candidates, and more."""

Socket: TypeAlias = int
"""Whatever number the shell gave the socket."""


@dataclass(frozen=True, slots=True)
class Send:
    """Send `message` on `socket`."""

    socket: Socket
    message: ServerMessage


@dataclass(frozen=True, slots=True)
class Close:
    """Close `socket`, after everything that was sent on it."""

    socket: Socket


Output: TypeAlias = Send | Close


@dataclass(slots=True)
class Place:
    """One of the two places in a session. `expires` is when a place without a socket is freed."""

    polite: bool
    participant: str = ""
    key: str = field(default="", repr=False)
    address: str = ""
    latest: int = 0  # `Join.socket` of the one that has the place, or had it last
    socket: Socket | None = None
    expires: float | None = None
    kept: list[tuple[Relayed, int]] = field(default_factory=list)
    """Frames that came while there was no socket, with their sizes."""
    passed: deque[Relayed] = field(default_factory=lambda: deque(maxlen=MOST_PASSED))
    """Those that were sent here, and are not known to have come: a socket dies with its network, and nobody is told."""

    @property
    def is_free(self) -> bool:
        """Whether nobody is here, and nobody is expected back."""
        return not self.participant

    def free(self) -> None:
        """Forget the participant, and what was kept for it."""
        self.participant = self.key = self.address = ""
        self.socket = self.expires = None
        self.latest = 0
        self.kept.clear()
        self.passed.clear()

    def said(self, relay: Relay) -> None:
        """Forget what was passed here and has come, by the acknowledgement in `relay`; or is of no use any more."""
        self.passed = deque(
            (
                frame
                for frame in self.passed
                if relay.peer_epoch <= frame.epoch  # of what the other side has given up
                and (relay.peer_epoch < frame.epoch or relay.ack < frame.number)
                and frame.peer_epoch in (0, relay.epoch)  # for what this side has given up
            ),
            MOST_PASSED,
        )

    def was_told(self, frame: Relayed) -> None:
        """Remember `frame`, which was sent here, and nothing that its sender would say differently now."""
        if self.passed and (self.passed[0].epoch, self.passed[0].peer_epoch) != (frame.epoch, frame.peer_epoch):
            self.passed.clear()
        if frame.number:  # the others only acknowledge
            self.passed.append(frame)


@dataclass(slots=True)
class Room:
    """One session."""

    name: str
    places: tuple[Place, Place] = field(default_factory=lambda: (Place(polite=False), Place(polite=True)))

    def other(self, place: Place) -> Place:
        """Return the place across from `place`."""
        return self.places[1] if place is self.places[0] else self.places[0]


@dataclass(slots=True)
class Rooms:
    """Every session of the server. `hold` is in seconds; `now` in the methods is of any clock that goes forward.

    `server` names this run of the server, as 32 hexadecimal digits.
    """

    hold: float
    limits: Limits = field(default_factory=Limits)
    server: str = ""
    _rooms: dict[str, Room] = field(default_factory=dict)
    _joined: dict[Socket, tuple[Room, Place]] = field(default_factory=dict)

    def is_joined(self, socket: Socket) -> bool:
        """Whether `socket` holds a place."""
        return socket in self._joined

    def __contains__(self, session: str) -> bool:
        return session in self._rooms

    def knows(self, join: Join) -> bool:
        """Whether `join` only takes back a place that its participant holds."""
        return self.holds(HeldPlace(join.session, join.participant, join.key))

    def holds(self, claim: HeldPlace) -> bool:
        """Whether the participant has the place that it claims. Keys are compared in constant time."""
        room = self._rooms.get(claim.session)
        return room is not None and any(
            place.participant == claim.participant and compare_digest(place.key, claim.key) for place in room.places
        )

    def join(self, socket: Socket, join: Join, *, address: str) -> list[Output]:
        """Give `socket`, which comes from `address`, the place that `join` asks for, or an `Error`."""
        room = self._rooms.get(join.session) or Room(join.session)
        known = next((place for place in room.places if place.participant == join.participant), None)
        if known:
            if not compare_digest(known.key, join.key):
                return _refuse(socket, "not-joined", "This participant is somebody else.")
            if join.socket < known.latest:
                return _refuse(socket, "superseded", "The same page joined with a newer connection before.")
            return self._resume(socket, room, known, join)
        outputs = self._make_room(room, join)
        free = [place for place in room.places if place.is_free]
        place = next((place for place in free if place.polite == join.polite), free[0] if free else None)
        if place is None:
            return _refuse(socket, "session-full", "This session is full: two are in it already.")
        limit = self.limits.sessions_per_address
        if len(self._sessions_of(address) | {room.name}) > limit:
            error = Error("limit", f"At most {limit} sessions from one address.", "sessions-per-address")
            return [Send(socket, error), Close(socket)]
        self._rooms[room.name] = room
        place.participant, place.key, place.address = join.participant, join.key, address
        return outputs + self._take(socket, room, place, join)

    def relay(self, socket: Socket, relay: Relay, *, size: int) -> list[Output]:
        """Hand `relay`, a frame of `size` bytes, to the other place, or keep it for whoever it is meant for."""
        room, place = self._joined[socket]
        other = room.other(place)
        if relay.to not in ("", other.participant):
            return []  # meant for somebody who is gone: nobody else may get it
        relayed = Relayed(place.participant, relay.number, relay.ack, relay.body, relay.epoch, relay.peer_epoch)
        place.said(relay)
        if other.socket is not None:
            other.was_told(relayed)
            return [Send(other.socket, relayed)]
        if len(other.kept) >= self.limits.kept_frames:
            rule = f"At most {self.limits.kept_frames} frames are kept for who is not there."
            return [Send(socket, Error("limit", rule, "kept-frames"))]
        if sum(kept for _, kept in other.kept) + size > self.limits.kept_bytes:
            rule = f"At most {self.limits.kept_bytes} bytes are kept for who is not there."
            return [Send(socket, Error("limit", rule, "kept-bytes"))]
        other.kept.append((relayed, size))
        return []

    def leave(self, socket: Socket) -> list[Output]:
        """Free the place of `socket` at once: its participant said goodbye."""
        if socket not in self._joined:
            return []
        return self._free(*self._joined.pop(socket))

    def lose(self, socket: Socket, *, now: float) -> list[Output]:
        """Hold the place of `socket` for its participant: the socket is gone, and nobody said goodbye."""
        if socket not in self._joined:
            return []
        _, place = self._joined.pop(socket)
        place.socket = None
        place.expires = now + self.hold
        return []

    def expire(self, *, now: float) -> list[Output]:
        """Free the places that were held long enough."""
        held = [
            (room, place)
            for room in self._rooms.values()
            for place in room.places
            if place.expires is not None and place.expires <= now
        ]
        return [output for room, place in held for output in self._free(room, place, lost=True)]

    def next_expiry(self) -> float | None:
        """Return when `expire` has something to do next, or None."""
        times = (place.expires for room in self._rooms.values() for place in room.places)
        return min((time for time in times if time is not None), default=None)

    def _resume(self, socket: Socket, room: Room, place: Place, join: Join) -> list[Output]:
        outputs: list[Output] = []
        if place.socket is not None:
            del self._joined[place.socket]
            outputs += _refuse(place.socket, "superseded", "The same page joined again with a newer connection.")
        return outputs + self._take(socket, room, place, join)

    def _take(self, socket: Socket, room: Room, place: Place, join: Join) -> list[Output]:
        other = room.other(place)
        place.socket, place.expires, place.latest = socket, None, join.socket
        self._joined[socket] = (room, place)
        outputs: list[Output] = [Send(socket, Welcome(place.polite, other.participant, self.server, self.hold))]
        # What was passed on to the last socket may be lost with it. What comes twice is known by its number.
        outputs += [Send(socket, relayed) for relayed in place.passed]
        for relayed, _ in place.kept:
            place.was_told(relayed)
            outputs.append(Send(socket, relayed))
        place.kept.clear()
        if other.socket is not None:
            outputs.append(Send(other.socket, PeerJoined(place.participant)))
        return outputs

    def _make_room(self, room: Room, join: Join) -> list[Output]:
        """Free the place of the same tab's last page load: it was reloaded when its goodbye could not be sent.

        A duplicated tab has the same key, too. It gets a place of its own as long as there is one.
        """
        is_full = not any(place.is_free for place in room.places)
        for place in room.places:
            if place.key == join.key and (place.socket is None or is_full):
                outputs: list[Output] = []
                if place.socket is not None:
                    del self._joined[place.socket]
                    outputs = _refuse(place.socket, "replaced", "This tab joined with a newer page.")
                return outputs + self._free(room, place)
        return []

    def _free(self, room: Room, place: Place, *, lost: bool = False) -> list[Output]:
        participant, other = place.participant, room.other(place)
        place.free()
        for theirs in (other.kept, other.passed):
            theirs.clear()  # it came from who is gone now: an offer of a ghost
        if other.is_free:
            del self._rooms[room.name]
        return [Send(other.socket, PeerLeft(participant, lost))] if other.socket is not None else []

    def _sessions_of(self, address: str) -> set[str]:
        return {room.name for room in self._rooms.values() for place in room.places if place.address == address}


def _refuse(socket: Socket, code: str, message: str) -> list[Output]:
    return [Send(socket, Error(code, message)), Close(socket)]
