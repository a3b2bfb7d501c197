"""Whether UDP gets out again, while the path is a relay over TCP or TLS: we query a STUN server now and then. Pure.

Where UDP is blocked, a relay over TCP is the best path. Then the machine joins a network that lets UDP through and
keeps the old one for a while: the path goes on, and no browser reports a change. An ICE restart would find the better
path, but where there is none it costs twenty candidates and TURN allocations in vain. A Binding request (RFC 8489,
section 3) costs one to four packets, and its answer is what an ICE restart would begin with.

    asked  --an address that ICE does not know-->   a restart is worth it, once for each address
    asked  --nothing, or one that it knows-->       asked again after a pause

The query is an `RTCPeerConnection` that gathers, connects to nothing, and is discarded.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from pyapp.core import commands, events
from pyapp.core.commands import Channel, Command
from pyapp.core.diagnostics.gathering import local_candidate
from pyapp.core.diagnostics.path_report import PathReport
from pyapp.core.events import PeerEvent
from pyapp.core.peers import NO_PEER, PeerId, PeerIds
from pyapp.core.timers import AsideTimer
from pyapp.protocol.ice import IceConfiguration

TIMER = AsideTimer.PROBE

CHANNELS = (Channel("probe", 0, ordered=True, max_retransmits=None),)
"""A channel that never opens: without one there would be nothing to gather for."""

EVERY, QUIET_EVERY = 3.0, 30.0
"""Seconds between two queries, and while the session is quiet. Five seconds after UDP works again, the path should be
direct."""

SOON = 0.3
"""The same after the browser has reported a possible change: a network is not ready at once."""

LEAST = 1.0
"""The least number of seconds between two queries, however many changes the browser reports."""

FIRST_PAUSE, LAST_PAUSE = 10.0, 640.0
"""Seconds between two restarts for this reason, doubling from the first to the last: a network may let STUN over UDP
through and nothing else."""


@dataclass(slots=True)
class Probe:
    """The queries and what they found. Times are seconds on the runner's clock."""

    names: PeerIds
    peer: PeerId = NO_PEER
    """The open query."""
    _is_on: bool = field(init=False, default=False)
    """Whether there is a reason to query."""
    _asked_at: float = field(init=False, default=0.0)
    _tried: set[str] = field(init=False, default_factory=set)
    """Addresses for which ICE was restarted."""
    _pause: float = field(init=False, default=FIRST_PAUSE)
    _not_before: float = field(init=False, default=0.0)

    def review(self, report: PathReport, *, allowed: bool) -> list[Command]:
        """Start to query if the path in `report` uses a relay of ours over TCP or TLS; otherwise stop.

        `allowed` says whether the page's policy allows a path without relays.
        """
        was_on, self._is_on = self._is_on, allowed and report.kind == "relay over TCP"
        if self._is_on:
            return [commands.StartTimer(TIMER, EVERY, only_if_idle=True)]
        return [commands.CancelTimer(TIMER), *self.close()] if was_on else []

    def may_have_changed(self, now: float, *, certain: bool) -> list[Command]:
        """Query soon: the browser has reported a change of the network, if only of its speed.

        If the change is `certain`, what was tried before may work now.
        """
        if certain:
            self._tried.clear()
            self._pause, self._not_before = FIRST_PAUSE, 0.0
        return [commands.StartTimer(TIMER, max(SOON, self._asked_at + LEAST - now))] if self._is_on else []

    def due(self, configuration: IceConfiguration, now: float, *, is_quiet: bool = False) -> list[Command]:
        """Query, or repeat an unanswered query (timer `TIMER`).

        A repeated query uses the same connection: a page may have 500 of them, and Chromium counts closed ones until
        they are garbage-collected.
        """
        if not configuration.servers:
            return []  # no server to query: all relays are over TCP or TLS
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
        """Return our reflexive address by the open query, empty if UDP gets no answer; None if it is still open."""
        match event:
            case events.LocalCandidate(candidate):
                found = local_candidate(candidate)
                return found.address if (found.type, found.protocol) == ("srflx", "udp") else None
            case events.LocalCandidatesEnded() | events.PeerOperationFailed():
                return ""
        return None

    def close(self) -> list[Command]:
        """Stop querying."""
        peer, self.peer = self.peer, NO_PEER
        return [] if peer == NO_PEER else [commands.OfPeer(peer, commands.ClosePeer())]

    def is_news(self, address: str, known: AbstractSet[str], now: float) -> bool:
        """Take our reflexive `address`, or empty; return whether ICE should be restarted for it.

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
