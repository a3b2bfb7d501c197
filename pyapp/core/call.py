"""A call, from Connect until it ends: the way to the peer, first through the server, then by a connection.

It passes on what one part asks of another: the place at the server (`presence`), the ICE configurations
(`provisioning`), the connections (`succession`), and what the two people exchange over them (`communication`).
"""

from collections.abc import Sequence
from dataclasses import InitVar, dataclass, field, replace
from typing import TypeAlias

from pyapp.core import commands, conversation, events
from pyapp.core.activity import is_activity
from pyapp.core.around import AroundTheConnection
from pyapp.core.budget import Budget, DirectPathWanted, RelaysAllowed, RelaysWithheld
from pyapp.core.budget import Output as BudgetOutput
from pyapp.core.commands import Command
from pyapp.core.communication import Communication
from pyapp.core.diagnostics import journal
from pyapp.core.diagnostics.journal import Journal
from pyapp.core.events import Event, SignalingEvent
from pyapp.core.failures import Failure, NoPath, Refusal
from pyapp.core.negotiation.negotiation import ToPeer
from pyapp.core.path import connection
from pyapp.core.path.connection import Connection
from pyapp.core.path.facts import (
    Addressed,
    ChannelFact,
    Failed,
    PeerLost,
    ReplacementWanted,
    Sampled,
    SocketDoubted,
    SparesWanted,
)
from pyapp.core.path.outcomes import Doubted, Reassured, Suspected
from pyapp.core.path.recovery import Idle
from pyapp.core.path.relays import Relays
from pyapp.core.provisioning import NotProvided, Provided, Provisioning
from pyapp.core.provisioning import Output as ProvisioningOutput
from pyapp.core.signaling.presence import Output as PresenceOutput
from pyapp.core.signaling.presence import Presence
from pyapp.core.signaling.rendezvous import Joined, PeerArrived, PeerAway, PeerGone, PeerSaid, Refused
from pyapp.core.succession import Succession
from pyapp.core.timers import LinkTimer, OfTheConnection, OfThePlace, PlaceTimer, ProvisioningTimer
from pyapp.protocol import entries
from pyapp.protocol.entries import Entry
from pyapp.protocol.journal import Journaled
from pyapp.protocol.peer import PeerMessage, RelaysUnknown
from pyapp.protocol.signaling import Cost

PEER_TIMERS = (*connection.TIMERS, conversation.TIMER)
"""Timers that end when the peer leaves."""


@dataclass(frozen=True, slots=True)
class Alone:
    """We are in the session, and nobody else is."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The call has failed, and everything is closed."""

    failure: Failure


Output: TypeAlias = Command | Alone | Ended


@dataclass(slots=True)
class Call:
    """The calls of one page load, one after the other. Times are seconds on the runner's clock."""

    journal: Journal
    relays: Relays
    presence: Presence
    provisioning: Provisioning
    communication: Communication
    is_firefox: InitVar[bool]
    succession: Succession = field(init=False)
    budget: Budget = field(init=False, default_factory=Budget)
    peer_lacks_relays: bool = field(init=False, default=False)
    """Whether the peer goes on without relays, because the server does not name any to it."""
    _now: float = field(init=False, default=0.0)

    def __post_init__(self, is_firefox: bool) -> None:
        """Create the part that depends on the others."""
        around = AroundTheConnection(self.presence, self.communication.conversation, self.communication.media)
        self.succession = Succession(self.relays, around, is_firefox=is_firefox)

    @property
    def connection(self) -> Connection | None:
        """The current connection, or None."""
        return self.succession.connection

    def begin(self, session: str, name: str, now: float) -> list[Output]:
        """Enter `session`; `name` is the person's display name, or empty."""
        self._now = now
        self.peer_lacks_relays, self.budget = False, Budget()
        self.succession.begin_session()
        self.journal.begin(session, now)
        self._note(entries.Entered(session, self.relays.policy))
        # Signaling first: the server's answer takes a round trip, which leaves time for the rest.
        joined = self._presence_did(self.presence.begin(session, name, now))
        return joined + self._provisioning_did(self.provisioning.begin(session, now))

    def end(self, now: float) -> list[Output]:
        """Leave the session."""
        self._now = now
        result: list[Output] = [commands.CancelTimer(name) for name in (*PEER_TIMERS, journal.TIMER)]
        result += self._provisioning_did(self.provisioning.end())
        result += self._close_connection()  # it has something for the journal
        result += self.journal.flush() if self.presence.is_heard else []
        result += self._presence_did(self.presence.end(self.journal.rest()))
        result += self.journal.take(self.communication.end(), now)
        self.succession.take_early()
        self.journal.end(now)
        return result

    def _fail(self, failure: Failure) -> list[Output]:
        self._note(failure.entry())
        return [*self.end(self._now), Ended(failure)]

    # What happens.

    def receive(self, event: Event, now: float) -> list[Output]:
        """Handle an event of the server, of an `RTCPeerConnection`, of the network; or the person's for these."""
        self._now = now
        match event:
            case events.OfPeer(peer):
                # Without an owner it is a late event of a closed one.
                return self._to_connection(event) if self.connection and self.connection.owns(peer) else []
            case _ if isinstance(event, SignalingEvent):
                return self._presence_did(self.presence.receive(event, now))
            case events.IceConfigurationReceived(number, configuration):
                return self._provisioning_did(self.provisioning.received(number, configuration, now))
            case events.IceConfigurationFailed(number, code, reason):
                return self._provisioning_did(self.provisioning.failed(number, code, reason))
            case events.NetworkChanged():
                return self._network_changed(event)
            case events.Slept(seconds):
                return self._slept(seconds)
            case events.VisibilityChanged(hidden):
                self.succession.is_hidden = hidden
            case events.DiagnosticsShown(is_shown):
                self.succession.is_watched = is_shown
            case events.CapturePermitted(permitted):
                self.succession.permit_capture(permitted=permitted)
                return []
        return self._to_connection(event)

    def due(self, timer: ProvisioningTimer | OfThePlace | OfTheConnection, now: float) -> list[Output]:
        """Do what the timer was set for."""
        self._now = now
        match timer:
            case ProvisioningTimer():
                return self._provisioning_did(self.provisioning.due(timer))
            case PlaceTimer() | LinkTimer():
                return self._presence_did(self.presence.due(timer, now))
            case _:
                return self._connection_did(self.connection.due(timer, now)) if self.connection else []

    def happened(self, event: Event, now: float) -> list[Output]:
        """Look after what depends on every `event`, after it was handled: how busy the session is, and the path."""
        self._now = now
        result: list[Output] = []
        if self.connection is not None and is_activity(event, shares_media=self.communication.shares_media):
            result += self._connection_did(self.connection.active(now))
        if self.connection is not None and (report := self.connection.report) is not None:
            usual = self.relays.configuration.relay_video
            limit = self.budget.video(usual) if report.path == "relay" else None
            result += self.journal.take(self.communication.media.follow(limit), now)
        return result

    def stream(self) -> list[Command]:
        """Stream the journal, if the server can be reached (timer `journal.TIMER`)."""
        return self.journal.stream() if self.presence.is_there else []

    # ICE configurations.

    def _provisioning_did(self, outputs: Sequence[ProvisioningOutput]) -> list[Output]:
        result: list[Output] = []
        for output in outputs:
            match output:
                case Entry():
                    self._note(output)
                case Provided(is_renewal, is_late):
                    result += self._provided(is_renewal=is_renewal, is_late=is_late)
                case NotProvided(code, reason):
                    result += self._fail(Refusal(code, reason))
                case _:
                    result.append(output)
        return result

    def _provided(self, *, is_renewal: bool, is_late: bool) -> list[Output]:
        if self.connection is None:
            return self._new_connection()
        if is_late and not self.connection.established and self.presence.place is not None:
            return self._presence_did(self.presence.renew())  # with relays it may find a path
        result = self._connection_did(self.connection.configured(self._now, is_renewal=is_renewal))
        return result + self._budget_did(self.budget.provided())

    # What relays cost.

    def _budget_did(self, outputs: Sequence[BudgetOutput]) -> list[Output]:
        result: list[Output] = []
        for output in outputs:
            match output:
                case Entry():
                    self._note(output)
                case DirectPathWanted() if self.connection is not None:
                    result += self._connection_did(self.connection.look_for_direct_path_soon())
                case RelaysWithheld():
                    self.relays.withhold()
                    if self.connection is not None:
                        result += self._connection_did(self.connection.configured(self._now, is_renewal=False))
                case RelaysAllowed():
                    result += self._provisioning_did(self.provisioning.want_spares())
        return result

    # The server, and the peer through it.

    def _presence_did(self, outputs: Sequence[PresenceOutput]) -> list[Output]:
        result: list[Output] = []
        for output in outputs:
            match output:
                case Entry():
                    self._note(output)
                case Joined(polite, alone):
                    self.provisioning.place = self.presence.held
                    self.journal.stream_again()
                    result += self._joined(polite=polite, alone=alone)
                case PeerArrived():
                    result += self._peer_arrived()
                case PeerGone():
                    result += self._peer_gone()
                case PeerAway():
                    result += self._peer_away()
                case PeerSaid(message):
                    result += self._peer_said(message)
                case Journaled(number):
                    self.journal.confirmed(number)  # what is left has its timer
                case Cost():
                    result += self._budget_did(self.budget.told(output))
                case Refused(code, text, True):
                    result += self._refused(Refusal(code, text))
                    break
                case Refused():
                    # Journal entries that the server could not keep are sent again with the next ones.
                    self.journal.stream_again()
                case _:
                    result.append(output)
        return result

    def _joined(self, *, polite: bool, alone: bool) -> list[Output]:
        result: list[Output] = [Alone()] if alone else []
        if self.connection is None:
            return result
        return result + self._connection_did(self.connection.joined(self._now, polite=polite, alone=alone))

    def _peer_arrived(self) -> list[Output]:
        if (place := self.presence.place) is None:
            return []  # the call has failed meanwhile
        self.succession.peer_arrived(is_the_same=self.communication.conversation.is_with(place.peer))
        self.communication.arrived(place)
        return []

    def _peer_gone(self) -> list[Output]:
        if self.presence.place is not None and not self.presence.place.peer:
            self.communication.parted()  # nobody else came at the same moment, and the two do not just start over
        if self.presence.refusal is not None:
            return self._fail(self.presence.refusal)  # there is no peer, and no way to connect again
        self.peer_lacks_relays = False
        self.relays.surroundings_changed()  # its timer is one of `PEER_TIMERS`
        result: list[Output] = [commands.CancelTimer(name) for name in PEER_TIMERS]
        self.succession.take_early()
        result += self._close_connection()
        return result + self._new_connection(initiator=True)

    def _peer_away(self) -> list[Output]:
        """Keep a connection that works without the server; if there is none, forget the peer."""
        self.communication.lost()
        return [] if self.succession.works else self._presence_did(self.presence.forget())

    def _peer_said(self, message: PeerMessage) -> list[Output]:
        if isinstance(message, RelaysUnknown):
            self.peer_lacks_relays = True
            self._note(entries.RelaysUnknown())
            return []
        if self.connection is None:
            self.succession.keep(message)
            return []
        try:
            return self._connection_did(self.connection.said(message, self._now))
        except Exception as error:  # noqa: BLE001 - the messages that came with it are acknowledged, and would be lost
            return [commands.ReportFault(f"a {message.kind} of the other side", error)]

    def _refused(self, refusal: Refusal) -> list[Output]:
        """Fail, but not while the peers are connected: they need the server only to connect again.

        A revoked invitation ends the session, connected or not.
        """
        is_to_leave = refusal.code == "invitation-revoked"
        if self.succession.works and not is_to_leave:
            self.presence.refusal = refusal
            return self._provisioning_did(self.provisioning.end())  # no offer can use new ones
        return self._fail(refusal)

    # The network of this machine.

    def _network_changed(self, event: events.NetworkChanged) -> list[Output]:
        self._note(entries.Network(event.kind, certain=event.certain))
        if event.kind == "offline":
            # Nothing can be tried yet, and silence will soon show whether it is true.
            return []
        changed = self.relays.surroundings_changed()
        self.succession.every_interface = False  # the two may no longer share a network
        return [*changed, *self._on_another_network(event)]

    def _slept(self, seconds: float) -> list[Output]:
        """Treat it as a certain change of the network, and account for the time that our clock has not counted."""
        self.journal.slept(seconds)
        self._note(entries.Slept(round(seconds, 1)))
        fresh = self._provisioning_did(self.provisioning.slept(seconds))
        return [*fresh, *self._network_changed(events.NetworkChanged("change", certain=True))]

    def _on_another_network(self, event: events.NetworkChanged) -> list[Output]:
        preparation = self.presence.preparation
        if preparation.is_there and event.certain:
            return [*preparation.again()]
        if self.connection is None or isinstance(self.connection.recovery.state, Idle):
            if not event.certain:
                return []
            again = self._connection_did(self.connection.replace_soon()) if self.connection else []
            return [*self._reach_server(is_certain=True), *again]
        return self._to_connection(event)

    def _reach_server(self, *, is_certain: bool) -> list[Output]:
        return self._presence_did(self.presence.reach(self._now, is_certain=is_certain))

    # The connection.

    def _new_connection(self, *, initiator: bool = False) -> list[Output]:
        place = self.presence.place
        if not self.provisioning.is_configured or place is None:
            return []
        result = self._connection_did(self.succession.create(polite=place.polite is not False))
        if self.provisioning.is_without:
            result += self._presence_did(self.presence.send(RelaysUnknown(), self._now))
        if place.state == "present" and place.polite is not None:
            result += self._joined(polite=place.polite, alone=initiator or place.was_first)
        for message in self.succession.take_early():
            result += self._peer_said(message)
        return result

    def _replace_connection(self) -> list[Output]:
        """Replace an `RTCPeerConnection` that cannot be repaired."""
        if self.presence.place is None:
            return []
        self.succession.count_replacement()
        result = self._presence_did(self.presence.renew())
        return result + self._connection_did(self.succession.replaced())

    def _close_connection(self) -> list[Output]:
        self.communication.closed()
        return self._connection_did(self.succession.close(self._now))

    def _to_connection(self, event: Event) -> list[Output]:
        return self._connection_did(self.connection.receive(event, self._now)) if self.connection else []

    def _connection_did(self, outputs: Sequence[Addressed]) -> list[Output]:
        result: list[Output] = []
        for output in outputs:
            match output:
                case Entry():
                    self._note(output)
                case ToPeer(message):
                    result += self._presence_did(self.presence.send(message, self._now))
                case Doubted():
                    result += self._presence_did(self.presence.doubt(self._now))
                    result += self.communication.conversation.doubt(self._now)
                case Reassured():
                    self.communication.conversation.reassured()
                    result += self._presence_did(self.presence.reassured())
                case Suspected(evidence):
                    result += self.communication.conversation.hold(self._now)
                    result += self._reach_server(is_certain=evidence == "network-changed")
                case SocketDoubted():
                    result += self._reach_server(is_certain=True)
                case Sampled(sample):
                    self.journal.live.sampled(sample, self._now, self.journal.unix(self._now))
                case SparesWanted():
                    result += self._provisioning_did(self.provisioning.want_spares())
                case PeerLost():
                    result += self._presence_did(self.presence.forget())
                case ReplacementWanted(every_interface):
                    self.succession.every_interface |= every_interface
                    result += self._replace_connection()
                case Failed(failure):
                    result += self._fail(self._explained(failure))
                case _ if isinstance(output, ChannelFact):
                    result += self.journal.take(self.communication.connection_did(output, self._now), self._now)
                case _:
                    result.append(output)
        return result

    def _explained(self, failure: Failure) -> Failure:
        """Return the failure with what the connection cannot know of its reasons."""
        if not isinstance(failure, NoPath):
            return failure
        is_lacking = self.provisioning.is_without or self.peer_lacks_relays
        return replace(failure, without_relays=is_lacking, budget_used_up=self.budget.is_used_up)

    def _note(self, entry: Entry) -> None:
        self.journal.note(self._now, entry)
