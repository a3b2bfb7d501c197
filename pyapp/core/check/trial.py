"""One URL on its own: does it answer, and does its relay carry anything? Pure.

    gathering   --a candidate of a STUN server-->              done
    gathering   --the first relay candidate-->                 connecting: a second connection over the same relay
    connecting  --the channel opens-->                         measuring: pings
    measuring   --enough pings were answered, or sent-->       measured: waiting for its turn to measure throughput
    measured    --fill()-->                                    filling: measuring the throughput
    filling     --enough bytes, or seconds-->                  measured
    measured    --restart()-->                                 restarting: a real ICE restart
    restarting  --the new generation carries a ping-->         measured
    any         --it fails, takes too long, or is closed-->    done

Both ends are `RTCPeerConnection`s of this page that use relays only. A ping travels to the relay and back, and so does
its echo: half of the time is the RTT to the relay.
"""

from dataclasses import dataclass, field, replace
from typing import Literal

from pyapp.core import commands, events
from pyapp.core.check.findings import GatheringError, UrlFinding, cause_of
from pyapp.core.commands import Channel, Command, PeerCommand
from pyapp.core.diagnostics.path_report import path_report
from pyapp.core.events import PeerEvent, SessionDescription
from pyapp.core.peers import NO_PEER, PeerId, PeerIds
from pyapp.protocol.ice import IceConfiguration, IceError, IceServer, parse_candidate, parse_ice_url, username_fragments
from pyapp.protocol.peer import Candidate

CHANNELS = (Channel("check", 0), Channel("check-bulk", 1, ordered=True, max_retransmits=None))

GATHER_FOR = 4.5
"""Seconds for the first candidate. Chromium itself keeps trying for 9.5 s; an allocation over TLS takes five round
trips, or seven if its first packets are lost."""

CONNECT_FOR = 3.0
"""Seconds from the first relay candidate to the open channel."""

OTHER_FAMILY_FOR = 0.5
"""Seconds to wait, after a STUN server's first answer, for the one over the other address family."""

PINGS = 12
"""How many are sent, one at each tick."""

PING_FOR = 1.5
"""Seconds after the first ping within which the echoes must be back."""

PIECE = "x" * 16384
"""A message of the measurement: more than the browser buffers before it says that it is full (`ChannelFilled`)."""

FILL_BYTES, FILL_FOR = 1_000_000, 0.8
"""Limits of the throughput measurement: relay traffic costs somebody money."""

RESTART_FOR = 2.5

State = Literal["gathering", "connecting", "measuring", "measured", "filling", "restarting", "done"]


@dataclass(slots=True)
class _End:
    """One of the two connections, and its candidates until the other end can take them."""

    peer: PeerId = NO_PEER
    waiting: list[Candidate] = field(default_factory=list)
    other_is_ready: bool = False


@dataclass(slots=True)
class Trial:
    """The trial of `server`, which has a single URL."""

    names: PeerIds
    server: IceServer
    state: State = field(init=False, default="gathering")
    found: UrlFinding = field(init=False)
    _near: _End = field(init=False, default_factory=_End)
    _far: _End = field(init=False, default_factory=_End)
    _offer: SessionDescription | None = field(init=False, default=None)
    _began: float = field(init=False, default=0.0)
    _since: float = field(init=False, default=0.0)
    """When the present state began."""
    _pings: dict[str, float] = field(init=False, default_factory=dict)
    _number: int = field(init=False, default=0)
    _first_byte_at: float = field(init=False, default=0.0)
    _is_full: bool = field(init=False, default=False)
    _new_fragments: frozenset[str] = field(init=False, default=frozenset())

    def __post_init__(self) -> None:
        """Begin with nothing found."""
        (text,) = self.server.urls
        self.found = UrlFinding(text, parse_ice_url(text), self.server.name, self.server.username)

    def begin(self, now: float) -> list[Command]:
        """Start to gather."""
        self._began = self._since = now
        self._near.peer = self.names.next()
        return [self._do(self._near, self._create()), self._describe(self._near, 1)]

    def owns(self, peer: PeerId) -> bool:
        """Whether `peer` is one of our two connections."""
        return peer != NO_PEER and peer in (self._near.peer, self._far.peer)

    @property
    def is_busy(self) -> bool:
        """Whether it measures something that another transfer would disturb."""
        return self.state in ("connecting", "measuring", "filling", "restarting")

    def receive(self, peer: PeerId, event: PeerEvent, now: float) -> list[Command]:
        """Handle an event of one of our connections."""
        return self._near_said(event, now) if peer == self._near.peer else self._far_said(event, now)

    def tick(self, now: float) -> list[Command]:
        """Send the next ping, and end what takes too long."""
        since = now - self._since
        match self.state:
            case "gathering" if self.found.answered is not None and not self.found.url.is_turn:
                is_due = now - self._began >= self.found.answered + OTHER_FAMILY_FOR
                return self.close() if is_due else []
            case "gathering" if since >= GATHER_FOR and self.found.answered is None:
                return self._failed(is_over=False)
            case "gathering" if since >= GATHER_FOR:
                return self._loop_failed()
            case "connecting" if since >= CONNECT_FOR:
                return self._loop_failed()
            case "measuring":
                if self.found.pings < PINGS:
                    return [self._ping(now)]
                if since >= PING_FOR or len(self.found.trips) == PINGS:
                    self._is_now("measured", now)
            case "filling" if since >= FILL_FOR:
                self._is_now("measured", now)
            case "restarting" if since >= RESTART_FOR:
                self._is_now("measured", now)
            case "restarting":
                return [self._do(self._near, commands.SampleStats())]
        return []

    def fill(self, now: float) -> list[Command]:
        """Start measuring the throughput."""
        self._is_now("filling", now)
        self._first_byte_at = now
        return self._send_more()

    def restart(self, now: float) -> list[Command]:
        """Restart ICE."""
        self._is_now("restarting", now)
        return [
            self._do(self._near, commands.RestartIce()),
            self._describe(self._near, 2),
        ]

    def close(self) -> list[Command]:
        """End it."""
        ends = (self._near, self._far)
        result: list[Command] = [self._do(end, commands.ClosePeer()) for end in ends if end.peer != NO_PEER]
        self._near, self._far = _End(), _End()
        self.state = "done"
        return result

    def _near_said(self, event: PeerEvent, now: float) -> list[Command]:
        match event:
            case events.LocalDescriptionSet(attempt, description):
                if attempt > 1:
                    self._new_fragments = username_fragments(description.sdp)
                    return self._pass_offer(attempt, description)
                self._offer = description
                return self._answered_first(now)
            case events.LocalCandidate(candidate):
                return self._candidate(candidate, now)
            case events.CandidateError(_, code, text, address):
                self.found.errors.append(GatheringError(code, text, address, now - self._began))
            case events.LocalCandidatesEnded() if self.state == "gathering":
                if self.found.answered is None:
                    return self._gathered_nothing(now)
                return [] if self.found.url.is_turn else self.close()
            case events.PeerOperationFailed() if self.state == "gathering":
                self.found.cause = "refused-by-browser"
                return self.close()
            case events.StateChanged("connection", "failed") if self.state == "connecting":
                return self._loop_failed()
            case events.ChannelOpened("check") if self.state == "connecting":
                self.found.is_loop_open = True
                self.found.connected = now - self._began
                self._is_now("measuring", now)
                return [self._ping(now)]
            case events.ChannelReceived("check", text):
                self._echoed(text, now)
            case events.ChannelFilled("check-bulk"):
                self._is_full = True
            case events.ChannelDrained("check-bulk"):
                self._is_full = False
                return self._send_more()
            case events.StatsSampled(entries) if self.state == "restarting":
                report = path_report(entries)
                if report is not None and report.local.username_fragment in self._new_fragments:
                    self.found.restarted = now - self._since
                    self._is_now("measured", now)
            case events.PairChanged() if self.state == "restarting":
                return [self._do(self._near, commands.SampleStats())]
        return []

    def _far_said(self, event: PeerEvent, now: float) -> list[Command]:
        match event:
            case events.LocalDescriptionSet(attempt, description):
                apply = self._do(self._near, commands.SetRemoteDescription(attempt, description))
                return [apply, *self._release(self._far)]
            case events.LocalCandidate(candidate):
                self._far.waiting.append(candidate)
                return self._release(self._far) if self._far.other_is_ready else []
            case events.CandidateError(_, code, text, address):
                self.found.loop_errors.append(GatheringError(code, text, address, now - self._began))
            case events.PeerOperationFailed() if self.state == "connecting":
                return self._loop_failed()
            case events.ChannelReceived("check", text):
                return [self._do(self._far, commands.SendOnChannel("check", text))]
            case events.ChannelReceived("check-bulk", text):
                self._arrived(len(text), now)
        return []

    def _candidate(self, candidate: Candidate, now: float) -> list[Command]:
        try:
            line = parse_candidate(candidate.candidate)
        except IceError:
            return []
        if line.type == "srflx":
            self.found.families.add(6 if ":" in line.address else 4)
        self._near.waiting.append(candidate)
        if self.found.url.is_turn and line.type == "relay":
            if self.found.answered is None:
                self.found.answered = now - self._began
                return self._answered_first(now)
            return self._release(self._near) if self._near.other_is_ready else []
        if not self.found.url.is_turn and line.type == "srflx" and self.found.answered is None:
            self.found.answered = now - self._began
        return []

    def _answered_first(self, now: float) -> list[Command]:
        """Let the second connection meet the first, once that has its description and a relay."""
        if self.state != "gathering" or self._offer is None or self.found.answered is None:
            return []
        self._is_now("connecting", now)
        self._far.peer = self.names.next()
        return [self._do(self._far, self._create()), *self._pass_offer(1, self._offer)]

    def _pass_offer(self, attempt: int, offer: SessionDescription) -> list[Command]:
        return [
            self._do(self._far, commands.SetRemoteDescription(attempt, offer)),
            self._describe(self._far, attempt),
            *self._release(self._near),
        ]

    def _release(self, end: _End) -> list[Command]:
        """Hand the candidates of `end` to the other one."""
        end.other_is_ready = True
        other = self._far if end is self._near else self._near
        result = [self._do(other, commands.AddIceCandidate(candidate)) for candidate in end.waiting]
        end.waiting.clear()
        return result

    def _gathered_nothing(self, now: float) -> list[Command]:
        if self.found.errors or self.found.url.is_turn:
            return self._failed(is_over=True)
        # A reflexive candidate that equals its base is redundant (RFC 8445, section 5.1.3): there is no NAT.
        self.found.answered = now - self._began
        return self.close()

    def _failed(self, *, is_over: bool) -> list[Command]:
        self.found.cause = cause_of(self.found, is_over=is_over)
        return self.close()

    def _loop_failed(self) -> list[Command]:
        self.found.is_loop_open = False
        return self.close()

    def _ping(self, now: float) -> Command:
        self.found.pings += 1
        self._number += 1
        text = str(self._number)
        self._pings[text] = now
        return self._do(self._near, commands.SendOnChannel("check", text))

    def _echoed(self, text: str, now: float) -> None:
        if (sent_at := self._pings.pop(text, None)) is not None:
            self.found.trips.append((now - sent_at) / 2)

    def _send_more(self) -> list[Command]:
        if self.state != "filling" or self._is_full or self.found.sent >= FILL_BYTES:
            return []
        self.found.sent += len(PIECE)
        # One at a time: the browser says first whether it has room for the next.
        return [self._do(self._near, commands.SendOnChannel("check-bulk", PIECE))]

    def _arrived(self, count: int, now: float) -> None:
        self.found.received += count
        if (seconds := now - self._first_byte_at) > 0:
            self.found.rate = self.found.received * 8 / seconds
        if self.state == "filling" and self.found.received >= FILL_BYTES:
            self._is_now("measured", now)

    def _is_now(self, state: State, now: float) -> None:
        self.state, self._since = state, now

    def _create(self) -> PeerCommand:
        policy = "relay" if self.found.url.is_turn else "all"
        return commands.CreatePeer(replace(IceConfiguration((self.server,)), policy=policy), CHANNELS)

    def _describe(self, end: _End, attempt: int) -> Command:
        return self._do(end, commands.SetLocalDescription(attempt))

    def _do(self, end: _End, command: PeerCommand) -> Command:
        return commands.OfPeer(end.peer, command)
