"""The other `RTCPeerConnection`s beside the one in use: the standby, and the probe for UDP."""

from dataclasses import dataclass
from typing import assert_never

from pyapp.core import commands
from pyapp.core.diagnostics.path_report import PathReport
from pyapp.core.events import PeerEvent
from pyapp.core.negotiation.candidates import Candidates
from pyapp.core.path import probe
from pyapp.core.path.facts import FrameReceived, Output
from pyapp.core.path.in_use import PathInUse
from pyapp.core.path.probe import Probe
from pyapp.core.path.relaying import Relaying
from pyapp.core.path.standby import Standby
from pyapp.core.peers import PeerId
from pyapp.core.timers import AsideTimer
from pyapp.protocol import entries
from pyapp.protocol.peer import StandbyDescription


@dataclass(slots=True)
class Aside:
    """Those of one connection, whose parts it uses. Times are seconds on the runner's clock."""

    in_use: PathInUse
    candidates: Candidates
    relaying: Relaying
    standby: Standby
    probe: Probe

    def owns(self, peer: PeerId) -> bool:
        """Return whether `peer` is the standby's, or the probe's."""
        return peer in (self.standby.peer, self.probe.peer)

    def receive(self, peer: PeerId, event: PeerEvent, now: float) -> list[Output]:
        """Handle an event of `peer`, one of ours."""
        if peer != self.standby.peer:
            return self._probed(event, now)
        result: list[Output] = [*self.standby.receive(event, now)]
        if any(isinstance(output, FrameReceived) for output in result):
            result += self.in_use.health.heard_aside(now)
        return result

    def due(self, timer: AsideTimer, now: float) -> list[Output]:
        """Do what the timer was set for."""
        match timer:
            case AsideTimer.STANDBY:
                return [*self.standby.due(self.in_use, now)]
            case AsideTimer.PROBE:
                servers = self.in_use.relays.usual(gathered=False)
                return [*self.probe.due(servers, now, is_quiet=self.in_use.health.is_quiet)]
            case _:
                assert_never(timer)

    def said(self, message: StandbyDescription) -> list[Output]:
        """Handle the peer's description of its standby."""
        return [*self.standby.said(message, self.in_use)]

    def network_may_have_changed(self, now: float, *, certain: bool) -> list[Output]:
        """Query soon whether UDP gets out; `certain` as in `NetworkChanged`."""
        return [*self.probe.may_have_changed(now, certain=certain)]

    def review_probe(self, report: PathReport) -> list[Output]:
        """Probe while the path in `report` is one that UDP may improve."""
        return [*self.probe.review(report, allowed=self.in_use.relays.policy == "all")]

    def review_standby(self, report: PathReport) -> list[Output]:
        """Have a standby, in the right place, while the path in `report` is relayed."""
        if not self.in_use.health.is_healthy:
            return []
        if not self.in_use.is_wanted or report.path == "direct":
            return [*self.standby.close("needless")]
        return [*self.standby.review(self.in_use)]

    def suspected(self) -> list[Output]:
        """Say so if messages go over the standby from now on."""
        if self.standby.state != "open":
            return []
        host = self.standby.host
        return [entries.StandbyUsed(host)]

    def recovered(self, seconds: float, now: float) -> list[Output]:
        """Replace a standby that was silent in an outage of `seconds` too: whatever broke one path broke both."""
        if self.standby.state != "open" or self.in_use.outside.standby_heard >= now - seconds:
            return []
        return [*self.standby.close("silent")]

    def credentials_renewed(self) -> list[Output]:
        """Replace the standby, whose credentials are about to expire."""
        return [*self.standby.close("credentials-renewed")]

    def close(self) -> list[Output]:
        """Close all."""
        return [*self.standby.close("over"), *self.probe.close()]

    def _probed(self, event: PeerEvent, now: float) -> list[Output]:
        """Leave a working relay over TCP or TLS if UDP gets out: the new path may be direct."""
        address = self.probe.answer(event)
        if address is None:
            return []
        over = self.probe.close()
        report = self.in_use.observation.report
        if not self.in_use.health.is_healthy or report is None or report.kind != "relay over TCP":
            return [*over]
        if not self.probe.is_news(address, self.candidates.reached, now):
            # UDP gets out, but was of no use. Each answer costs a connection, of which a page may create 500.
            return [*over, commands.StartTimer(probe.TIMER, probe.QUIET_EVERY)] if address else [*over]
        found = entries.Probe(address)
        return [*over, found, *self.relaying.want_restart("udp-again", now)]
