"""Which `RTCPeerConnection`: a page may have several at once, and events of one that is closed may be on the way."""

from dataclasses import dataclass, field
from typing import NewType

PeerId = NewType("PeerId", int)
"""Names one `RTCPeerConnection` of this page load, in every command to it and every event of it. None is named twice,
so that what comes late from one that is closed is not taken for another's."""

NO_PEER = PeerId(0)
"""Names none."""


@dataclass(slots=True)
class PeerIds:
    """Gives names out, one set of them for all parts that have an `RTCPeerConnection`."""

    _last: int = field(init=False, default=NO_PEER)

    def next(self) -> PeerId:
        """Return one that nobody has had."""
        self._last += 1
        return PeerId(self._last)
