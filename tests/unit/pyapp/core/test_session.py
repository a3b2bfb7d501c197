"""The core as lists of events; two cores joined by a server and networks are in test_world.py."""

import json
from collections.abc import Sequence
from typing import Any
from unittest.mock import ANY

import pytest

from pyapp.core import commands, events, provisioning
from pyapp.core.call import PEER_TIMERS
from pyapp.core.diagnostics.journal import TIMER as JOURNAL
from pyapp.core.events import Event, PeerEvent
from pyapp.core.negotiation.candidates import Candidates
from pyapp.core.path import recovery
from pyapp.core.path.connection import CHANNELS, FIRST_OFFER, FIRST_OFFER_AFTER
from pyapp.core.path.observation import STATS, STATS_EVERY
from pyapp.core.path.outage import LOST_AFTER
from pyapp.core.path.replacement import RENEW
from pyapp.core.signaling import link, rendezvous
from pyapp.protocol.channel import Beat, Frame, MediaShared, Piece, encode_frame
from pyapp.protocol.peer import Candidate, Description, RelaySuspected, RestartWanted
from pyapp.protocol.signaling import (
    Error,
    HeldPlace,
    Join,
    Leave,
    PeerJoined,
    PeerLeft,
    Relay,
    Relayed,
    Welcome,
    decode_server,
)
from pyapp.protocol.wire import encode
from pyapp.view.console import present
from tests.unit.pyapp.fakes import sdp, stats_of
from tests.unit.pyapp.sessions import (
    CANDIDATE,
    CONFIGURATION,
    CONNECTED,
    DISCONNECTED,
    FAILED,
    FETCH,
    INVITATION,
    OTHER_TURN,
    RESTART,
    SAMPLED,
    TURN,
    A,
    B,
    C,
    Closed,
    Core,
    IceConfigured,
    NotConfigured,
    Opened,
    Said,
    beside_beats,
    beside_journals,
    connected,
    connecting,
    frames,
    journals,
    negotiated,
    offer_set,
    sent,
    waiting,
)


def restarting(outputs: Sequence[object]) -> bool:
    return commands.RestartIce() in outputs


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
        assert sent(core.do(events.RestartRequested())) == [RestartWanted(0)]

    def test_restarts_when_the_other_side_asks_for_it_with_the_relays_that_it_brings(self) -> None:
        configured, restart = connected().peer_says(RestartWanted(0))
        assert isinstance(configured, commands.SetConfiguration)
        assert configured.configuration == CONFIGURATION.without_relays()
        assert restart == RESTART[-1]

    @pytest.mark.parametrize(("local", "remote"), [("relay", "prflx"), ("srflx", "relay"), ("relay", "relay")])
    def test_restarts_for_the_other_side_with_relays_of_its_own_if_one_is_in_use(self, local: str, remote: str) -> None:
        core = connected()
        entries = stats_of(("l1", "r1"), candidateType=local, relayProtocol="udp", url=TURN)
        entries["R"]["candidateType"] = remote
        core.do(events.StatsSampled(entries))
        assert core.peer_says(RestartWanted(0)) == RESTART

    @pytest.mark.parametrize("silence", [0.0, 0.3])
    def test_sets_its_relay_in_use_aside_for_the_other_side_if_it_hears_nothing_either(self, silence: float) -> None:
        core = connected()
        core.do(events.StatsSampled(stats_of(("l1", "r1"), candidateType="relay", relayProtocol="udp", url=TURN)))
        core.do(events.ChannelReceived("heartbeat", Beat(1, 0, 0, 100, 0).encode()))
        core.now += silence
        assert (RelaySuspected(TURN) in sent(core.peer_says(RestartWanted(0)))) is bool(silence)

    def test_is_asked_in_vain_while_an_offer_of_ours_is_under_way(self) -> None:
        core = connected()
        core.do(events.RestartRequested())
        assert not restarting(core.peer_says(RestartWanted(0)))
        (offer,) = core.do(events.NegotiationNeeded())
        assert not restarting(core.peer_says(RestartWanted(0)))
        assert isinstance(offer, commands.SetLocalDescription)
        core.do(offer_set("l2", offer.attempt))
        assert not restarting(core.peer_says(RestartWanted(0)))

    def test_is_asked_in_vain_for_what_was_mended_meanwhile(self) -> None:
        """The message may have waited for a new socket."""
        core = connected()
        core.peer_restarts()
        assert not restarting(core.peer_says(RestartWanted(0)))
        assert restarting(core.peer_says(RestartWanted(1)))

    def test_is_not_asked_in_vain_while_an_offer_is_under_way_that_restarts_nothing(self) -> None:
        core = connected()
        (offer,) = core.do(events.NegotiationNeeded())
        assert isinstance(offer, commands.SetLocalDescription)
        core.do(offer_set("l1", offer.attempt))
        assert restarting(core.peer_says(RestartWanted(0)))

    def test_restarts_whatever_it_has_offered_for_a_page_that_names_no_generation(self) -> None:
        core = connected()
        core.peer_restarts()
        assert restarting(core.peer_says(RestartWanted()))

    @pytest.mark.parametrize("video", [True, False])
    def test_leaves_restarts_to_the_impolite_side_while_it_shows_a_picture(self, video: bool) -> None:
        core = connected()
        assert core.session.connection
        core.session.connection.negotiation.polite = True
        core.session.conversation.shared = MediaShared(audio=True, video=video)
        outputs = core.do(events.RestartRequested())
        assert (sent(outputs) == [RestartWanted(0)]) is video
        assert (commands.RestartIce() in outputs) is not video

    def test_that_shows_a_picture_asks_for_one_at_once_when_it_hears_nothing(self) -> None:
        """Nothing can collide with a request."""
        core = connected()
        assert core.session.connection
        agreed, vitals = core.session.connection.negotiation, core.session.connection.recovery.vitals
        agreed.polite = vitals.polite = True
        core.session.conversation.shared = MediaShared(audio=True, video=True)
        for _ in range(6):
            core.now += 0.1
            core.do(events.TimerFired(recovery.BEAT))
        unheard = Beat(1, echo=1, held=500, due=100, generation=0, is_deaf=True)
        assert RestartWanted(0) in sent(core.do(events.ChannelReceived("heartbeat", unheard.encode())))

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

    OFFER = Description("offer", sdp("r1"), 1)
    GOOD = Candidate(CANDIDATE, "0", 0, "r1")
    WORSE = Candidate(f"{CANDIDATE} worse", "0", 0, "r1")

    def joined(self) -> Core:
        core = connecting()
        core.do(IceConfigured(CONFIGURATION), Opened(), Welcome(polite=True, peer=B))
        return core

    def given(self, outputs: list[Said]) -> str:
        """Return the description that the browser is given."""
        (apply,) = (output for output in outputs if isinstance(output, commands.SetRemoteDescription))
        return apply.description.sdp

    def test_is_taken_but_for_what_raises(self, monkeypatch: pytest.MonkeyPatch) -> None:
        heard = Candidates.heard

        def raises(candidates: Candidates, candidate: Candidate) -> Any:
            if candidate == self.WORSE:
                raise OverflowError("int too large")
            return heard(candidates, candidate)

        monkeypatch.setattr(Candidates, "heard", raises)
        core = self.joined()
        core.do(Relayed(B, 2, 0, self.WORSE), Relayed(B, 3, 0, self.GOOD))
        outputs = core.do(Relayed(B, 1, 0, self.OFFER))
        (fault,) = (output for output in outputs if isinstance(output, commands.ReportFault))
        assert (fault.where, str(fault.error)) == ("a candidate of the other side", "int too large")
        assert f"a={self.GOOD.candidate}\r\n" in self.given(outputs)
        assert core.session.place
        assert core.session.place.acknowledge() == [commands.SendSignaling(Relay(B, 0, 3, None, peer_epoch=1))]

    def test_is_taken_but_for_what_is_no_message(self) -> None:
        frame = json.loads(encode(Relayed(B, 1, 0, self.OFFER, more=(self.WORSE, self.GOOD))))
        frame["more"][0]["candidate"] = "x" * 5000
        core = self.joined()
        outputs = core.do(decode_server(json.dumps(frame)))
        assert f"a={self.GOOD.candidate}\r\n" in self.given(outputs)
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

    def test_leaves_nothing_to_be_told_in_another_session(self) -> None:
        core = connected()
        (told,) = journals(core.do(events.HangUpRequested()))
        core.do(events.ConnectRequested("another"), Opened(), Welcome(polite=False, peer=""))
        (other,) = journals(core.do(events.TimerFired(JOURNAL)))
        assert min(entry.number for entry in other.entries) > max(entry.number for entry in told.entries)

    def test_tells_the_rest_of_its_journal_over_http_where_the_socket_may_be_dead(self) -> None:
        core = connected()
        core.do(Closed(1006, ""))
        core.do(events.ChannelClosed("messages"))
        (gone,) = [one for one in core.do(events.HangUpRequested()) if isinstance(one, commands.GiveUpPlace)]
        assert gone.journal is not None
        told = [entry.event for entry in gone.journal.entries]
        assert told[0] == "session"
        assert told[-1] == "session"

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
