"""The core: `Session.receive(event, now) -> list[Command]`. No clock, no sleep, no browser.

It routes an event to the part that it belongs to, and does what one part asks of another: the place at the server
(rendezvous), the connection, the conversation, the journal. `console.present` turns it into what the page shows.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, assert_never

from pyapp.core import commands, conversation, events
from pyapp.core.commands import Command
from pyapp.core.conversation import NOTHING_SHARED, Conversation, MessageRefusedError
from pyapp.core.delivery import KEPT_COST, DeliveryFullError
from pyapp.core.diagnostics.journal import Journal, Mark, Note
from pyapp.core.events import ChannelLabel, Event
from pyapp.core.failures import Failure, MessageRefusal, Refusal
from pyapp.core.inviting import Inviting
from pyapp.core.inviting import Output as InvitingOutput
from pyapp.core.media import Media
from pyapp.core.media import Output as MediaOutput
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
    SocketDoubted,
    SparesWanted,
    StandbyIs,
)
from pyapp.core.path.outage import Suspect
from pyapp.core.path.outcomes import Doubted, Reassured, Suspected
from pyapp.core.path.recovery import Idle
from pyapp.core.path.relays import Relays
from pyapp.core.peers import NO_PEER, PeerIds
from pyapp.core.provisioning import NotProvided, Provided, Provisioning
from pyapp.core.provisioning import Output as ProvisioningOutput
from pyapp.core.signaling import rendezvous
from pyapp.core.signaling.rendezvous import Joined, PeerArrived, PeerAway, PeerGone, PeerSaid, Refused, Rendezvous
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
from pyapp.protocol.peer import PeerMessage
from pyapp.protocol.signaling import HeldPlace, ServerMessage, check_session_name
from pyapp.protocol.wire import MessageError, encode

Phase: TypeAlias = Literal["ready", "active", "failed", "closed"]

JOURNAL, PREPARE = SessionTimer.JOURNAL, SessionTimer.PREPARE

JOURNAL_AFTER = 1.0
"""Seconds that an entry waits for others before it is streamed."""

MAX_EARLY_BYTES = 1 << 20
"""Of messages that are kept until there is a connection: an offer and some fifty candidates are 30 kB."""

PREPARE_AFTER = 0.3
"""Seconds after a keystroke in the field for the session's name: no other is likely to follow."""

PEER_TIMERS = (*connection.TIMERS, conversation.TIMER)
"""They end with the other side."""


@dataclass(slots=True)
class Prepared:
    """The socket that was opened before Connect was pressed, so that it is there by then, for `session`."""

    session: str
    socket: int = 0
    signaling: Literal["opening", "open", "closed"] = "opening"


@dataclass(slots=True)
class Session:
    """One page load. `participant` and `key` are 32 random hexadecimal digits; `time_origin` is Unix time in ms."""

    participant: str
    key: str = field(repr=False)
    time_origin: float
    invitation: str = field(default="", repr=False)
    policy: Literal["all", "relay"] = "all"
    is_firefox: bool = False
    """Whether the browser is Firefox, whose ICE has rules of its own."""
    page: str = ""
    """The page's address, without query and fragment."""

    phase: Phase = "ready"
    name: str = ""
    name_problem: str = ""
    failure: Failure | None = None
    refusal: Refusal | None = None
    """Why the server will not have us any more, while the connection goes on without it."""
    place: Rendezvous | None = None
    """Ours in the session at the server."""
    connection: Connection | None = None
    relays: Relays = field(init=False)
    provisioning: Provisioning = field(init=False)
    conversation: Conversation = field(default_factory=Conversation)
    message_problem: MessageRefusal | None = None
    media: Media = field(default_factory=Media)
    inviting: Inviting = field(init=False)
    faults: int = 0
    journal: Journal = field(init=False)
    _prepared: Prepared | None = field(init=False, default=None)
    _expected: str = field(init=False, default="")
    """The session for which Connect may be pressed next."""
    _early: list[PeerMessage] = field(init=False, default_factory=list)
    """What the other side said before there was a connection, since our ICE configuration was on its way."""
    _early_bytes: int = field(init=False, default=0)
    _restarts_before: int = field(init=False, default=0)
    """ICE restarts of the connections before this one, in the same session with the same other side."""
    _lost_at: float = field(init=False, default=0.0)
    """When the last connection that had worked was heard last."""
    _replacements: int = field(init=False, default=0)
    """Connections in a row that took the place of one another, and of one that was lost."""
    _peers: PeerIds = field(init=False, default_factory=PeerIds)
    _epoch: int = field(init=False, default=1)
    _sockets: int = field(init=False, default=0)
    _is_hidden: bool = field(init=False, default=False)
    _read: int = field(init=False, default=0)
    """How many messages of theirs had come when the page was hidden or shown last."""
    _capture_permitted: bool = field(init=False, default=False)
    _every_interface: bool = field(init=False, default=False)
    """Whether the next connection gathers on every interface: both sides seem to be on one network."""
    _now: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        """Begin what takes its beginning from us."""
        self.journal = Journal(self.time_origin)
        self.relays = Relays(self.policy)
        self.provisioning = Provisioning(self.relays)
        self.inviting = Inviting(self.invitation, self.page)

    def receive(self, event: Event, now: float) -> list[Command]:
        """Take one event at `now` (seconds on the runner's clock): return what is to be done, in order."""
        self._now = now
        noted = self.journal.number
        result = self._route(event)
        if self.connection is not None and self._is_activity(event):
            result += self._connection_did(self.connection.active(now))
        if self.connection is not None and self.connection.report is not None:
            is_relayed = self.connection.report.path == "relay"
            result += self._media_did(self.media.follow(self.relays.configuration.relay_video if is_relayed else None))
        if self.journal.number > noted and self.signaling_is_there:
            result.append(commands.StartTimer(JOURNAL, JOURNAL_AFTER, only_if_idle=True))
        return result

    @property
    def ice_restarts(self) -> int:
        """How many there were so far."""
        return self._restarts_before + (self.connection.negotiation.ice_generation if self.connection else 0)

    def _is_activity(self, event: Event) -> bool:
        """Return whether the session is in use: somebody does something, or is seen or heard."""
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
        """How many messages came since the page is hidden."""
        return self.conversation.received_count - self._read if self._is_hidden else 0

    def _route(self, event: Event) -> list[Command]:
        match event:
            case events.ConnectExpected():
                return self._prepare(event.session) + self._inviting_did(self.inviting.expected(event.session))
            case events.SessionEdited():
                self._expected = event.session
                self.inviting.session = event.session
                return [] if self.phase == "active" else [commands.StartTimer(PREPARE, PREPARE_AFTER)]
            case events.ConnectRequested():
                return self._connect(event.session)
            case events.HangUpRequested():
                return self._hang_up()
            case events.NetworkChanged():
                return self._network_changed(event)
            case events.Slept(seconds):
                return self._slept(seconds)
            case events.VisibilityChanged(hidden):
                self._is_hidden = hidden
                self._read = self.conversation.received_count
                return self._to_connection(event)
            case events.CapturePermitted(permitted):
                self._capture_permitted = permitted
                if self.connection is not None:
                    self.connection.relaying.capture_permitted = permitted
                return []
            case events.MessageSubmitted():
                return self._submit(event.text)
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
            case _ if isinstance(event, events.InvitingEvent):
                return self._inviting_did(self.inviting.receive(event))
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
        elif self._prepared is not None:
            match event:
                case events.SignalingOpened(socket) if socket == self._prepared.socket:
                    self._prepared.signaling = "open"
                case events.SignalingClosed(socket) if socket == self._prepared.socket:
                    self._prepared.signaling = "closed"
        return self._to_connection(event)

    # The person.

    def _prepare(self, name: str) -> list[Command]:
        """Ask for what Connect will need. What is refused is asked for again then, and told to the person then."""
        try:
            check_session_name(name)
        except MessageError:
            return []
        if self.phase == "active":
            return []
        self._sockets += 1
        self._prepared = Prepared(name, self._sockets)
        return [commands.OpenSignaling(self._sockets), *self._provisioning_did(self.provisioning.prepare(name))]

    def _prepare_for_expected(self) -> list[Command]:
        """Prepare for the name that was typed (timer `PREPARE`); a socket that is there is good for any session."""
        before = self._prepared
        if before and before.session == self._expected and self.provisioning.is_ahead_for(self._expected):
            return []
        result = self._prepare(self._expected)
        if result and before and before.signaling != "closed":
            self._prepared = Prepared(self._expected, before.socket, before.signaling)
            result = [command for command in result if not isinstance(command, commands.OpenSignaling)]
        return result

    def _connect(self, name: str) -> list[Command]:
        if self.phase == "active":
            return []
        name = name.strip()
        try:
            check_session_name(name)
        except MessageError as error:
            self.name_problem = error.rule
            return []
        self.phase, self.name, self.name_problem, self.failure, self.refusal = "active", name, "", None, None
        self._restarts_before = 0
        self._every_interface = False
        self.inviting.session = name
        self._note("=", "session", f"connecting to session {name}", session=name, policy=self.policy)
        place = self.place = Rendezvous(name, self.participant, self.key, self.invitation, self._epoch, self._sockets)
        prepared, self._prepared = self._prepared or Prepared(name, signaling="closed"), None
        # The other side first: the server's answer takes a round trip, in which there is time for the rest.
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
        self.phase = "closed"
        return self._end()

    def _fail(self, failure: Failure) -> list[Command]:
        self._note("!", "failed", "the session cannot go on", **failure.data())
        self.phase, self.failure = "failed", failure
        return self._end()

    def _end(self) -> list[Command]:
        result: list[Command] = [commands.CancelTimer(name) for name in (*PEER_TIMERS, JOURNAL)]
        result += self._provisioning_did(self.provisioning.end())
        if self.place is not None:
            if self.signaling_is_there:
                result += self._stream_journal()
            result += self._rendezvous_did(self.place.leave())
            self._epoch, self._sockets = self.place.exchange.epoch + 1, self.place.link.sockets
            self.place = None
        result += self._close_connection()
        self._forget_early()
        return result + self._media_did(self.media.end())

    def _close_connection(self) -> list[Command]:
        self.conversation.channel_is(NO_PEER)
        if self.connection is None:
            return []
        outputs = self.connection.close()
        self._restarts_before = self.ice_restarts
        if self.connection.established:
            health = self.connection.recovery.state
            self._lost_at = health.silent_since if isinstance(health, Suspect) else self._now
        self.connection = None
        return self._connection_did(outputs)

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

    def _media_event(self, event: events.MediaEvent) -> list[Command]:
        before = self.media.shared
        result = self._media_did(self.media.receive(event))
        if self.connection and self.media.shared != before:
            result += self.conversation.share(self.media.shared, self._now)
        return result

    def _media_did(self, outputs: Sequence[MediaOutput]) -> list[Command]:
        result: list[Command] = []
        for output in outputs:
            if isinstance(output, Note):
                self._note(output.mark, output.event, output.text, **output.data)
            else:
                result.append(output)
        return result

    def _inviting_did(self, outputs: Sequence[InvitingOutput]) -> list[Command]:
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
                case Provided(is_renewal):
                    result += self._provided(is_renewal=is_renewal)
                case NotProvided(code, reason):
                    result += self._fail(Refusal(code, reason))
                case _:
                    result.append(output)
        return result

    def _provided(self, *, is_renewal: bool) -> list[Command]:
        if self.connection is None:
            return self._new_connection()
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
                    peer = self.place.peer if self.place else ""
                    is_the_same = self.conversation.is_with(peer)
                    if self.connection is not None and not self.connection.established:
                        self.connection.replaces = is_the_same
                        if not is_the_same:
                            self._restarts_before = 0
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
                        result += self._refused(Refusal(code, text))
                        break
                    # What it could not keep of the journal is sent again with the next entries.
                    self.journal.stream_again()
                case _:
                    result.append(output)
        return result

    def _refused(self, refusal: Refusal) -> list[Command]:
        """Fail; but not while the peers are connected, who need the server only to get connected again.

        Whoever is revoked is to leave, connected or not.
        """
        is_to_leave = refusal.code == "invitation-revoked"
        if not is_to_leave and self.connection is not None and self.connection.established and not self.connection.lost:
            self.refusal = refusal
            return self._provisioning_did(self.provisioning.end())  # no offer could follow from new credentials
        return self._fail(refusal)

    def _joined(self, *, polite: bool, alone: bool) -> list[Command]:
        # Whoever waits gives the link away now.
        result = self._inviting_did(self.inviting.receive(events.LinkWanted())) if alone and self.invitation else []
        if self.connection is None:
            return result
        return result + self._connection_did(self.connection.joined(self._now, polite=polite, alone=alone))

    def _peer_gone(self) -> list[Command]:
        if self.refusal is not None:
            return self._fail(self.refusal)  # there is nobody to wait for, and no way to connect again
        self.relays.surroundings_changed()  # its timer is one of those
        result: list[Command] = [commands.CancelTimer(name) for name in PEER_TIMERS]
        self._forget_early()
        result += self._close_connection()
        return result + self._new_connection(initiator=True)

    def _peer_away(self) -> list[Command]:
        """Keep a connection that works without the server; without one, nobody is there."""
        if self.place is None or (self.connection and self.connection.established and not self.connection.lost):
            return []
        return self._rendezvous_did(self.place.forget())

    def _peer_said(self, message: PeerMessage) -> list[Command]:
        if self.connection is None:
            self._early_bytes += len(encode(message)) + KEPT_COST
            if self._early_bytes <= MAX_EARLY_BYTES:
                self._early.append(message)
            return []
        try:
            return self._connection_did(self.connection.said(message, self._now))
        except Exception as error:  # noqa: BLE001 - what came with it is acknowledged, and would be gone with it
            return [commands.ReportFault(f"a {message.kind} of the other side", error)]

    def _forget_early(self) -> None:
        self._early.clear()
        self._early_bytes = 0

    def _send_to_peer(self, message: PeerMessage) -> list[Command]:
        if self.place is None:
            return []
        try:
            return self._rendezvous_did(self.place.send(message, self._now))
        except DeliveryFullError as error:
            self._note("!", "signaling", f"not sent to the other side: {error}")
            return []

    def _reach_server(self, *, is_certain: bool) -> list[Command]:
        """Reach the server anew before anything is sent there: the socket dies with the network, and nobody is told.

        Unless the change `is_certain`, a socket that has just answered, or is just being opened, will do.
        """
        if self.place is None or (
            not is_certain and (self.place.link.opening or self.place.link.is_answering(self._now))
        ):
            return []
        return self._rendezvous_did(self.place.link.reopen())

    def _network_changed(self, event: events.NetworkChanged) -> list[Command]:
        self._note("=", "network", f"network {event.kind}", certain=event.certain)
        if event.kind == "offline":
            # Nothing can be tried yet, and the silence will say soon enough whether it is true.
            return []
        changed = self.relays.surroundings_changed()
        self._every_interface = False  # what was one network need not be one any more
        return changed + self._on_another_network(event)

    def _slept(self, seconds: float) -> list[Command]:
        """Begin anew with the network, whatever is left of it; and count the time that no clock of ours has counted."""
        self.journal.slept(seconds)
        self._note("=", "slept", f"this machine slept for {seconds:.0f} s", seconds=round(seconds, 1))
        fresh = self._provisioning_did(self.provisioning.slept(seconds))
        return [*fresh, *self._network_changed(events.NetworkChanged("change", certain=True))]

    def _on_another_network(self, event: events.NetworkChanged) -> list[Command]:
        if self._prepared and event.certain:
            return self._prepare(self._prepared.session)
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
        polite = place.polite is not False
        self.connection = Connection(
            self.relays,
            self._peers,
            self,
            polite=polite,
            is_hidden=self._is_hidden,
            is_firefox=self.is_firefox,
            every_interface=self._every_interface,
            capture_permitted=self._capture_permitted,
            lost_at=self._lost_at,
        )
        result = self._connection_did(self.connection.begin())
        if place.state == "present" and place.polite is not None:
            result += self._joined(polite=place.polite, alone=initiator or place.was_first)
        early, self._early, self._early_bytes = self._early, [], 0
        for message in early:
            result += self._peer_said(message)
        return result

    def _replace_connection(self) -> list[Command]:
        """Put a new `RTCPeerConnection` in the place of one that cannot be mended."""
        if self.place is None:
            return []
        was_established = self.connection is not None and self.connection.established
        self._replacements = 1 if was_established else self._replacements + 1
        result = self._rendezvous_did(self.place.renew())
        if self.connection is not None:
            result += self._connection_did(self.connection.replace(self._replacements))
        return result

    # What the connection asks (`Outside`).

    @property
    def signaling_is_there(self) -> bool:
        """Whether we have a place at the server, and it answers."""
        return self.place is not None and self.place.state == "present"

    @property
    def peer_is_there(self) -> bool:
        """Whether the other side has a place there, too."""
        return self.place is not None and bool(self.place.peer) and not self.place.peer_is_away

    @property
    def peer_is_away(self) -> bool:
        """Whether it had one, and the server has given it up."""
        return self.place is not None and self.place.peer_is_away

    @property
    def server_heard(self) -> float:
        """When the server was heard last, in seconds on the runner's clock, or -1 if it is not there."""
        return self.place.link.heard_at if self.place and self.signaling_is_there else -1.0

    @property
    def peer_heard(self) -> float:
        """When the other side was heard last, through the server, or -1."""
        return self.place.exchange.heard_at if self.place else -1.0

    @property
    def standby_heard(self) -> float:
        """When a frame came over the standby last."""
        return self.conversation.aside_at

    @property
    def shows_picture(self) -> bool:
        """Whether the other side shares its camera or its screen."""
        return self.conversation.shared.video

    def _of_peer(self, event: events.OfPeer) -> list[Command]:
        """Give it to who has the `RTCPeerConnection`; if nobody has, it was on the way while that was closed."""
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
                    self._every_interface |= every_interface
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
                return self._prepare_for_expected()
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
