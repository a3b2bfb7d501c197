"""One connection after the other: what the next one takes over."""

from pyapp.core import commands, events
from pyapp.core.path.connection import RENEW, RENEW_SOON
from pyapp.core.path.recovery import ATTEMPT
from pyapp.core.path.relaying import ATTEMPTS_WITHOUT_PEER
from pyapp.core.signaling import link
from pyapp.core.succession import MAX_EARLY_BYTES
from pyapp.core.timers import Timer
from pyapp.protocol.channel import Piece
from pyapp.protocol.peer import Candidate, Description, RestartWanted
from pyapp.protocol.signaling import (
    PeerJoined,
    PeerLeft,
    Welcome,
)
from pyapp.protocol.wire import encode
from pyapp.view.console import present
from tests.unit.pyapp.core.path.test_recovery import CERTAIN, suspicious
from tests.unit.pyapp.core.test_session import (
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
from tests.unit.pyapp.fakes import sdp, stats_of


class TestANewConnection:
    def test_takes_the_place_of_one_that_cannot_be_mended_with_what_was_not_delivered(self) -> None:
        core = connected()
        core.do(events.MessageSubmitted("kept"), events.ChannelClosed("messages"))
        assert core.session.place is not None
        core.now += 1.0
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
        core.now += 1.0
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
        core.now += 1.0
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
        assert {fact.id: fact.value for fact in present(core.session).path.facts}["interruption"] == "1.0 s"

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
        core.now += 1.0
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
        for _ in range(20_000):
            core.peer_says(RestartWanted())
        assert sum(len(encode(message)) for message in core.session.succession._early) < MAX_EARLY_BYTES
        core.do(PeerJoined(C))
        assert core.session.succession._early == []
