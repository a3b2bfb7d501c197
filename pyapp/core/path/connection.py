"""The `RTCPeerConnection` in use: it takes events of the browser, messages of the peer and timers.

It routes each of them to the part that handles it (descriptions, transport, recovery, relaying, observation, and what
is aside), and passes on what one part asks of another. What it needs to know of the server and the conversation is in
`Outside`; what it wants done there is among its outputs. Its parts know of no other `RTCPeerConnection`: their commands
are addressed on the way out.
"""

from collections.abc import Sequence
from dataclasses import InitVar, dataclass, field
from typing import assert_never

from pyapp.core import commands, events
from pyapp.core.commands import Channel, PeerCommand
from pyapp.core.diagnostics.path_report import PathReport, path_report
from pyapp.core.events import Event, PeerEvent
from pyapp.core.negotiation.candidates import Candidates
from pyapp.core.negotiation.negotiation import BegunAnew, Negotiation
from pyapp.core.negotiation.restarts import Restarts
from pyapp.core.path.aside import Aside
from pyapp.core.path.descriptions import Descriptions, NegotiationEvent
from pyapp.core.path.facts import Addressed, Output, PartOutput, PathChanged, PathUntried
from pyapp.core.path.in_use import PathInUse
from pyapp.core.path.observation import Observation
from pyapp.core.path.outcomes import Attempt, Evidence, Recovered, Resumed, Suspected
from pyapp.core.path.outside import Outside
from pyapp.core.path.probe import Probe
from pyapp.core.path.recovery import Recovery
from pyapp.core.path.relaying import Relaying
from pyapp.core.path.relays import Relays
from pyapp.core.path.replacement import Replacement
from pyapp.core.path.sending import Sending
from pyapp.core.path.standby import Standby
from pyapp.core.path.transport import ChannelEvent, Transport
from pyapp.core.peers import NO_PEER, PeerId, PeerIds
from pyapp.core.timers import (
    AsideTimer,
    ConnectionTimer,
    ObservationTimer,
    OfTheConnection,
    RecoveryTimer,
    RelayingTimer,
    RelaysTimer,
)
from pyapp.protocol import entries
from pyapp.protocol.peer import (
    Candidate,
    Description,
    PeerMessage,
    RelaysUnknown,
    RelaySuspected,
    RestartWanted,
    StandbyDescription,
    Unreadable,
)

FIRST_OFFER = ConnectionTimer.FIRST_OFFER
CHANNELS = (Channel("messages", 0), Channel("heartbeat", 1))
TIMERS: tuple[OfTheConnection, ...] = (
    *(*ConnectionTimer, *ObservationTimer, *RelayingTimer, *RelaysTimer),
    *(*AsideTimer, *RecoveryTimer),
)

FIRST_OFFER_AFTER = 3.0
"""Seconds to wait for the peer's first offer before we make it."""


@dataclass(slots=True)
class Connection:
    """The `RTCPeerConnection` in use. `polite` as in the negotiation; `is_hidden` is about the page.

    Its identifier, and those of the standby and the probe, are allocated from `names`.
    """

    relays: Relays
    names: PeerIds
    outside: Outside = field(repr=False)
    polite: InitVar[bool] = True
    is_hidden: InitVar[bool] = False
    is_firefox: InitVar[bool] = False
    every_interface: InitVar[bool] = False
    capture_permitted: InitVar[bool] = False
    lost_at: float = 0.0
    """When the connection before this one was last heard."""
    negotiation: Negotiation = field(init=False)
    candidates: Candidates = field(init=False)
    recovery: Recovery = field(init=False)
    restarts: Restarts = field(init=False)
    observation: Observation = field(init=False)
    relaying: Relaying = field(init=False)
    replacement: Replacement = field(init=False)
    descriptions: Descriptions = field(init=False)
    transport: Transport = field(init=False)
    sending: Sending = field(init=False)
    aside: Aside = field(init=False)
    peer: PeerId = field(init=False, default=NO_PEER)
    """Our `RTCPeerConnection`, replaced if the first offers collided."""
    _now: float = field(init=False, default=0.0)

    def __post_init__(
        self, polite: bool, is_hidden: bool, is_firefox: bool, every_interface: bool, capture_permitted: bool
    ) -> None:
        """Create the parts."""
        agreed = self.negotiation = Negotiation(
            polite=polite,
            initiator=False,
            is_firefox=is_firefox,
            shows_picture=lambda: self.outside.shows_picture,
        )
        candidates = self.candidates = Candidates(agreed)
        health = self.recovery = Recovery(
            polite=polite, is_hidden=is_hidden, may_collide=lambda: agreed.restarts_may_collide
        )
        self.restarts = Restarts(agreed, health)
        observation = self.observation = Observation(agreed, health, self.restarts)
        relaying = self.relaying = Relaying(
            self.relays,
            agreed,
            candidates,
            health,
            self.restarts,
            observation,
            self.outside,
            every_interface=every_interface,
            capture_permitted=capture_permitted,
        )
        replacement = self.replacement = Replacement(health, observation, self.outside)
        self.descriptions = Descriptions(agreed, candidates, health, observation, relaying, replacement)
        self.transport = Transport(health, observation, relaying, replacement, self.outside)
        self.sending = Sending(health, self.outside)
        in_use = PathInUse(self.relays, agreed, health, observation, self.outside)
        self.aside = Aside(in_use, candidates, relaying, Standby(self.names, polite=polite), Probe(self.names))

    @property
    def report(self) -> PathReport | None:
        """The last report of the path in use."""
        return self.observation.report

    @property
    def established(self) -> bool:
        """Whether it was connected at least once."""
        return self.observation.established

    @property
    def replaces(self) -> bool:
        """Whether it replaces a lost connection."""
        return self.replacement.is_one

    @property
    def lost(self) -> bool:
        """Whether the person must be told that it does not work now."""
        if not self.established:
            return self.replaces
        return self.recovery.is_lost or not self.channel_open

    @property
    def channel_open(self) -> bool:
        """Whether the channel `messages` is open."""
        return self.transport.channel_open

    @property
    def state(self) -> str:
        """Its `connectionState`."""
        return self.transport.state

    @property
    def standby(self) -> Standby:
        """The second path, kept ready."""
        return self.aside.standby

    # From its beginning to its end.

    def begin(self) -> list[Addressed]:
        """Create the `RTCPeerConnection`."""
        return self._addressed([self._create()])

    def owns(self, peer: PeerId) -> bool:
        """Return whether `peer` is the one in use, the standby's, or the probe's."""
        return peer == self.peer or self.aside.owns(peer)

    def _create(self) -> PeerCommand:
        return commands.CreatePeer(self.relays.ranked, CHANNELS, every_interface=self.relaying.every_interface)

    def joined(self, now: float, *, polite: bool, alone: bool) -> list[Addressed]:
        """Record that we have a place at the server; if `alone` in the session, we make the first offer."""
        self._now = now
        self.negotiation.polite = self.recovery.vitals.polite = self.standby.polite = polite
        if self.replacement.joined():
            return self.replace_soon()
        if alone:
            return self._did(self.negotiation.take_initiative())
        if self.established:
            self.relaying.server_is_back(now)
            return self._did(self.recovery.server_is_back(now))
        return [] if self.negotiation.initiator else [commands.StartTimer(FIRST_OFFER, FIRST_OFFER_AFTER)]

    def configured(self, now: float, *, is_renewal: bool) -> list[Addressed]:
        """Use the new configuration in `relays`; it is a renewal if the one before is about to expire."""
        self._now = now
        result = self.relaying.configured(now, is_renewal=is_renewal)
        is_free = is_renewal and not self.recovery.is_suspect
        return self._addressed(result + self._move_to_new_credentials() if is_free else result)

    def look_for_direct_path_soon(self) -> list[Addressed]:
        """Look for a direct path, if a relay is in use."""
        return self._addressed(self.relaying.look_for_direct_path_soon())

    def _move_to_new_credentials(self) -> list[Output]:
        return [*self.aside.credentials_renewed(), *self.relaying.leave_relay(self._now)]

    def replace(self, number: int) -> list[Addressed]:
        """Replace a lost connection, as the `number`-th in a row, and start the timer for the next one."""
        return self._addressed(self.replacement.begin(number))

    def replace_soon(self) -> list[Addressed]:
        """Shorten the pause before the next replacement: the network has changed."""
        return self._addressed(self.replacement.soon())

    def close(self, now: float) -> list[Addressed]:
        """Close it."""
        return self._addressed([*self.observation.closed(now), *self.aside.close(), commands.ClosePeer()])

    # What happens.

    def active(self, now: float) -> list[Addressed]:
        """Record activity of a person, at either end."""
        self._now = now
        return self._did(self.recovery.active(now))

    def said(self, message: PeerMessage, now: float) -> list[Addressed]:
        """Handle a message of the peer's."""
        self._now = now
        return self._did(self._said(message))

    def _said(self, message: PeerMessage) -> Sequence[PartOutput]:
        match message:
            case Description():
                return self.descriptions.remote_description(message, self._now)
            case Candidate():
                return self.descriptions.remote_candidate(message, self._now)
            case RelaySuspected(url):
                suspected = entries.RelaySuspected(url)
                return [suspected, *self.relaying.suspect(url)]
            case RestartWanted(generation):
                return self.relaying.restart_for_peer(generation, self._now)
            case StandbyDescription():
                return self.aside.said(message)
            case RelaysUnknown():
                return []  # the session has it
            case Unreadable(why):
                return [entries.MessageProblem(problem=why)]
            case _:
                assert_never(message)

    def receive(self, event: Event, now: float) -> list[Addressed]:
        """Handle an event of the browser, of an `RTCPeerConnection` of ours, or of the person."""
        self._now = now
        generation = self.negotiation.ice_generation
        result = self._addressed(self._route(event))
        if (agreed := self.negotiation.ice_generation) > generation:
            self.restarts.negotiated(now)
            result += self._addressed([*self.relaying.generation_agreed(), *self.observation.generation_agreed()])
            result += self._did(self.recovery.negotiated(agreed, now))
        return result

    def _route(self, event: Event) -> list[Output]:
        match event:
            case events.OfPeer(peer, of_peer) if self.aside.owns(peer):
                return self.aside.receive(peer, of_peer, self._now)
            case events.OfPeer(_, of_peer):
                return self._peer_did(of_peer)
            case events.RestartRequested():
                return self.relaying.restart_for_person(self._now)
            case events.NetworkChanged(_, certain):
                asked = self.aside.network_may_have_changed(self._now, certain=certain)
                return [*asked, *self._acted(self.recovery.network_changed(self._now, certain=certain))]
            case events.DiagnosticsShown(is_shown):
                return self.observation.watch(is_watched=is_shown)
            case events.VisibilityChanged(hidden):
                return self._acted(self.recovery.hidden(self._now, is_hidden=hidden))
        return []

    def _peer_did(self, event: PeerEvent) -> list[Output]:
        match event:
            case _ if isinstance(event, ChannelEvent):  # first: most events are of channels
                return self._acted(self.transport.channel(event, self.peer, self._now))
            case _ if isinstance(event, NegotiationEvent):
                return self._acted(self.descriptions.receive(event, self._now))
            case events.StateChanged(name, value):
                return self._acted(self.transport.state_changed(name, value, self._now))
            case events.PairChanged():
                # Chromium's controlled agent follows the data: a beat makes it use the better pair, too. What was in
                # flight on the old pair may be lost, and is retransmitted before `getStats()` describes the new one.
                return [
                    *self._acted(self.recovery.pair_changed(self._now)),
                    PathUntried() if self.recovery.is_suspect else PathChanged(),
                    *self.observation.pair_changed(),
                ]
            case events.StatsSampled(entries):
                again, seen = self.observation.answered(), self._sampled(path_report(entries))
                counted = self.observation.measure(entries, self._now)
                return [*again, *seen, *counted, *self.sending.measure(entries, self._now)]
            case _:
                assert_never(event)

    def due(self, timer: OfTheConnection, now: float) -> list[Addressed]:
        """Do what the timer was set for."""
        self._now = now
        return self._did(self._due(timer))

    def _due(self, timer: OfTheConnection) -> Sequence[PartOutput]:
        match timer:
            case RecoveryTimer():
                return self.recovery.due(
                    timer,
                    self._now,
                    server_heard=self.outside.server_heard,
                    peer_heard=self.outside.peer_heard,
                    is_exchanging=self.relaying.is_exchanging,
                )
            case ObservationTimer():
                return self.observation.due(timer)
            case RelayingTimer() | RelaysTimer():
                return self.relaying.due(timer, self._now)
            case AsideTimer():
                return self.aside.due(timer, self._now)
            case ConnectionTimer.FIRST_OFFER:
                return self.negotiation.take_initiative()
            case ConnectionTimer.HEAD_START:
                return self.candidates.head_start_over()
            case ConnectionTimer.RENEW:
                return self.replacement.due()
            case _:
                assert_never(timer)

    # What one part asks of another.

    def _sampled(self, report: PathReport | None) -> list[Output]:
        now, observation = self._now, self.observation
        if report is None:
            return [observation.look_soon()]
        report = self.relaying.relays.named(report)
        result = observation.take(report, now)
        if observation.is_of_latest:
            result += self._acted(self.recovery.proven(self.negotiation.ice_generation, now))
        result += [observation.look_on(now), *self.relaying.review(report), *self.aside.review_probe(report)]
        if self.channel_open and not self.established:
            result += self._establish()
        return [*result, *self.aside.review_standby(report)]

    def _establish(self) -> list[Output]:
        self.observation.established = True
        result = [*self.observation.keep_checking_soon(), *self.replacement.works(self._now - self.lost_at)]
        if not self.negotiation.polite:
            # Only one side adds them, once. Two cameras that are switched on at the same moment then need no
            # negotiation: colliding offers would leave Chromium with a track that never shows a picture.
            result.append(commands.AddMediaSections())
        return result

    def _did(self, outputs: Sequence[PartOutput]) -> list[Addressed]:
        return self._addressed(self._acted(outputs))

    def _acted(self, outputs: Sequence[PartOutput]) -> list[Output]:
        """Act on the facts among `outputs` that are for another part; return what remains."""
        result: list[Output] = []
        for output in outputs:
            match output:
                case BegunAnew():
                    result += [entries.Crossed(), commands.ClosePeer(), self._create()]
                case Suspected(evidence):
                    result += self._suspect(evidence)
                case Attempt(rung, number):
                    result += self.relaying.attempt(rung, number, self._now)
                case Resumed():
                    result.append(PathChanged())
                case Recovered(seconds):
                    waited = self.relaying.recovered()
                    self.observation.unsteady(self._now)
                    result += [PathChanged(), *self.aside.recovered(seconds, self._now)]
                    if waited:
                        result += self._move_to_new_credentials()
                case _:
                    result.append(output)
        return result

    def _suspect(self, evidence: Evidence) -> list[Output]:
        self.observation.unsteady(self._now)
        result = [Suspected(evidence), *self.aside.suspected()]
        is_of_the_relay = evidence not in ("network-changed", "dtls-failed")
        return [*result, *self.relaying.blame()] if is_of_the_relay else result

    def _addressed(self, outputs: Sequence[Output]) -> list[Addressed]:
        """Address each command to our `RTCPeerConnection`; `CreatePeer` begins a new one."""
        result: list[Addressed] = []
        for output in outputs:
            if isinstance(output, commands.CreatePeer):
                self.peer = self.names.next()
            result.append(commands.OfPeer(self.peer, output) if isinstance(output, PeerCommand) else output)
        return result
