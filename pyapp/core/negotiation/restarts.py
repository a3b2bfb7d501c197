"""When ICE is restarted: a restart that can wait follows the one before it.

    wanted   --the last one is at work at both ends, or has had its time-->   begun, unless a beat is late
    wanted   --another one is agreed meanwhile-->                             not wanted any more

An attempt of the recovery does not wait.
"""

from dataclasses import dataclass, field
from typing import TypeAlias

from pyapp.core import commands
from pyapp.core.commands import PartCommand, PeerCommand
from pyapp.core.negotiation.negotiation import Negotiation, ToPeer
from pyapp.core.path.recovery import Recovery
from pyapp.core.timers import RelayingTimer
from pyapp.protocol import entries
from pyapp.protocol.entries import Entry
from pyapp.protocol.peer import RestartWanted

TIMER = RelayingTimer.RESTART

SETTLES_WITHIN = 5.0
"""Seconds that an ICE generation has to work at both ends before a restart that can wait replaces it. During a restart
Firefox sends on the generation before: if that one has no pair, its DTLS fails, and with it the connection."""

AGAIN_AFTER = 0.2
"""Seconds before checking again whether it has settled."""

Output: TypeAlias = PeerCommand | PartCommand | Entry | ToPeer


@dataclass(slots=True)
class Restarts:
    """The ICE restarts of one connection: `agreed` has what was negotiated, `health` what of it works."""

    agreed: Negotiation
    health: Recovery
    _agreed_at: float = field(init=False, default=0.0)
    """When the ICE generation of the last exchange was agreed."""
    asked_peer: bool = field(init=False, default=False)
    """Whether we left a restart to the peer, and its offer has not arrived yet."""
    _wanted: str = field(init=False, default="")
    """Why ICE is to be restarted once the last restart has settled, or empty."""

    @property
    def is_proven(self) -> bool:
        """Whether the last agreed generation works at both ends."""
        return self.agreed.ice_generation <= min(self.health.vitals.generation, self.health.vitals.peer_generation)

    def is_settling(self, now: float) -> bool:
        """Return whether an exchange is under way, or the agreed generation still has time to work."""
        is_recent = now - self._agreed_at < SETTLES_WITHIN
        return self.agreed.state != "stable" or (is_recent and not self.is_proven)

    def negotiated(self, now: float) -> None:
        """Record that a new ICE generation is agreed: it serves whatever another one was wanted for."""
        self._agreed_at, self._wanted = now, ""

    def want(self, why: str, now: float) -> list[Output]:
        """Begin a restart as soon as the last one has settled, unless another one is agreed by then."""
        self._wanted = why
        return self.begin_if_settled(now)

    def begin_if_settled(self, now: float) -> list[Output]:
        """Begin the wanted restart, or check again in a moment (timer `TIMER`)."""
        if not self._wanted:
            return []
        if self.is_settling(now) or self.health.is_doubtful:
            return [commands.StartTimer(TIMER, AGAIN_AFTER)]
        why, self._wanted = self._wanted, ""
        return self.begin(why, now)

    def begin(self, why: str, now: float, *, replace_offer: bool = False) -> list[Output]:
        """Restart ICE, or ask the peer to if its browser must make the offer; `replace_offer` as in the negotiation."""
        begun = entries.Restart(why)
        if self.agreed.leaves_restarts:
            self.asked_peer = True
            return [begun, ToPeer(RestartWanted(self.agreed.latest_generation))]
        if self.agreed.gathers_relays:
            self.health.restart_offered(now)
        return [begun, *self.agreed.restart(replace_offer=replace_offer)]
