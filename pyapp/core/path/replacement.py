"""A connection that replaces a lost one is itself replaced until one works.

replaces  --the timer--------------->  the next one, after a growing pause
replaces  --a change of network----->  the next one, soon: earlier candidates are useless
waiting   --we have joined again---->  the next one, soon: without the server no offer reaches the peer
"""

from dataclasses import dataclass, field

from pyapp.core import commands
from pyapp.core.path.facts import Output, ReplacementWanted
from pyapp.core.path.observation import Observation
from pyapp.core.path.outside import Outside
from pyapp.core.path.recovery import Recovery
from pyapp.core.timers import ConnectionTimer
from pyapp.protocol import entries

RENEW = ConnectionTimer.RENEW

RENEW_AFTER, LAST_RENEW_AFTER = 12.0, 60.0
"""Seconds that a replacement of a lost `RTCPeerConnection` has before the next one: the first, and the most."""

RENEW_SOON = 0.3
"""The same after a change of the network, or once the server is back: earlier candidates are useless."""


@dataclass(slots=True)
class Replacement:
    """Whether a connection replaces a lost one, and what follows from that. Times are seconds."""

    health: Recovery
    observation: Observation
    outside: Outside = field(repr=False)
    is_one: bool = field(init=False, default=False)
    """Whether it replaces a lost connection: the person waits for it, and we keep trying until it works."""
    _waits: bool = field(init=False, default=False)
    """Whether the next one waits for the server."""

    @property
    def is_awaited(self) -> bool:
        """Whether it is one that has not worked yet."""
        return self.is_one and not self.observation.established

    def begin(self, number: int) -> list[Output]:
        """Begin as the `number`-th replacement in a row: start the timer for the next one."""
        self.is_one = True
        after = min(RENEW_AFTER * 1.5 ** min(number - 1, 10), LAST_RENEW_AFTER)
        return [commands.StartTimer(RENEW, after, spread=after / 6)]

    def soon(self) -> list[Output]:
        """Shorten the pause before the next one: the network has changed, or the server is back."""
        return [commands.StartTimer(RENEW, RENEW_SOON)] if self.is_awaited else []

    def due(self) -> list[Output]:
        """Ask for the next one, if this one does not work yet (timer `RENEW`)."""
        if self.observation.established:
            return []
        if not self.outside.signaling_is_there:
            self._waits = True
            return []
        return [ReplacementWanted()]

    def joined(self) -> bool:
        """Record that we have a place at the server; return whether the next one waited for that."""
        waited, self._waits = self._waits, False
        return waited

    def works(self, seconds: float) -> list[Output]:
        """Record that it works for the first time, `seconds` after the connection before it was last heard."""
        if not self.is_one:
            return []
        self.health.last_outage = seconds
        return [entries.Recovered(anew=True, seconds=round(seconds, 3), attempts=0)]
