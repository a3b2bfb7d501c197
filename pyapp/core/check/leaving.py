"""Connections that a check is done with, but whose relays are still on their way. Pure.

    leaving   --gathering has ended, or takes too long-->   closed, which gives the relays back

A connection that is closed gives back the relays that it knows of, by a refresh to a lifetime of 0 (RFC 8656, section
7.1). If the answer to an Allocate is still on its way, the browser forgets that it asked, and the server holds that
relay for ten minutes.
"""

from dataclasses import dataclass, field

from pyapp.core import commands, events
from pyapp.core.commands import Command
from pyapp.core.events import PeerEvent
from pyapp.core.peers import PeerId

LEAVE_FOR = 2.0
"""Seconds for the answers that are on their way."""


@dataclass(slots=True)
class Leaving:
    """Any number of them."""

    _until: dict[PeerId, float | None] = field(init=False, default_factory=dict)
    """When each is closed at the latest; None until the next tick."""

    def add(self, peer: PeerId) -> None:
        """Take a connection over, to close it soon."""
        self._until[peer] = None

    def owns(self, peer: PeerId) -> bool:
        """Whether `peer` is one of them."""
        return peer in self._until

    @property
    def is_empty(self) -> bool:
        """Whether all are closed."""
        return not self._until

    def receive(self, peer: PeerId, event: PeerEvent) -> list[Command]:
        """Handle an event of one of them."""
        match event:
            case events.LocalCandidatesEnded() | events.PeerOperationFailed():
                return [self._close(peer)]
        return []

    def tick(self, now: float) -> list[Command]:
        """Close those that have had their time."""
        self._until = {peer: now + LEAVE_FOR if until is None else until for peer, until in self._until.items()}
        return [self._close(peer) for peer, until in tuple(self._until.items()) if until is not None and now >= until]

    def _close(self, peer: PeerId) -> Command:
        del self._until[peer]
        return commands.OfPeer(peer, commands.ClosePeer())
