"""Whether UDP gets out again, while the path is a relay over TCP or TLS: a STUN server is asked now and then. Pure.

Where UDP is blocked, a relay over TCP is the best path. Then the machine comes home: it joins a network that lets UDP
through and keeps the old one for a while, so that the path goes on, and no browser says a word. An ICE restart finds
the better path, but costs twenty candidates, and TURN allocations, wherever there is none. A binding request (RFC 8489,
section 3) costs a packet or four, and its answer is what an ICE restart would begin with.

    asked  --an address that ICE does not know-->   a restart is worth it, once for each address
    asked  --nothing, or one that it knows-->       asked again after a pause

It asks by an `RTCPeerConnection` that gathers, connects to nothing, and is thrown away.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from pyapp.core import commands, events
from pyapp.core.commands import Channel, Command
from pyapp.core.diagnostics.gathering import candidate_data
from pyapp.core.diagnostics.path_report import PathReport
from pyapp.core.events import PeerEvent
from pyapp.core.peers import NO_PEER, PeerId, PeerIds
from pyapp.core.timers import ConnectionTimer
from pyapp.protocol.ice import IceConfiguration

TIMER = ConnectionTimer.PROBE

CHANNELS = (Channel("probe", 0, ordered=True, max_retransmits=None),)
"""One that never opens: with none there would be nothing to gather for."""

EVERY, QUIET_EVERY = 3.0, 30.0
"""Seconds between two questions, and while the session is quiet. Whoever comes home is to be on a direct path five
seconds later."""

SOON = 0.3
"""The same after the browser said that something may have changed: a network is not ready at once."""

LEAST = 1.0
"""Seconds between two questions at least, however much the browser says."""

FIRST_PAUSE, LAST_PAUSE = 10.0, 640.0
"""Seconds after a restart before another one for the same reason, doubling from the first to the last: a network may
answer STUN over UDP, and carry nothing else."""


@dataclass(slots=True)
class Probe:
    """What was asked, and what is known by now. Times are seconds on the runner's clock."""

    names: PeerIds
    peer: PeerId = NO_PEER
    """The question that is open."""
    _is_on: bool = field(init=False, default=False)
    """Whether there is anything to ask for."""
    _asked_at: float = field(init=False, default=0.0)
    _tried: set[str] = field(init=False, default_factory=set)
    """Addresses for which there was a restart."""
    _pause: float = field(init=False, default=FIRST_PAUSE)
    _not_before: float = field(init=False, default=0.0)

    def review(self, report: PathReport, *, allowed: bool) -> list[Command]:
        """Begin to ask if the path that `report` tells of has a relay of ours over TCP or TLS, or leave off.

        `allowed` is whether the page wants a path without relays at all.
        """
        was_on, self._is_on = self._is_on, allowed and report.kind == "relay over TCP"
        if self._is_on:
            return [commands.StartTimer(TIMER, EVERY, only_if_idle=True)]
        return [commands.CancelTimer(TIMER), *self.close()] if was_on else []

    def may_have_changed(self, now: float, *, certain: bool) -> list[Command]:
        """Ask soon: the browser said something of the network, if only that its speed is another one.

        If it is `certain` that it is another one, whatever was tried may work now.
        """
        if certain:
            self._tried.clear()
            self._pause, self._not_before = FIRST_PAUSE, 0.0
        return [commands.StartTimer(TIMER, max(SOON, self._asked_at + LEAST - now))] if self._is_on else []

    def due(self, configuration: IceConfiguration, now: float, *, is_quiet: bool = False) -> list[Command]:
        """Ask, or ask again what was not answered (timer `TIMER`).

        Again by the same connection: a page may have made 500 of them, and Chromium counts those that are closed until
        its collector comes by.
        """
        if not configuration.servers:
            return []  # nobody to ask: all relays are over TCP or TLS
        begin: commands.PeerCommand = commands.RestartIce()
        if self.peer == NO_PEER:
            self.peer, begin = self.names.next(), commands.CreatePeer(configuration, CHANNELS)
        else:
            self._tried.clear()  # UDP is blocked: when it gets through again, that is news
        self._asked_at = now
        return [
            commands.OfPeer(self.peer, begin),
            commands.OfPeer(self.peer, commands.SetLocalDescription(1)),
            commands.StartTimer(TIMER, QUIET_EVERY if is_quiet else EVERY),
        ]

    def answer(self, event: PeerEvent) -> str | None:
        """Return the address that the open question finds us under, empty if UDP gets no answer; None if not yet."""
        match event:
            case events.LocalCandidate(candidate):
                data = candidate_data(candidate)
                is_answer = (data.get("type"), data.get("protocol")) == ("srflx", "udp")
                return str(data["address"]) if is_answer else None
            case events.LocalCandidatesEnded() | events.PeerOperationFailed():
                return ""
        return None

    def close(self) -> list[Command]:
        """Ask no more."""
        peer, self.peer = self.peer, NO_PEER
        return [] if peer == NO_PEER else [commands.OfPeer(peer, commands.ClosePeer())]

    def is_news(self, address: str, known: AbstractSet[str], now: float) -> bool:
        """Take that we are seen under `address`, or none; return whether ICE should be restarted for it.

        `known` are the addresses that the ICE generation in use was gathered with.
        """
        if not address:
            self._tried.clear()  # UDP is blocked: when it gets through again, that is news
        if not address or address in self._tried or address in known or now < self._not_before:
            return False
        self._tried.add(address)
        self._not_before = now + self._pause
        self._pause = min(2 * self._pause, LAST_PAUSE)
        return True
