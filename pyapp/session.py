"""The core: `Session.receive(event, now) -> list[Command]`. No clock, no sleep, no browser.

It routes an event to the part that it belongs to (rendezvous, negotiation, delivery, diagnostics), and keeps what they
share: the phase, the one connection, the conversation. `console.present` turns it into what the page shows.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from pyapp import commands, events, negotiation, rendezvous
from pyapp.commands import Command
from pyapp.conversation import NOTHING_SHARED, Conversation, MessageRefusedError
from pyapp.conversation import TIMER as CONVERSATION
from pyapp.delivery import DeliveryFullError, MediaShared
from pyapp.diagnostics import Gathering, Journal, PathReport, candidate_data, candidate_words, path_report
from pyapp.events import Event, MediaKind
from pyapp.ice import IceConfiguration
from pyapp.messages import (
    Description,
    Journaled,
    MessageError,
    PeerMessage,
    check_session_name,
)
from pyapp.messages import Journal as JournalMessage
from pyapp.negotiation import Ignored, Negotiation, ToPeer
from pyapp.rendezvous import Joined, PeerArrived, PeerAway, PeerGone, PeerSaid, Refused, Rendezvous
from pyapp.verdicts import REFUSALS, Failure, media_refusal, no_path, refusal

Phase: TypeAlias = Literal["ready", "active", "failed", "closed"]
MediaState: TypeAlias = Literal["off", "starting", "on"]

STATS, JOURNAL, FIRST_OFFER = "stats", "journal", "first-offer"
ICE_CONFIGURATION, RECOVERY = "ice-configuration", "recovery"

STATS_AGAIN = 0.2
"""Seconds before the path is looked for again while the browser names no selected pair."""

STATS_EVERY = 2.0
"""Seconds between two samples of `getStats()` while connected."""

JOURNAL_AFTER = 1.0
"""Seconds that an entry waits for others before it is streamed."""

FIRST_OFFER_AFTER = 3.0
"""Seconds to wait for the other side's first offer before making it here."""

RESTART_AGAIN_AFTER = 5.0
"""Seconds that an ICE restart has before the next one, while the connection is lost."""

CONFIGURATION_RETRY_AFTER = 2.0
"""Seconds before `GET /ice` is asked again after a failure."""

CONFIGURATION_MARGIN = 0.75
"""The part of its lifetime after which an ICE configuration is replaced."""

CONNECTION_TIMERS = (STATS, CONVERSATION, FIRST_OFFER, RECOVERY)


@dataclass(slots=True)
class Connection:
    """What is known of the one `RTCPeerConnection`."""

    negotiation: Negotiation
    state: str = "new"
    channel_open: bool = False
    established: bool = False
    """Connected at least once."""
    lost: bool = False
    report: PathReport | None = None
    gathering: Gathering = field(default_factory=Gathering)


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
    journal: Journal = field(init=False)
    _early: list[PeerMessage] = field(default_factory=list)
    _epoch: int = 1
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
            case events.ConnectRequested():
                return self._connect(event.session)
            case events.HangUpRequested():
                return self._hang_up()
            case events.RestartRequested():
                return self._restart("asked for by the person")
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
                    return self._rendezvous_did(self.place.opened())
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
        return []

    # The person.

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
        self.place = Rendezvous(name, self.participant, self.key, self.invitation, self._epoch)
        self.configuration = None
        return [commands.FetchIceConfiguration(name), *self._rendezvous_did(self.place.open())]

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
            self._epoch = self.place.epoch + 1
            self.place = None
        if self.connection is not None:
            self.connection = None
            result.append(commands.ClosePeer())
        self._early.clear()
        self.conversation.new_peer()
        return result

    def _restart(self, why: str) -> list[Command]:
        if self.connection is None:
            return []
        self._note("=", "restart", f"ICE restart, {why}", reason=why)
        return [commands.RestartIce()]

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

    def _configured(self, configuration: IceConfiguration) -> list[Command]:
        if self.phase != "active":
            return []
        self.configuration = IceConfiguration(
            servers=configuration.servers,
            policy="relay" if self.policy == "relay" else configuration.policy,
            pool_size=configuration.pool_size,
            expires=configuration.expires,
            lifetime=configuration.lifetime,
        )
        urls = [url for server in configuration.servers for url in server.urls]
        self._note("<", "ice-configuration", f"{len(urls)} ICE servers", urls=" ".join(urls), policy=self.policy)
        result: list[Command] = []
        if configuration.lifetime is not None:
            result.append(commands.StartTimer(ICE_CONFIGURATION, configuration.lifetime * CONFIGURATION_MARGIN))
        if self.connection is not None:
            return [*result, commands.SetConfiguration(self.configuration)]
        return result + self._new_connection()

    def _not_configured(self, event: events.IceConfigurationFailed) -> list[Command]:
        if self.phase != "active":
            return []
        self._note("!", "ice-configuration", f"no ICE configuration: {event.reason}", code=event.code)
        if event.code in REFUSALS:
            return self._refused(refusal(event.code, event.reason))
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
        self.connection.negotiation.polite = polite
        if alone:
            return self._negotiation_did(self.connection.negotiation.take_initiative())
        return [] if self.connection.negotiation.initiator else [commands.StartTimer(FIRST_OFFER, FIRST_OFFER_AFTER)]

    def _peer_gone(self) -> list[Command]:
        result: list[Command] = [commands.CancelTimer(name) for name in CONNECTION_TIMERS]
        self._early.clear()
        self.conversation.new_peer()
        if self.connection is not None:
            self.connection = None
            result.append(commands.ClosePeer())
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
            return self._negotiation_did(agreed.remote_description(message))
        data = candidate_data(message)
        self._note("<", "candidate-remote", candidate_words(data), **data)
        return self._negotiation_did(agreed.remote_candidate(message))

    # The RTCPeerConnection.

    def _new_connection(self, *, initiator: bool = False) -> list[Command]:
        if self.configuration is None or self.place is None:
            return []
        place = self.place
        self.connection = Connection(Negotiation(polite=place.polite is not False, initiator=False))
        result: list[Command] = [commands.CreatePeer(self.configuration)]
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
                data = candidate_data(candidate, url)
                connection.gathering.candidate(data)
                self._note(">", "candidate-local", candidate_words(data), **data)
                return self._negotiation_did(agreed.local_candidate(candidate))
            case events.LocalCandidatesEnded():
                self._note(">", "candidate-local", "end of candidates", end=True)
                return self._negotiation_did(agreed.local_candidates_ended()) + self._nothing_gathered(connection)
            case events.CandidateError(url, code, text, address):
                connection.gathering.error(url, code, text)
                self._note("!", "candidate-error", f"{code} {text}", url=url, code=code, address=address)
                return []
            case events.StateChanged(name, value):
                self._note("=", "state", f"{name} {value}", state=name, value=value)
                return self._connection_is(connection, value) if name == "connection" else []
            case events.ChannelOpened():
                connection.channel_open = True
                self._note("=", "channel", f"channel {event.label} open", label=event.label)
                self.conversation.channel_is(is_open=True)
                if self._shared != NOTHING_SHARED:
                    return [commands.SampleStats(), *self.conversation.share(self._shared, self._now)]
                return [commands.SampleStats(), *self.conversation.transmit(self._now)]
            case events.ChannelClosed():
                connection.channel_open = False
                self.conversation.channel_is(is_open=False)
                self._note("=", "channel", f"channel {event.label} closed", label=event.label)
                return []
            case events.ChannelReceived():
                return self._channel_received(event.text)
            case events.PairChanged():
                return [commands.SampleStats()]
            case events.StatsSampled(entries):
                return self._sampled(connection, path_report(entries))
        return []

    def _connection_is(self, connection: Connection, value: str) -> list[Command]:
        connection.state = value
        match value:
            case "connected":
                connection.lost = False
                resend = self.conversation.path_changed(self._now)
                return [commands.CancelTimer(RECOVERY), commands.SampleStats(), *resend]
            case "disconnected" | "failed" if self.refusal is not None:
                return self._fail(self.refusal)
            case "disconnected":
                connection.lost = True
            case "failed" if connection.established and self.place is not None and self.place.peer_is_away:
                return self._rendezvous_did(self.place.forget())
            case "failed" if connection.established:
                connection.lost = True
                again = commands.StartTimer(RECOVERY, RESTART_AGAIN_AFTER, spread=1.0)
                return [*self._restart("the connection failed"), again]
            case "failed":
                return self._fail(no_path(connection.gathering, relay_only=self.policy == "relay"))
        return []

    def _nothing_gathered(self, connection: Connection) -> list[Command]:
        if connection.established or connection.gathering.candidates or not connection.gathering.errors:
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
            resend = self.conversation.path_changed(self._now)
        else:
            self._note("=", "stats", report.line(), **report.data())
            resend = []
        result = [commands.StartTimer(STATS, STATS_EVERY), *resend]
        if connection.channel_open and not connection.established:
            connection.established = True
            if not connection.negotiation.polite:
                # One side alone adds them, and once: two cameras switched on at the same moment then need no
                # negotiation, whose crossing offers leave Chromium with a track that never shows a picture.
                result.append(commands.AddMediaSections())
        return result

    def _channel_received(self, text: str) -> list[Command]:
        try:
            return self.conversation.received(text, self._now)
        except MessageError as error:
            self._note("!", "message", f"the other side sent what is no message: {error}")
            return []

    # Timers and the journal.

    def _timer(self, name: str) -> list[Command]:
        handlers: dict[str, Callable[[], list[Command]]] = {
            STATS: lambda: [commands.SampleStats()] if self.connection else [],
            JOURNAL: self._stream_journal,
            CONVERSATION: lambda: self.conversation.transmit(self._now),
            FIRST_OFFER: self._take_initiative,
            RECOVERY: self._recover,
            ICE_CONFIGURATION: lambda: [commands.FetchIceConfiguration(self.name)] if self.phase == "active" else [],
        }
        if name in handlers:
            return handlers[name]()
        if self.place is None:
            return []
        if name == rendezvous.RETRY:
            return self._rendezvous_did(self.place.open())
        if name == rendezvous.SEND_AGAIN:
            return self._rendezvous_did(self.place.send_again(self._now))
        return self._rendezvous_did(self.place.acknowledge())

    def _take_initiative(self) -> list[Command]:
        if self.connection is None:
            return []
        return self._negotiation_did(self.connection.negotiation.take_initiative())

    def _recover(self) -> list[Command]:
        if self.connection is None or not self.connection.lost:
            return []
        again = commands.StartTimer(RECOVERY, RESTART_AGAIN_AFTER, spread=1.0)
        if not self._signaling_is_there:
            # An offer would only wait there, and grow stale.
            return [again]
        return [*self._restart("the connection is still lost"), again]

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
