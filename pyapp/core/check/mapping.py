"""Which mapping the NAT does: two STUN servers asked from one socket (RFC 5780, section 4.3, with two hosts). Pure."""

from dataclasses import dataclass, field

from pyapp.core import commands, events
from pyapp.core.check.findings import Mapping_, UrlFinding
from pyapp.core.commands import Channel, Command
from pyapp.core.events import PeerEvent
from pyapp.core.peers import NO_PEER, PeerId, PeerIds
from pyapp.protocol.ice import IceConfiguration, IceError, IceServer, parse_candidate

CHANNELS = (Channel("check", 0),)

ASK_FOR = 2.0
"""Seconds for both answers, of servers that have answered before."""


@dataclass(slots=True)
class MappingTrial:
    """A connection that gathers from two servers, once two are known that answer over UDP, and is discarded."""

    names: PeerIds
    peer: PeerId = NO_PEER
    mapping: Mapping_ | None = None
    families: set[int] = field(default_factory=set)
    _reached: dict[tuple[int, str], set[tuple[str, int]]] = field(init=False, default_factory=dict)
    """Our addresses as the servers see them, by family and base."""
    _began: float = field(init=False, default=-1.0)

    def review(self, found: list[UrlFinding], now: float) -> list[Command]:
        """Begin once two hosts have answered over UDP; a TURN server is a STUN server, too (RFC 8656, section 2)."""
        if self._began >= 0:
            return self.close() if self.peer != NO_PEER and now - self._began >= ASK_FOR else []
        hosts = {one.url.host: one.url.port for one in found if one.url.transport == "udp" and one.answered is not None}
        if len(hosts) < 2:
            return []
        self._began = now
        self.peer = self.names.next()
        urls = tuple(f"stun:{host}:{port}" for host, port in hosts.items())[:2]
        create = commands.CreatePeer(IceConfiguration((IceServer(urls),)), CHANNELS)
        return [commands.OfPeer(self.peer, create), commands.OfPeer(self.peer, commands.SetLocalDescription(1))]

    def receive(self, event: PeerEvent) -> list[Command]:
        """Handle an event of `peer`."""
        match event:
            case events.LocalCandidate(candidate):
                self._heard(candidate.candidate)
            case events.LocalCandidatesEnded():
                self._conclude()
                return self.close()
            case events.PeerOperationFailed():
                return self.close()
        return []

    def close(self) -> list[Command]:
        """End it."""
        peer, self.peer = self.peer, NO_PEER
        return [] if peer == NO_PEER else [commands.OfPeer(peer, commands.ClosePeer())]

    @property
    def is_settled(self) -> bool:
        """Whether nothing more is to come: it is over, or never began."""
        return self.peer == NO_PEER

    def _conclude(self) -> None:
        """Both servers have answered: gathering does not end before."""
        if self._reached:
            is_dependent = any(len(addresses) > 1 for addresses in self._reached.values())
            self.mapping = "dependent" if is_dependent else "independent"

    def _heard(self, text: str) -> None:
        try:
            line = parse_candidate(text)
        except IceError:
            return
        if line.type != "srflx" or line.protocol != "udp":
            return
        family = 6 if ":" in line.address else 4
        self.families.add(family)
        # Where the base is hidden (mDNS), there is one socket for each family: ICE stays on the default route.
        base = f"{line.related_address}:{line.related_port}" if line.related_port else ""
        self._reached.setdefault((family, base), set()).add((line.address, line.port))
