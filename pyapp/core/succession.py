"""The connections of a page load, one after the other: what the next one takes over from the last.

    none     --an ICE configuration is there, and a place-->   a connection
    a connection  --the other side left, or is another-->      the next one, for whoever comes
    a connection  --it cannot be mended-->                     the next one, in its place, at both sides

There is one at a time. What the other side says while there is none is kept for the next.
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
"""Of messages that are kept until there is a connection: an offer and some fifty candidates are 30 kB."""


@dataclass(slots=True)
class Succession:
    """The connection that there is, and what is known beyond it. Times are seconds on the runner's clock."""

    relays: Relays
    outside: Outside = field(repr=False)
    """The session, as a connection may ask it."""
    is_firefox: bool = False
    connection: Connection | None = None
    is_hidden: bool = False
    """Whether the page is."""
    capture_permitted: bool = False
    """Whether the page may know every interface."""
    every_interface: bool = False
    """Whether the next connection gathers on every interface: both sides seem to be on one network."""
    _names: PeerIds = field(init=False, default_factory=PeerIds)
    _early: list[PeerMessage] = field(init=False, default_factory=list)
    """What the other side said before there was a connection, since our ICE configuration was on its way."""
    _early_bytes: int = field(init=False, default=0)
    _restarts_before: int = field(init=False, default=0)
    """ICE restarts of the connections before this one, in the same session with the same other side."""
    _lost_at: float = field(init=False, default=0.0)
    """When the last connection that had worked was heard last."""
    _replacements: int = field(init=False, default=0)
    """Connections in a row that took the place of one another, and of one that was lost."""

    @property
    def ice_restarts(self) -> int:
        """How many there were so far."""
        return self._restarts_before + (self.connection.negotiation.ice_generation if self.connection else 0)

    @property
    def works(self) -> bool:
        """Whether the two sides are connected, as far as the person knows."""
        return self.connection is not None and self.connection.established and not self.connection.lost

    def begin_session(self) -> None:
        """Begin to count anew: nothing is known of the network, or of the other side."""
        self._restarts_before = 0
        self.every_interface = False

    def permit_capture(self, *, permitted: bool) -> None:
        """Take it whether the page may know every interface, from now on."""
        self.capture_permitted = permitted
        if self.connection is not None:
            self.connection.relaying.capture_permitted = permitted

    def create(self, *, polite: bool) -> list[Addressed]:
        """Make the next one."""
        self.connection = Connection(
            self.relays,
            self._names,
            self.outside,
            polite=polite,
            is_hidden=self.is_hidden,
            is_firefox=self.is_firefox,
            every_interface=self.every_interface,
            capture_permitted=self.capture_permitted,
            lost_at=self._lost_at,
        )
        return self.connection.begin()

    def close(self, now: float) -> list[Addressed]:
        """End the one that there is."""
        if self.connection is None:
            return []
        self._restarts_before = self.ice_restarts
        if self.connection.established:
            health = self.connection.recovery.state
            self._lost_at = health.silent_since if isinstance(health, Suspect) else now
        closed, self.connection = self.connection, None
        return closed.close()

    def peer_arrived(self, *, is_the_same: bool) -> None:
        """Take it that the other side is there, and whether it is the one that the last connection was with."""
        if self.connection is None or self.connection.established:
            return
        self.connection.replaces = is_the_same
        if not is_the_same:
            self._restarts_before = 0

    def count_replacement(self) -> None:
        """Take it that another one takes the place of this one, which cannot be mended."""
        was_established = self.connection is not None and self.connection.established
        self._replacements = 1 if was_established else self._replacements + 1

    def replaced(self) -> list[Addressed]:
        """Have the new one do as one that takes another's place."""
        return self.connection.replace(self._replacements) if self.connection else []

    def keep(self, message: PeerMessage) -> None:
        """Keep what the other side says for the next connection, as long as it is not too much."""
        self._early_bytes += len(encode(message)) + KEPT_COST
        if self._early_bytes <= MAX_EARLY_BYTES:
            self._early.append(message)

    def take_early(self) -> list[PeerMessage]:
        """Return what was kept, once; or forget it, if it was of another side."""
        early, self._early, self._early_bytes = self._early, [], 0
        return early
