"""The `RTCPeerConnection` in use: it takes events of the browser, messages of the peer and timers.

It routes each of them to the part that handles it (negotiation, candidates, recovery, restarts, relays, standby), and
passes on what one part asks of another. What it needs to know of the server and the conversation is in `Outside`; what
it wants done there is among its outputs. Its parts know of no other `RTCPeerConnection`: their commands are addressed
on the way out.
"""

from collections.abc import Sequence
from dataclasses import InitVar, dataclass, field
from typing import assert_never

from pyapp.core import commands, events
from pyapp.core.commands import Channel, PeerCommand
from pyapp.core.diagnostics.journal import note
from pyapp.core.diagnostics.path_report import PathReport, path_report
from pyapp.core.events import Event, PeerEvent
from pyapp.core.failures import no_path
from pyapp.core.negotiation.candidates import Candidates
from pyapp.core.negotiation.candidates import Output as NegotiationOutput
from pyapp.core.negotiation.negotiation import BegunAnew, Negotiation
from pyapp.core.negotiation.restarts import Restarts
from pyapp.core.path import probe
from pyapp.core.path.facts import (
    Addressed,
    ChannelIs,
    ChannelIsFull,
    Failed,
    FrameReceived,
    Output,
    PathChanged,
    PathUntried,
    PeerLost,
    ReplacementWanted,
    SocketDoubted,
)
from pyapp.core.path.in_use import PathInUse
from pyapp.core.path.observation import Observation
from pyapp.core.path.outcomes import Attempt, Evidence, Recovered, Resumed, Suspected
from pyapp.core.path.outcomes import Output as RecoveryOutput
from pyapp.core.path.outside import Outside
from pyapp.core.path.probe import Probe
from pyapp.core.path.recovery import Recovery
from pyapp.core.path.relaying import Relaying
from pyapp.core.path.relays import Relays
from pyapp.core.path.standby import Standby
from pyapp.core.peers import NO_PEER, PeerId, PeerIds
from pyapp.core.timers import ConnectionTimer, OfTheConnection, RecoveryTimer, RelaysTimer, Timer
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
from pyapp.protocol.wire import MessageError

FIRST_OFFER, RENEW = ConnectionTimer.FIRST_OFFER, ConnectionTimer.RENEW
CHANNELS = (Channel("messages", 0), Channel("heartbeat", 1))
TIMERS: tuple[OfTheConnection, ...] = (*ConnectionTimer, *RecoveryTimer, *RelaysTimer)

FIRST_OFFER_AFTER = 3.0
"""Seconds to wait for the peer's first offer before we make it."""

ANSWER_AFTER = 0.15
"""Seconds of silence after which an ICE restart of the peer's is a reason to open a new socket: the old one may still
receive, but no longer send."""

RENEW_AFTER, LAST_RENEW_AFTER = 12.0, 60.0
"""Seconds that a replacement of a lost `RTCPeerConnection` has before the next one: the first, and the most."""

RENEW_SOON = 0.3
"""The same after a change of the network, or once the server is back: earlier candidates are useless."""


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
    standby: Standby = field(init=False)
    probe: Probe = field(init=False)
    peer: PeerId = field(init=False, default=NO_PEER)
    """Our `RTCPeerConnection`, replaced if the first offers collided."""
    state: str = field(init=False, default="new")
    channel_open: bool = field(init=False, default=False)
    replaces: bool = field(init=False, default=False)
    """Whether it replaces a lost connection: the person waits for it, and we keep trying until it works."""
    _in_use: PathInUse = field(init=False, repr=False)
    """The standby's view of the path in use."""
    _renews_when_joined: bool = field(init=False, default=False)
    """Whether the next replacement waits for the server."""
    _now: float = field(init=False, default=0.0)

    def __post_init__(
        self, polite: bool, is_hidden: bool, is_firefox: bool, every_interface: bool, capture_permitted: bool
    ) -> None:
        """Create the parts."""
        self.negotiation = Negotiation(
            polite=polite,
            initiator=False,
            is_firefox=is_firefox,
            shows_picture=lambda: self.outside.shows_picture,
        )
        self.candidates = Candidates(self.negotiation)
        self.recovery = Recovery(polite=polite, is_hidden=is_hidden)
        self.restarts = Restarts(self.negotiation, self.recovery)
        self.observation = Observation(self.negotiation, self.recovery, self.restarts)
        self.relaying = Relaying(
            self.relays,
            self.negotiation,
            self.candidates,
            self.recovery,
            self.restarts,
            self.observation,
            self.outside,
            every_interface=every_interface,
            capture_permitted=capture_permitted,
        )
        self.standby = Standby(self.names, polite=polite)
        self.probe = Probe(self.names)
        self._in_use = PathInUse(self.relays, self.negotiation, self.recovery, self.observation, self.outside)

    @property
    def report(self) -> PathReport | None:
        """The last report of the path in use."""
        return self.observation.report

    @property
    def established(self) -> bool:
        """Whether it was connected at least once."""
        return self.observation.established

    @property
    def lost(self) -> bool:
        """Whether the person must be told that it does not work now."""
        if not self.established:
            return self.replaces
        return self.recovery.is_lost or not self.channel_open

    def begin(self) -> list[Addressed]:
        """Create the `RTCPeerConnection`."""
        return self._addressed([self._create()])

    def owns(self, peer: PeerId) -> bool:
        """Return whether `peer` is the one in use, the standby's, or the probe's."""
        return peer in (self.peer, self.standby.peer, self.probe.peer)

    def _create(self) -> PeerCommand:
        return commands.CreatePeer(self.relays.ranked, CHANNELS, every_interface=self.relaying.every_interface)

    def _addressed(self, outputs: Sequence[Output]) -> list[Addressed]:
        """Address each command to our `RTCPeerConnection`; `CreatePeer` begins a new one."""
        result: list[Addressed] = []
        for output in outputs:
            if isinstance(output, commands.CreatePeer):
                self.peer = self.names.next()
            result.append(commands.OfPeer(self.peer, output) if isinstance(output, PeerCommand) else output)
        return result

    def joined(self, now: float, *, polite: bool, alone: bool) -> list[Addressed]:
        """Record that we have a place at the server; if `alone` in the session, we make the first offer."""
        self._now = now
        self.negotiation.polite = self.recovery.vitals.polite = self.standby.polite = polite
        if self._renews_when_joined:
            self._renews_when_joined = False
            return self.replace_soon()
        if alone:
            return self._addressed(self._negotiation_did(self.negotiation.take_initiative()))
        if self.established:
            return self._addressed(self._recovery_did(self.recovery.server_is_back(now)))
        return [] if self.negotiation.initiator else [commands.StartTimer(FIRST_OFFER, FIRST_OFFER_AFTER)]

    def said(self, message: PeerMessage, now: float) -> list[Addressed]:
        """Handle a message of the peer's."""
        self._now = now
        return self._addressed(self._said(message))

    def _said(self, message: PeerMessage) -> list[Output]:
        match message:
            case Description():
                self.candidates.heard_in(message.sdp)
                kind, exchange = message.type, message.exchange
                described = note("<", "description", kind, type=kind, exchange=exchange, own=False)
                return [described, *self._remote_description(message)]
            case RelaySuspected(url):
                suspected = note("<", "relay-suspected", f"the other side suspects the relay {url}", url=url)
                return [suspected, *self.relaying.suspect(url)]
            case RestartWanted():
                return self.relaying.restart_for_peer(self._now)
            case StandbyDescription():
                return [*self.standby.said(message, self._in_use)]
            case Candidate():
                return self._remote_candidate(message)
            case RelaysUnknown():
                return []  # the session has it
            case Unreadable(why):
                return [note("!", "message", f"the other side sent what is no message: {why}")]

    def configured(self, now: float, *, is_renewal: bool) -> list[Addressed]:
        """Use the new configuration in `relays`; it is a renewal if the one before is about to expire."""
        self._now = now
        return self._addressed(self._configured(is_renewal=is_renewal))

    def _configured(self, *, is_renewal: bool) -> list[Output]:
        result = self.relaying.configured(is_renewal=is_renewal)
        is_free = is_renewal and not self.recovery.is_suspect
        return result + self._move_to_new_credentials() if is_free else result

    def _move_to_new_credentials(self) -> list[Output]:
        closed = self.standby.close("the relays' credentials were renewed")
        return [*closed, *self.relaying.leave_relay(self._now)]

    def replace(self, number: int) -> list[Addressed]:
        """Replace a lost connection, as the `number`-th in a row, and start the timer for the next one."""
        self.replaces = True
        after = min(RENEW_AFTER * 1.5 ** min(number - 1, 10), LAST_RENEW_AFTER)
        return [commands.StartTimer(RENEW, after, spread=after / 6)]

    def replace_soon(self) -> list[Addressed]:
        """Shorten the pause before the next replacement: the network has changed."""
        return [commands.StartTimer(RENEW, RENEW_SOON)] if self.replaces and not self.established else []

    def close(self) -> list[Addressed]:
        """Close it."""
        aside = [*self.standby.close("the connection is over"), *self.probe.close()]
        return self._addressed([*self.observation.rest(), *aside, commands.ClosePeer()])

    def active(self, now: float) -> list[Addressed]:
        """Record activity of a person, at either end."""
        self._now = now
        return self._addressed(self._recovery_did(self.recovery.active(now)))

    def receive(self, event: Event, now: float) -> list[Addressed]:
        """Handle an event of the browser, of an `RTCPeerConnection` of ours, or of the person; or a timer of ours."""
        self._now = now
        generation = self.negotiation.ice_generation
        result = self._route(event)
        if (agreed := self.negotiation.ice_generation) > generation:
            self.restarts.negotiated(now)
            result += [*self.relaying.generation_agreed(), *self.observation.generation_agreed()]
            result += self._recovery_did(self.recovery.negotiated(agreed, now))
        return self._addressed(result)

    def _route(self, event: Event) -> list[Output]:
        health, now = self.recovery, self._now
        match event:
            case events.OfPeer(peer, event_of_standby) if peer == self.standby.peer:
                return [*self.standby.receive(event_of_standby, now)]
            case events.OfPeer(peer, event_of_probe) if peer == self.probe.peer:
                return self._probed(event_of_probe)
            case events.OfPeer(_, event_of_ours):
                return self._peer_did(event_of_ours)
            case events.RestartRequested():
                return self.relaying.restart_for_person(now)
            case events.NetworkChanged(_, certain):
                asked = self.probe.may_have_changed(now, certain=certain)
                return [*asked, *self._recovery_did(health.network_changed(now, certain=certain))]
            case events.DiagnosticsShown(is_shown):
                return self.observation.watch(is_watched=is_shown)
            case events.VisibilityChanged(hidden):
                return self._recovery_did(health.hidden(now, is_hidden=hidden))
            case events.TimerFired(timer):
                return self._timer(timer)
        return []

    def _peer_did(self, event: PeerEvent) -> list[Output]:
        agreed, health, now = self.negotiation, self.recovery, self._now
        match event:
            case events.NegotiationNeeded():
                return self._negotiation_did(agreed.needed())
            case events.LocalDescriptionSet(attempt, description):
                return self._negotiation_did(agreed.local_description_set(attempt, description))
            case events.RemoteDescriptionSet(attempt, description):
                cancel = [commands.CancelTimer(FIRST_OFFER)] if description.type == "offer" else []
                return [*cancel, *self._negotiation_did(agreed.remote_description_set(attempt, description))]
            case events.PeerOperationFailed(operation, error, attempt):
                failed = note("!", "operation-failed", f"{operation}: {error}", operation=operation, error=error)
                return [failed, *self._negotiation_did(agreed.operation_failed(operation, attempt))]
            case events.LocalCandidate(candidate, url):
                return self._local_candidate(candidate, url)
            case events.LocalCandidatesEnded():
                return self._local_candidates_ended()
            case events.CandidateError(url, code, text, address):
                return self._negotiation_did(self.candidates.gathering_failed(url, code, text, address))
            case events.StateChanged(name, value):
                changed = note("=", "state", f"{name} {value}", state=name, value=value)
                return [changed, *self._changed_to(name, value)]
            case events.ChannelOpened() | events.ChannelClosed() | events.ChannelReceived():
                return self._channel(event)
            case events.ChannelFilled(label) | events.ChannelDrained(label):
                return [ChannelIsFull(isinstance(event, events.ChannelFilled))] if label == "messages" else []
            case events.PairChanged():
                # Chromium's controlled agent follows the data: a beat makes it use the better pair, too. What was in
                # flight on the old pair may be lost, and is retransmitted before `getStats()` describes the new one.
                return [
                    *self._recovery_did(health.beat(now)),
                    PathUntried() if health.is_suspect else PathChanged(),
                    *self.observation.pair_changed(),
                ]
            case events.StatsSampled(entries):
                return [*self._sampled(path_report(entries)), *self.observation.measure(entries, now)]
            case _:
                assert_never(event)

    def _timer(self, timer: Timer) -> list[Output]:
        match timer:
            case RecoveryTimer():
                heard = {"server_heard": self.outside.server_heard, "peer_heard": self.outside.peer_heard}
                return self._recovery_did(self.recovery.due(timer, self._now, **heard))
            case RelaysTimer.DIRECT:
                return self.relaying.look_again_for_direct_path(self._now)
            case RelaysTimer.RELEASE:
                return self.relaying.release()
            case ConnectionTimer():
                return self._own_timer(timer)
        return []

    def _own_timer(self, timer: ConnectionTimer) -> list[Output]:
        match timer:
            case ConnectionTimer.STATS | ConnectionTimer.STATS_SETTLED:
                return [commands.SampleStats()]
            case ConnectionTimer.FIRST_OFFER:
                return self._negotiation_did(self.negotiation.take_initiative())
            case ConnectionTimer.RESTART:
                return self.relaying.restart_if_settled(self._now)
            case ConnectionTimer.RENEW:
                return self._renew_again()
            case ConnectionTimer.NEEDLESS_RELAY:
                return self.relaying.look_for_direct_path(self._now)
            case ConnectionTimer.ONE_NETWORK:
                return self.relaying.take_every_interface()
            case ConnectionTimer.KEEP_CHECKING:
                return self.observation.keep_checking()
            case ConnectionTimer.HEAD_START:
                return self._negotiation_did(self.candidates.head_start_over())
            case ConnectionTimer.STANDBY:
                return [*self.standby.due(self._in_use, self._now)]
            case ConnectionTimer.PROBE:
                servers = self.relays.usual(gathered=False)
                return [*self.probe.due(servers, self._now, is_quiet=self.recovery.is_quiet)]
            case _:
                assert_never(timer)

    # Descriptions and candidates.

    def _negotiation_did(self, outputs: Sequence[NegotiationOutput]) -> list[Output]:
        result: list[Output] = []
        for output in outputs:
            if isinstance(output, BegunAnew):
                text = "the first offers crossed: a new connection for the other side's"
                result += [note("=", "crossed", text), commands.ClosePeer(), self._create()]
            else:
                result.append(output)
        return result

    def _remote_description(self, message: Description) -> list[Output]:
        agreed = self.negotiation
        had_relays = agreed.gathers_relays
        result: list[Output] = []
        if message.type == "offer" and self._is_quiet:
            # The old socket may still receive, but no longer send; and we gather for this outage now.
            result += [SocketDoubted(), *self.relaying.blame()]
        negotiated = self._negotiation_did(agreed.remote_description(message))
        is_restart = message.type == "offer" and self.established and message.generation > agreed.ice_generation
        if is_restart and agreed.state == "answering":
            # Once begun, it counts as agreed: an offer of ours would now only be another restart after this one.
            begun = self._recovery_did(self.recovery.negotiated(message.generation, self._now))
            return [*result, *self.relaying.with_few(), *negotiated, *begun]
        if agreed.gathers_relays != had_relays:
            result += self.relaying.set_configuration()
        return result + negotiated

    @property
    def _is_quiet(self) -> bool:
        """Whether the peer has been silent for a moment, so that its restart is justified."""
        patience = max(ANSWER_AFTER, self.recovery.pulse.patience() / 2)
        return self.recovery.is_healthy and self.recovery.pulse.silence(self._now) >= patience

    def _remote_candidate(self, candidate: Candidate) -> list[Output]:
        result = self._negotiation_did(self.candidates.heard(candidate))
        if self.report is not None:
            # The type of the candidate in use may become known without an event.
            result += self.observation.look_when_settled()
        return result

    def _local_candidate(self, candidate: Candidate, url: str) -> list[Output]:
        well = self.relaying.gathered(candidate, url)
        gathered = self.candidates.gathered(candidate, url, self.report, self.recovery.vitals.trip)
        return well + self._negotiation_did(gathered)

    def _local_candidates_ended(self) -> list[Output]:
        result = self._negotiation_did(self.candidates.gathering_ended())
        is_first = not (self.established or self.replaces)
        return [*result, self._no_path()] if is_first and self.candidates.gathering.found_nothing else result

    def _no_path(self) -> Output:
        return Failed(no_path(self.candidates.gathering, relay_only=self.relays.policy == "relay"))

    # The path.

    def _changed_to(self, name: events.StateName, value: str) -> list[Output]:
        if name == "connection":
            return self._is_now(value)
        if name == "ice-connection" and value == "disconnected" and self.established:
            # `iceConnectionState` says so a moment before `connectionState`, which also includes DTLS.
            return self._recovery_did(self.recovery.bad_news("disconnected", self._now))
        return []

    def _is_now(self, state: str) -> list[Output]:
        """Take the `connectionState`."""
        self.state = state
        match state:
            case "connected":
                return [commands.SampleStats(), PathChanged()]
            case "disconnected" | "failed" if self.outside.refusal is not None:
                return [Failed(self.outside.refusal)]
            case "disconnected" if self.established:
                return self._recovery_did(self.recovery.bad_news("disconnected", self._now))
            case "failed" if self.established and self.outside.peer_is_away:
                return [PeerLost()]
            case "failed" if self.established:
                return self._recovery_did(self.recovery.bad_news("failed", self._now))
            case "failed" if self.replaces:
                return []  # the timer tries the next one
            case "failed":
                return [self._no_path()]
        return []

    def _channel(self, event: events.ChannelOpened | events.ChannelClosed | events.ChannelReceived) -> list[Output]:
        health, now = self.recovery, self._now
        match event:
            case events.ChannelOpened("heartbeat"):
                return self._recovery_did(health.channel_opened(now))
            case events.ChannelClosed("heartbeat"):
                return self._recovery_did(health.muted())
            case events.ChannelReceived("heartbeat", text):
                return self._heard(text)
            case events.ChannelOpened(label):
                self.channel_open = True
                opened = note("=", "channel", f"channel {label} open", label=label)
                return [opened, commands.SampleStats(), ChannelIs(self.peer)]
            case events.ChannelClosed(label):
                self.channel_open = False
                closed = note("=", "channel", f"channel {label} closed", label=label)
                if self.outside.refusal is not None:  # a new channel needs a new connection, and the server
                    return [ChannelIs(NO_PEER), closed, Failed(self.outside.refusal)]
                return [ChannelIs(NO_PEER), closed, *self._recovery_did(health.channel_closed(now))]
            case events.ChannelReceived(label, text):
                return [FrameReceived(text, label)]

    def _heard(self, text: str) -> list[Output]:
        try:
            return self._recovery_did(self.recovery.heard(text, self._now))
        except MessageError as error:
            return [note("!", "message", f"the other side sent what is no heartbeat: {error}")]

    def _sampled(self, report: PathReport | None) -> list[Output]:
        now, observation = self._now, self.observation
        if report is None:
            return [observation.look_soon()]
        result = observation.take(report, now)
        if observation.is_of_latest:
            result += self._recovery_did(self.recovery.proven(self.negotiation.ice_generation, now))
        result += [observation.look_on(now), *self.relaying.review(report)]
        result += self.probe.review(report, allowed=self.relays.policy == "all")
        if self.channel_open and not self.established:
            result += self._establish()
        return result + self._review_standby(report)

    def _establish(self) -> list[Output]:
        self.observation.established = True
        result = self.observation.keep_checking_soon()
        if self.replaces:
            seconds = self.recovery.last_outage = self._now - self.lost_at
            text = f"a new connection works after {seconds:.2f} s"
            result.append(note("=", "recovered", text, seconds=round(seconds, 3), attempts=0))
        if not self.negotiation.polite:
            # Only one side adds them, once. Two cameras that are switched on at the same moment then need no
            # negotiation: colliding offers would leave Chromium with a track that never shows a picture.
            result.append(commands.AddMediaSections())
        return result

    # Recovery.

    def _recovery_did(self, outputs: Sequence[RecoveryOutput]) -> list[Output]:
        result: list[Output] = []
        for output in outputs:
            match output:
                case Suspected(evidence):
                    result += self._suspect(evidence)
                case Attempt(rung, number):
                    result += self.relaying.attempt(rung, number, self._now)
                case Resumed():
                    result.append(PathChanged())
                case Recovered(seconds):
                    waited = self.relaying.recovered()
                    self.observation.unsteady(self._now)
                    result.append(PathChanged())
                    result += self._standby_after(seconds)
                    if waited:
                        result += self._move_to_new_credentials()
                case _:
                    result.append(output)
        return result

    def _suspect(self, evidence: Evidence) -> list[Output]:
        self.observation.unsteady(self._now)
        result: list[Output] = [Suspected(evidence)]
        if self.standby.state == "open":
            host = self.standby.host
            result.append(note("=", "standby-used", f"messages go over the standby path over {host}", host=host))
        return result if evidence == "network-changed" else result + self.relaying.blame()

    def _renew_again(self) -> list[Output]:
        if self.established:
            return []
        if not self.outside.signaling_is_there:
            self._renews_when_joined = True
            return []
        return [ReplacementWanted()]

    def _probed(self, event: PeerEvent) -> list[Output]:
        """Leave a working relay over TCP or TLS if UDP gets out: the new path may be direct."""
        address = self.probe.answer(event)
        if address is None:
            return []
        over = self.probe.close()
        if not self.recovery.is_healthy or self.report is None or self.report.kind != "relay over TCP":
            return [*over]
        if not self.probe.is_news(address, self.candidates.reached, self._now):
            # UDP gets out, but was of no use. Each answer costs a connection, of which a page may create 500.
            return [*over, commands.StartTimer(probe.TIMER, probe.QUIET_EVERY)] if address else [*over]
        found = note("=", "probe", f"UDP gets out again, from {address}", address=address)
        return [*over, found, *self.relaying.want_restart("UDP gets out again", self._now)]

    # The standby.

    def _review_standby(self, report: PathReport) -> list[Output]:
        if not self.recovery.is_healthy:
            return []
        if not self._in_use.is_wanted or report.path == "direct":
            return [*self.standby.close("no relay is in use any more")]
        return [*self.standby.review(self._in_use)]

    def _standby_after(self, seconds: float) -> list[Output]:
        """Replace a standby that was silent in an outage of `seconds` too: whatever broke one path broke both."""
        if self.standby.state != "open" or self.outside.standby_heard >= self._now - seconds:
            return []
        return [*self.standby.close("it was silent in the outage")]
