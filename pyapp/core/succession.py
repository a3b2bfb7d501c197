"""The connections of a page load, one after the other, and what each takes over from the one before.

    none     --an ICE configuration is there, and a place-->   a connection
    a connection  --the peer left, or is another-->            the next one, for whoever comes
    a connection  --it cannot be mended-->                     the next one, in its place, at both sides

There is one at a time. What the peer says while there is none is kept for the next.
"""

from dataclasses import dataclass, field

from pyapp.core.delivery import KEPT_COST
from pyapp.core.path.connection import Connection
from pyapp.core.path.facts import Addressed
from pyapp.core.path.outage import Suspect
from pyapp.core.path.outside import Outside
from pyapp.core.path.relays import Relays
from pyapp.core.peers import PeerIds
from pyapp.protocol.peer import PeerMessage
from pyapp.protocol.wire import encode

MAX_EARLY_BYTES = 1 << 20
"""Limit of messages kept until there is a connection, in bytes: an offer and some fifty candidates take 30 kB."""


@dataclass(slots=True)
class Succession:
    """The current connection, and what outlives it. Times are seconds on the runner's clock."""

    relays: Relays
    outside: Outside = field(repr=False)
    """The session, as the connections see it."""
    is_firefox: bool = False
    connection: Connection | None = None
    is_hidden: bool = False
    """Whether the page is hidden."""
    is_watched: bool = False
    """Whether the diagnostics are open."""
    capture_permitted: bool = False
    """Whether the page may see every network interface."""
    every_interface: bool = False
    """Whether the next connection gathers on every interface: both peers seem to be on one network."""
    names: PeerIds = field(init=False, default_factory=PeerIds)
    """For every `RTCPeerConnection` of this page."""
    _early: list[PeerMessage] = field(init=False, default_factory=list)
    """What the peer said before there was a connection, while our ICE configuration was awaited."""
    _early_bytes: int = field(init=False, default=0)
    _restarts_before: int = field(init=False, default=0)
    """ICE restarts of earlier connections in the same session with the same peer."""
    _lost_at: float = field(init=False, default=0.0)
    """When the last working connection was last heard."""
    _replacements: int = field(init=False, default=0)
    """Replacements in a row since the last connection that worked."""

    @property
    def ice_restarts(self) -> int:
        """How many ICE restarts there have been."""
        return self._restarts_before + (self.connection.negotiation.ice_generation if self.connection else 0)

    @property
    def works(self) -> bool:
        """Whether the peers are connected, as far as the person is told."""
        return self.connection is not None and self.connection.established and not self.connection.lost

    def begin_session(self) -> None:
        """Reset the counts: nothing is known of the network or of the peer."""
        self._restarts_before = 0
        self.every_interface = False

    def permit_capture(self, *, permitted: bool) -> None:
        """Set whether the page may see every network interface."""
        self.capture_permitted = permitted
        if self.connection is not None:
            self.connection.relaying.capture_permitted = permitted

    def create(self, *, polite: bool) -> list[Addressed]:
        """Create the next connection."""
        self.connection = Connection(
            self.relays,
            self.names,
            self.outside,
            polite=polite,
            is_hidden=self.is_hidden,
            is_firefox=self.is_firefox,
            every_interface=self.every_interface,
            capture_permitted=self.capture_permitted,
            lost_at=self._lost_at,
        )
        self.connection.observation.is_watched = self.is_watched
        return self.connection.begin()

    def close(self, now: float) -> list[Addressed]:
        """Close the current connection."""
        if self.connection is None:
            return []
        self._restarts_before = self.ice_restarts
        if self.connection.established:
            health = self.connection.recovery.state
            self._lost_at = health.silent_since if isinstance(health, Suspect) else now
        closed, self.connection = self.connection, None
        return closed.close(now)

    def peer_arrived(self, *, is_the_same: bool) -> None:
        """Record that a peer has arrived, and whether it is the one of the last connection."""
        if self.connection is None or self.connection.established:
            return
        self.connection.replacement.is_one = is_the_same
        if not is_the_same:
            self._restarts_before = 0

    def count_replacement(self) -> None:
        """Count the replacement of a connection that cannot be repaired."""
        was_established = self.connection is not None and self.connection.established
        self._replacements = 1 if was_established else self._replacements + 1

    def replaced(self) -> list[Addressed]:
        """Tell the new connection that it is a replacement."""
        return self.connection.replace(self._replacements) if self.connection else []

    def keep(self, message: PeerMessage) -> None:
        """Keep a message of the peer's for the next connection, within the limit."""
        self._early_bytes += len(encode(message)) + KEPT_COST
        if self._early_bytes <= MAX_EARLY_BYTES:
            self._early.append(message)

    def take_early(self) -> list[PeerMessage]:
        """Return what was kept, and forget it."""
        early, self._early, self._early_bytes = self._early, [], 0
        return early
