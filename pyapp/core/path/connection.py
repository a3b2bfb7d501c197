"""The `RTCPeerConnection` in use: what the browser, the other side and time say of it, and what is to be done about it.

It gives what comes to the part that it belongs to (negotiation, candidates, recovery, restarts, relays, standby), and
does what one part asks of another. What it needs of the server and the conversation is in `Outside`; what is to be done
there are its outputs. Its parts know of no other `RTCPeerConnection`: each command is addressed on its way out.
"""

from collections.abc import Sequence
from dataclasses import InitVar, dataclass, field
from typing import TypeAlias, assert_never

from pyapp.core import commands, events
from pyapp.core.commands import Channel, Command, PeerCommand
from pyapp.core.diagnostics.gathering import candidate_data
from pyapp.core.diagnostics.journal import Note, note
from pyapp.core.diagnostics.pace import Pace
from pyapp.core.diagnostics.path_report import PathReport, path_report
from pyapp.core.events import ChannelLabel, Event, PeerEvent
from pyapp.core.failures import Failure, no_path
from pyapp.core.negotiation.candidates import Candidates
from pyapp.core.negotiation.candidates import Output as NegotiationOutput
from pyapp.core.negotiation.negotiation import BegunAnew, Ignored, Negotiation, ToPeer
from pyapp.core.negotiation.restarts import Restarts
from pyapp.core.path import probe, standby
from pyapp.core.path.ladder import Rung
from pyapp.core.path.outcomes import Attempt, Doubted, Evidence, Reassured, Recovered, Resumed, Suspected
from pyapp.core.path.outcomes import Output as RecoveryOutput
from pyapp.core.path.probe import Probe
from pyapp.core.path.recovery import Recovery
from pyapp.core.path.relays import Relays
from pyapp.core.path.standby import Output as StandbyOutput
from pyapp.core.path.standby import Over, Ready, Standby, Surroundings
from pyapp.core.peers import NO_PEER, PeerId, PeerIds
from pyapp.core.timers import ConnectionTimer, OfTheConnection, RecoveryTimer, RelaysTimer, Timer
from pyapp.protocol.peer import (
    Candidate,
    Description,
    PeerMessage,
    RelaySuspected,
    RestartWanted,
    StandbyDescription,
    Unreadable,
)
from pyapp.protocol.wire import MessageError

STATS, STATS_SETTLED, FIRST_OFFER = ConnectionTimer.STATS, ConnectionTimer.STATS_SETTLED, ConnectionTimer.FIRST_OFFER
NEEDLESS_RELAY, ONE_NETWORK = ConnectionTimer.NEEDLESS_RELAY, ConnectionTimer.ONE_NETWORK
RENEW, KEEP_CHECKING = ConnectionTimer.RENEW, ConnectionTimer.KEEP_CHECKING
CHANNELS = (Channel("messages", 0), Channel("heartbeat", 1))
TIMERS: tuple[OfTheConnection, ...] = (*ConnectionTimer, *RecoveryTimer, *RelaysTimer)

STATS_AGAIN = 0.2
"""Seconds before the path is looked for again while the browser names no selected pair."""

STATS_SETTLED_AFTER = 0.1
"""Seconds before a second look at a pair that changed: Chromium answers `getStats()` from a cache for 50 ms."""

STATS_EVERY, STATS_QUIET_EVERY = 2.0, 10.0
"""Seconds between two samples of `getStats()` while connected, and while it is quiet: each costs some ten beats."""

FIRST_OFFER_AFTER = 3.0
"""Seconds to wait for the other side's first offer before making it here."""

NEEDLESS_RELAY_AFTER = 0.4
"""Seconds on a relay that may not be needed before a direct path is looked for: a better pair than the first is usually
nominated by then."""

ONE_NETWORK_AFTER = 1.5
"""Seconds on a relay with a peer of the same public address, before a connection over every interface is tried: on a
network without working mDNS (RFC 6762) the real addresses are the only direct way."""

ATTEMPTS_WITHOUT_PEER = 3
"""After so many without a sign of a peer that has left the server, too, it is gone."""

ANSWER_AFTER = 0.15
"""Seconds of silence after which the other side's restart is a reason to reach the server anew: the old socket may
still receive, and no longer send."""

KEEP_CHECKING_AFTER = 1.0
"""Seconds that an ICE generation has to pair its candidates, before the browser is asked to keep checking: what asks
for it makes Chromium forget the other side's candidates for those of ours that are still to come."""

RENEW_AFTER, LAST_RENEW_AFTER = 12.0, 60.0
"""Seconds that a new `RTCPeerConnection` in place of a lost one has before the next: the first one, and at most."""

RENEW_SOON = 0.3
"""The same after a change of the network, or once the server is back: what was gathered before is worth nothing."""


@dataclass(frozen=True, slots=True)
class Outside:
    """What a connection cannot know itself, at the moment of an event. Times are seconds on the runner's clock."""

    signaling_is_there: bool = False
    """Whether we have a place at the server, and it answers."""
    peer_is_there: bool = False
    """Whether the other side has a place there, too."""
    peer_is_away: bool = False
    """Whether it had one, and the server has given it up."""
    server_heard: float = -1.0
    """When the server was heard last, if it is there."""
    peer_heard: float = -1.0
    """When the other side was heard last, through the server."""
    standby_heard: float = -1.0
    """When a frame came over the standby last."""
    refusal: Failure | None = None
    """Why the server will not have us any more."""
    shows_picture: bool = False
    """Whether the other side shares its camera or its screen."""


@dataclass(frozen=True, slots=True)
class ChannelIs:
    """The channel of the messages is open from now on, that of `peer`; or closed."""

    peer: PeerId


@dataclass(frozen=True, slots=True)
class StandbyIs:
    """The same of the channel of the standby."""

    peer: PeerId


@dataclass(frozen=True, slots=True)
class ChannelIsFull:
    """The browser takes no more for the channel of the messages from now on, or takes it again."""

    is_full: bool


@dataclass(frozen=True, slots=True)
class FrameReceived:
    """A frame of the conversation came over the channel `label`."""

    text: str
    label: ChannelLabel


@dataclass(frozen=True, slots=True)
class PathChanged:
    """There is a path, and what was on its way may be lost with the one before: send it again."""


@dataclass(frozen=True, slots=True)
class PathUntried:
    """The pair is new, and may not work: try it with the oldest message alone."""


@dataclass(frozen=True, slots=True)
class SocketDoubted:
    """Our socket may still receive, and no longer send: reach the server anew."""


@dataclass(frozen=True, slots=True)
class SparesWanted:
    """A relay was set aside: ask the server for others."""


@dataclass(frozen=True, slots=True)
class PeerLost:
    """The other side has left the server, and gives no sign here: it is gone, without a goodbye."""


@dataclass(frozen=True, slots=True)
class ReplacementWanted:
    """The connection cannot be mended: put a new one in its place, at both sides.

    Or one that gathers on `every_interface` may do better.
    """

    every_interface: bool = False


@dataclass(frozen=True, slots=True)
class Failed:
    """It is the end, since no path can be found, or no server helps to find one."""

    failure: Failure


Occurrence: TypeAlias = (
    Note
    | ToPeer
    | Doubted
    | Reassured
    | Suspected
    | ChannelIs
    | StandbyIs
    | ChannelIsFull
    | FrameReceived
    | PathChanged
    | PathUntried
    | SocketDoubted
    | SparesWanted
    | PeerLost
    | ReplacementWanted
    | Failed
)
Addressed: TypeAlias = Command | Occurrence
"""What leaves: each command to an `RTCPeerConnection` names it."""
Output: TypeAlias = Addressed | PeerCommand
"""Of a part that has but one."""


@dataclass(slots=True)
class Connection:
    """What is known of the `RTCPeerConnection` in use. `polite` as in the negotiation; `is_hidden` is the page.

    Names for it, for the standby's and for the probe's are taken from `names`.
    """

    relays: Relays
    names: PeerIds
    polite: InitVar[bool] = True
    is_hidden: InitVar[bool] = False
    is_firefox: InitVar[bool] = False
    negotiation: Negotiation = field(init=False)
    candidates: Candidates = field(init=False)
    recovery: Recovery = field(init=False)
    restarts: Restarts = field(init=False)
    standby: Standby = field(init=False)
    probe: Probe = field(init=False)
    peer: PeerId = NO_PEER
    """Ours: another one if the first offers crossed."""
    state: str = "new"
    channel_open: bool = False
    established: bool = False
    """Connected at least once."""
    every_interface: bool = False
    """Whether it gathers on every interface, and not on the default route alone."""
    capture_permitted: bool = False
    """Whether the page may know them."""
    lost_at: float = 0.0
    """When the connection before this one was heard last."""
    replaces: bool = False
    """Whether it takes the place of one that was lost: the person waits for it, and it is tried until it works."""
    report: PathReport | None = None
    _credentials_wait: bool = False
    """Whether credentials were renewed in an outage, after the last attempt began."""
    _tried_with_expired: bool = False
    """Whether that attempt had only some that had expired."""
    _renews_when_joined: bool = False
    """Whether the next one waits for the server."""
    _has_asked: bool = False
    """Whether a restart of ours was left to the other side to offer."""
    _answered: int = 0
    """Restarts of the other side's that were answered since a path was proven last."""
    _has_looked_again: bool = False
    """Whether a direct path was looked for since the last outage, since the relay might not be needed."""
    _kept_above: int | None = None
    """The priority of the candidate that keeps the browser checking, or nothing before it is asked to."""
    _pace: Pace = field(default_factory=Pace)
    """Of the samples in the journal."""
    _outside: Outside = field(default_factory=Outside)
    _now: float = 0.0

    def __post_init__(self, polite: bool, is_hidden: bool, is_firefox: bool) -> None:
        """Begin the parts."""
        self.negotiation = Negotiation(polite=polite, initiator=False, is_firefox=is_firefox)
        self.candidates = Candidates(self.negotiation)
        self.recovery = Recovery(polite=polite, is_hidden=is_hidden)
        self.restarts = Restarts(self.negotiation, self.recovery)
        self.standby = Standby(self.names, polite=polite)
        self.probe = Probe(self.names)

    @property
    def lost(self) -> bool:
        """Whether the person must know that it does not work now."""
        if not self.established:
            return self.replaces
        return self.recovery.is_lost or not self.channel_open

    def begin(self) -> list[Addressed]:
        """Make it."""
        return self._addressed([self._create()])

    def owns(self, peer: PeerId) -> bool:
        """Return whether `peer` is the one in use, the standby's, or the probe's."""
        return peer in (self.peer, self.standby.peer, self.probe.peer)

    def _create(self) -> PeerCommand:
        return commands.CreatePeer(self.relays.ranked, CHANNELS, every_interface=self.every_interface)

    def _addressed(self, outputs: Sequence[Output]) -> list[Addressed]:
        """Say of each command to our `RTCPeerConnection` which one that is: from its creation on it is a new one."""
        result: list[Addressed] = []
        for output in outputs:
            if isinstance(output, commands.CreatePeer):
                self.peer = self.names.next()
            result.append(commands.OfPeer(self.peer, output) if isinstance(output, PeerCommand) else output)
        return result

    def joined(self, outside: Outside, now: float, *, polite: bool, alone: bool) -> list[Addressed]:
        """Take it that we have a place at the server; if `alone` in the session, the first offer is ours."""
        self._look_outside(outside, now)
        self.negotiation.polite = self.recovery.vitals.polite = self.standby.polite = polite
        if self._renews_when_joined:
            self._renews_when_joined = False
            return self.replace_soon()
        if alone:
            return self._addressed(self._negotiation_did(self.negotiation.take_initiative()))
        if self.established:
            return self._addressed(self._recovery_did(self.recovery.server_is_back(now)))
        return [] if self.negotiation.initiator else [commands.StartTimer(FIRST_OFFER, FIRST_OFFER_AFTER)]

    def said(self, message: PeerMessage, outside: Outside, now: float) -> list[Addressed]:
        """Take a message of the other side."""
        self._look_outside(outside, now)
        return self._addressed(self._said(message))

    def _said(self, message: PeerMessage) -> list[Output]:
        match message:
            case Description():
                self.candidates.heard_in(message.sdp)
                described = note("<", "description", message.type, exchange=message.exchange)
                return [described, *self._remote_description(message)]
            case RelaySuspected(url):
                suspected = note("<", "relay-suspected", f"the other side suspects the relay {url}", url=url)
                return [suspected, *self._suspect_relay(url)]
            case RestartWanted():
                return self._restart_for_peer()
            case StandbyDescription():
                around = self._surroundings()
                return self._standby_did(self.standby.said(message, around)) if around else []
            case Candidate():
                return self._remote_candidate(message)
            case Unreadable(why):
                return [note("!", "message", f"the other side sent what is no message: {why}")]

    def _restart_for_peer(self) -> list[Output]:
        """Offer the restart that the other side leaves to us."""
        why = "asked for by the other side"
        if self.negotiation.is_between_browsers:
            return [*self._with_relays(), *self._want_restart(why)]
        if self.negotiation.state != "stable":
            return []  # the offer under way serves it: what they gather is gathered for the answer
        restart = self.restarts.begin(why, replace_offer=True)
        return [*self._with_few_relays(), *self._negotiation_did(restart)]

    def configured(self, now: float, *, is_renewal: bool) -> list[Addressed]:
        """Take it that `relays` has a new configuration; a renewal is one whose predecessor is about to expire."""
        self._now = now
        return self._addressed(self._configured(is_renewal=is_renewal))

    def _configured(self, *, is_renewal: bool) -> list[Output]:
        result = self._set_configuration()
        if self.recovery.is_suspect:
            if self._tried_with_expired:
                self._tried_with_expired = False
                restart = self.restarts.begin("the relays' credentials had expired", replace_offer=True)
                return result + self._negotiation_did(restart)
            self._credentials_wait |= is_renewal
            return result
        return result + self._move_to_new_credentials() if is_renewal else result

    def _move_to_new_credentials(self) -> list[Output]:
        """Leave a relay while it works: some servers cut an allocation soon after its credentials expire."""
        result = self._standby_did(self.standby.close("the relays' credentials were renewed"))
        if self.report and self.report.local.type == "relay":
            result += self._want_restart("the relay's credentials were renewed")
        return result

    def replace(self, number: int) -> list[Addressed]:
        """Take the place of one that was lost, the `number`-th in a row, for so long before the next is tried."""
        self.replaces = True
        after = min(RENEW_AFTER * 1.5 ** min(number - 1, 10), LAST_RENEW_AFTER)
        return [commands.StartTimer(RENEW, after, spread=after / 6)]

    def replace_soon(self) -> list[Addressed]:
        """Cut the pause before the next one short: the network has changed."""
        return [commands.StartTimer(RENEW, RENEW_SOON)] if self.replaces and not self.established else []

    def _look_outside(self, outside: Outside, now: float) -> None:
        self._outside, self._now = outside, now
        self.negotiation.shows_picture = outside.shows_picture

    def close(self) -> list[Addressed]:
        """End it."""
        aside = [*self._standby_did(self.standby.close("the connection is over")), *self.probe.close()]
        return self._addressed([*aside, commands.ClosePeer()])

    def active(self, outside: Outside, now: float) -> list[Addressed]:
        """Take it that a person does something, here or there."""
        self._look_outside(outside, now)
        return self._addressed(self._recovery_did(self.recovery.active(now)))

    def receive(self, event: Event, outside: Outside, now: float) -> list[Addressed]:
        """Take an event of the browser, of an `RTCPeerConnection` that we own, or of the person; or a timer of ours."""
        self._look_outside(outside, now)
        generation = self.negotiation.ice_generation
        result = self._route(event)
        if (agreed := self.negotiation.ice_generation) > generation:
            self.restarts.negotiated(now)
            self._kept_above = None
            self._has_looked_again = True  # whoever began it, and why: it looks at everything
            result += [commands.CancelTimer(NEEDLESS_RELAY), commands.StartTimer(STATS, STATS_AGAIN)]
            result += self._keep_checking_soon()
            result += self._recovery_did(self.recovery.negotiated(agreed, now))
        return self._addressed(result)

    def _route(self, event: Event) -> list[Output]:
        health, now = self.recovery, self._now
        match event:
            case events.OfPeer(peer, event_of_standby) if peer == self.standby.peer:
                return self._standby_did(self.standby.receive(event_of_standby, now))
            case events.OfPeer(peer, event_of_probe) if peer == self.probe.peer:
                return self._probed(event_of_probe)
            case events.OfPeer(_, event_of_ours):
                return self._peer_did(event_of_ours)
            case events.RestartRequested():
                return [*self._with_relays(), *self._want_restart("asked for by the person")]
            case events.NetworkChanged(_, certain):
                asked = self.probe.may_have_changed(now, certain=certain)
                return [*asked, *self._recovery_did(health.network_changed(now, certain=certain))]
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
                # Chromium's controlled side follows the data: a beat brings it to the better pair, too. And what
                # was on its way on the old pair may be lost: it is sent again before `getStats()` says what is new.
                return [
                    *self._recovery_did(health.beat(now)),
                    PathUntried() if health.is_suspect else PathChanged(),
                    commands.SampleStats(),
                    commands.StartTimer(STATS_SETTLED, STATS_SETTLED_AFTER),
                ]
            case events.StatsSampled(entries):
                return self._sampled(path_report(entries))
            case _:
                assert_never(event)

    def _timer(self, timer: Timer) -> list[Output]:
        match timer:
            case RecoveryTimer():
                heard = {"server_heard": self._outside.server_heard, "peer_heard": self._outside.peer_heard}
                return self._recovery_did(self.recovery.due(timer, self._now, **heard))
            case RelaysTimer.DIRECT:
                return self._look_again_for_direct_path()
            case RelaysTimer.RELEASE:
                return self._release_relays()
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
                return self._restarts_did(self.restarts.begin_if_settled(self._now))
            case ConnectionTimer.RENEW:
                return self._renew_again()
            case ConnectionTimer.NEEDLESS_RELAY:
                return self._look_for_direct_path()
            case ConnectionTimer.ONE_NETWORK:
                return self._take_every_interface()
            case ConnectionTimer.KEEP_CHECKING:
                return self._keep_checking()
            case ConnectionTimer.HEAD_START:
                return self._negotiation_did(self.candidates.head_start_over())
            case ConnectionTimer.STANDBY:
                return self._standby_did(self.standby.due(self._surroundings(), self._now))
            case ConnectionTimer.PROBE:
                servers = self.relays.usual(gathered=False)
                return [*self.probe.due(servers, self._now, is_quiet=self.recovery.is_quiet)]
            case _:
                assert_never(timer)

    # Descriptions and candidates.

    def _negotiation_did(self, outputs: Sequence[NegotiationOutput]) -> list[Output]:
        result: list[Output] = []
        for output in outputs:
            match output:
                case ToPeer(Description(type_, _, exchange)):
                    result += [note(">", "description", type_, exchange=exchange), output]
                case ToPeer(RestartWanted()):
                    self._has_asked = True
                    result.append(output)
                case Ignored(what, why):
                    result.append(note("=", "ignored", f"{what} left aside: {why}", what=what, why=why))
                case BegunAnew():
                    text = "the first offers crossed: a new connection for the other side's"
                    result += [note("=", "crossed", text), commands.ClosePeer(), self._create()]
                case _:
                    result.append(output)
        return result

    def _remote_description(self, message: Description) -> list[Output]:
        agreed = self.negotiation
        had_relays = agreed.gathers_relays
        result: list[Output] = []
        if message.type == "offer" and self._is_quiet:
            # The old socket may still receive, and no longer send; and what we gather now is for this outage.
            result += [SocketDoubted(), *self._blame_relay()]
        negotiated = self._negotiation_did(agreed.remote_description(message))
        is_restart = message.type == "offer" and self.established and message.generation > agreed.ice_generation
        if is_restart and agreed.state == "answering":
            # Begun is as good as agreed: an offer of our own, now, would only be another restart after this one.
            begun = self._recovery_did(self.recovery.negotiated(message.generation, self._now))
            return [*result, *self._with_few_relays(), *negotiated, *begun]
        if agreed.gathers_relays != had_relays:
            result += self._set_configuration()
        return result + negotiated

    def _with_few_relays(self) -> list[Output]:
        """Gather for a restart that the other side has begun, or asked for, at first without relays.

        One relay is enough, and theirs is on its way. Each of ours would be paired with each candidate of theirs, and
        the pair that works waits its turn.
        """
        if self._has_asked:
            self._has_asked = False  # the relays are ours to bring, and an attempt says which
            return [] if self.recovery.is_suspect else self._set_configuration()
        self._answered = 1 if self.restarts.is_proven else self._answered + 1
        ours_alone = self.report and self.report.local.type == "relay" and self.report.remote.type != "relay"
        if self._answered > 1 or ours_alone or self.relays.policy == "relay":
            return self._set_configuration()
        return [commands.SetConfiguration(self.relays.usual(gathered=False))]

    @property
    def _is_quiet(self) -> bool:
        """Whether we have not heard the other side for a moment, and it may be right to restart."""
        patience = max(ANSWER_AFTER, self.recovery.pulse.patience() / 2)
        return self.recovery.is_healthy and self.recovery.pulse.silence(self._now) >= patience

    def _remote_candidate(self, candidate: Candidate) -> list[Output]:
        result = self._negotiation_did(self.candidates.heard(candidate))
        if self.report is not None:
            # The candidate of the pair in use may become known for what it is, without an event.
            result.append(commands.StartTimer(STATS_SETTLED, STATS_SETTLED_AFTER))
        return result

    def _local_candidate(self, candidate: Candidate, url: str) -> list[Output]:
        result: list[Output] = []
        is_relay = candidate_data(candidate).get("type") == "relay" and bool(url)
        if is_relay and self.recovery.is_healthy and (host := self.relays.answered(url)):
            result.append(note("=", "relay-well", f"the relay {host} answers again", host=host))
        trip = self.recovery.vitals.trip
        return result + self._negotiation_did(self.candidates.gathered(candidate, url, self.report, trip))

    def _keep_checking_soon(self) -> list[Output]:
        # Not before there is a connection: that there is none is for the browser to say.
        return [commands.StartTimer(KEEP_CHECKING, KEEP_CHECKING_AFTER)] if self.established else []

    def _keep_checking(self) -> list[Output]:
        """Be ready for the next outage: a path that comes then must not wait for the browser to look at it."""
        if self.recovery.is_suspect or self.negotiation.state != "stable":
            return self._keep_checking_soon()
        self._kept_above = 0  # what is known of the selected pair may be older than this generation's
        return [commands.SampleStats()]

    def _keep_checking_above(self, selected: int) -> list[Output]:
        """Have it do so, whenever the selected pair is worth more than the candidate that makes it."""
        if self._kept_above is None or selected < self._kept_above:
            return []
        self._kept_above = selected + 1
        return [commands.KeepChecking(self._kept_above, self.negotiation.precedence.network_cost)]

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
            # It is said a moment sooner here, where ICE and DTLS are not summed up.
            return self._recovery_did(self.recovery.bad_news("disconnected", self._now))
        return []

    def _is_now(self, state: str) -> list[Output]:
        """Take the `connectionState`."""
        self.state = state
        match state:
            case "connected":
                return [commands.SampleStats(), PathChanged()]
            case "disconnected" | "failed" if self._outside.refusal is not None:
                return [Failed(self._outside.refusal)]
            case "disconnected" if self.established:
                return self._recovery_did(self.recovery.bad_news("disconnected", self._now))
            case "failed" if self.established and self._outside.peer_is_away:
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
                if self._outside.refusal is not None:  # another channel would need another connection, and a server
                    return [ChannelIs(NO_PEER), closed, Failed(self._outside.refusal)]
                return [ChannelIs(NO_PEER), closed, *self._recovery_did(health.channel_closed(now))]
            case events.ChannelReceived(label, text):
                return [FrameReceived(text, label)]

    def _heard(self, text: str) -> list[Output]:
        try:
            return self._recovery_did(self.recovery.heard(text, self._now))
        except MessageError as error:
            return [note("!", "message", f"the other side sent what is no heartbeat: {error}")]

    def _sampled(self, report: PathReport | None) -> list[Output]:
        if report is None:
            return [commands.StartTimer(STATS, STATS_AGAIN)]
        previous, self.report = self.report, report
        agreed, now = self.negotiation, self._now
        agreed.precedence.selected = report.priority >> 32
        self.recovery.sampled(report.packets_received, now)
        result = self._keep_checking_above(agreed.precedence.selected)
        if previous is None or (previous.pair, previous.local, previous.remote) != (
            report.pair,
            report.local,
            report.remote,
        ):
            self._pace.changed(now)
            result.append(note("=", "pair", report.line(), **report.data()))
            if not self.recovery.is_suspect:
                result.append(PathChanged())
        elif self._pace.is_due(now):
            result.append(note("=", "stats", report.line(), **report.data()))
        if agreed.state == "stable" and report.local.username_fragment in agreed.fragments[0]:
            result += self._recovery_did(self.recovery.proven(agreed.ice_generation, now))
        # Not every browser tells of the new pair.
        usual = STATS_QUIET_EVERY if self.recovery.is_quiet else STATS_EVERY
        result.append(commands.StartTimer(STATS, STATS_AGAIN if self.restarts.is_settling(now) else usual))
        if agreed.leads_restarts:
            result += self.relays.review(report, gathered=agreed.gathers_relays)
        result += self.probe.review(report, allowed=self.relays.policy == "all")
        may_be_direct = self.candidates.may_be_direct(report)
        if may_be_direct and self.relays.policy == "all" and not self._has_looked_again:
            self._has_looked_again = True
            # Both sides may see it: the polite one leaves the restart to the other.
            after = NEEDLESS_RELAY_AFTER * (2 if agreed.polite else 1)
            result.append(commands.StartTimer(NEEDLESS_RELAY, after))
        if report.path == "relay" and self.candidates.share_address and not self.every_interface:
            after = ONE_NETWORK_AFTER * (2 if agreed.polite else 1)
            result.append(commands.StartTimer(ONE_NETWORK, after, only_if_idle=True))
        if self.channel_open and not self.established:
            self.established = True
            result += self._keep_checking_soon()
            if self.replaces:
                seconds = self.recovery.last_outage = now - self.lost_at
                text = f"a new connection works after {seconds:.2f} s"
                result.append(note("=", "recovered", text, seconds=round(seconds, 3), attempts=0))
            if not agreed.polite:
                # One side alone adds them, and once: two cameras switched on at the same moment then need no
                # negotiation, whose crossing offers leave Chromium with a track that never shows a picture.
                result.append(commands.AddMediaSections())
        return result + self._review_standby(report)

    def _want_restart(self, why: str) -> list[Output]:
        return self._restarts_did(self.restarts.want(why, self._now))

    def _restarts_did(self, outputs: Sequence[NegotiationOutput]) -> list[Output]:
        # The last answer, or the last rung that was tried, may have left another configuration in the browser.
        begins = any(isinstance(output, commands.RestartIce) for output in outputs)
        return [*(self._set_configuration() if begins else []), *self._negotiation_did(outputs)]

    # Recovery.

    def _recovery_did(self, outputs: Sequence[RecoveryOutput]) -> list[Output]:
        result: list[Output] = []
        for output in outputs:
            match output:
                case Suspected(evidence):
                    result += self._suspect(evidence)
                case Attempt(rung, number):
                    result += self._attempt(rung, number)
                case Resumed():
                    result.append(PathChanged())
                case Recovered(seconds):
                    self._has_looked_again = False
                    self._pace.changed(self._now)
                    result.append(PathChanged())
                    result += self._standby_after(seconds)
                    if self._credentials_wait:
                        self._credentials_wait = False
                        result += self._move_to_new_credentials()
                case _:
                    result.append(output)
        return result

    def _suspect(self, evidence: Evidence) -> list[Output]:
        self._pace.changed(self._now)
        result: list[Output] = [Suspected(evidence)]
        if self.standby.state == "open":
            host = self.standby.host
            result.append(note("=", "standby-used", f"messages go over the standby path over {host}", host=host))
        return result if evidence == "network-changed" else result + self._blame_relay()

    def _attempt(self, rung: Rung, number: int) -> list[Output]:
        if self._outside.peer_is_away and number > ATTEMPTS_WITHOUT_PEER:
            return [PeerLost()]
        tried = note("=", "attempt", f"attempt {number}: {rung}", rung=rung, number=number)
        self.negotiation.gathers_relays = True
        self._credentials_wait = False
        self._tried_with_expired = self.relays.have_expired(self._now)
        fresh = [SparesWanted()] if self._tried_with_expired else []
        configuration = self.relays.ranked
        match rung:
            case "new-connection":
                return [tried, ReplacementWanted()]
            case "relay-only":
                configuration = configuration.relay_only()
            case "tcp-only":
                configuration = configuration.relay_only(over_tcp=True, without=self.relays.suspected)
        restart = self.restarts.begin(f"attempt {number}", replace_offer=True)
        return [tried, *fresh, commands.SetConfiguration(configuration), *self._negotiation_did(restart)]

    def _renew_again(self) -> list[Output]:
        if self.established:
            return []
        if not self._outside.signaling_is_there:
            self._renews_when_joined = True
            return []
        return [ReplacementWanted()]

    # Relays.

    def _set_configuration(self) -> list[Output]:
        """Give the browser the configuration for the next gathering."""
        return [commands.SetConfiguration(self.relays.usual(gathered=self.negotiation.gathers_relays))]

    def _blame_relay(self) -> list[Output]:
        """Set our relay in use aside at both sides: whatever is silent may be silent for it."""
        if self.report is None or self.report.local.type != "relay" or not self.report.local.url:
            return []
        url = self.report.local.url
        return [*self._suspect_relay(url), ToPeer(RelaySuspected(url))]

    def _suspect_relay(self, url: str) -> list[Output]:
        return [*self._set_configuration(), SparesWanted()] if self.relays.set_aside(url) else []

    def _with_relays(self) -> list[Output]:
        """Gather relays again, if they were given up."""
        if self.negotiation.gathers_relays:
            return []
        self.negotiation.gathers_relays = True
        return self._set_configuration()

    def _look_again_for_direct_path(self) -> list[Output]:
        result = self._look_for_direct_path()
        if result:
            self.relays.looked_for_direct_path()
        return result

    def _look_for_direct_path(self) -> list[Output]:
        return self._want_restart("looking for a direct path") if self._is_relayed else []

    @property
    def _is_relayed(self) -> bool:
        return self.recovery.is_healthy and self.report is not None and self.report.path == "relay"

    def _probed(self, event: PeerEvent) -> list[Output]:
        """Leave a relay over TCP or TLS while it works, if UDP gets out: the path that comes of it may be direct."""
        address = self.probe.answer(event)
        if address is None:
            return []
        over = self.probe.close()
        if not self.recovery.is_healthy or self.report is None or self.report.kind != "relay over TCP":
            return [*over]
        if not self.probe.is_news(address, self.candidates.reached, self._now):
            # UDP gets out, and was of no use: an answer is a connection each, of which a page has 500.
            return [*over, commands.StartTimer(probe.TIMER, probe.QUIET_EVERY)] if address else [*over]
        found = note("=", "probe", f"UDP gets out again, from {address}", address=address)
        return [*over, found, *self._want_restart("UDP gets out again")]

    def _take_every_interface(self) -> list[Output]:
        if not self._is_relayed:
            return []
        if self.relays.policy == "relay" or not self.capture_permitted or not self._outside.signaling_is_there:
            return []
        near = note("=", "one-network", "both sides share a public address: a connection over every interface")
        return [near, ReplacementWanted(every_interface=True)]

    def _release_relays(self) -> list[Output]:
        """Give up the relays of a connection that does not need them, at both sides."""
        if self.report is None or self.report.path != "direct" or not self.relays.configuration.relay_hosts:
            return []
        is_quiet = self.recovery.is_healthy and self.negotiation.state == "stable"
        if not is_quiet or not self._outside.signaling_is_there:
            return []
        self.negotiation.gathers_relays = False
        restart = self.restarts.begin("the relays are not needed")
        return [*self._set_configuration(), *self._negotiation_did(restart)]

    # The standby.

    def _standby_did(self, outputs: Sequence[StandbyOutput]) -> list[Output]:
        result: list[Output] = []
        for output in outputs:
            match output:
                case standby.ToPeer(message):
                    result.append(ToPeer(message))
                case Ready(host):
                    ready = note("=", "standby", f"a standby path over {host} is ready", open=True, host=host)
                    result += [ready, StandbyIs(self.standby.peer)]
                case standby.Received(text):
                    result.append(FrameReceived(text, "standby"))
                case Over(host, why):
                    words = f"no standby path over {host}: {why}"
                    result += [note("=", "standby", words, open=False, host=host, reason=why), StandbyIs(NO_PEER)]
                case _:
                    result.append(output)
        return result

    def _surroundings(self) -> Surroundings | None:
        """Return what a standby depends on, or None if there is to be none."""
        if not self.relays.configuration.standby or self.report is None:
            return None
        local, is_relay = self.report.local, self.report.local.type == "relay"
        return Surroundings(
            self.relays.ranked,
            relay=local.url if is_relay else "",
            over_tcp=is_relay and local.relay_protocol not in ("", "udp"),
            offers=is_relay
            and bool(local.url)
            and (self.report.remote.type != "relay" or not self.negotiation.polite)
            and self.established
            and self.recovery.is_healthy
            and self._outside.signaling_is_there
            and self._outside.peer_is_there,
        )

    def _review_standby(self, report: PathReport) -> list[Output]:
        around = self._surroundings()
        if not self.recovery.is_healthy:
            return []
        if around is None or report.path == "direct":
            return self._standby_did(self.standby.close("no relay is in use any more"))
        return self._standby_did(self.standby.review(around))

    def _standby_after(self, seconds: float) -> list[Output]:
        """Begin anew with one that was silent in an outage of so many seconds: what broke the one path broke both."""
        if self.standby.state != "open" or self._outside.standby_heard >= self._now - seconds:
            return []
        return self._standby_did(self.standby.close("it was silent in the outage"))
