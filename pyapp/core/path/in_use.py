"""What a standby needs to know of the connection that it backs up."""

from dataclasses import dataclass

from pyapp.core.diagnostics.path_report import PathReport
from pyapp.core.negotiation.negotiation import Negotiation
from pyapp.core.path.observation import Observation
from pyapp.core.path.outside import Outside
from pyapp.core.path.recovery import Recovery
from pyapp.core.path.relays import Relays
from pyapp.protocol.ice import IceConfiguration


@dataclass(frozen=True, slots=True)
class PathInUse:
    """The `standby.Surroundings` of a connection, taken from its parts."""

    relays: Relays
    agreed: Negotiation
    health: Recovery
    observation: Observation
    outside: Outside

    @property
    def is_wanted(self) -> bool:
        """Whether a standby is wanted at all."""
        return self.relays.configuration.standby and self.observation.report is not None

    @property
    def configuration(self) -> IceConfiguration:
        """The configuration, with the preferred servers first."""
        return self.relays.ranked

    @property
    def relay(self) -> str:
        """The URL of our relay on the path in use, or empty."""
        report = self._over_our_relay
        return report.local.url if report else ""

    @property
    def over_tcp(self) -> bool:
        """Whether we reach that relay over TCP or TLS."""
        report = self._over_our_relay
        return report is not None and report.local.relay_protocol not in ("", "udp")

    @property
    def offers(self) -> bool:
        """Whether we are the side to offer one now."""
        report = self._over_our_relay
        if report is None or not report.local.url or not (self.observation.established and self.health.is_healthy):
            return False
        is_ours = report.remote.type != "relay" or not self.agreed.polite
        return is_ours and self.outside.signaling_is_there and self.outside.peer_is_there

    @property
    def _over_our_relay(self) -> PathReport | None:
        report = self.observation.report
        return report if report and report.local.type == "relay" else None
