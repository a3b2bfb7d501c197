"""The core: `Session.receive(event, now) -> list[Command]`. No clock, no sleep, no browser.

It routes each event to the part that handles it, and passes on what one part asks of another. The parts are the place
at the server (rendezvous), the connection, the conversation and the journal. `console.present` makes the view of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, assert_never

from pyapp.core import commands, conversation, events
from pyapp.core.commands import Command
from pyapp.core.company import Company
from pyapp.core.conversation import NOTHING_SHARED, Conversation, MessageRefusedError
from pyapp.core.delivery import DeliveryFullError
from pyapp.core.diagnostics.journal import Journal, Mark, Note
from pyapp.core.diagnostics.quality import Quality
from pyapp.core.events import ChannelLabel, Event
from pyapp.core.failures import Failure, MessageRefusal, Refusal
from pyapp.core.inviting import Inviting
from pyapp.core.media import Media
from pyapp.core.negotiation.negotiation import ToPeer
from pyapp.core.path import connection, recovery
from pyapp.core.path.connection import Connection
from pyapp.core.path.facts import (
    Addressed,
    ChannelIs,
    ChannelIsFull,
    Failed,
    FrameReceived,
    PathChanged,
    PathUntried,
    PeerLost,
    ReplacementWanted,
    Sampled,
    SocketDoubted,
    SparesWanted,
    StandbyIs,
)
from pyapp.core.path.outcomes import Doubted, Reassured, Suspected
from pyapp.core.path.recovery import Idle
from pyapp.core.path.relays import Relays
from pyapp.core.peers import NO_PEER
from pyapp.core.preparation import Preparation
from pyapp.core.provisioning import NotProvided, Provided, Provisioning
from pyapp.core.provisioning import Output as ProvisioningOutput
from pyapp.core.signaling import rendezvous
from pyapp.core.signaling.rendezvous import Joined, PeerArrived, PeerAway, PeerGone, PeerSaid, Refused, Rendezvous
from pyapp.core.succession import Succession
from pyapp.core.timers import (
    ConnectionTimer,
    ConversationTimer,
    LinkTimer,
    PlaceTimer,
    ProvisioningTimer,
    RecoveryTimer,
    RelaysTimer,
    SessionTimer,
    Timer,
)
from pyapp.protocol.journal import Journal as JournalMessage
from pyapp.protocol.journal import Journaled
from pyapp.protocol.names import check_session_name, session_name
from pyapp.protocol.peer import PeerMessage
from pyapp.protocol.signaling import HeldPlace, ServerMessage
from pyapp.protocol.wire import MessageError

Phase: TypeAlias = Literal["ready", "active", "failed", "closed"]

JOURNAL = SessionTimer.JOURNAL

JOURNAL_AFTER = 1.0
"""Seconds for which entries are collected before they are streamed."""

PEER_TIMERS = (*connection.TIMERS, conversation.TIMER)
"""Timers that end when the peer leaves."""


@dataclass(slots=True)
class Session:
    """One page load. `participant` and `key` are 32 random hexadecimal digits; `time_origin` is Unix time in ms."""

    participant: str
    key: str = field(repr=False)
    time_origin: float
    invitation: str = field(default="", repr=False)
    policy: Literal["all", "relay"] = "all"
    is_firefox: bool = False
    """Whether the browser is Firefox, whose ICE behaves differently."""
    page: str = ""
    """The page's URL, without query and fragment."""
    display_name: str = ""
    """The display name of the person here, or empty."""

    phase: Phase = "ready"
    name: str = ""
    name_problem: str = ""
    failure: Failure | None = None
    refusal: Refusal | None = None
    """Why the server refuses us, while the connection goes on without it."""
    place: Rendezvous | None = None
    """Ours in the session at the server."""
    relays: Relays = field(init=False)
    succession: Succession = field(init=False)
    provisioning: Provisioning = field(init=False)
    preparation: Preparation = field(init=False)
    conversation: Conversation = field(default_factory=Conversation)
    company: Company = field(default_factory=Company)
    message_problem: MessageRefusal | None = None
    media: Media = field(default_factory=Media)
    inviting: Inviting = field(init=False)
    faults: int = 0
    journal: Journal = field(init=False)
    quality: Quality = field(init=False, default_factory=Quality)
    was_left: bool = field(init=False, default=False)
    """Whether the session was closed by leaving the page, not by hanging up."""
    _is_lost: bool = field(init=False, default=False)
    """Whether the server has lost the peer, which may still be reachable."""
    _epoch: int = field(init=False, default=1)
    _read: int = field(init=False, default=0)
    """How many of their messages had arrived when the page was last hidden or shown."""
    _now: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        """Create the parts that depend on our fields."""
        self.journal = Journal(self.time_origin)
        self.relays = Relays(self.policy)
        self.succession = Succession(self.relays, self, is_firefox=self.is_firefox)
        self.provisioning = Provisioning(self.relays)
        self.preparation = Preparation(self.provisioning)
        self.inviting = Inviting(self.invitation, self.page)

    def receive(self, event: Event, now: float) -> list[Command]:
        """Handle one event at `now` (seconds on the runner's clock): return the commands, in order."""
        self._now = now
        noted = self.journal.number
        result = self._route(event)
        if self.connection is not None and self._is_activity(event):
            result += self._connection_did(self.connection.active(now))
        if self.connection is not None and self.connection.report is not None:
            is_relayed = self.connection.report.path == "relay"
            result += self._noted(self.media.follow(self.relays.configuration.relay_video if is_relayed else None))
        self.quality.follow(self.connection, self.journal.live, now)
        if self.journal.number > noted and self.signaling_is_there:
            result.append(commands.StartTimer(JOURNAL, JOURNAL_AFTER, only_if_idle=True))
        return result

    @property
    def connection(self) -> Connection | None:
        """The current connection, or None."""
        return self.succession.connection

    def _is_activity(self, event: Event) -> bool:
        """Return whether the event shows that the session is in use: an action of a person, or shared media."""
        match event:
            case (
                events.PersonActive()
                | events.MessageSubmitted()
                | events.MediaToggled()
                | events.RestartRequested()
                | events.NetworkChanged()
                | events.VisibilityChanged()
                | events.OfPeer(_, events.PairChanged() | events.ChannelReceived("messages" | "standby"))
            ):
                return True
            case events.TimerFired(recovery.BEAT):
                return (self.media.shared, self.conversation.shared) != (NOTHING_SHARED, NOTHING_SHARED)
        return False

    @property
    def unread(self) -> int:
        """How many messages have arrived since the page was hidden."""
        return self.conversation.received_count - self._read if self.succession.is_hidden else 0

    def _route(self, event: Event) -> list[Command]:
        match event:
            case events.ConnectExpected():
                return self._prepare(event.session) + self._noted(self.inviting.expected(session_name(event.session)))
            case events.SessionEdited():
                name = session_name(event.session)
                self.preparation.edited(name)
                self.inviting.session = name
                return [] if self.phase == "active" else self.preparation.wait()
            case events.ConnectRequested():
                return self._connect(event.session)
            case events.HangUpRequested():
                return self._hang_up()
            case events.NetworkChanged():
                return self._network_changed(event)
            case events.Slept(seconds):
                return self._slept(seconds)
            case events.VisibilityChanged(hidden):
                self.succession.is_hidden = hidden
                self._read = self.conversation.received_count
                return self._to_connection(event)
            case events.CapturePermitted(permitted):
                self.succession.permit_capture(permitted=permitted)
                return []
            case events.MessageSubmitted():
                return self._submit(event.text)
            case events.MessageSentAgain(place):
                return self._send_again(place)
            case events.NameGiven(name):
                self.display_name = name
                return []
            case (
                events.MediaToggled()
                | events.DeviceChosen()
                | events.SoundChosen()
                | events.DevicesListed()
                | events.MediaStarted()
                | events.MediaStopped()
                | events.MediaEnded()
                | events.MediaMuted()
                | events.MediaFailed()
            ):
                return self._media_event(event)
            case events.PageClosing():
                return self._leave()
            case events.PageShown():
                return self._come_back()
            case _ if isinstance(event, events.InvitingEvent):
                return self._noted(self.inviting.receive(event))
            case events.IceConfigurationReceived(number, configuration):
                return self._provisioning_did(self.provisioning.received(number, configuration, self._now))
            case events.IceConfigurationFailed(number, code, reason):
                return self._provisioning_did(self.provisioning.failed(number, code, reason))
            case events.TimerFired():
                return self._timer(event.timer)
            case events.OfPeer():
                return self._of_peer(event)
            case events.Fault():
                self.faults += 1
                self.journal.note(
                    self._now, "!", "fault", f"{event.where}: {event.error}", where=event.where, error=event.error
                )
                return []
        if self.place is not None:
            match event:
                case events.SignalingOpened(socket):
                    return self._rendezvous_did(self.place.opened(socket, self._now))
                case events.SignalingClosed():
                    outputs = self.place.link.closed(event.socket, event.code, event.reason)
                    self._note("!", "signaling", "signaling closed", code=event.code, reason=event.reason)
                    return self._rendezvous_did(outputs)
                case events.SignalingReceived(socket, message):
                    return self._signaling_received(self.place, message) if socket == self.place.link.socket else []
                case events.SignalingGarbled(socket) if socket == self.place.link.socket:
                    self._note("!", "signaling", f"the server sent what is no message: {event.reason}")
                    return []
        match event:
            case events.SignalingOpened(socket):
                self.preparation.opened(socket)
            case events.SignalingClosed(socket):
                self.preparation.closed(socket)
        return self._to_connection(event)

    # The person.

    def _prepare(self, name: str) -> list[Command]:
        return [] if self.phase == "active" else self._provisioning_did(self.preparation.prepare(name))

    def _connect(self, name: str) -> list[Command]:
        if self.phase == "active":
            return []
        name = session_name(name)
        try:
            check_session_name(name)
        except MessageError as error:
            self.name_problem = error.rule
            return []
        self.phase, self.name, self.name_problem, self.failure, self.refusal = "active", name, "", None, None
        self.was_left = False
        self.succession.begin_session()
        self.inviting.session = name
        self._note("=", "session", f"connecting to session {name}", session=name, policy=self.policy)
        own = (self.participant, self.key, self.invitation)
        sockets = self.preparation.sockets
        place = self.place = Rendezvous(name, *own, self._epoch, sockets, self.display_name)
        prepared = self.preparation.take()
        # Signaling first: the server's answer takes a round trip, which leaves time for the rest.
        match prepared.signaling:
            case "open":
                result = self._rendezvous_did(place.adopt(prepared.socket, self._now))
            case "opening":
                result = self._rendezvous_did(place.link.begun(prepared.socket))
            case "closed":
                result = self._rendezvous_did(place.open())
        return result + self._provisioning_did(self.provisioning.begin(name, self._now))

    def _hang_up(self) -> list[Command]:
        if self.phase != "active":
            return []
        self._note("=", "session", "hung up")
        self.phase = "closed"
        return self._end()

    def _leave(self) -> list[Command]:
        if self.phase != "active":
            return []
        self.phase, self.was_left = "closed", True
        return self._end()

    def _come_back(self) -> list[Command]:
        """Connect again after the page was restored from the back-forward cache."""
        return self._connect(self.name) if self.was_left and self.phase == "closed" else []

    def _fail(self, failure: Failure) -> list[Command]:
        self._note("!", "failed", "the session cannot go on", **failure.data())
        self.phase, self.failure = "failed", failure
        return self._end()

    def _end(self) -> list[Command]:
        result: list[Command] = [commands.CancelTimer(name) for name in (*PEER_TIMERS, JOURNAL)]
        result += self._provisioning_did(self.provisioning.end())
        result += self._close_connection()  # it has something for the journal
        if self.place is not None:
            if self.signaling_is_there:
                result += self._stream_journal()
            result += self._rendezvous_did(self.place.leave())
            self._epoch, self.preparation.sockets = self.place.exchange.epoch + 1, self.place.link.sockets
            self.place = None
        self.company.ended()
        self.conversation.parted()
        self.succession.take_early()
        return result + self._noted(self.media.end())

    def _close_connection(self) -> list[Command]:
        self.conversation.channel_is(NO_PEER)
        return self._connection_did(self.succession.close(self._now))

    def _submit(self, text: str) -> list[Command]:
        self.message_problem = None
        if not text.strip() or self.phase != "active":
            return []
        try:
            return self.conversation.submit(text, self._now)
        except MessageRefusedError as error:
            self.message_problem = error.why
            self._note("!", "message", f"a message was not taken: {error}")
            return []

    def _send_again(self, place: int) -> list[Command]:
        self.message_problem = None
        try:
            return self.conversation.send_again(place, self._now)
        except MessageRefusedError as error:
            self.message_problem = error.why
            return []

    def _media_event(self, event: events.MediaEvent) -> list[Command]:
        before = self.media.shared
        result = self._noted(self.media.receive(event))
        if self.connection and self.media.shared != before:
            result += self.conversation.share(self.media.shared, self._now)
        return result

    def _noted(self, outputs: Sequence[Command | Note]) -> list[Command]:
        """Put the notes into the journal, and return the commands."""
        result: list[Command] = []
        for output in outputs:
            if isinstance(output, Note):
                self._note(output.mark, output.event, output.text, **output.data)
            else:
                result.append(output)
        return result

    # The server.

    def _provisioning_did(self, outputs: Sequence[ProvisioningOutput]) -> list[Command]:
        result: list[Command] = []
        for output in outputs:
            match output:
                case Note(mark, event, text, data):
                    self._note(mark, event, text, **data)
                case Provided(is_renewal, is_late):
                    result += self._provided(is_renewal=is_renewal, is_late=is_late)
                case NotProvided(code, reason):
                    result += self._fail(Refusal(code, reason))
                case _:
                    result.append(output)
        return result

    def _provided(self, *, is_renewal: bool, is_late: bool) -> list[Command]:
        if self.connection is None:
            return self._new_connection()
        if is_late and not self.connection.established and self.place is not None:
            return self._rendezvous_did(self.place.renew())  # with relays it may find a path
        return self._connection_did(self.connection.configured(self._now, is_renewal=is_renewal))

    def _signaling_received(self, place: Rendezvous, message: ServerMessage) -> list[Command]:
        if isinstance(message, Journaled):
            self.journal.confirmed(message.number)
            return self._stream_journal()
        return self._rendezvous_did(place.received(message, self._now))

    def _rendezvous_did(self, outputs: Sequence[rendezvous.Output]) -> list[Command]:
        result: list[Command] = []
        for output in outputs:
            match output:
                case Joined(polite, alone):
                    self._note("=", "signaling", "joined the session", polite=polite, alone=alone)
                    self.provisioning.place = HeldPlace(self.name, self.participant, self.key)
                    self.journal.stream_again()
                    result += self._joined(polite=polite, alone=alone)
                case PeerArrived():
                    self._note("<", "peer", "the other side is here")
                    peer, tab = (self.place.peer, self.place.peer_tab) if self.place else ("", "")
                    self.succession.peer_arrived(is_the_same=self.conversation.is_with(peer))
                    self.conversation.with_partner(peer, tab)
                    self._somebody_is_there()
                    result += self._stream_journal()
                case PeerGone():
                    self._note("<", "peer", "the other side left")
                    self._nobody_is_there()
                    result += self._peer_gone()
                case PeerAway():
                    self._note("<", "peer", "the server has lost the other side")
                    self._is_lost = True
                    result += self._peer_away()
                case PeerSaid(message):
                    result += self._peer_said(message)
                case Refused(code, text, fatal):
                    self._note("!", "refused", f"the server refused: {text}", code=code)
                    if fatal:
                        result += self._refused(Refusal(code, text))
                        break
                    # Journal entries that the server could not keep are sent again with the next ones.
                    self.journal.stream_again()
                case _:
                    result.append(output)
        return result

    def _somebody_is_there(self) -> None:
        if (place := self.place) is not None:
            self._is_lost = False
            tab, number = place.peer_tab or place.peer, len(self.conversation.messages)
            self.company.arrived(tab, place.peer_name, was_first=place.was_first, place=number)

    def _nobody_is_there(self) -> None:
        """Record that the peer has left, unless somebody else came at the same moment, or the two only start over."""
        if self.place is not None and not self.place.peer:
            self.conversation.parted()
            self.company.gone(len(self.conversation.messages), is_lost=self._is_lost)

    def _refused(self, refusal: Refusal) -> list[Command]:
        """Fail, but not while the peers are connected: they need the server only to connect again.

        A revoked invitation ends the session, connected or not.
        """
        is_to_leave = refusal.code == "invitation-revoked"
        if self.succession.works and not is_to_leave:
            self.refusal = refusal
            return self._provisioning_did(self.provisioning.end())  # no offer can use new ones
        return self._fail(refusal)

    def _joined(self, *, polite: bool, alone: bool) -> list[Command]:
        # Whoever is alone will want to share the link now.
        result = self._noted(self.inviting.receive(events.LinkWanted())) if alone and self.invitation else []
        if self.connection is None:
            return result
        return result + self._connection_did(self.connection.joined(self._now, polite=polite, alone=alone))

    def _peer_gone(self) -> list[Command]:
        if self.refusal is not None:
            return self._fail(self.refusal)  # there is no peer, and no way to connect again
        self.relays.surroundings_changed()  # its timer is one of `PEER_TIMERS`
        result: list[Command] = [commands.CancelTimer(name) for name in PEER_TIMERS]
        self.succession.take_early()
        result += self._close_connection()
        return result + self._new_connection(initiator=True)

    def _peer_away(self) -> list[Command]:
        """Keep a connection that works without the server; if there is none, forget the peer."""
        if self.place is None or self.succession.works:
            return []
        return self._rendezvous_did(self.place.forget())

    def _peer_said(self, message: PeerMessage) -> list[Command]:
        if self.connection is None:
            self.succession.keep(message)
            return []
        try:
            return self._connection_did(self.connection.said(message, self._now))
        except Exception as error:  # noqa: BLE001 - the messages that came with it are acknowledged, and would be lost
            return [commands.ReportFault(f"a {message.kind} of the other side", error)]

    def _send_to_peer(self, message: PeerMessage) -> list[Command]:
        if self.place is None:
            return []
        try:
            return self._rendezvous_did(self.place.send(message, self._now))
        except DeliveryFullError as error:
            self._note("!", "signaling", f"not sent to the other side: {error}")
            return []

    def _reach_server(self, *, is_certain: bool) -> list[Command]:
        """Open a new socket before anything is sent to the server: the old one may have died silently with the network.

        Unless the change `is_certain`, a socket that has just answered, or is being opened, is good enough.
        """
        if self.place is None or (
            not is_certain and (self.place.link.opening or self.place.link.is_answering(self._now))
        ):
            return []
        return self._rendezvous_did(self.place.link.reopen())

    def _network_changed(self, event: events.NetworkChanged) -> list[Command]:
        self._note("=", "network", f"network {event.kind}", certain=event.certain)
        if event.kind == "offline":
            # Nothing can be tried yet, and silence will soon show whether it is true.
            return []
        changed = self.relays.surroundings_changed()
        self.succession.every_interface = False  # the two may no longer share a network
        return changed + self._on_another_network(event)

    def _slept(self, seconds: float) -> list[Command]:
        """Treat it as a certain change of the network, and account for the time that our clock has not counted."""
        self.journal.slept(seconds)
        self._note("=", "slept", f"this machine slept for {seconds:.0f} s", seconds=round(seconds, 1))
        fresh = self._provisioning_did(self.provisioning.slept(seconds))
        return [*fresh, *self._network_changed(events.NetworkChanged("change", certain=True))]

    def _on_another_network(self, event: events.NetworkChanged) -> list[Command]:
        if self.preparation.is_there and event.certain:
            return self._provisioning_did(self.preparation.again())
        if self.connection is None or isinstance(self.connection.recovery.state, Idle):
            if not event.certain:
                return []
            again = self._connection_did(self.connection.replace_soon()) if self.connection else []
            return [*self._reach_server(is_certain=True), *again]
        return self._to_connection(event)

    # The RTCPeerConnection.

    def _new_connection(self, *, initiator: bool = False) -> list[Command]:
        if not self.provisioning.is_configured or self.place is None:
            return []
        place = self.place
        result = self._connection_did(self.succession.create(polite=place.polite is not False))
        if place.state == "present" and place.polite is not None:
            result += self._joined(polite=place.polite, alone=initiator or place.was_first)
        for message in self.succession.take_early():
            result += self._peer_said(message)
        return result

    def _replace_connection(self) -> list[Command]:
        """Replace an `RTCPeerConnection` that cannot be repaired."""
        if self.place is None:
            return []
        self.succession.count_replacement()
        result = self._rendezvous_did(self.place.renew())
        return result + self._connection_did(self.succession.replaced())

    # What the connection asks (`Outside`).

    @property
    def signaling_is_there(self) -> bool:
        """Whether we hold a place at the server, and it answers."""
        return self.place is not None and self.place.state == "present"

    @property
    def peer_is_there(self) -> bool:
        """Whether the peer holds a place there, too."""
        return self.place is not None and bool(self.place.peer) and not self.place.peer_is_away

    @property
    def peer_is_away(self) -> bool:
        """Whether it held one, and the server has given it up."""
        return self.place is not None and self.place.peer_is_away

    @property
    def server_heard(self) -> float:
        """When the server was last heard, in seconds on the runner's clock; -1 if it is out of reach."""
        return self.place.link.heard_at if self.place and self.signaling_is_there else -1.0

    @property
    def peer_heard(self) -> float:
        """When the peer was last heard through the server, or -1."""
        return self.place.exchange.heard_at if self.place else -1.0

    @property
    def standby_heard(self) -> float:
        """When a frame last arrived over the standby."""
        return self.conversation.aside_at

    @property
    def shows_picture(self) -> bool:
        """Whether the peer shares its camera or its screen."""
        return self.conversation.shared.video

    def _of_peer(self, event: events.OfPeer) -> list[Command]:
        """Pass it to the owner of the `RTCPeerConnection`. Without an owner it is a late event of a closed one."""
        if self.connection is None or not self.connection.owns(event.peer):
            return []
        return self._to_connection(event)

    def _to_connection(self, event: Event) -> list[Command]:
        if self.connection is None:
            return []
        return self._connection_did(self.connection.receive(event, self._now))

    def _connection_did(self, outputs: Sequence[Addressed]) -> list[Command]:
        result: list[Command] = []
        for output in outputs:
            match output:
                case Note(mark, event, text, data):
                    self._note(mark, event, text, **data)
                case ToPeer(message):
                    result += self._send_to_peer(message)
                case Doubted():
                    result += self._rendezvous_did(self.place.link.doubt(self._now)) if self.place else []
                    result += self.conversation.doubt(self._now)
                case Reassured():
                    self.conversation.reassured()
                    result += self._rendezvous_did(self.place.link.reassured()) if self.place else []
                case Suspected(evidence):
                    result += self.conversation.hold(self._now)
                    result += self._reach_server(is_certain=evidence == "network-changed")
                case SocketDoubted():
                    result += self._reach_server(is_certain=True)
                case PathChanged():
                    result += self.conversation.path_changed(self._now)
                case PathUntried():
                    result += self.conversation.probe(self._now)
                case Sampled(sample):
                    self.journal.live.sampled(sample, self._now)
                case ChannelIs(peer):
                    if peer != NO_PEER:
                        result += self.conversation.opened(peer, self.media.shared, self._now)
                    else:
                        self.conversation.channel_is(NO_PEER)
                case StandbyIs(peer):
                    result += self.conversation.standby_is(peer, self._now)
                case ChannelIsFull(is_full):
                    if is_full:
                        self.conversation.channel_filled()
                    else:
                        result += self.conversation.channel_drained(self._now)
                case FrameReceived(text, label):
                    result += self._frame_received(text, label)
                case SparesWanted():
                    result += self._provisioning_did(self.provisioning.want_spares())
                case PeerLost():
                    result += self._rendezvous_did(self.place.forget()) if self.place else []
                case ReplacementWanted(every_interface):
                    self.succession.every_interface |= every_interface
                    result += self._replace_connection()
                case Failed(failure):
                    result += self._fail(failure)
                case _:
                    result.append(output)
        return result

    def _frame_received(self, text: str, label: ChannelLabel) -> list[Command]:
        try:
            return self.conversation.received(text, self._now, label)
        except MessageError as error:
            self._note("!", "message", f"the other side sent what is no message: {error}")
            return []

    # Timers and the journal.

    def _timer(self, timer: Timer) -> list[Command]:
        match timer:
            case SessionTimer.JOURNAL:
                return self._stream_journal()
            case SessionTimer.PREPARE:
                return [] if self.phase == "active" else self._provisioning_did(self.preparation.due())
            case ProvisioningTimer():
                return self._provisioning_did(self.provisioning.due(timer))
            case ConversationTimer():
                return self.conversation.transmit(self._now)
            case PlaceTimer() | LinkTimer():
                return self._rendezvous_did(self.place.due(timer, self._now)) if self.place else []
            case ConnectionTimer() | RecoveryTimer() | RelaysTimer():
                return self._to_connection(events.TimerFired(timer))
            case _:
                assert_never(timer)

    def _stream_journal(self) -> list[Command]:
        if not self.signaling_is_there:
            return []
        batch = self.journal.next_batch()
        if not batch:
            return []
        more = [commands.StartTimer(JOURNAL, JOURNAL_AFTER)] if self.journal.has_more else []
        return [commands.SendSignaling(JournalMessage(batch)), *more]

    def _note(self, mark: Mark, event: str, text: str, **data: str | float | bool | None) -> None:
        self.journal.note(self._now, mark, event, text, **data)
