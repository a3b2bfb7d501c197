"""One connection after the other: what the next one takes over."""

from typing import Any

from pyapp.core import commands, events
from pyapp.core.path.connection import Connection
from pyapp.core.path.recovery import ATTEMPT
from pyapp.core.path.relaying import ATTEMPTS_WITHOUT_PEER
from pyapp.core.path.relays import Relays
from pyapp.core.path.replacement import RENEW, RENEW_SOON
from pyapp.core.peers import NO_PEER
from pyapp.core.signaling import link
from pyapp.core.succession import MAX_EARLY_BYTES, Succession
from pyapp.core.timers import Timer
from pyapp.protocol.channel import Piece
from pyapp.protocol.peer import Candidate, Description, RestartWanted
from pyapp.protocol.signaling import PeerJoined, PeerLeft, Welcome
from pyapp.protocol.wire import encode
from pyapp.view.console import present
from tests.unit.pyapp.core.path.test_recovery import CERTAIN, suspicious
from tests.unit.pyapp.fakes import sdp, stats_of
from tests.unit.pyapp.parts import Around
from tests.unit.pyapp.sessions import (
    CANDIDATE,
    CONFIGURATION,
    CONNECTED,
    B,
    C,
    Closed,
    Core,
    IceConfigured,
    Opened,
    Said,
    connected,
    connecting,
    frames,
    offer_set,
)


class TestANewConnection:
    def test_takes_the_place_of_one_that_cannot_be_mended_with_what_was_not_delivered(self) -> None:
        core = connected()
        core.do(events.MessageSubmitted("kept"), events.ChannelClosed("messages"))
        assert core.session.place is not None
        core.now += core.timers[ATTEMPT]
        core.session.place.link.heard_at = core.session.place.exchange.heard_at = core.now
        outputs = core.do(events.TimerFired(ATTEMPT))
        assert [type(output) for output in outputs if not isinstance(output, commands.SendSignaling)][:2] == [
            commands.ClosePeer,
            commands.CreatePeer,
        ]
        assert core.state == "recovering"
        assert RENEW in core.timers
        core.do(offer_set("l5"))
        core.do(CONNECTED)
        assert [frame.body for frame in frames(core.do(events.ChannelOpened("messages")))] == [Piece("kept")]

    def test_is_replaced_by_another_until_one_works(self) -> None:
        core = connected()
        core.do(events.ChannelClosed("messages"))
        assert core.session.place is not None
        core.now += core.timers[ATTEMPT]
        core.session.place.link.heard_at = core.session.place.exchange.heard_at = core.now
        core.do(events.TimerFired(ATTEMPT), offer_set("l5"))
        assert core.do(events.StateChanged("connection", "failed")) == []
        assert core.state == "recovering"
        assert any(isinstance(output, commands.CreatePeer) for output in core.do(events.TimerFired(RENEW)))

    def replaced(self) -> Core:
        core = connected()
        core.peer_restarts()
        core.do(events.ChannelClosed("messages"))
        self.next(core, ATTEMPT)
        return core

    def next(self, core: Core, timer: Timer) -> list[Said]:
        assert core.session.place is not None
        core.now += core.timers[timer]
        core.session.place.link.heard_at = core.session.place.exchange.heard_at = core.now
        return core.do(events.TimerFired(timer))

    def test_finds_no_timer_of_the_attempt_that_asked_for_it(self) -> None:
        assert ATTEMPT not in self.replaced().timers

    def test_for_another_peer_finds_none_either(self) -> None:
        core = connected()
        core.do(PeerLeft(B, lost=True))
        suspicious(core)
        for _ in range(ATTEMPTS_WITHOUT_PEER):
            self.next(core, ATTEMPT)
        assert present(core.session).status.state == "waiting"
        assert ATTEMPT not in core.timers

    def test_goes_on_with_the_count_of_restarts(self) -> None:
        core = connected()
        core.peer_restarts()
        assert present(core.session).path.ice_generation == 1
        core.do(events.ChannelClosed("messages"))
        self.next(core, ATTEMPT)
        assert present(core.session).path.ice_generation == 1

    def test_says_what_it_is_and_how_long_it_took(self) -> None:
        core = self.replaced()
        assert "a new one is being made" in present(core.session).status.detail
        core.do(offer_set("l5"), CONNECTED, events.ChannelOpened("messages"))
        core.do(events.StatsSampled(stats_of(("l5", "r5"))))
        assert core.state == "connected"
        assert {fact.id: fact.value for fact in present(core.session).path.facts}["interruption"] == "0.6 s"

    def test_has_growing_time_before_the_next(self) -> None:
        core = self.replaced()
        pauses = []
        for _ in range(6):
            pauses.append(core.timers[RENEW])
            self.next(core, RENEW)
        assert pauses == [12.0, 18.0, 27.0, 40.5, 60.0, 60.0]

    def test_is_replaced_soon_after_a_change_of_the_network(self) -> None:
        core = self.replaced()
        core.do(CERTAIN)
        assert core.timers[RENEW] == RENEW_SOON

    def test_is_replaced_once_the_server_is_back(self) -> None:
        core = self.replaced()
        core.do(Closed(1006, ""), Closed(1006, ""))  # the one that was opened in the outage, and the one in use
        assert not any(isinstance(output, commands.CreatePeer) for output in self.next(core, RENEW))
        assert RENEW not in core.timers
        core.do(events.TimerFired(link.RETRY), Opened(), Welcome(polite=False, peer=B))
        assert core.timers[RENEW] == RENEW_SOON

    def test_is_begun_when_the_channel_closes_in_the_middle_of_an_outage(self) -> None:
        core = connected()
        suspicious(core)
        core.do(events.ChannelClosed("messages"))
        assert core.session.place is not None
        core.now += core.timers[ATTEMPT]
        core.session.place.link.heard_at = core.session.place.exchange.heard_at = core.now
        assert any(isinstance(output, commands.CreatePeer) for output in core.do(events.TimerFired(ATTEMPT)))


class TestBeforeThereIsAConnection:
    def test_keeps_what_the_other_side_says_until_there_is_a_connection(self) -> None:
        core = connecting()
        core.do(Opened(), Welcome(polite=True, peer=B))
        candidate = Candidate(CANDIDATE, "0", 0, "r1")
        assert core.peer_says(Description("offer", sdp("r1"), 1)) == []
        assert core.peer_says(candidate) == []
        create, apply = core.do(IceConfigured(CONFIGURATION))
        assert isinstance(create, commands.CreatePeer)
        assert isinstance(apply, commands.SetRemoteDescription)
        assert commands.AddIceCandidate(candidate) in core.do(
            events.RemoteDescriptionSet(apply.attempt, apply.description)
        )

    def test_keeps_so_much_of_what_the_other_side_says_until_there_is_a_connection(self) -> None:
        core = connecting()
        core.do(Opened(), Welcome(polite=True, peer=B))
        for _ in range(100):
            core.peer_says(Description("offer", "v=0" + "x" * 50_000, 1))
        succession = core.session.succession
        for _ in range(20_000):
            succession.keep(RestartWanted())
        assert sum(len(encode(message)) for message in succession._early) < MAX_EARLY_BYTES
        core.do(PeerJoined(C))
        assert succession._early == []


def succession(**changes: Any) -> Succession:
    """Return one whose first connection is there."""
    result = Succession(Relays(), Around(), **changes)
    result.create(polite=False)
    return result


def the_one(of: Succession) -> Connection:
    assert of.connection
    return of.connection


def works(of: Succession) -> None:
    """Let the connection be one that has worked since 1.0 s."""
    the_one(of).recovery.channel_opened(1.0)
    the_one(of).transport.channel_open = the_one(of).observation.established = True


def ask(text: str = "") -> Candidate:
    return Candidate(f"{CANDIDATE}{text}", "0", 0, "r1")


class TestTheNextOne:
    def test_has_another_name(self) -> None:
        of = succession()
        names = []
        for _ in range(3):
            names.append(the_one(of).peer)
            of.close(1.0)
            of.create(polite=True)
        assert len({*names, NO_PEER}) == 4

    def test_goes_on_with_the_count_of_restarts_of_the_same_session_and_side(self) -> None:
        of = succession()
        for restarts in (2, 1):
            the_one(of).negotiation.ice_generation = restarts
            of.close(1.0)
            of.create(polite=False)
        of.peer_arrived(is_the_same=True)
        assert of.ice_restarts == 3
        of.peer_arrived(is_the_same=False)
        assert of.ice_restarts == 0
        the_one(of).negotiation.ice_generation = 4
        of.close(1.0)
        of.begin_session()
        assert of.ice_restarts == 0

    def test_takes_the_place_of_the_last_for_the_same_side_alone(self) -> None:
        of = succession()
        for is_the_same in (True, False):
            of.peer_arrived(is_the_same=is_the_same)
            assert the_one(of).replaces is is_the_same

    def test_is_none_while_this_one_works(self) -> None:
        """The same side arrives again with each new socket of its own."""
        of = succession()
        works(of)
        of.peer_arrived(is_the_same=True)
        assert not the_one(of).replaces

    def test_knows_when_the_last_one_was_heard_last(self) -> None:
        of = succession()
        works(of)
        the_one(of).recovery.suspect("failed", 9.0)
        of.close(20.0)
        of.create(polite=False)
        assert the_one(of).lost_at == 1.0, "and not when it was closed, or suspect"
        of.close(30.0)
        of.create(polite=False)
        assert the_one(of).lost_at == 1.0, "one that never worked was never lost"
        works(of)
        of.close(40.0)
        of.create(polite=False)
        assert the_one(of).lost_at == 40.0

    def test_has_the_time_that_grows_with_each_that_did_not_work(self) -> None:
        of = succession()

        def renewed_after() -> float:
            of.count_replacement()
            of.close(1.0)
            of.create(polite=False)
            (after,) = (each.after for each in of.replaced() if isinstance(each, commands.StartTimer))
            return after

        works(of)
        first = [renewed_after() for _ in range(3)]
        assert first == sorted(set(first)), "longer and longer"
        works(of)
        assert renewed_after() == first[0]

    def test_is_made_as_the_page_is_by_then(self) -> None:
        of = succession()
        of.close(1.0)
        of.is_hidden, of.every_interface = True, True
        (made,) = (each.command for each in of.create(polite=False) if isinstance(each, commands.OfPeer))
        assert isinstance(made, commands.CreatePeer)
        assert made.every_interface
        assert the_one(of).recovery.vitals.is_hidden

    def test_may_know_the_interfaces_from_when_it_is_permitted(self) -> None:
        of = succession()
        assert not the_one(of).relaying.capture_permitted
        for permitted in (True, False):
            of.permit_capture(permitted=permitted)
            assert the_one(of).relaying.capture_permitted is permitted
        of.close(1.0)
        of.permit_capture(permitted=True)
        of.create(polite=False)
        assert the_one(of).relaying.capture_permitted


class TestNoConnection:
    def test_is_nothing_to_close_or_to_replace(self) -> None:
        of = succession()
        assert commands.OfPeer(the_one(of).peer, commands.ClosePeer()) in of.close(1.0)
        assert of.close(1.0) == []
        assert of.replaced() == []
        assert not of.works
        of.peer_arrived(is_the_same=True)
        assert of.connection is None

    def test_keeps_what_is_said_in_its_order_and_hands_it_over_once(self) -> None:
        of = succession()
        for text in "abc":
            of.keep(ask(text))
        assert of.take_early() == [ask("a"), ask("b"), ask("c")]
        assert of.take_early() == []

    def test_keeps_nothing_after_what_was_too_much(self) -> None:
        """A small message may still fit, and would be taken for the one that follows what is kept."""
        of = succession()
        kept = 0
        while kept < MAX_EARLY_BYTES:
            of.keep(ask("x" * 2000))
            kept += 2000
        before = len(of._early)
        of.keep(ask())
        assert len(of.take_early()) == before
        of.keep(ask())
        assert of.take_early() == [ask()], "and begins anew with the next"
