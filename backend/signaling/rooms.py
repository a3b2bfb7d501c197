"""Sessions and their two places. Pure: events in, a list of what to send and what to close out; no clock, no sockets.

A place has a role that stays with it: the first is impolite, the second polite (W3C WebRTC 1.0, section 10.7).

    free --join--> taken --lose--> held --join by the same participant--> taken
                     |               |
                     +--leave--------+--`hold` seconds pass--> free

A session exists as long as one of its places is not free.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from hmac import compare_digest
from typing import TypeAlias

import msgspec

from backend.access.limits import Limits
from backend.signaling.frames import RelayedFrame, RelayFrame, Sent, together
from pyapp.protocol.signaling import Error, HeldPlace, Join, PeerJoined, PeerLeft, Welcome

MOST_PASSED = 32
"""The most unacknowledged frames resent on a newer socket: enough for an offer with its candidates."""

Socket: TypeAlias = int
"""Whatever number the shell gave the socket."""


class Send(msgspec.Struct, frozen=True):
    """Send `message` on `socket`."""

    socket: Socket
    message: Sent


class Close(msgspec.Struct, frozen=True):
    """Close `socket`, after everything that was sent on it."""

    socket: Socket


class Departed(msgspec.Struct, frozen=True):
    """`participant` has no place in `session` any more; `how` is `left`, `lost`, `replaced` or `revoked`.

    `invitation` is the id of the one with which it came in, or empty.
    """

    session: str
    participant: str
    how: str
    invitation: str = ""


Output: TypeAlias = Send | Close | Departed


@dataclass(slots=True, eq=False)
class Place:
    """One of the two places in a session. `expires` is when a place without a socket is freed."""

    polite: bool
    participant: str = ""
    key: str = field(default="", repr=False)
    name: str = ""  # what the person wants to be called
    address: str = ""
    invitation: str = ""  # its id, empty if none was needed
    latest: int = 0  # `Join.socket` of the one that has the place, or had it last
    socket: Socket | None = None
    expires: float | None = None
    left: str = ""  # who left the other place last, with a goodbye, which may have been lost with a socket
    kept: dict[tuple[int, int], tuple[RelayedFrame, int]] = field(default_factory=dict)
    """Frames received while there was no socket, with their sizes, by epoch and number: a retransmission replaces the
    earlier frame."""
    kept_bytes: int = 0
    passed: dict[int, RelayedFrame] = field(default_factory=dict)
    """Sent but unacknowledged frames by number, resent after a rejoin: a socket can die silently. All are of one epoch
    of either side."""

    @property
    def is_free(self) -> bool:
        """Whether the place is neither taken nor held."""
        return not self.participant

    def free(self) -> None:
        """Forget the participant, and what was kept for it."""
        self.participant = self.key = self.name = self.address = self.invitation = self.left = ""
        self.socket = self.expires = None
        self.latest = 0
        self.forget()

    def forget(self) -> None:
        """Forget what was kept or may have to be resent."""
        self.kept.clear()
        self.kept_bytes = 0
        self.passed.clear()

    def said(self, relay: RelayFrame) -> None:
        """Forget the frames that `relay` acknowledges, and those of an old epoch."""
        if not self.passed:
            return
        one = next(iter(self.passed.values()))
        if relay.peer_epoch > one.epoch or one.peer_epoch not in (0, relay.epoch):  # of, or for, an epoch that is over
            self.passed.clear()
        elif relay.peer_epoch == one.epoch:
            while self.passed and (first := next(iter(self.passed.values()))).last <= relay.ack:
                del self.passed[first.number]

    def was_told(self, frame: RelayedFrame) -> None:
        """Remember `frame`, which was just sent here; frames of the sender's older epochs are useless."""
        if self.passed:
            last = next(iter(self.passed.values()))
            if (last.epoch, last.peer_epoch) != (frame.epoch, frame.peer_epoch):
                self.passed.clear()
        if frame.number:  # the others only acknowledge
            self.passed[frame.number] = frame
            if len(self.passed) > MOST_PASSED:
                del self.passed[next(iter(self.passed))]

    def keep(self, frame: RelayedFrame, size: int, limits: Limits) -> Error | None:
        """Keep `frame`, of `size` bytes, until there is a socket, or say which limit is in the way."""
        at = (frame.epoch, frame.number)
        replaced = self.kept[at][1] if at in self.kept else 0
        if not replaced and len(self.kept) >= limits.kept_frames:
            rule = f"At most {limits.kept_frames} frames are kept for who is not there."
            return Error("limit", rule, "kept-frames")
        if self.kept_bytes - replaced + size > limits.kept_bytes:
            rule = f"At most {limits.kept_bytes} bytes are kept for who is not there."
            return Error("limit", rule, "kept-bytes")
        self.kept[at] = (frame, size)
        self.kept_bytes += size - replaced
        for number in range(frame.number + 1, frame.last + 1):  # sent alone before, and included in this frame now
            self.kept_bytes -= self.kept.pop((frame.epoch, number), (frame, 0))[1]
        return None


@dataclass(slots=True, eq=False)
class Room:
    """One session."""

    name: str
    places: tuple[Place, Place] = field(default_factory=lambda: (Place(polite=False), Place(polite=True)))

    def other(self, place: Place) -> Place:
        """Return the place across from `place`."""
        return self.places[1] if place is self.places[0] else self.places[0]


class Rooms:
    """Every session of the server. `hold` is in seconds; `now` in the methods is of any clock that goes forward.

    `server` names this run of the server, as 32 hexadecimal digits; `build` returns the build of the page that it gives
    out. What a frame costs does not depend on the number of sessions.
    """

    def __init__(
        self, hold: float, limits: Limits | None = None, server: str = "", build: Callable[[], str] = str
    ) -> None:
        self.hold = hold
        self.limits = limits or Limits()
        self.server = server
        self._build = build
        self._rooms: dict[str, Room] = {}
        self._joined: dict[Socket, tuple[Room, Place]] = {}
        self._held: dict[Place, Room] = {}
        """Places without a socket, in the order of their loss, which is the order of expiry."""
        self._places_at: dict[str, Counter[str]] = {}
        """By address: how many places in which sessions."""

    def is_joined(self, socket: Socket) -> bool:
        """Whether `socket` holds a place."""
        return socket in self._joined

    def __contains__(self, session: str) -> bool:
        return session in self._rooms

    def __len__(self) -> int:
        return len(self._rooms)

    @property
    def participants(self) -> int:
        """How many places are held, with a socket or without."""
        return len(self._joined) + len(self._held)

    def knows(self, join: Join) -> bool:
        """Whether `join` only takes back a place that its participant holds."""
        return self.holds(join)

    def holds(self, claim: HeldPlace | Join) -> bool:
        """Whether the participant has the place that it claims. Keys are compared in constant time."""
        return self._place(claim) is not None

    def has(self, session: str, invitation: str) -> bool:
        """Whether somebody has a place in `session` who came in with this invitation (its id)."""
        room = self._rooms.get(session)
        return room is not None and any(not each.is_free and each.invitation == invitation for each in room.places)

    def invitation_of(self, claim: HeldPlace) -> str:
        """Return the id of the invitation with which the participant came in; empty if there was none."""
        place = self._place(claim)
        return place.invitation if place else ""

    def join(self, socket: Socket, join: Join, *, address: str, invitation: str = "", now: float = 0.0) -> list[Output]:
        """Give `socket`, which comes from `address`, the place that `join` asks for, or an `Error`.

        A refused join changes nothing. `invitation` is the id of the one that admitted it. `now` tells how much longer
        a conflicting place is held.
        """
        room = self._rooms.get(join.session) or Room(join.session)
        known = next((place for place in room.places if place.participant == join.participant), None)
        if known:
            if not compare_digest(known.key, join.key):
                return _refuse(socket, "not-joined", "This participant is somebody else.")
            if join.socket < known.latest:
                return _refuse(socket, "superseded", "The same page joined with a newer connection before.")
            return self._resume(socket, room, known, join)
        left = _left_behind(room, join)
        free = [place for place in room.places if place.is_free or place is left]
        place = next((place for place in free if place.polite == join.polite), free[0] if free else None)
        if place is None:
            return _full(socket, room, now)
        limit = self.limits.sessions_per_address
        sessions = self._places_at.get(address, ())
        if room.name not in sessions and len(sessions) >= limit:
            error = Error("limit", f"At most {limit} sessions from one address.", "sessions-per-address")
            return [Send(socket, error), Close(socket)]
        outputs = self._evict(room, left) if left else []
        self._rooms[room.name] = room
        place.participant, place.key, place.address = join.participant, join.key, address
        place.invitation = invitation
        if address not in self._places_at:
            self._places_at[address] = Counter()
        self._places_at[address][room.name] += 1
        return outputs + self._take(socket, room, place, join)

    def relay(self, socket: Socket, relay: RelayFrame, *, size: int) -> list[Output]:
        """Relay a frame of `size` bytes to the other place, or keep it for its recipient."""
        room, place = self._joined[socket]
        other = room.other(place)
        if relay.to and relay.to != other.participant:
            return []  # meant for somebody who is gone: nobody else may get it
        relayed = relay.passed_on(place.participant)
        place.said(relay)
        if other.socket is not None:
            other.was_told(relayed)
            return [Send(other.socket, relayed)]
        refusal = other.keep(relayed, size, self.limits)
        return [Send(socket, refusal)] if refusal else []

    def leave(self, socket: Socket) -> list[Output]:
        """Free the place of `socket` at once: its participant has left."""
        if socket not in self._joined:
            return []
        return self._free(*self._joined.pop(socket))

    def give_up(self, claim: HeldPlace) -> list[Output]:
        """Free the place that `claim` proves, whatever became of its socket: its participant has left."""
        if not self.holds(claim):
            return []
        room = self._rooms[claim.session]
        place = next(place for place in room.places if place.participant == claim.participant)
        outputs: list[Output] = []
        if place.socket is not None:
            del self._joined[place.socket]
            outputs.append(Close(place.socket))
        return outputs + self._free(room, place)

    def lose(self, socket: Socket, *, now: float) -> list[Output]:
        """Hold the place of `socket` for its participant: the socket was lost without a goodbye."""
        if socket not in self._joined:
            return []
        room, place = self._joined.pop(socket)
        place.socket = None
        place.expires = now + self.hold
        self._held[place] = room
        return []

    def expire(self, *, now: float) -> list[Output]:
        """Free the places whose hold has expired."""
        outputs: list[Output] = []
        while (at := self.next_expiry()) is not None and at <= now:
            place, room = next(iter(self._held.items()))
            outputs += self._free(room, place, how="lost")
        return outputs

    def next_expiry(self) -> float | None:
        """Return when `expire` has something to do next, or None."""
        return next(iter(self._held)).expires if self._held else None

    def revoke(self, invitations: Collection[str]) -> list[Output]:
        """Free the places of whoever came in with one of these invitations."""
        outputs: list[Output] = []
        held = [(room, place) for room in self._rooms.values() for place in room.places]
        for room, place in held:
            if place.invitation in invitations:
                if place.socket is not None:
                    del self._joined[place.socket]
                    outputs += _refuse(place.socket, "invitation-revoked", "This invitation was taken back.")
                outputs += self._free(room, place, how="revoked")
        return outputs

    def _place(self, claim: HeldPlace | Join) -> Place | None:
        room = self._rooms.get(claim.session)
        places = room.places if room else ()
        found = (one for one in places if one.participant == claim.participant and compare_digest(one.key, claim.key))
        return next(found, None)

    def _resume(self, socket: Socket, room: Room, place: Place, join: Join) -> list[Output]:
        outputs: list[Output] = []
        if place.socket is not None:
            del self._joined[place.socket]
            outputs += _refuse(place.socket, "superseded", "The same page joined again with a newer connection.")
        return outputs + self._take(socket, room, place, join)

    def _take(self, socket: Socket, room: Room, place: Place, join: Join) -> list[Output]:
        other = room.other(place)
        place.socket, place.expires, place.latest, place.name = socket, None, join.socket, join.name
        self._held.pop(place, None)
        self._joined[socket] = (room, place)
        tab = tab_of(room.name, other.key) if other.key else ""
        left = place.left if other.is_free else ""
        welcome = Welcome(place.polite, other.participant, self.server, self.hold, tab, other.name, self._build(), left)
        outputs: list[Output] = [Send(socket, welcome)]
        # Frames relayed to the last socket may be lost with it. Duplicates are recognized by number.
        outputs += [Send(socket, relayed) for relayed in place.passed.values()]
        for relayed in together(frame for frame, _ in place.kept.values()):
            place.was_told(relayed)
            outputs.append(Send(socket, relayed))
        place.kept.clear()
        place.kept_bytes = 0
        if other.socket is not None:
            joined = PeerJoined(place.participant, tab_of(room.name, place.key), place.name)
            outputs.append(Send(other.socket, joined))
        return outputs

    def _evict(self, room: Room, place: Place) -> list[Output]:
        outputs: list[Output] = []
        if place.socket is not None:
            del self._joined[place.socket]
            outputs = _refuse(place.socket, "replaced", "This tab joined with a newer page.")
        return outputs + self._free(room, place, how="replaced")

    def _free(self, room: Room, place: Place, *, how: str = "left") -> list[Output]:
        participant, invitation, other = place.participant, place.invitation, room.other(place)
        self._held.pop(place, None)
        sessions = self._places_at[place.address]
        sessions[room.name] -= 1
        if not sessions[room.name]:
            del sessions[room.name]
        if not sessions:
            del self._places_at[place.address]
        place.free()
        other.forget()  # it came from who is gone now: an offer of a ghost
        if not other.is_free and how != "lost":
            other.left = participant
        if other.is_free:
            del self._rooms[room.name]
        outputs: list[Output] = [Departed(room.name, participant, how, invitation)]
        if other.socket is not None:
            outputs.append(Send(other.socket, PeerLeft(participant, how == "lost")))
        return outputs


def _left_behind(room: Room, join: Join) -> Place | None:
    """Return the place of the same tab's last page load: it was reloaded when its goodbye could not be sent.

    A duplicated tab has the same key, too. It gets a place of its own as long as there is one.
    """
    is_full = not any(place.is_free for place in room.places)
    for place in room.places:
        if not place.is_free and compare_digest(place.key, join.key) and (place.socket is None or is_full):
            return place
    return None


def tab_of(session: str, key: str) -> str:
    """Return the tab identifier for the peer: 32 hexadecimal digits that do not reveal the key."""
    return hashlib.sha256(f"{session}\n{key}".encode()).hexdigest()[:32]


def _full(socket: Socket, room: Room, now: float) -> list[Output]:
    """Refuse a join because there is no free place, and say so if one is only held."""
    kept = [place.expires for place in room.places if place.expires is not None]
    if not kept:
        return _refuse(socket, "session-full", "This session is full: two are in it already.")
    rest = max(min(kept) - now, 0.0)
    rule = "One of the two places is kept for somebody whose connection was lost."
    return [Send(socket, Error("place-held", rule, retry_after=round(rest, 1))), Close(socket)]


def _refuse(socket: Socket, code: str, message: str) -> list[Output]:
    return [Send(socket, Error(code, message)), Close(socket)]
