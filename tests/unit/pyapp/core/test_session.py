"""The core as lists of events; two cores joined by a server and networks are in test_world.py."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import ANY

import pytest

from pyapp.core import commands, events, provisioning
from pyapp.core.call import PEER_TIMERS
from pyapp.core.commands import Command, PeerCommand, TabCommand
from pyapp.core.diagnostics.journal import TIMER as JOURNAL
from pyapp.core.events import Event, PeerEvent
from pyapp.core.negotiation.candidates import Candidates
from pyapp.core.path import probe, recovery, standby
from pyapp.core.path.connection import CHANNELS, FIRST_OFFER, FIRST_OFFER_AFTER
from pyapp.core.path.observation import STATS, STATS_EVERY
from pyapp.core.path.outage import LOST_AFTER
from pyapp.core.path.replacement import RENEW
from pyapp.core.peers import NO_PEER, PeerId
from pyapp.core.session import Session
from pyapp.core.signaling import link, rendezvous
from pyapp.core.timers import Timer
from pyapp.protocol.channel import Beat, Frame, MediaShared, Piece, decode_beat, decode_frame, encode_frame
from pyapp.protocol.ice import IceConfiguration, IceServer
from pyapp.protocol.journal import MAX_JOURNAL_ENTRIES, Journal, Journaled
from pyapp.protocol.peer import Candidate, Description, PeerMessage, RelaysUnknown, RelaySuspected, RestartWanted
from pyapp.protocol.signaling import (
    Error,
    HeldPlace,
    Join,
    Leave,
    PeerJoined,
    PeerLeft,
    Relay,
    Relayed,
    ServerMessage,
    Welcome,
    decode_server,
)
from pyapp.protocol.wire import encode
from pyapp.view.console import Presenter, present
from tests.unit.pyapp.fakes import sdp, stats_of

A, B, C = "a" * 32, "b" * 32, "c" * 32
INVITATION = "e30.eyJhdWQiOiJkZW1vIn0.c2lnbmVk"
"""In form; to the session `demo`."""
TURN = "turns:turn.example.org:443?transport=tcp"
OTHER_TURN = "turns:turn2.example.org:443?transport=tcp"
GATHERED = "v=0\r\na=ice-pwd:the-password\r\na=candidate:1 1 udp 1 192.0.2.1 9 typ relay\r\n"
CONFIGURATION = IceConfiguration((IceServer((TURN,), "user", "the-credential"),), lifetime=3600.0)
CANDIDATE = "candidate:1 1 udp 1 192.0.2.1 9 typ host"
CONNECTED = events.StateChanged("connection", "connected")
DISCONNECTED = events.StateChanged("connection", "disconnected")
FAILED = events.StateChanged("connection", "failed")
SAMPLED = events.StatsSampled(stats_of(("l1", "r1")))
RESTART = [commands.SetConfiguration(CONFIGURATION), commands.RestartIce()]


FETCH = commands.FetchIceConfiguration(ANY, "demo", ANY, ANY)
FETCH_OTHER = commands.FetchIceConfiguration(ANY, "other", ANY, ANY)


@dataclass(frozen=True)
class IceConfigured:
    """The answer to the latest `GET /ice`; if none is awaited, as if spares had been asked for."""

    configuration: IceConfiguration


@dataclass(frozen=True)
class NotConfigured:
    """The server's refusal of the latest `GET /ice`, or that there is no answer."""

    code: str
    reason: str


@dataclass(frozen=True)
class Opened:
    """The socket that is being opened is open."""


@dataclass(frozen=True)
class Closed:
    """The socket that is being opened did not open; if there is none, the one in use closed."""

    code: int
    reason: str


Input = Event | PeerEvent | ServerMessage | IceConfigured | NotConfigured | Opened | Closed
"""What happens to a core; of a peer connection without a name, to the one in use."""

Said = Command | PeerCommand
"""What it says; without a name, to the one in use."""


def session(**changes: Any) -> Session:
    return Session(A, A, 1_000_000.0, **changes)


@dataclass
class Core:
    """A session with its timers; whatever it says is checked for what no shell could do."""

    session: Session = field(default_factory=session)
    now: float = 0.0
    timers: dict[Timer, float] = field(default_factory=dict)
    said: list[Said] = field(default_factory=list)
    told: list[TabCommand] = field(default_factory=list)
    """What was said to the other tabs."""
    numbers: int = 0
    peer: PeerId = NO_PEER
    """The connection in use, or the last one that was."""
    standby: PeerId = NO_PEER
    probe: PeerId = NO_PEER
    peers: set[PeerId] = field(default_factory=set)
    """Those that there are."""
    socket: int = 0
    opening: int = 0
    asked: list[int] = field(default_factory=list)
    """Requests for an ICE configuration without an answer."""
    presenter: Presenter = field(default_factory=Presenter)

    def do(self, *received: Input) -> list[Said]:
        """Return the commands but for timers, in `timers` by name, and what is `told` to other tabs."""
        result: list[Said] = []
        for item in received:
            event = self._event(item)
            if isinstance(event, events.TimerFired):
                self.timers.pop(event.timer, None)
            for command in self.session.receive(event, self.now):
                match command:
                    case commands.StartTimer(name, after, _, only_if_idle):
                        if not (only_if_idle and name in self.timers):
                            self.timers[name] = after
                    case commands.CancelTimer(name):
                        self.timers.pop(name, None)
                    case commands.OfPeer(peer, to_peer):
                        self._check_peer(peer, to_peer)
                        result.append(to_peer if peer == self.peer else command)
                    case commands.TabIsIn() | commands.TabIsOut() | commands.TakePlace() | commands.GivePlace():
                        self.told.append(command)
                    case _:
                        self._check(command)
                        result.append(command)
            assert self.presenter.present(self.session) == present(self.session)
        self.said += result
        return result

    def _event(self, item: Input) -> Event:
        match item:
            case IceConfigured(configuration):
                return events.IceConfigurationReceived(self._answered(), configuration)
            case NotConfigured(code, reason):
                return events.IceConfigurationFailed(self._answered(), code, reason)
            case Opened():
                self.socket, self.opening = self.opening, 0
                return events.SignalingOpened(self.socket)
            case Closed(code, reason):
                closed, self.opening = self.opening or self.socket, 0
                return events.SignalingClosed(closed, code, reason)
        if isinstance(item, PeerEvent):
            return events.OfPeer(self.peer, item)
        return events.SignalingReceived(self.socket, item) if isinstance(item, ServerMessage) else item

    def _answered(self) -> int:
        if not self.asked:
            for output in self.session.provisioning.want_spares():
                if isinstance(output, commands.FetchIceConfiguration):
                    return output.number
        return self.asked.pop() if self.asked else 0

    def _check(self, command: Command) -> None:
        match command:
            case commands.OpenSignaling(socket):
                self.opening = socket
            case commands.FetchIceConfiguration(number):
                self.asked.append(number)

    def _check_peer(self, peer: PeerId, command: PeerCommand) -> None:
        match command:
            case commands.CreatePeer(_, channels):
                assert peer > max(self.peer, self.standby, self.probe), "a name is given once"
                self.peers.add(peer)
                match channels:
                    case standby.CHANNELS:
                        self.standby = peer
                    case probe.CHANNELS:
                        self.probe = peer
                    case _:
                        self.peer = peer
            case commands.ClosePeer():
                self.peers.remove(peer)
            case _:
                assert peer in self.peers, f"{command} without a connection"
        assert self.peers <= {self.peer, self.standby, self.probe}, "one of each kind"

    def peer_says(self, body: PeerMessage, sender: str = B) -> list[Said]:
        self.numbers += 1
        return self.do(Relayed(sender, self.numbers, 0, body))

    def peer_restarts(self) -> list[Said]:
        """Take its first ICE restart, and answer: no relays are gathered for that."""
        configure, apply = self.peer_says(Description("offer", sdp("r2"), 1, 1))
        assert isinstance(configure, commands.SetConfiguration)
        assert not configure.configuration.relay_hosts
        assert isinstance(apply, commands.SetRemoteDescription)
        (answer,) = self.do(events.RemoteDescriptionSet(apply.attempt, apply.description))
        assert isinstance(answer, commands.SetLocalDescription)
        described = events.SessionDescription("answer", sdp("l2"))
        return self.do(events.LocalDescriptionSet(answer.attempt, described))

    @property
    def state(self) -> str:
        return present(self.session).status.state

    @property
    def journal(self) -> list[tuple[str, dict[str, Any]]]:
        return [(entry.event, dict(entry.data)) for entry in self.session.journal._unconfirmed]


def frames(outputs: Sequence[Said]) -> list[Frame]:
    return [decode_frame(output.text) for output in outputs if output == commands.SendOnChannel("messages", ANY)]


def sent(outputs: Sequence[Said]) -> list[PeerMessage]:
    return [
        output.message.body
        for output in outputs
        if isinstance(output, commands.SendSignaling)
        and isinstance(output.message, Relay)
        and output.message.body is not None
    ]


def journals(outputs: Sequence[Said]) -> list[Journal]:
    return [
        output.message
        for output in outputs
        if isinstance(output, commands.SendSignaling) and isinstance(output.message, Journal)
    ]


def beside_journals(outputs: Sequence[Said]) -> list[Said]:
    return [output for output in outputs if not journals([output])]


def beats(outputs: Sequence[Said]) -> list[Beat]:
    return [decode_beat(output.text) for output in outputs if output == commands.SendOnChannel("heartbeat", ANY)]


def beside_beats(outputs: Sequence[Said]) -> list[Said]:
    return [output for output in outputs if not beats([output]) and not journals([output])]


def connecting(**changes: Any) -> Core:
    core = Core(session(**changes))
    core.do(events.ConnectRequested("demo"))
    return core


def waiting(**changes: Any) -> Core:
    """Return the first in the session, whose offer is sent."""
    core = connecting(**changes)
    core.do(IceConfigured(CONFIGURATION), Opened())
    core.do(Welcome(polite=False, peer=""))
    core.do(offer_set("l1"))
    return core


def offer_set(fragment: str, attempt: int = 1) -> PeerEvent:
    return events.LocalDescriptionSet(attempt, events.SessionDescription("offer", sdp(fragment)))


def negotiated(**changes: Any) -> Core:
    core = waiting(**changes)
    core.do(PeerJoined(B))
    (answer,) = core.peer_says(Description("answer", sdp("r1"), 1))
    assert isinstance(answer, commands.SetRemoteDescription)
    core.do(events.RemoteDescriptionSet(answer.attempt, answer.description))
    return core


def connected(**changes: Any) -> Core:
    core = negotiated(**changes)
    core.do(CONNECTED, events.ChannelOpened("messages"), events.ChannelOpened("heartbeat"), SAMPLED)
    assert core.state == "connected"
    return core


def lost(**changes: Any) -> Core:
    """Return one whose path has been suspect for so long that the person knows."""
    core = connected(**changes)
    core.now += 3.0  # without a beat: the browser's bad news is believed
    core.do(DISCONNECTED, events.TimerFired(recovery.LOST))
    assert core.state == "recovering"
    return core


class TestConnecting:
    def test_asks_for_the_configuration_and_opens_the_socket(self) -> None:
        core = Core()
        assert core.do(events.ConnectRequested(" demo ")) == [
            commands.OpenSignaling(ANY),
            FETCH,
        ]
        assert core.state == "connecting"
        assert core.do(events.ConnectRequested("other")) == []

    def test_joins_once_the_socket_is_open(self) -> None:
        core = connecting(invitation=INVITATION)
        assert core.do(Opened()) == [commands.SendSignaling(Join("demo", A, A, INVITATION))]

    @pytest.mark.parametrize("name", ["", "a/b", "../x", "-"])
    def test_to_what_is_no_name_is_refused_at_the_field(self, name: str) -> None:
        core = Core()
        assert core.do(events.ConnectRequested(name)) == []
        assert core.state == "ready"
        assert present(core.session).lobby.problem
        core.do(events.ConnectRequested("demo"))
        assert not present(core.session).lobby.problem

    def test_alone_waits_with_an_offer(self) -> None:
        core = connecting()
        assert core.do(IceConfigured(CONFIGURATION)) == [commands.CreatePeer(CONFIGURATION, CHANNELS)]
        core.do(Opened())
        assert core.do(Welcome(polite=False, peer="")) == [commands.SetLocalDescription(1)]
        assert sent(core.do(offer_set("l1"))) == [Description("offer", sdp("l1"), 1)]
        assert core.state == "waiting"

    def test_alone_waits_with_an_offer_also_when_the_configuration_came_last(self) -> None:
        core = connecting()
        core.do(Opened(), Welcome(polite=False, peer=""))
        assert core.do(IceConfigured(CONFIGURATION)) == [
            commands.CreatePeer(CONFIGURATION, CHANNELS),
            commands.SetLocalDescription(1),
        ]

    def test_second_leaves_the_offer_to_the_other_for_a_while(self) -> None:
        core = connecting()
        core.do(IceConfigured(CONFIGURATION), Opened())
        assert beside_journals(core.do(Welcome(polite=True, peer=B))) == []
        assert core.timers[FIRST_OFFER] == FIRST_OFFER_AFTER
        assert core.do(events.NegotiationNeeded()) == []
        assert core.do(events.TimerFired(FIRST_OFFER)) == [commands.SetLocalDescription(1)]

    def test_second_answers(self) -> None:
        core = connecting()
        core.do(IceConfigured(CONFIGURATION), Opened(), Welcome(polite=True, peer=B))
        (apply,) = core.peer_says(Description("offer", sdp("r1"), 1))
        assert isinstance(apply, commands.SetRemoteDescription)
        (answer,) = core.do(events.RemoteDescriptionSet(apply.attempt, apply.description))
        assert isinstance(answer, commands.SetLocalDescription)
        assert FIRST_OFFER not in core.timers
        description = events.SessionDescription("answer", sdp("l1"))
        assert sent(core.do(events.LocalDescriptionSet(answer.attempt, description))) == [
            Description("answer", sdp("l1"), 1)
        ]

    def test_with_first_offers_that_cross_takes_a_new_connection_for_the_other_sides(self) -> None:
        core = connecting()
        core.do(IceConfigured(CONFIGURATION), Opened())
        core.do(Welcome(polite=True, peer=""), offer_set("l1"), PeerJoined(B))
        first = core.peer
        close, create, apply = core.peer_says(Description("offer", sdp("r1"), 1))
        assert close == commands.ClosePeer()
        assert core.peers == {core.peer} != {first}
        assert create == commands.CreatePeer(CONFIGURATION, CHANNELS)
        assert isinstance(apply, commands.SetRemoteDescription)

    @pytest.mark.parametrize(
        "late",
        [
            FAILED,
            CONNECTED,
            SAMPLED,
            events.NegotiationNeeded(),
            events.LocalCandidatesEnded(None),
            events.LocalCandidate(Candidate(CANDIDATE, "0", 0, "l1"), TURN),
            events.PeerOperationFailed("setLocalDescription", "OperationError: late", 1),
            events.ChannelOpened("messages"),
            events.ChannelClosed("messages"),
            events.ChannelFilled("messages"),
            events.ChannelReceived("messages", encode_frame(Frame(1, Piece("late"), 0))),
        ],
        ids=lambda event: type(event).__name__,
    )
    def test_anew_hears_nothing_of_the_connection_before(self, late: PeerEvent) -> None:
        core = connected()
        old = core.peer
        core.do(PeerLeft(B), offer_set("l2"))
        noted = len(core.journal)
        assert core.do(events.OfPeer(old, late)) == []
        assert (core.state, len(core.journal)) == ("waiting", noted)
        core.do(events.HangUpRequested())
        assert core.do(events.OfPeer(core.peer, late)) == []
        assert core.state == "closed"

    def test_asks_for_the_configuration_again_after_a_failure(self) -> None:
        core = connecting()
        assert core.do(NotConfigured("", "HTTP status 502")) == []
        assert core.do(events.TimerFired(provisioning.RETRY)) == [FETCH]
        assert core.state == "connecting"

    def test_is_connected_when_the_channel_is_open_and_the_path_known(self) -> None:
        core = negotiated()
        assert core.do(CONNECTED) == [commands.SampleStats()]
        core.do(SAMPLED)
        assert core.state == "connecting"
        assert commands.SampleStats() in core.do(events.ChannelOpened("messages"))
        assert core.state == "connecting"
        core.do(SAMPLED)
        assert core.state == "connected"
        assert core.timers[STATS] == STATS_EVERY

    def test_uses_relays_only_if_the_page_says_so(self) -> None:
        core = connecting(policy="relay")
        (create,) = core.do(IceConfigured(CONFIGURATION))
        assert isinstance(create, commands.CreatePeer)
        assert create.configuration.policy == "relay"
        assert create.configuration.servers == CONFIGURATION.servers

    def test_first_makes_the_offer_also_when_the_other_came_before_the_configuration(self) -> None:
        core = connecting()
        core.do(Opened(), Welcome(polite=False, peer=""), PeerJoined(B))
        assert any(
            isinstance(command, commands.SetLocalDescription) for command in core.do(IceConfigured(CONFIGURATION))
        )

    def test_looks_again_for_the_path_while_it_is_not_known(self) -> None:
        core = negotiated()
        core.do(CONNECTED, events.ChannelOpened("messages"), events.StatsSampled(stats_of(None)))
        assert STATS in core.timers


class TestConnected:
    def test_sends_again_what_was_on_its_way_when_the_pair_changes(self) -> None:
        core = connected()
        core.do(events.MessageSubmitted("hello"))
        assert frames(core.do(events.PairChanged()))[0] == Frame(1, Piece("hello"), 0)

    def test_sends_messages_and_hears_that_they_are_delivered(self) -> None:
        core = connected()
        assert frames(core.do(events.MessageSubmitted("hello"))) == [Frame(1, Piece("hello"), 0)]
        core.do(events.ChannelReceived("messages", encode_frame(Frame(1, Piece("hi"), 1))))
        assert [(line.mine, line.text, line.delivered) for line in present(core.session).thread.messages] == [
            (True, "hello", True),
            (False, "hi", False),
        ]

    @pytest.mark.parametrize("text", ["", "  ", "\n"])
    def test_sends_no_empty_message(self, text: str) -> None:
        assert connected().do(events.MessageSubmitted(text)) == []

    def test_refuses_a_message_that_is_too_long_in_words(self) -> None:
        core = connected()
        assert core.do(events.MessageSubmitted("x" * 70_000)) == []
        assert "too long" in present(core.session).thread.problem
        core.do(events.MessageSubmitted("short"))
        assert present(core.session).thread.problem == ""

    def test_takes_no_harm_from_what_is_no_message(self) -> None:
        core = connected()
        assert core.do(events.ChannelReceived("messages", "hello")) == []
        assert core.do(events.SignalingGarbled(core.socket, "not JSON")) == []
        assert core.state == "connected"

    def test_restarts_on_request(self) -> None:
        core = connected()
        assert core.do(events.RestartRequested()) == RESTART
        (offer,) = core.do(events.NegotiationNeeded())
        assert isinstance(offer, commands.SetLocalDescription)
        core.do(offer_set("l2", offer.attempt))
        (apply,) = core.peer_says(Description("answer", sdp("r2"), 2))
        assert isinstance(apply, commands.SetRemoteDescription)
        core.do(events.RemoteDescriptionSet(apply.attempt, apply.description))
        assert present(core.session).path.ice_generation == 1
        assert core.state == "connected"

    def test_leaves_restarts_to_the_other_side_whose_browser_differs(self) -> None:
        core = connecting()
        core.do(IceConfigured(CONFIGURATION), Opened())
        core.do(Welcome(polite=True, peer=B))
        (apply,) = core.peer_says(Description("offer", f"{sdp('r1')}o=mozilla 1\r\n", 1))
        assert isinstance(apply, commands.SetRemoteDescription)
        (answer,) = core.do(events.RemoteDescriptionSet(apply.attempt, apply.description))
        assert isinstance(answer, commands.SetLocalDescription)
        core.do(
            events.LocalDescriptionSet(answer.attempt, events.SessionDescription("answer", f"{sdp('l1')}o=- 1\r\n"))
        )
        assert sent(core.do(events.RestartRequested())) == [RestartWanted()]

    def test_restarts_when_the_other_side_asks_for_it_with_the_relays_that_it_brings(self) -> None:
        configured, restart = connected().peer_says(RestartWanted())
        assert isinstance(configured, commands.SetConfiguration)
        assert configured.configuration == CONFIGURATION.without_relays()
        assert restart == RESTART[-1]

    def test_is_asked_in_vain_while_an_offer_of_ours_is_under_way(self) -> None:
        core = connected()
        core.do(events.RestartRequested(), events.NegotiationNeeded())
        assert core.peer_says(RestartWanted()) == []

    @pytest.mark.parametrize("video", [True, False])
    def test_leaves_restarts_to_the_impolite_side_while_it_shows_a_picture(self, video: bool) -> None:
        core = connected()
        assert core.session.connection
        core.session.connection.negotiation.polite = True
        core.session.conversation.shared = MediaShared(audio=True, video=video)
        outputs = core.do(events.RestartRequested())
        assert (sent(outputs) == [RestartWanted()]) is video
        assert (commands.RestartIce() in outputs) is not video

    def test_that_shows_a_picture_gathers_relays_for_the_restart_that_it_asked_for(self) -> None:
        core = connected()
        assert core.session.connection
        core.session.connection.negotiation.polite = True
        core.session.conversation.shared = MediaShared(audio=True, video=True)
        core.do(events.RestartRequested())
        outputs = core.peer_says(Description("offer", sdp("r2"), 2, 1))
        given = [output.configuration for output in outputs if isinstance(output, commands.SetConfiguration)]
        assert given == [CONFIGURATION]

    def test_restarts_when_the_other_side_does(self) -> None:
        core = connected()
        assert sent(core.peer_restarts())
        assert present(core.session).path.ice_generation == 1

    def test_stays_connected_while_the_server_restarts(self) -> None:
        core = connected()
        core.do(Closed(1012, "restart"))
        assert core.state == "connected"
        assert "out of reach" in present(core.session).status.detail
        assert core.do(events.TimerFired(link.RETRY)) == [commands.OpenSignaling(ANY)]
        core.do(Opened(), Welcome(polite=False, peer=""))
        assert core.state == "connected"
        core.do(PeerJoined(B))
        assert core.state == "connected"
        assert sum(isinstance(command, commands.CreatePeer) for command in core.said) == 1
        assert not any(isinstance(command, commands.ClosePeer) for command in core.said)

    def test_gets_a_new_configuration_before_the_old_one_expires(self) -> None:
        core = connected()
        assert core.timers[provisioning.RENEW] == 3600 * provisioning.MARGIN
        assert core.do(events.TimerFired(provisioning.RENEW)) == [FETCH]
        assert core.do(IceConfigured(CONFIGURATION)) == [commands.SetConfiguration(CONFIGURATION)]
        assert core.timers[provisioning.RENEW] == 3600 * provisioning.MARGIN

    def test_goes_on_when_the_invitation_expires(self) -> None:
        core = connected()
        core.do(events.TimerFired(provisioning.RENEW), NotConfigured("invitation-expired", "expired"))
        assert core.state == "connected"
        assert provisioning.RETRY in core.timers

    def test_proves_its_place_when_the_invitation_may_have_expired(self) -> None:
        (fetch,) = connected().do(events.TimerFired(provisioning.RENEW))
        assert isinstance(fetch, commands.FetchIceConfiguration)
        assert fetch.place == HeldPlace("demo", A, A)

    def test_keeps_the_standby_and_the_relay_when_spares_come_at_the_second_try(self) -> None:
        core = connected()
        core.do(events.StatsSampled(stats_of(("l1", "r1"), candidateType="relay", relayProtocol="tls", url=TURN)))
        core.peer_says(RelaySuspected(OTHER_TURN))
        core.do(NotConfigured("", "HTTP status 502"), events.TimerFired(provisioning.RETRY))
        assert commands.RestartIce() not in core.do(IceConfigured(CONFIGURATION))

    def test_goes_on_when_the_server_takes_it_back_no_more(self) -> None:
        core = connected()
        core.do(Closed(1006, ""), events.TimerFired(link.RETRY), Opened())
        core.do(Error("invitation-expired", "expired"))
        assert core.state == "connected"

    def test_leaves_its_place_to_the_newer_page_and_keeps_the_path(self) -> None:
        core = connected()
        outputs = core.do(Error("replaced", "This tab joined with a newer page."))
        assert commands.CloseSignaling() in outputs
        later = core.do(
            Closed(1008, ""),
            events.NetworkChanged("online", certain=True),
            *(events.TimerFired(name) for name in (*rendezvous.TIMERS, provisioning.RENEW, RENEW)),
            Opened(),
        )
        assert not [command for command in later if isinstance(command, commands.ServerCommand)]
        assert not core.timers.keys() & {*rendezvous.TIMERS, provisioning.RENEW}

    def test_says_that_a_newer_page_took_its_place_while_the_path_works_and_after(self) -> None:
        core = connected()
        core.do(Error("replaced", "This tab joined with a newer page."))
        assert core.state == "connected"
        assert "another tab" in present(core.session).status.detail
        core.now = 3.0
        core.do(FAILED)
        assert core.state == "failed"

    def test_ends_at_once_for_whoever_is_revoked(self) -> None:
        core = connected()
        core.do(Error("invitation-revoked", "This invitation was taken back."))
        assert core.state == "failed"
        assert present(core.session).status.headline == "This invitation was taken back"

    def test_fails_once_the_channel_is_gone_and_no_server_helps_to_another(self) -> None:
        core = connected()
        core.do(Error("replaced", "This tab joined with a newer page."))
        core.do(events.ChannelClosed("messages"))
        assert core.state == "failed"
        assert present(core.session).status.headline == "Taken over by another tab"


class TestRecovering:
    """What recovery means to the session; its rules are in test_recovery.py."""

    def test_keeps_messages_and_delivers_them(self) -> None:
        core = connected()
        core.do(events.MessageSubmitted("one"))
        core.now = 3.0
        core.do(DISCONNECTED, events.TimerFired(recovery.LOST))
        assert core.state == "recovering"
        assert frames(core.do(events.MessageSubmitted("two"))) == []
        core.now = 4.0
        resent = frames(core.do(CONNECTED))
        assert [frame.number for frame in resent] == [1, 2]
        core.do(events.ChannelReceived("messages", encode_frame(Frame(0, None, 2))))
        assert [line.delivered for line in present(core.session).thread.messages] == [True, True]

    def test_keeps_messages_while_the_channel_is_closed(self) -> None:
        core = connected()
        core.do(events.ChannelClosed("messages"))
        assert core.state == "recovering"
        assert frames(core.do(events.MessageSubmitted("one"))) == []
        assert frames(core.do(events.ChannelOpened("messages"))) == [Frame(1, Piece("one"), 0)]

    def test_shows_nothing_of_what_is_over_before_anybody_can_see_it(self) -> None:
        core = connected()
        core.now = 3.0
        core.do(DISCONNECTED)
        assert core.state == "connected"
        assert core.timers[recovery.LOST] == LOST_AFTER

    @pytest.mark.parametrize("event", [DISCONNECTED, FAILED])
    def test_opens_a_socket_and_restarts_at_once(self, event: Event) -> None:
        core = connected()
        assert beside_beats(core.do(event)) == [], "bad news is not believed while the other side is heard"
        core.now = 3.0
        done = beside_beats(core.do(event))
        assert done == [
            commands.OpenSignaling(ANY),
            commands.SetConfiguration(CONFIGURATION),
            commands.RestartIce(),
        ]
        assert beside_beats(core.do(event)) == []


class TestTheOtherSide:
    def test_that_left_means_waiting_again_with_a_new_connection(self) -> None:
        core = connected()
        core.do(events.MessageSubmitted("unconfirmed"))
        assert core.do(PeerLeft(B)) == [
            commands.ClosePeer(),
            commands.CreatePeer(CONFIGURATION, CHANNELS),
            commands.SetLocalDescription(1),
        ]
        assert core.state == "waiting"
        assert not core.timers.keys() & {STATS, "delivery", *recovery.TIMERS}

    def test_that_was_reloaded_gets_a_new_connection_and_what_was_not_confirmed(self) -> None:
        core = connected()
        core.do(events.MessageSubmitted("confirmed"), events.MessageSubmitted("unconfirmed"))
        core.do(events.ChannelReceived("messages", encode_frame(Frame(0, None, 1))))
        same_tab = PeerJoined(C, tab=B)
        assert commands.CreatePeer(CONFIGURATION, CHANNELS) in core.do(PeerLeft(B), offer_set("l2"), same_tab)
        core.numbers = 0
        (apply,) = core.peer_says(Description("answer", sdp("r9"), 1), C)
        assert isinstance(apply, commands.SetRemoteDescription)
        core.do(events.RemoteDescriptionSet(apply.attempt, apply.description), CONNECTED)
        assert frames(core.do(events.ChannelOpened("messages"))) == [Frame(1, Piece("unconfirmed"), 0)]
        core.do(SAMPLED)
        assert core.state == "connected"
        assert present(core.session).path.ice_generation == 0

    def test_that_is_somebody_else_all_of_a_sudden_gets_a_new_connection(self) -> None:
        core = connected()
        assert beside_journals(core.do(PeerJoined(C))) == [
            commands.ClosePeer(),
            commands.CreatePeer(CONFIGURATION, CHANNELS),
            commands.SetLocalDescription(1),
        ]


class TestWhatTheOtherSideSaysTogether:
    """An offer, a message that nobody can take, and a candidate, which all become known at once."""

    GOOD = Candidate(CANDIDATE, "0", 0, "r1")
    WORSE = Candidate(f"{CANDIDATE} worse", "0", 0, "r1")

    def joined(self) -> Core:
        core = connecting()
        core.do(IceConfigured(CONFIGURATION), Opened(), Welcome(polite=True, peer=B))
        return core

    def everything(self, core: Core, outputs: list[Said]) -> list[Said]:
        (apply,) = (output for output in outputs if isinstance(output, commands.SetRemoteDescription))
        return core.do(events.RemoteDescriptionSet(apply.attempt, apply.description))

    def test_is_taken_but_for_what_raises(self, monkeypatch: pytest.MonkeyPatch) -> None:
        heard = Candidates.heard

        def raises(candidates: Candidates, candidate: Candidate) -> Any:
            if candidate == self.WORSE:
                raise OverflowError("int too large")
            return heard(candidates, candidate)

        monkeypatch.setattr(Candidates, "heard", raises)
        core = self.joined()
        core.do(Relayed(B, 2, 0, self.WORSE), Relayed(B, 3, 0, self.GOOD))
        outputs = core.do(Relayed(B, 1, 0, Description("offer", sdp("r1"), 1)))
        (fault,) = (output for output in outputs if isinstance(output, commands.ReportFault))
        assert (fault.where, str(fault.error)) == ("a candidate of the other side", "int too large")
        assert commands.AddIceCandidate(self.GOOD) in self.everything(core, outputs)
        assert core.session.place
        assert core.session.place.acknowledge() == [commands.SendSignaling(Relay(B, 0, 3, None, peer_epoch=1))]

    def test_is_taken_but_for_what_is_no_message(self) -> None:
        offer, last = Description("offer", sdp("r1"), 1), self.GOOD
        frame = json.loads(encode(Relayed(B, 1, 0, offer, more=(self.WORSE, last))))
        frame["more"][0]["candidate"] = "x" * 5000
        core = self.joined()
        outputs = core.do(decode_server(json.dumps(frame)))
        assert commands.AddIceCandidate(last) in self.everything(core, outputs)
        assert [name for name, _ in core.journal].count("message") == 1


class TestHangingUp:
    @pytest.mark.parametrize("build", [connecting, waiting, negotiated, connected])
    def test_ends_everything_at_any_moment(self, build: Any) -> None:
        core = build()
        core.do(events.MessageSubmitted("x"))
        outputs = core.do(events.HangUpRequested())
        assert core.timers == {}
        assert core.state == "closed"
        assert commands.CloseSignaling() in outputs
        assert not core.peers
        said_goodbye = commands.SendSignaling(Leave()) in outputs
        assert said_goodbye == (build is not connecting)

    def test_while_recovering_leaves_no_timer_behind(self) -> None:
        core = connected()
        core.now = 3.0
        core.do(events.MessageSubmitted("x"), FAILED, Closed(1006, ""), Closed(1006, ""))
        armed = {recovery.ATTEMPT, recovery.LOST, recovery.BEAT, link.RETRY, provisioning.RENEW, STATS}
        assert core.timers.keys() >= armed
        core.do(events.HangUpRequested())
        assert core.timers == {}

    def test_makes_late_events_harmless(self) -> None:
        core = connected()
        core.do(events.HangUpRequested())
        late = [
            CONNECTED,
            FAILED,
            SAMPLED,
            offer_set("l9"),
            events.NegotiationNeeded(),
            events.LocalCandidatesEnded(None),
            events.ChannelReceived("messages", encode_frame(Frame(1, Piece("late"), 0))),
            IceConfigured(CONFIGURATION),
            NotConfigured("", "x"),
            Opened(),
            Closed(1006, ""),
            PeerJoined(B),
            *(events.TimerFired(name) for name in (JOURNAL, provisioning.RENEW, *PEER_TIMERS, *rendezvous.TIMERS)),
            events.HangUpRequested(),
            events.RestartRequested(),
        ]
        assert core.do(*late) == []
        assert core.timers == {}
        assert core.state == "closed"

    def test_switches_off_what_is_on(self) -> None:
        core = connected()
        assert core.do(events.MediaToggled("camera")) == [commands.StartMedia(1, "camera")]
        core.do(events.MediaStarted(1, "camera"))
        assert commands.StopMedia("camera") in core.do(events.HangUpRequested())

    def test_switches_off_what_the_browser_gives_only_afterwards(self) -> None:
        core = connected()
        core.do(events.MediaToggled("camera"))
        assert commands.StopMedia("camera") in core.do(events.HangUpRequested())

    def test_leaves_the_way_free_to_connect_again(self) -> None:
        core = connected()
        core.do(events.HangUpRequested())
        assert commands.OpenSignaling(ANY) in core.do(events.ConnectRequested("demo"))
        assert commands.SendSignaling(Join("demo", A, A, socket=2)) in core.do(Opened())
        assert core.state == "connecting"

    def test_by_closing_the_page_says_goodbye_with_the_journal(self) -> None:
        core = connected()
        outputs = core.do(events.PageClosing())
        assert journals(outputs)
        assert outputs.index(commands.SendSignaling(Leave())) < outputs.index(commands.CloseSignaling())
        assert core.timers == {}

    def test_by_closing_the_page_is_the_end_also_if_the_page_comes_back(self) -> None:
        core = connected()
        core.do(events.PageClosing())
        assert core.state == "closed"


class TestFailing:
    def test_with_a_refused_password_and_relays_only_says_so(self) -> None:
        core = waiting(policy="relay")
        core.do(events.CandidateError(TURN, 401, "Unauthorized", "192.0.2.1"))
        outputs = core.do(events.LocalCandidatesEnded(None))
        view = present(core.session)
        assert core.state == "failed"
        assert "refused our user name or password" in view.status.detail
        assert view.status.cause == f"icecandidateerror 401 Unauthorized ({TURN})"
        assert commands.ClosePeer() in outputs
        assert core.timers == {}
        told = {"url": TURN, "code": 401, "address": "192.0.2.1", "reason": "Unauthorized"}
        assert ("candidate-error", told) in core.journal

    def test_with_candidates_waits_for_the_browser_to_try_them(self) -> None:
        core = waiting()
        core.do(events.LocalCandidate(Candidate(CANDIDATE, "0", 0, "l1"), ""))
        core.do(events.CandidateError(TURN, 701, "timeout", ""), events.LocalCandidatesEnded(None))
        assert core.state == "waiting"

    def test_before_it_was_ever_connected_is_final(self) -> None:
        core = negotiated()
        core.do(FAILED)
        assert core.state == "failed"
        assert present(core.session).status.headline == "No connection is possible"
        assert core.timers == {}

    @pytest.mark.parametrize("code", ["session-full", "invitation-expired", "invitation-required"])
    def test_because_the_server_refuses_is_final_and_explained(self, code: str) -> None:
        core = connecting()
        core.do(IceConfigured(CONFIGURATION), Opened())
        core.do(Error(code, "the reason"))
        assert core.state == "failed"
        assert present(core.session).status.cause == f"{code}: the reason"
        assert core.timers == {}
        assert not core.peers

    def test_because_of_an_expired_invitation_is_known_from_the_configuration_too(self) -> None:
        core = connecting()
        core.do(NotConfigured("invitation-expired", "the reason"))
        assert (core.state, present(core.session).status.headline) == ("failed", "This invitation has expired")

    def test_with_an_error_that_is_not_final_goes_on(self) -> None:
        core = waiting()
        assert core.do(Error("limit", "too fast", "messages-per-second")) == []
        assert core.state == "waiting"

    def test_streams_the_reason_before_it_leaves(self) -> None:
        core = negotiated()
        (journal,) = journals(core.do(FAILED))
        assert journal.entries[-1].event == "failed"

    def test_of_one_operation_is_noted_and_no_end(self) -> None:
        core = connected()
        core.do(events.PeerOperationFailed("addIceCandidate", "OperationError: x"))
        assert core.state == "connected"
        assert core.journal[-1][0] == "operation-failed"

    def test_of_the_program_is_counted_and_noted(self) -> None:
        core = connected()
        core.do(events.Fault("render", "KeyError: 'x'"))
        assert core.session.faults == 1
        assert core.journal[-1] == ("fault", {"where": "render", "error": "KeyError: 'x'"})


class TestTheJournal:
    def test_sends_it_all_before_the_goodbye_also_on_a_socket_that_has_just_opened(self) -> None:
        core = waiting()
        core.do(PeerJoined(B))
        core.do(events.SignalingClosed(core.socket, 1006, ""), events.TimerFired(link.RETRY), Opened())
        outputs = core.do(events.HangUpRequested())
        sent = [output.message for output in outputs if isinstance(output, commands.SendSignaling)]
        *before, goodbye = sent
        assert goodbye == Leave()
        entries = [entry for one in before if isinstance(one, Journal) for entry in one.entries]
        assert [entry.number for entry in entries] == [*range(1, core.session.journal.number + 1)]

    def test_is_streamed_a_second_after_something_was_noted(self) -> None:
        core = waiting()
        assert core.timers[JOURNAL] == 1.0
        (batch,) = journals(core.do(events.TimerFired(JOURNAL)))
        assert [entry.number for entry in batch.entries] == list(range(1, len(batch.entries) + 1))
        assert JOURNAL not in core.timers
        assert journals(core.do(events.TimerFired(JOURNAL))) == []

    def test_a_confirmation_calls_for_no_frame_before_its_time(self) -> None:
        """Connecting writes fifty entries in a second, and encoding them holds it up."""
        core = waiting()
        (batch,) = journals(core.do(events.TimerFired(JOURNAL)))
        core.do(events.StateChanged("ice-gathering", "gathering"))
        assert journals(core.do(Journaled(batch.entries[-1].number))) == []
        assert core.timers[JOURNAL] == 1.0
        (rest,) = journals(core.do(events.TimerFired(JOURNAL)))
        assert rest.entries[0].number == batch.entries[-1].number + 1

    def test_is_streamed_in_batches(self) -> None:
        core = waiting()
        for number in range(MAX_JOURNAL_ENTRIES):
            core.do(events.StateChanged("ice-gathering", str(number)))
        (first,) = journals(core.do(events.TimerFired(JOURNAL)))
        assert len(first.entries) == MAX_JOURNAL_ENTRIES
        assert JOURNAL in core.timers
        (second,) = journals(core.do(events.TimerFired(JOURNAL)))
        assert second.entries[0].number == MAX_JOURNAL_ENTRIES + 1

    def test_is_streamed_again_after_a_new_socket_from_what_was_confirmed(self) -> None:
        core = waiting()
        (before,) = journals(core.do(events.TimerFired(JOURNAL)))
        core.do(Journaled(2), Closed(1006, ""), events.TimerFired(link.RETRY))
        assert journals(core.do(events.TimerFired(JOURNAL))) == []
        core.do(Opened(), Welcome(polite=False, peer=""))
        (again,) = journals(core.do(events.TimerFired(JOURNAL)))
        assert again.entries[0].number == 3
        assert again.entries[-1].number > before.entries[-1].number

    @pytest.mark.parametrize("code", ["limit", "unavailable"])
    def test_is_streamed_again_when_the_server_could_not_keep_it(self, code: str) -> None:
        core = waiting()
        core.do(events.TimerFired(JOURNAL), Error(code, "The journal is busy; send it again.", "journal-queue"))
        (batch,) = journals(core.do(events.TimerFired(JOURNAL)))
        assert batch.entries[0].number == 1

    def test_has_every_state_candidate_and_error(self) -> None:
        core = waiting()
        core.do(
            events.StateChanged("ice-connection", "checking"),
            events.LocalCandidate(Candidate(CANDIDATE, "0", 0, "l1"), TURN),
            events.CandidateError(TURN, 701, "timeout", ""),
            PeerJoined(B),
        )
        core.peer_says(Candidate(CANDIDATE, "0", 0, "r1"))
        names = [name for name, _ in core.journal]
        assert names[-5:] == ["state", "candidate-local", "candidate-error", "peer", "candidate-remote"]
        local = dict(core.journal)["candidate-local"]
        assert (local["type"], local["protocol"], local["server"]) == ("host", "udp", TURN)

    def test_has_no_secret(self) -> None:
        secret = "a=ice-ufrag:l1\r\na=ice-pwd:the-password\r\n"
        core = connecting(invitation=INVITATION)
        core.do(IceConfigured(CONFIGURATION), Opened())
        core.do(Welcome(polite=False, peer=""), PeerJoined(B))
        core.do(events.LocalDescriptionSet(1, events.SessionDescription("offer", f"v=0\r\n{secret}")))
        core.peer_says(Description("answer", f"v=0\r\n{secret}", 1))
        core.peer_says(Candidate(f"{CANDIDATE} pwd the-password", "0", 0, "l1"))
        core.do(CONNECTED, events.ChannelOpened("messages"), SAMPLED, events.MessageSubmitted("the-message"), FAILED)
        text = repr(core.journal) + repr(core.session.journal.lines)
        for word in ("the-password", "the-credential", INVITATION, "the-message", "ice-pwd"):
            assert word not in text
        assert len(core.journal) > 8


class TestMedia:
    def test_is_off_starting_on_and_off_again(self) -> None:
        core = connected()
        assert core.do(events.MediaToggled("camera")) == [commands.StartMedia(1, "camera")]
        assert [control.busy for control in present(core.session).media.controls] == [True, False, False]
        core.do(events.MediaStarted(1, "camera"))
        assert core.do(events.MediaToggled("camera")) == [commands.StopMedia("camera")]
        core.do(events.MediaStopped(1, "camera"))
        assert core.session.media.states["camera"] == "off"

    def test_has_its_sections_added_once_and_by_the_impolite_side_alone(self) -> None:
        core = connected()
        core.do(SAMPLED, SAMPLED)
        assert core.said.count(commands.AddMediaSections()) == 1
        core = negotiated()
        assert core.session.connection is not None
        core.session.connection.negotiation.polite = True
        core.do(CONNECTED, events.ChannelOpened("messages"), SAMPLED)
        assert core.state == "connected"
        assert commands.AddMediaSections() not in core.said

    def test_that_is_shared_is_told_to_the_far_end_at_once(self) -> None:
        core = connected()
        on, off = (MediaShared(audio=False, video=video) for video in (True, False))
        assert [
            frame.body for frame in frames(core.do(events.MediaToggled("screen"), events.MediaStarted(1, "screen")))
        ] == [on]
        assert [frame.body for frame in frames(core.do(events.MediaStopped(1, "screen")))] == [off]

    def test_that_was_on_before_is_told_when_the_channel_opens(self) -> None:
        core = Core()
        core.do(events.MediaToggled("microphone"), events.MediaStarted(1, "microphone"))
        core.do(events.ConnectRequested("demo"))
        core.do(IceConfigured(CONFIGURATION), Opened(), Welcome(polite=False, peer=B))
        core.do(CONNECTED)
        told = [frame.body for frame in frames(core.do(events.ChannelOpened("messages")))]
        assert told == [MediaShared(audio=True, video=False)]

    def test_that_the_browser_does_not_give_is_explained_until_the_next_try(self) -> None:
        core = connected()
        core.do(events.MediaToggled("camera"), events.MediaFailed(1, "camera", "NotAllowedError"))
        assert core.session.media.states["camera"] == "off"
        assert "may not use the camera" in present(core.session).media.problem
        core.do(events.MediaToggled("camera"))
        assert present(core.session).media.problem == ""


class TestGoingOnWithoutRelays:
    def late(self) -> Core:
        """Return one that waits alone, and whose server names no relays in time."""
        core = connecting()
        core.do(Opened(), Welcome(polite=False, peer=""))
        core.do(events.TimerFired(provisioning.LATE), events.TimerFired(provisioning.LATE))
        return core

    def test_is_told_to_the_other_side_whoever_it_is(self) -> None:
        core = self.late()
        assert RelaysUnknown() in sent(core.said)
        core.do(PeerJoined(B))
        core.said.clear()
        core.do(PeerLeft(B), PeerJoined(C))
        assert RelaysUnknown() in sent(core.said)

    def test_is_told_no_more_once_they_are_there(self) -> None:
        core = self.late()
        core.do(PeerJoined(B))
        core.said.clear()
        core.do(IceConfigured(CONFIGURATION))
        assert RelaysUnknown() not in sent(core.said)

    def test_of_the_other_side_is_said_in_words(self) -> None:
        core = negotiated()
        assert "without relays" not in present(core.session).status.detail
        core.peer_says(RelaysUnknown())
        assert "They go on without relays" in present(core.session).status.detail
        core.do(PeerLeft(B), PeerJoined(C))
        assert "without relays" not in present(core.session).status.detail

    def test_of_the_other_side_is_forgotten_with_the_session(self) -> None:
        core = negotiated()
        core.peer_says(RelaysUnknown())
        core.do(events.HangUpRequested(), events.ConnectRequested("another"))
        assert not core.session.call.peer_lacks_relays

    def test_is_not_blamed_on_the_networks_alone(self) -> None:
        core = negotiated()
        core.peer_says(RelaysUnknown())
        core.do(FAILED)
        assert "the server named no relays" in present(core.session).status.detail
