"""Identifiers of `RTCPeerConnection`s: a page may have several at once, and events of a closed one may still arrive."""

from dataclasses import dataclass, field
from typing import NewType

PeerId = NewType("PeerId", int)
"""Identifies one `RTCPeerConnection` of this page load, in its commands and events. No identifier is used twice, so
that a late event of a closed connection is not taken for another's."""

NO_PEER = PeerId(0)
"""Identifies none."""


@dataclass(slots=True)
class PeerIds:
    """Allocates identifiers, for all parts that own an `RTCPeerConnection`."""

    _last: int = field(init=False, default=NO_PEER)

    def next(self) -> PeerId:
        """Return an unused identifier."""
        self._last += 1
        return PeerId(self._last)
