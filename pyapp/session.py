"""The core: `Session.receive(event, now) -> list[Command]`. No clock, no sleep, no browser.

It routes an event to the part that it belongs to (rendezvous, negotiation, delivery, diagnostics), and keeps what they
share: the phase, the one connection, the conversation. `console.present` turns it into what the page shows.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from pyapp import commands, events, head_start, hold_off, negotiation, recovery, rendezvous, standby
from pyapp.commands import Command
from pyapp.conversation import TIMER as CONVERSATION
from pyapp.conversation import Conversation, MessageRefusedError
from pyapp.delivery import DeliveryFullError, MediaShared
from pyapp.diagnostics import Gathering, Journal, PathReport, candidate_data, candidate_words, path_report
from pyapp.events import Event, MediaKind
from pyapp.head_start import HeadStart
from pyapp.hold_off import HoldOff
from pyapp.ice import IceConfiguration, IceError, parse_ice_url
from pyapp.messages import (
    Candidate,
    Description,
    Journaled,
    MessageError,
    PeerMessage,
    RelaySuspected,
    RestartWanted,
    StandbyDescription,
    check_session_name,
)
from pyapp.messages import Journal as JournalMessage
from pyapp.negotiation import BegunAnew, Ignored, Negotiation, ToPeer
from pyapp.reach import Reach
from pyapp.recovery import Attempt, Doubted, Noticed, Reassured, Recovered, Recovery, Resumed, Suspected
from pyapp.rendezvous import Joined, PeerArrived, PeerAway, PeerGone, PeerSaid, Refused, Rendezvous
from pyapp.standby import Over, Ready, Standby, Surroundings
from pyapp.verdicts import REFUSALS, Failure, media_refusal, no_path, refusal

Phase: TypeAlias = Literal["ready", "active", "failed", "closed"]
MediaState: TypeAlias = Literal["off", "starting", "on"]

STATS, STATS_SETTLED, JOURNAL, FIRST_OFFER = "stats", "stats-settled", "journal", "first-offer"
ICE_CONFIGURATION, DIRECT, CUT_SHORT, RENEW = "ice-configuration", "direct-path", "cut-short", "renew"
RELEASE = "release-relays"
RESTART = "restart"

STATS_AGAIN = 0.2
"""Seconds before the path is looked for again while the browser names no selected pair."""

STATS_SETTLED_AFTER = 0.1
"""Seconds before a second look at a pair that changed: Chromium answers `getStats()` from a cache for 50 ms."""

SETTLES_WITHIN = 5.0
"""Seconds that an ICE generation has to be at work at both ends before a restart that can wait replaces it. During a
restart Firefox sends on the generation before: if that one has no pair its DTLS fails, and the connection with it."""

STATS_EVERY = 2.0
"""Seconds between two samples of `getStats()` while connected."""

JOURNAL_AFTER = 1.0
"""Seconds that an entry waits for others before it is streamed."""

FIRST_OFFER_AFTER = 3.0
"""Seconds to wait for the other side's first offer before making it here."""

FIRST_DIRECT_AFTER, LAST_DIRECT_AFTER = 60.0, 1800.0
"""Seconds on a relay before a direct path is looked for again, doubling from the first to the last."""

RELEASE_AFTER = 900.0
"""Seconds on a direct path after which the relays that were gathered beside it are given up, by an ICE restart without
them: nothing else makes a browser give them up. By then the network has shown that it stays as it is."""

CUT_SHORT_AFTER = 1.5
"""Seconds on a relay before a gathering that was cut short is made up for."""

ATTEMPTS_WITHOUT_PEER = 3
"""After so many without a sign of a peer that has left the server, too, it is gone."""

ANSWER_AFTER = 0.15
"""Seconds of silence after which the other side's restart is a reason to reach the server anew: the old socket may
still receive, and no longer send."""

RENEW_AFTER = 12.0
"""Seconds that a new `RTCPeerConnection` in place of a lost one has before the next."""

CONFIGURATION_RETRY_AFTER = 2.0
"""Seconds before `GET /ice` is asked again after a failure."""

CONFIGURATION_MARGIN = 0.75
"""The part of its lifetime after which an ICE configuration is replaced."""

CONNECTION_TIMERS = (
    STATS,
    STATS_SETTLED,
    CONVERSATION,
    FIRST_OFFER,
    DIRECT,
    CUT_SHORT,
    RENEW,
    RELEASE,
    RESTART,
    head_start.TIMER,
    hold_off.TIMER,
    standby.TIMER,
    *recovery.TIMERS,
)


@dataclass(slots=True)
class Connection:
    """What is known of the one `RTCPeerConnection`."""

    negotiation: Negotiation
    recovery: Recovery
    standby: Standby
    state: str = "new"
    channel_open: bool = False
    established: bool = False
    """Connected at least once."""
    replaces: bool = False
    """Whether it takes the place of one that was lost: the person waits for it, and it is tried until it works."""
    agreed_at: float = 0.0
    """When the ICE generation of the last exchange was agreed."""
    restart_wanted: str = ""
    """Why ICE is to be restarted once the last restart has settled, or nothing."""
    has_made_up: bool = False
    """Whether a gathering that was cut short was made up for since the last outage."""
    report: PathReport | None = None
    noted_at: float = 0.0
    """When the journal had the last sample."""
    gathering: Gathering = field(default_factory=Gathering)
    head_start: HeadStart = field(default_factory=HeadStart)
    hold_off: HoldOff = field(default_factory=HoldOff)
    reach: Reach = field(default_factory=Reach)

    @property
    def lost(self) -> bool:
        """Whether the person must know that it does not work now."""
        if not self.established:
            return self.replaces
        return self.recovery.is_lost or not self.channel_open

    @property
    def is_proven(self) -> bool:
        """Whether the ICE generation of the last exchange has been seen at work at both ends."""
        return self.negotiation.ice_generation <= min(self.recovery.generation, self.recovery.peer_generation)

    def is_settling(self, now: float) -> bool:
        """Whether an exchange is under way, or what it agreed has still time to come to work."""
        is_recent = now - self.agreed_at < SETTLES_WITHIN
        return self.negotiation.state != "stable" or (is_recent and not self.is_proven)


@dataclass(slots=True)
class Prepared:
    """What was asked for before Connect was pressed, so that it is there by then. Times are seconds."""

    session: str
    signaling: Literal["opening", "open", "closed"] = "opening"
    configuration: IceConfiguration | None = None
    is_asked: bool = True
    """Whether the configuration is there, or on its way."""
    configured_at: float = 0.0


@dataclass(slots=True)
class Session:
    """One page load. `participant` and `key` are 32 random hexadecimal digits; `time_origin` is Unix time in ms."""

    participant: str
    key: str = field(repr=False)
    time_origin: float
    invitation: str = field(default="", repr=False)
    policy: Literal["all", "relay"] = "all"

    phase: Phase = "ready"
    name: str = ""
    name_problem: str = ""
    failure: Failure | None = None
    refusal: Failure | None = None
    """Why the server will not have us any more, while the connection goes on without it."""
    place: Rendezvous | None = None
    """Ours in the session at the server."""
    configuration: IceConfiguration | None = None
    connection: Connection | None = None
    conversation: Conversation = field(default_factory=Conversation)
    message_problem: str = ""
    media: dict[MediaKind, MediaState] = field(
        default_factory=lambda: {"camera": "off", "microphone": "off", "screen": "off"}
    )
    media_problem: str = ""
    faults: int = 0
    _suspected: frozenset[str] = frozenset()
    """Hosts of relays that went silent, until they are seen well again."""
    _direct_after: float = FIRST_DIRECT_AFTER
    journal: Journal = field(init=False)
    _prepared: Prepared | None = None
    _early: list[PeerMessage] = field(default_factory=list)
    _epoch: int = 1
    _sockets: int = 0
    _is_renewing: bool = False
    """Whether the configuration was asked for because the old one expires."""
    _is_hidden: bool = False
    _now: float = 0.0

    def __post_init__(self) -> None:
        """Begin the journal."""
        self.journal = Journal(self.time_origin)

    def receive(self, event: Event, now: float) -> list[Command]:
        """Take one event at `now` (seconds on the runner's clock): return what is to be done, in order."""
        self._now = now
        noted = self.journal.number
        result = self._route(event)
        if self.journal.number > noted and self._signaling_is_there:
            result.append(commands.StartTimer(JOURNAL, JOURNAL_AFTER, only_if_idle=True))
        return result

    @property
    def _signaling_is_there(self) -> bool:
        return self.place is not None and self.place.state == "present"

    def _route(self, event: Event) -> list[Command]:
        match event:
            case events.ConnectExpected():
                return self._prepare(event.session)
            case events.ConnectRequested():
                return self._connect(event.session)
            case events.HangUpRequested():
                return self._hang_up()
            case events.RestartRequested():
                return [*self._with_relays(), *self._want_restart("asked for by the person")]
            case events.NetworkChanged():
                return self._network_changed(event)
            case events.VisibilityChanged(hidden):
                self._is_hidden = hidden
                return self._recovery(lambda health: health.hidden(self._now, is_hidden=hidden))
            case events.MessageSubmitted():
                return self._submit(event.text)
            case events.MediaToggled():
                return self._toggle(event.kind)
            case events.PageClosing():
                return self._leave()
            case events.IceConfigurationReceived():
                return self._configured(event.configuration)
            case events.IceConfigurationFailed():
                return self._not_configured(event)
            case events.TimerFired():
                return self._timer(event.name)
            case events.MediaStarted() | events.MediaStopped() | events.MediaFailed():
                return self._media_event(event)
            case events.Fault():
                self.faults += 1
                self.journal.note(
                    self._now, "!", "fault", f"{event.where}: {event.error}", where=event.where, error=event.error
                )
                return []
        if self.place is not None:
            match event:
                case events.SignalingOpened():
                    return self._rendezvous_did(self.place.opened(self._now))
                case events.SignalingClosed():
                    outputs = self.place.closed(event.code, event.reason)
                    self._note("!", "signaling", "signaling closed", code=event.code, reason=event.reason)
                    return self._rendezvous_did(outputs)
                case events.SignalingReceived():
                    return self._signaling_received(self.place, event)
                case events.SignalingGarbled():
                    self._note("!", "signaling", f"the server sent what is no message: {event.reason}")
                    return []
        if self.connection is not None:
            return self._peer_event(self.connection, event)
        if self._prepared is not None:
            match event:
                case events.SignalingOpened():
                    self._prepared.signaling = "open"
                case events.SignalingClosed():
                    self._prepared.signaling = "closed"
        return []

    # The person.

    def _prepare(self, name: str) -> list[Command]:
        """Ask for what Connect will need. What is refused is asked for again then, and told to the person then."""
        try:
            check_session_name(name)
        except MessageError:
            return []
        if self.phase == "active":
            return []
        self._prepared = Prepared(name)
        return [commands.FetchIceConfiguration(name), commands.OpenSignaling()]

    def _connect(self, name: str) -> list[Command]:
        if self.phase == "active":
            return []
        name = name.strip()
        try:
            check_session_name(name)
        except MessageError as error:
            self.name_problem = f"A session name has {error.rule}."
            return []
        self.phase, self.name, self.name_problem, self.failure, self.refusal = "active", name, "", None, None
        self._note("=", "session", f"connecting to session {name}", session=name, policy=self.policy)
        place = self.place = Rendezvous(name, self.participant, self.key, self.invitation, self._epoch, self._sockets)
        self.configuration = None
        prepared, self._prepared = self._prepared or Prepared(name, "closed", is_asked=False), None
        result: list[Command] = []
        if prepared.session != name or not prepared.is_asked:
            result.append(commands.FetchIceConfiguration(name))
        elif prepared.configuration is not None:
            age = self._now - prepared.configured_at
            if age < (prepared.configuration.lifetime or math.inf) * CONFIGURATION_MARGIN:
                result += self._configured(prepared.configuration, age=age)
            else:
                result.append(commands.FetchIceConfiguration(name))
        match prepared.signaling:
            case "open":
                return result + self._rendezvous_did(place.adopt(self._now))
            case "opening":
                return result + self._rendezvous_did(place.opening())
        return result + self._rendezvous_did(place.open())

    def _hang_up(self) -> list[Command]:
        if self.phase != "active":
            return []
        self._note("=", "session", "hung up")
        self.phase = "closed"
        result = self._end()
        for kind, state in self.media.items():
            if state == "on":
                result.append(commands.StopMedia(kind))
            self.media[kind] = "off"
        return result

    def _leave(self) -> list[Command]:
        if self.phase != "active":
            return []
        self.phase = "closed"
        return self._end()

    def _fail(self, failure: Failure) -> list[Command]:
        self._note("!", "failed", failure.headline, detail=failure.detail, cause=failure.cause)
        self.phase, self.failure = "failed", failure
        return self._end()

    def _end(self) -> list[Command]:
        result: list[Command] = [
            commands.CancelTimer(name) for name in (*CONNECTION_TIMERS, ICE_CONFIGURATION, JOURNAL)
        ]
        if self.place is not None:
            if self._signaling_is_there:
                result += self._stream_journal()
            result += self._rendezvous_did(self.place.leave())
            self._epoch, self._sockets = self.place.epoch + 1, self.place.sockets
            self.place = None
        result += self._close_connection()
        self._early.clear()
        return result

    def _want_restart(self, why: str) -> list[Command]:
        """Restart ICE as soon as the last restart has settled, unless another one is agreed by then."""
        if self.connection is None:
            return []
        self.connection.restart_wanted = why
        return self._restart_if_settled()

    def _restart_if_settled(self) -> list[Command]:
        if self.connection is None or not self.connection.restart_wanted:
            return []
        if self.connection.is_settling(self._now):
            return [commands.StartTimer(RESTART, STATS_AGAIN)]
        why, self.connection.restart_wanted = self.connection.restart_wanted, ""
        return self._restart(why)

    def _close_connection(self) -> list[Command]:
        self.conversation.channel_is(is_open=False)
        if self.connection is None:
            return []
        result = self._standby_did(self.connection.standby.close("the connection is over"))
        self.connection = None
        return [*result, commands.ClosePeer()]

    def _restart(self, why: str, *, replace_offer: bool = False) -> list[Command]:
        if self.connection is None:
            return []
        self._note("=", "restart", f"ICE restart, {why}", reason=why)
        if self.connection.negotiation.leaves_restarts:
            return self._send_to_peer(RestartWanted())
        return self._negotiation_did(self.connection.negotiation.restart(replace_offer=replace_offer))

    def _submit(self, text: str) -> list[Command]:
        self.message_problem = ""
        if not text.strip() or self.phase != "active":
            return []
        try:
            return self.conversation.submit(text, self._now)
        except MessageRefusedError as error:
            self.message_problem = str(error)
            self._note("!", "message", self.message_problem)
            return []

    def _toggle(self, kind: MediaKind) -> list[Command]:
        self.media_problem = ""
        match self.media[kind]:
            case "off":
                self.media[kind] = "starting"
                return [commands.StartMedia(kind)]
            case "on":
                return [commands.StopMedia(kind)]
        return []

    def _media_event(self, event: events.MediaStarted | events.MediaStopped | events.MediaFailed) -> list[Command]:
        match event:
            case events.MediaStarted(kind) if self.media[kind] != "starting":
                # The person hung up before the browser gave it.
                return [commands.StopMedia(kind)]
            case events.MediaStarted(kind):
                self.media[kind] = "on"
                self._note("=", "media", f"{kind} on", kind=kind, on=True)
            case events.MediaStopped(kind):
                self.media[kind] = "off"
                self._note("=", "media", f"{kind} off", kind=kind, on=False)
            case events.MediaFailed(kind, error):
                self.media[kind] = "off"
                self.media_problem = media_refusal(kind, error)
                self._note("!", "media", f"{kind}: {error}", kind=kind, error=error)
        return self.conversation.share(self._shared, self._now) if self.connection else []

    @property
    def _shared(self) -> MediaShared:
        return MediaShared(
            audio=self.media["microphone"] == "on", video="on" in (self.media["camera"], self.media["screen"])
        )

    # The server.

    def _configured(self, configuration: IceConfiguration, *, age: float = 0.0) -> list[Command]:
        if self.phase != "active":
            if self._prepared:
                self._prepared.configuration, self._prepared.configured_at = configuration, self._now
            return []
        self.configuration = replace(configuration, policy="relay") if self.policy == "relay" else configuration
        urls = [url for server in configuration.servers for url in server.urls]
        self._note("<", "ice-configuration", f"{len(urls)} ICE servers", urls=" ".join(urls), policy=self.policy)
        result: list[Command] = []
        if configuration.lifetime is not None:
            after = configuration.lifetime * CONFIGURATION_MARGIN - age
            result.append(commands.StartTimer(ICE_CONFIGURATION, after))
        if self.connection is None:
            return result + self._new_connection()
        result += self._set_configuration()
        report, health = self.connection.report, self.connection.recovery
        is_renewal, self._is_renewing = self._is_renewing, False
        if is_renewal and health.state == "healthy":
            result += self._standby_did(self.connection.standby.close("the relays' credentials were renewed"))
        if is_renewal and report and report.local.type == "relay" and health.state == "healthy":
            # Some servers cut an allocation soon after its credentials expire: move to the new ones while it works.
            result += self._want_restart("the relay's credentials were renewed")
        return result

    def _not_configured(self, event: events.IceConfigurationFailed) -> list[Command]:
        if self.phase != "active":
            if self._prepared:
                self._prepared.is_asked = False
            return []
        self._note("!", "ice-configuration", f"no ICE configuration: {event.reason}", code=event.code)
        if event.code in REFUSALS:
            # The configuration that is there serves on: a place in the session needs no fresh invitation.
            return [] if self.configuration else self._fail(refusal(event.code, event.reason))
        return [commands.StartTimer(ICE_CONFIGURATION, CONFIGURATION_RETRY_AFTER, spread=1.0)]

    def _signaling_received(self, place: Rendezvous, event: events.SignalingReceived) -> list[Command]:
        if isinstance(event.message, Journaled):
            self.journal.confirmed(event.message.number)
            return self._stream_journal()
        return self._rendezvous_did(place.received(event.message, self._now))

    def _rendezvous_did(self, outputs: Sequence[rendezvous.Output]) -> list[Command]:
        result: list[Command] = []
        for output in outputs:
            match output:
                case Joined(polite, alone):
                    self._note("=", "signaling", "joined the session", polite=polite, alone=alone)
                    self.journal.stream_again()
                    result += self._joined(polite=polite, alone=alone)
                case PeerArrived():
                    self._note("<", "peer", "the other side is here")
                    peer = self.place.peer if self.place else ""
                    if self.connection is not None and not self.connection.established:
                        self.connection.replaces = self.conversation.is_with(peer)
                    self.conversation.with_partner(peer)
                    result += self._stream_journal()
                case PeerGone():
                    self._note("<", "peer", "the other side left")
                    result += self._peer_gone()
                case PeerAway():
                    self._note("<", "peer", "the server has lost the other side")
                    result += self._peer_away()
                case PeerSaid(message):
                    result += self._peer_said(message)
                case Refused(code, text, fatal):
                    self._note("!", "refused", f"the server refused: {text}", code=code)
                    if fatal:
                        result += self._refused(refusal(code, text))
                        break
                    # What it could not keep of the journal is sent again with the next entries.
                    self.journal.stream_again()
                case _:
                    result.append(output)
        return result

    def _refused(self, failure: Failure) -> list[Command]:
        """Fail; but not while the peers are connected, who need the server only to get connected again."""
        if self.connection is not None and self.connection.established and not self.connection.lost:
            self.refusal = failure
            return []
        return self._fail(failure)

    def _joined(self, *, polite: bool, alone: bool) -> list[Command]:
        if self.connection is None:
            return []
        self.connection.negotiation.polite = self.connection.recovery.polite = polite
        self.connection.standby.polite = polite
        if alone:
            return self._negotiation_did(self.connection.negotiation.take_initiative())
        if self.connection.established:
            return self._recovery(lambda health: health.server_is_back(self._now))
        return [] if self.connection.negotiation.initiator else [commands.StartTimer(FIRST_OFFER, FIRST_OFFER_AFTER)]

    def _peer_gone(self) -> list[Command]:
        self._direct_after = FIRST_DIRECT_AFTER
        result: list[Command] = [commands.CancelTimer(name) for name in CONNECTION_TIMERS]
        self._early.clear()
        result += self._close_connection()
        return result + self._new_connection(initiator=True)

    def _peer_away(self) -> list[Command]:
        """Keep a connection that works without the server; without one, nobody is there."""
        if self.place is None or (self.connection and self.connection.established and not self.connection.lost):
            return []
        return self._rendezvous_did(self.place.forget())

    def _peer_said(self, message: PeerMessage) -> list[Command]:
        if self.connection is None:
            # Our ICE configuration is still on its way.
            self._early.append(message)
            return []
        agreed = self.connection.negotiation
        if isinstance(message, Description):
            self._note("<", "description", message.type, exchange=message.exchange)
            self.connection.reach.heard_in(message.sdp)
            return self._peer_described(self.connection, message)
        if isinstance(message, RelaySuspected):
            self._note("<", "relay-suspected", f"the other side suspects the relay {message.url}", url=message.url)
            return self._suspect_relay(message.url)
        if isinstance(message, RestartWanted):
            return [*self._with_relays(), *self._want_restart("asked for by the other side")]
        if isinstance(message, StandbyDescription):
            around = self._surroundings(self.connection)
            return self._standby_did(self.connection.standby.said(message, around)) if around else []
        data = candidate_data(message)
        self._note("<", "candidate-remote", candidate_words(data), **data)
        self.connection.reach.heard(message)
        if self.connection.hold_off.holds(message, str(data.get("type"))):
            return []
        result = self._negotiation_did(agreed.remote_candidate(message))
        if self.connection.report is not None:
            # The candidate of the pair in use may become known for what it is, without an event.
            result.append(commands.StartTimer(STATS_SETTLED, STATS_SETTLED_AFTER))
        return result

    def _peer_described(self, connection: Connection, message: Description) -> list[Command]:
        agreed = connection.negotiation
        had_relays, old = agreed.gathers_relays, agreed.fragments[0]
        result: list[Command] = []
        if message.type == "offer" and self._is_quiet(connection):
            # The old socket may still receive, and no longer send; and what we gather now is for this outage.
            result += self._rendezvous_did(self.place.reopen()) if self.place else []
            result += self._blame_relay(connection)
        result += self._negotiation_did(agreed.remote_description(message))
        if agreed.gathers_relays != had_relays:
            result = [*self._set_configuration(), *result]
        if connection.established and agreed.state == "answering" and message.generation > agreed.ice_generation:
            connection.hold_off.begin(old)
            result.append(commands.StartTimer(hold_off.TIMER, hold_off.MOST))
            # Begun is as good as agreed: an offer of our own, now, would only be another restart after this one.
            result += self._recovery(lambda health: health.negotiated(message.generation, self._now))
        return result

    # The RTCPeerConnection.

    def _new_connection(self, *, initiator: bool = False) -> list[Command]:
        if self.configuration is None or self.place is None:
            return []
        place = self.place
        polite = place.polite is not False
        health = Recovery(polite=polite, is_hidden=self._is_hidden)
        self.connection = Connection(Negotiation(polite=polite, initiator=False), health, Standby(polite=polite))
        result: list[Command] = [commands.CreatePeer(self._ranked(self.configuration))]
        if place.state == "present" and place.polite is not None:
            result += self._joined(polite=place.polite, alone=initiator or place.was_first)
        early, self._early = self._early, []
        for message in early:
            result += self._peer_said(message)
        return result

    def _negotiation_did(self, outputs: Sequence[negotiation.Output]) -> list[Command]:
        result: list[Command] = []
        for output in outputs:
            match output:
                case ToPeer(message):
                    if isinstance(message, Description):
                        self._note(">", "description", message.type, exchange=message.exchange)
                    result += self._send_to_peer(message)
                case Ignored(what, why):
                    self._note("=", "ignored", f"{what} left aside: {why}", what=what, why=why)
                case BegunAnew():
                    self._note("=", "crossed", "the first offers crossed: a new connection for the other side's")
                    if self.configuration is not None:
                        result.append(commands.CreatePeer(self._ranked(self.configuration)))
                case _:
                    result.append(output)
        return result

    def _send_to_peer(self, message: PeerMessage) -> list[Command]:
        if self.place is None:
            return []
        try:
            return self._rendezvous_did(self.place.send(message, self._now))
        except DeliveryFullError as error:
            self._note("!", "signaling", f"not sent to the other side: {error}")
            return []

    def _peer_event(self, connection: Connection, event: Event) -> list[Command]:
        generation = connection.negotiation.ice_generation
        result = self._peer_did(connection, event)
        if (now_agreed := connection.negotiation.ice_generation) > generation:
            connection.agreed_at, connection.restart_wanted = self._now, ""
            result.append(commands.StartTimer(STATS, STATS_AGAIN))
            result += self._recovery(lambda health: health.negotiated(now_agreed, self._now))
        return result

    def _peer_did(self, connection: Connection, event: Event) -> list[Command]:
        agreed = connection.negotiation
        match event:
            case events.NegotiationNeeded():
                return self._negotiation_did(agreed.needed())
            case events.LocalDescriptionSet(attempt, description):
                return self._negotiation_did(agreed.local_description_set(attempt, description))
            case events.RemoteDescriptionSet(description):
                cancel = [commands.CancelTimer(FIRST_OFFER)] if description.type == "offer" else []
                return [*cancel, *self._negotiation_did(agreed.remote_description_set(description))]
            case events.PeerOperationFailed(operation, error):
                self._note("!", "operation-failed", f"{operation}: {error}", operation=operation, error=error)
                return self._negotiation_did(agreed.operation_failed(operation))
            case events.LocalCandidate(candidate, url):
                return self._local_candidate(connection, candidate, url)
            case events.LocalCandidatesEnded():
                self._note(">", "candidate-local", "end of candidates", end=True)
                if connection.head_start.holds_end():
                    return []
                return self._negotiation_did(agreed.local_candidates_ended()) + self._nothing_gathered(connection)
            case events.CandidateError(url, code, text, address):
                connection.gathering.error(url, code, text)
                self._note("!", "candidate-error", f"{code} {text}", url=url, code=code, address=address)
                return []
            case events.StateChanged(name, value):
                self._note("=", "state", f"{name} {value}", state=name, value=value)
                return self._connection_is(connection, value) if name == "connection" else []
            case events.ChannelOpened("heartbeat"):
                return self._recovery(lambda health: health.channel_opened(self._now))
            case events.ChannelClosed("heartbeat"):
                return self._recovery(lambda health: health.muted())
            case events.ChannelReceived("heartbeat", text):
                return self._heard(text)
            case events.StandbyDescribed(number, description):
                return self._standby_did(connection.standby.described(number, description, self._now))
            case events.StandbyFailed(number, why):
                return self._standby_did(connection.standby.failed(number, why, self._now))
            case events.ChannelOpened("standby"):
                return self._standby_did(connection.standby.opened(self._now))
            case events.ChannelClosed("standby"):
                return self._standby_did(connection.standby.closed(self._now))
            case events.ChannelReceived("standby") if connection.standby.state != "open":
                return []  # it waited in the inbox while the standby was closed, and is sent again
            case events.ChannelOpened():
                connection.channel_open = True
                self._note("=", "channel", f"channel {event.label} open", label=event.label)
                return [commands.SampleStats(), *self.conversation.opened(self._shared, self._now)]
            case events.ChannelClosed():
                connection.channel_open = False
                self.conversation.channel_is(is_open=False)
                self._note("=", "channel", f"channel {event.label} closed", label=event.label)
                return self._recovery(lambda health: health.channel_closed(self._now))
            case events.ChannelReceived():
                return self._channel_received(event)
            case events.PairChanged():
                # Chromium's controlled side follows the data: a beat brings it to the better pair, too. And what
                # was on its way on the old pair may be lost: it is sent again before `getStats()` says what is new.
                beat = self._recovery(lambda health: health.beat(self._now))
                is_suspect = connection.recovery.state == "suspect"
                again = self.conversation.probe if is_suspect else self.conversation.path_changed
                result = [*beat, *again(self._now), commands.SampleStats()]
                return [*result, commands.StartTimer(STATS_SETTLED, STATS_SETTLED_AFTER)]
            case events.StatsSampled(entries):
                return self._sampled(connection, path_report(entries))
        return []

    def _local_candidate(self, connection: Connection, candidate: Candidate, url: str) -> list[Command]:
        agreed = connection.negotiation
        data = candidate_data(candidate, url)
        connection.gathering.candidate(data)
        connection.reach.told(candidate)
        if data.get("type") == "relay" and url and self._suspected:
            self._relay_answered(url)
        self._note(">", "candidate-local", candidate_words(data), **data)
        if connection.head_start.holds(candidate, data, connection.report):
            after = head_start.HEAD_START + (connection.recovery.pulse.round_trip.smoothed or 0.0)
            return [commands.StartTimer(head_start.TIMER, after, only_if_idle=True)]
        result = self._negotiation_did(agreed.local_candidate(candidate))
        if connection.hold_off.ends_with(candidate, str(data.get("type"))):
            # Both sides then check at the same time.
            trip = (connection.recovery.pulse.round_trip.smoothed or 0.0) / 2
            result.append(commands.StartTimer(hold_off.TIMER, trip))
        return result

    def _head_start_over(self) -> list[Command]:
        result: list[Command] = []
        if self.connection is not None:
            agreed = self.connection.negotiation
            for candidate in self.connection.head_start.over():
                told = agreed.local_candidates_ended() if candidate is None else agreed.local_candidate(candidate)
                result += self._negotiation_did(told)
        return result

    def _hold_off_over(self) -> list[Command]:
        result: list[Command] = []
        if self.connection is not None:
            agreed = self.connection.negotiation
            for candidate in self.connection.hold_off.over():
                result += self._negotiation_did(agreed.remote_candidate(candidate))
        return result

    def _connection_is(self, connection: Connection, value: str) -> list[Command]:
        connection.state = value
        match value:
            case "connected":
                return [commands.SampleStats(), *self.conversation.path_changed(self._now)]
            case "disconnected" | "failed" if self.refusal is not None:
                return self._fail(self.refusal)
            case "disconnected" if connection.established:
                return self._recovery(lambda health: health.bad_news("disconnected", self._now))
            case "failed" if connection.established and self.place is not None and self.place.peer_is_away:
                return self._rendezvous_did(self.place.forget())
            case "failed" if connection.established:
                return self._recovery(lambda health: health.bad_news("failed", self._now))
            case "failed" if connection.replaces:
                return []  # the timer tries the next one
            case "failed":
                return self._fail(no_path(connection.gathering, relay_only=self.policy == "relay"))
        return []

    def _nothing_gathered(self, connection: Connection) -> list[Command]:
        if (
            connection.established
            or connection.replaces
            or connection.gathering.candidates
            or not connection.gathering.errors
        ):
            return []
        return self._fail(no_path(connection.gathering, relay_only=self.policy == "relay"))

    def _sampled(self, connection: Connection, report: PathReport | None) -> list[Command]:
        if report is None:
            return [commands.StartTimer(STATS, STATS_AGAIN)]
        previous, connection.report = connection.report, report
        if previous is None or (previous.pair, previous.local, previous.remote) != (
            report.pair,
            report.local,
            report.remote,
        ):
            self._note("=", "pair", report.line(), **report.data())
            resend = [] if connection.recovery.state == "suspect" else self.conversation.path_changed(self._now)
        else:
            if self._now - connection.noted_at > STATS_EVERY / 2:
                connection.noted_at = self._now
                self._note("=", "stats", report.line(), **report.data())
            resend = []
        result = list(resend)
        agreed = connection.negotiation
        if agreed.state == "stable" and report.local.username_fragment in agreed.fragments[0]:
            result += self._recovery(lambda health: health.proven(agreed.ice_generation, self._now))
        # Not every browser tells of the new pair.
        result.append(commands.StartTimer(STATS, STATS_AGAIN if connection.is_settling(self._now) else STATS_EVERY))
        if self.policy == "all" and agreed.leads_restarts:
            if report.path == "relay":
                result.append(commands.StartTimer(DIRECT, self._direct_after, only_if_idle=True))
            elif agreed.gathers_relays:
                result.append(commands.StartTimer(RELEASE, RELEASE_AFTER, only_if_idle=True))
        was_cut_short = connection.reach.was_cut_short(report, agreed.fragments[1])
        if was_cut_short and self.policy == "all" and not connection.has_made_up:
            connection.has_made_up = True
            result.append(commands.StartTimer(CUT_SHORT, CUT_SHORT_AFTER))
        if connection.channel_open and not connection.established:
            connection.established = True
            if not connection.negotiation.polite:
                # One side alone adds them, and once: two cameras switched on at the same moment then need no
                # negotiation, whose crossing offers leave Chromium with a track that never shows a picture.
                result.append(commands.AddMediaSections())
        return result + self._review_standby(connection, report)

    def _channel_received(self, event: events.ChannelReceived) -> list[Command]:
        try:
            return self.conversation.received(event.text, self._now, event.label)
        except MessageError as error:
            self._note("!", "message", f"the other side sent what is no message: {error}")
            return []

    # Recovery.

    def _recovery(self, what: Callable[[Recovery], list[recovery.Output]]) -> list[Command]:
        """Ask the recovery of the connection, if there is one, and do what it says."""
        if self.connection is None:
            return []
        result: list[Command] = []
        for output in what(self.connection.recovery):
            match output:
                case Doubted():
                    result += self._rendezvous_did(self.place.doubt(self._now)) if self.place else []
                    result += self.conversation.doubt(self._now)
                case Reassured():
                    self.conversation.reassured()
                    result += self._rendezvous_did(self.place.reassured()) if self.place else []
                case Suspected(evidence):
                    result += self._suspect(self.connection, evidence)
                case Attempt(rung, number):
                    result += self._attempt(rung, number)
                case Resumed():
                    result += self.conversation.path_changed(self._now)
                case Recovered(seconds, attempts):
                    text = f"the path works again after {seconds:.2f} s"
                    self._note("=", "recovered", text, seconds=round(seconds, 3), attempts=attempts)
                    self.connection.has_made_up = False
                    result += self.conversation.path_changed(self._now)
                    result += self._standby_after(self.connection.standby, seconds)
                case Noticed(what_it_was, seconds):
                    self._note("=", "no-alarm", what_it_was, seconds=round(seconds, 3))
                case _:
                    result.append(output)
        return result

    def _heard(self, text: str) -> list[Command]:
        try:
            return self._recovery(lambda health: health.heard(text, self._now))
        except MessageError as error:
            self._note("!", "message", f"the other side sent what is no heartbeat: {error}")
            return []

    def _network_changed(self, event: events.NetworkChanged) -> list[Command]:
        self._note("=", "network", f"network {event.kind}", certain=event.certain)
        if event.kind == "offline":
            # Nothing can be tried yet, and the silence will say soon enough whether it is true.
            return []
        self._direct_after = FIRST_DIRECT_AFTER
        if self._prepared and event.certain:
            return self._prepare(self._prepared.session)
        if self.connection is None or self.connection.recovery.state == "idle":
            return self._rendezvous_did(self.place.reopen()) if self.place and event.certain else []
        return self._recovery(lambda health: health.network_changed(self._now, certain=event.certain))

    def _suspect(self, connection: Connection, evidence: recovery.Evidence) -> list[Command]:
        pulse = connection.recovery.pulse
        self._note(
            "!",
            "suspect",
            f"the path is suspect: {evidence}",
            evidence=evidence,
            silence_ms=round(pulse.silence(self._now) * 1000),
            patience_ms=round(pulse.patience() * 1000),
            loss=round(pulse.loss, 4),
        )
        result = self.conversation.hold(self._now) + self._reach_server(is_certain=evidence == "network-changed")
        if connection.standby.state == "open":
            host = connection.standby.host
            self._note("=", "standby-used", f"messages go over the standby path over {host}", host=host)
        return result if evidence == "network-changed" else result + self._blame_relay(connection)

    def _blame_relay(self, connection: Connection) -> list[Command]:
        """Set our relay in use aside at both sides: whatever is silent may be silent for it."""
        report = connection.report
        if report is None or report.local.type != "relay" or not report.local.url:
            return []
        return [*self._suspect_relay(report.local.url), *self._send_to_peer(RelaySuspected(report.local.url))]

    def _reach_server(self, *, is_certain: bool) -> list[Command]:
        """Reach the server anew before anything is sent there: the socket dies with the network, and nobody is told.

        Unless the change `is_certain`, a socket that has just answered, or is just being opened, will do.
        """
        if self.place is None or (not is_certain and (self.place.is_opening or self.place.is_answering(self._now))):
            return []
        return self._rendezvous_did(self.place.reopen())

    def _suspect_relay(self, url: str) -> list[Command]:
        """Set a relay aside for what is gathered from now on, and ask for a spare."""
        if self.configuration is None:
            return []
        try:
            host = parse_ice_url(url).host
        except IceError:  # the other side says anything; and a browser may not say which relay it uses
            return []
        self._suspected |= {host}
        return [*self._set_configuration(), self._fetch_command()]

    def _relay_answered(self, url: str) -> None:
        host = parse_ice_url(url).host
        if host in self._suspected and self.connection and self.connection.recovery.state == "healthy":
            self._suspected -= {host}
            self._note("=", "relay-well", f"the relay {host} answers again", host=host)

    def _ranked(self, configuration: IceConfiguration) -> IceConfiguration:
        return configuration.preferring(self._suspected)

    def _set_configuration(self) -> list[Command]:
        """Give the browser the configuration for the next gathering."""
        if self.configuration is None or self.connection is None:
            return []
        agreed = self.connection.negotiation
        usual = self._ranked(self.configuration) if agreed.gathers_relays else self.configuration.without_relays()
        return [commands.SetConfiguration(usual)]

    def _with_relays(self) -> list[Command]:
        """Gather relays again, if they were given up."""
        if self.connection is None or self.connection.negotiation.gathers_relays:
            return []
        self.connection.negotiation.gathers_relays = True
        return self._set_configuration()

    def _attempt(self, rung: recovery.Rung, number: int) -> list[Command]:
        if self.connection is None or self.configuration is None or self.place is None:
            return []
        if self.place.peer_is_away and number > ATTEMPTS_WITHOUT_PEER:
            return self._rendezvous_did(self.place.forget())
        self._note("=", "attempt", f"attempt {number}: {rung}", rung=rung, number=number)
        self.connection.negotiation.gathers_relays = True
        configuration = self._ranked(self.configuration)
        match rung:
            case "new-connection":
                return self._renew()
            case "relay-only":
                configuration = configuration.relay_only()
            case "tcp-only":
                configuration = configuration.relay_only(over_tcp=True)
        return [commands.SetConfiguration(configuration), *self._restart(f"attempt {number}", replace_offer=True)]

    def _renew(self) -> list[Command]:
        """Put a new `RTCPeerConnection` in the place of one that cannot be mended."""
        if self.place is None:
            return []
        result = self._rendezvous_did(self.place.renew())
        if self.connection is not None:
            self.connection.replaces = True
            result.append(commands.StartTimer(RENEW, RENEW_AFTER, spread=2.0))
        return result

    def _renew_again(self) -> list[Command]:
        if self.connection is None or self.connection.established:
            return []
        if not self._signaling_is_there:
            return [commands.StartTimer(RENEW, RENEW_AFTER, spread=2.0)]
        return self._renew()

    def _is_quiet(self, connection: Connection) -> bool:
        """Return whether we have not heard the other side for a moment, and it may be right to restart."""
        health = connection.recovery
        patience = max(ANSWER_AFTER, health.pulse.patience() / 2)
        return health.state == "healthy" and health.pulse.silence(self._now) >= patience

    def _look_again_for_direct_path(self) -> list[Command]:
        result = self._look_for_direct_path()
        if result:
            self._direct_after = min(self._direct_after * 2, LAST_DIRECT_AFTER)
        return result

    def _look_for_direct_path(self) -> list[Command]:
        connection = self.connection
        if connection is None or connection.recovery.state != "healthy" or connection.report is None:
            return []
        if connection.report.path == "direct":
            return []
        # The last rung that was tried may have left relays alone in the browser's configuration.
        return [*self._set_configuration(), *self._want_restart("looking for a direct path")]

    def _release_relays(self) -> list[Command]:
        """Give up the relays of a connection that does not need them, at both sides."""
        connection = self.connection
        if connection is None or connection.report is None or connection.report.path != "direct":
            return []
        agreed = connection.negotiation
        is_quiet = connection.recovery.state == "healthy" and agreed.state == "stable" and self._signaling_is_there
        if not is_quiet or self.configuration is None or not self.configuration.relay_hosts:
            return []
        agreed.gathers_relays = False
        return [*self._set_configuration(), *self._restart("the relays are not needed")]

    # The standby.

    def _standby_did(self, outputs: Sequence[standby.Output]) -> list[Command]:
        result: list[Command] = []
        for output in outputs:
            match output:
                case standby.ToPeer(message):
                    result += self._send_to_peer(message)
                case Ready(host):
                    self._note("=", "standby", f"a standby path over {host} is ready", open=True, host=host)
                    result += self.conversation.standby_is(self._now, is_open=True)
                case Over(host, why):
                    self._note("=", "standby", f"no standby path over {host}: {why}", open=False, host=host, reason=why)
                    result += self.conversation.standby_is(self._now, is_open=False)
                case _:
                    result.append(output)
        return result

    def _surroundings(self, connection: Connection) -> Surroundings | None:
        """Return what a standby depends on, or None if there is to be none."""
        configuration, report = self.configuration, connection.report
        if configuration is None or not configuration.standby or report is None or self.place is None:
            return None
        local, is_relay = report.local, report.local.type == "relay"
        peer_is_there = bool(self.place.peer) and not self.place.peer_is_away
        return Surroundings(
            self._ranked(configuration),
            relay=local.url if is_relay else "",
            over_tcp=is_relay and local.relay_protocol not in ("", "udp"),
            offers=is_relay
            and bool(local.url)
            and (report.remote.type != "relay" or not connection.negotiation.polite)
            and connection.established
            and connection.recovery.state == "healthy"
            and self._signaling_is_there
            and peer_is_there,
        )

    def _review_standby(self, connection: Connection, report: PathReport) -> list[Command]:
        around = self._surroundings(connection)
        if connection.recovery.state != "healthy":
            return []
        if around is None or report.path == "direct":
            return self._standby_did(connection.standby.close("no relay is in use any more"))
        return self._standby_did(connection.standby.review(around))

    def _standby_due(self) -> list[Command]:
        if self.connection is None:
            return []
        return self._standby_did(self.connection.standby.due(self._surroundings(self.connection), self._now))

    def _standby_after(self, spare: Standby, seconds: float) -> list[Command]:
        """Begin anew with one that was silent in an outage of so many seconds: what broke the one path broke both."""
        if spare.state != "open" or self.conversation.heard_aside(self._now - seconds):
            return []
        return self._standby_did(spare.close("it was silent in the outage"))

    # Timers and the journal.

    def _fetch_configuration(self) -> list[Command]:
        self._is_renewing = self.phase == "active"
        return [self._fetch_command()] if self._is_renewing else []

    def _fetch_command(self) -> Command:
        return commands.FetchIceConfiguration(self.name, tuple(sorted(self._suspected)))

    def _timer(self, name: str) -> list[Command]:
        handlers: dict[str, Callable[[], list[Command]]] = {
            STATS: lambda: [commands.SampleStats()] if self.connection else [],
            STATS_SETTLED: lambda: [commands.SampleStats()] if self.connection else [],
            JOURNAL: self._stream_journal,
            CONVERSATION: lambda: self.conversation.transmit(self._now),
            FIRST_OFFER: self._take_initiative,
            DIRECT: self._look_again_for_direct_path,
            CUT_SHORT: self._look_for_direct_path,
            head_start.TIMER: self._head_start_over,
            hold_off.TIMER: self._hold_off_over,
            RENEW: self._renew_again,
            RELEASE: self._release_relays,
            RESTART: self._restart_if_settled,
            standby.TIMER: self._standby_due,
            ICE_CONFIGURATION: self._fetch_configuration,
            recovery.BEAT: lambda: self._recovery(lambda health: health.beat(self._now)),
            recovery.SILENCE: lambda: self._recovery(lambda health: health.silent(self._now)),
            recovery.SETTLE: lambda: self._recovery(lambda health: health.network_settled(self._now)),
            recovery.LOST: lambda: self._recovery(lambda health: health.lost()),
            recovery.ATTEMPT: lambda: self._recovery(
                lambda health: health.attempt_over(
                    self._now,
                    server_heard=self.place.heard_at if self.place and self._signaling_is_there else -1.0,
                    peer_heard=self.place.peer_heard_at if self.place else -1.0,
                )
            ),
        }
        if name in handlers:
            return handlers[name]()
        if self.place is None:
            return []
        if name == rendezvous.RETRY:
            return self._rendezvous_did(self.place.open())
        if name == rendezvous.SEND_AGAIN:
            return self._rendezvous_did(self.place.send_again(self._now))
        if name == rendezvous.OPENING:
            return self._rendezvous_did(self.place.open())
        if name == rendezvous.PING:
            return self._rendezvous_did(self.place.check())
        if name == rendezvous.LATE:
            return self._rendezvous_did(self.place.late())
        if name == rendezvous.AWAITED:
            return self._rendezvous_did(self.place.awaited())
        return self._rendezvous_did(self.place.acknowledge())

    def _take_initiative(self) -> list[Command]:
        if self.connection is None:
            return []
        return self._negotiation_did(self.connection.negotiation.take_initiative())

    def _stream_journal(self) -> list[Command]:
        if not self._signaling_is_there:
            return []
        batch = self.journal.next_batch()
        if not batch:
            return []
        more = [commands.StartTimer(JOURNAL, JOURNAL_AFTER)] if self.journal.has_more else []
        return [commands.SendSignaling(JournalMessage(batch)), *more]

    def _note(
        self, mark: Literal[">", "<", "=", "!"], event: str, text: str, **data: str | float | bool | None
    ) -> None:
        self.journal.note(self._now, mark, event, text, **data)
