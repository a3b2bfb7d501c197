"""The standby as lists of what happens to one side; two sides of it in whole sessions are in test_world.py."""

from dataclasses import dataclass, replace

import pytest

from pyapp.core import commands, events
from pyapp.core.commands import PeerCommand
from pyapp.core.events import SessionDescription
from pyapp.core.negotiation.negotiation import ToPeer
from pyapp.core.path import standby
from pyapp.core.path.facts import Addressed, StandbyIs
from pyapp.core.path.standby import Standby
from pyapp.core.peers import NO_PEER, PeerId, PeerIds
from pyapp.protocol import entries
from pyapp.protocol.ice import IceConfiguration, IceServer
from pyapp.protocol.peer import StandbyDescription

ONE, TWO, THREE = "turn:one.example:3478", "turn:two.example:3478", "turn:three.example:3478"
TWO_TLS = "turns:two.example:443?transport=tcp"
SDP = "v=0\r\na=candidate:1 1 udp 1 192.0.2.1 9 typ relay raddr 0.0.0.0 rport 0\r\n"


def configuration(*urls: str) -> IceConfiguration:
    return IceConfiguration((IceServer(("stun:s.example",)), *(IceServer((url,), "u", "c") for url in urls)))


@dataclass(frozen=True)
class Around:
    configuration: IceConfiguration
    relay: str = ""
    over_tcp: bool = False
    offers: bool = False
    is_wanted: bool = True


def ready(host: str = "two.example") -> list[Addressed]:
    told = entries.Standby(open=True, host=host)
    return [told, StandbyIs(PeerId(1))]


def over(host: str, why: str) -> list[Addressed]:
    return [entries.Standby(open=False, host=host, reason=why), StandbyIs(NO_PEER)]


def relayed(relay: str = ONE, *urls: str, offers: bool = True, over_tcp: bool = False) -> Around:
    return Around(configuration(*(urls or (ONE, TWO))), relay, over_tcp=over_tcp, offers=offers)


ANSWERING = Around(configuration(ONE, TWO))
"""Those of the side that reaches the other one's relay without one of its own."""


def offer(sdp: str = SDP) -> SessionDescription:
    return SessionDescription("offer", sdp)


def answer(sdp: str = SDP) -> SessionDescription:
    return SessionDescription("answer", sdp)


def servers(outputs: list[Addressed]) -> list[str]:
    """Return the URLs of the one standby that is made."""
    (made,) = [each for each in to_peers(outputs) if isinstance(each, commands.CreatePeer)]
    assert made.configuration.policy == "relay"
    assert made.channels == standby.CHANNELS
    return [url for server in made.configuration.servers for url in server.urls]


def to_peers(outputs: list[Addressed]) -> list[PeerCommand]:
    """Return the commands to peer connections."""
    return [output.command for output in outputs if isinstance(output, commands.OfPeer)]


def pause(outputs: list[Addressed]) -> float:
    (timer,) = outputs
    assert isinstance(timer, commands.StartTimer)
    assert (timer.timer, timer.only_if_idle, timer.spread) == (standby.TIMER, True, timer.after / 2)
    return timer.after


MOVED = "misplaced"
OPENED, CHANNEL_CLOSED = events.ChannelOpened("standby"), events.ChannelClosed("standby")
REFUSED = events.PeerOperationFailed("setRemoteDescription", "refused", 1)
GATHERED = events.LocalCandidatesEnded
CONNECTION_FAILED = events.StateChanged("connection", "failed")


def closed(peer: int = 1) -> list[Addressed]:
    return [commands.CancelTimer(standby.TIMER), commands.OfPeer(PeerId(peer), commands.ClosePeer())]


def offered(around: Around | None = None, now: float = 0.0) -> Standby:
    spare = Standby(PeerIds(), polite=False)
    spare.due(around or relayed(), now)
    spare.receive(GATHERED(offer()), now)
    return spare


def opened(now: float = 0.0) -> Standby:
    spare = offered(now=now)
    spare.said(StandbyDescription("answer", SDP, 1), relayed())
    assert spare.receive(OPENED, now) == [commands.CancelTimer(standby.TIMER), *ready()]
    return spare


def answered(now: float = 0.0) -> Standby:
    spare = Standby(PeerIds())
    spare.said(StandbyDescription("offer", SDP, 3, ONE), ANSWERING)
    spare.receive(GATHERED(answer()), now)
    assert spare.receive(OPENED, now)[-2:] == ready()
    return spare


class TestTheSideWhoseRelayIsInUse:
    def test_waits_a_little_and_offers_over_another_server(self) -> None:
        spare = Standby(PeerIds())
        assert pause(spare.review(relayed())) == standby.OPEN_AFTER
        outputs = spare.due(relayed(), 0.5)
        assert servers(outputs) == [TWO]
        assert to_peers(outputs)[1:] == [commands.SetLocalDescription(1)]
        assert commands.StartTimer(standby.TIMER, standby.ATTEMPT_FOR) in outputs
        assert spare.receive(GATHERED(offer()), 0.6) == [ToPeer(StandbyDescription("offer", SDP, 1, ONE))]
        accepted = spare.said(StandbyDescription("answer", SDP, 1), relayed())
        assert accepted == [commands.OfPeer(PeerId(1), commands.SetRemoteDescription(2, answer()))]
        assert spare.receive(OPENED, 0.8) == [commands.CancelTimer(standby.TIMER), *ready()]
        assert spare.review(relayed()) == []

    def test_offers_nothing_without_another_server(self) -> None:
        spare = Standby(PeerIds())
        alone = relayed(ONE, ONE, "turns:one.example:443?transport=tcp")
        assert spare.review(alone) == []
        assert spare.due(alone, 1.0) == []

    def test_offers_nothing_if_it_is_for_the_other_side(self) -> None:
        assert Standby(PeerIds()).review(relayed(offers=False)) == []
        assert Standby(PeerIds()).due(relayed(offers=False), 1.0) == []

    def test_offers_nothing_when_its_time_comes_in_an_outage(self) -> None:
        assert Standby(PeerIds()).due(replace(relayed(), offers=False), 1.0) == []

    def test_is_none_where_none_is_wanted(self) -> None:
        unwanted = replace(relayed(), is_wanted=False)
        assert Standby(PeerIds()).due(unwanted, 1.0) == []
        assert Standby(PeerIds()).said(StandbyDescription("offer", SDP, 3, ONE), unwanted) == []

    @pytest.mark.parametrize(("over_tcp", "url"), [(False, TWO), (True, TWO_TLS)])
    def test_takes_the_transport_that_is_known_to_work(self, over_tcp: bool, url: str) -> None:
        around = relayed(ONE, ONE, TWO, TWO_TLS, over_tcp=over_tcp)
        assert servers(Standby(PeerIds()).due(around, 0.0)) == [url]

    def test_takes_any_transport_rather_than_none(self) -> None:
        assert servers(Standby(PeerIds()).due(relayed(ONE, ONE, TWO, over_tcp=True), 0.0)) == [TWO]

    @pytest.mark.parametrize(
        "message", [StandbyDescription("answer", SDP, 2), StandbyDescription("answer", SDP, 7)], ids=repr
    )
    def test_leaves_an_answer_to_another_attempt_aside(self, message: StandbyDescription) -> None:
        assert offered().said(message, relayed()) == []

    def test_leaves_a_second_answer_aside(self) -> None:
        spare = opened()
        assert spare.said(StandbyDescription("answer", SDP, 1), relayed()) == []

    def test_has_another_name_each_time(self) -> None:
        spare = Standby(PeerIds())
        spare.due(relayed(), 0.0)
        spare.close("because")
        spare.due(relayed(), 1.0)
        assert spare.peer == PeerId(2)
        assert spare.receive(GATHERED(offer()), 1.2) == [ToPeer(StandbyDescription("offer", SDP, 2, ONE))]


class TestTheOtherSide:
    def test_answers_over_another_server_than_the_one_in_use(self) -> None:
        spare = Standby(PeerIds())
        outputs = spare.said(StandbyDescription("offer", SDP, 3, ONE), ANSWERING)
        assert servers(outputs) == [TWO]
        assert to_peers(outputs)[1:] == [commands.SetRemoteDescription(1, offer())]
        described = spare.receive(events.RemoteDescriptionSet(1, offer()), 0.05)
        assert described == [commands.OfPeer(PeerId(1), commands.SetLocalDescription(2))]
        assert spare.receive(GATHERED(answer()), 0.1) == [ToPeer(StandbyDescription("answer", SDP, 3))]
        assert spare.receive(OPENED, 0.2)[-2:] == ready()

    def test_avoids_its_own_relay_in_use_as_well_if_something_is_left_then(self) -> None:
        said = StandbyDescription("offer", SDP, 1, ONE)
        assert servers(Standby(PeerIds()).said(said, relayed(TWO, ONE, TWO, THREE, offers=False))) == [THREE]
        assert servers(Standby(PeerIds()).said(said, relayed(TWO, ONE, TWO, offers=False))) == [TWO]

    def test_does_not_answer_without_a_server_for_it(self) -> None:
        assert Standby(PeerIds()).said(StandbyDescription("offer", SDP, 1, ONE), Around(configuration(ONE))) == []

    def test_goes_along_when_the_offer_comes_again(self) -> None:
        spare = answered()
        outputs = spare.said(StandbyDescription("offer", SDP, 4, TWO), ANSWERING)
        assert outputs[:4] == [*closed(), *over("two.example", "anew")]
        assert servers(outputs) == [ONE]
        assert spare.receive(GATHERED(answer()), 0.3) == [ToPeer(StandbyDescription("answer", SDP, 4))]

    def test_does_not_wait_for_ever(self) -> None:
        spare = Standby(PeerIds())
        spare.said(StandbyDescription("offer", SDP, 1, ONE), ANSWERING)
        assert spare.due(ANSWERING, 15.0) == [*closed(), *over("two.example", "late")]

    def test_does_not_offer_in_its_turn(self) -> None:
        spare = answered()
        assert spare.receive(CHANNEL_CLOSED, 9.0) == [*closed(), *over("two.example", "channel-closed")]
        assert spare.review(ANSWERING) == []


class TestTwoOffersThatCross:
    def test_the_polite_side_answers(self) -> None:
        spare = offered()
        spare.polite = True
        outputs = spare.said(StandbyDescription("offer", SDP, 1, TWO), relayed(ONE, ONE, TWO, THREE))
        assert servers(outputs) == [THREE]
        assert spare.receive(GATHERED(answer()), 0.1) == [ToPeer(StandbyDescription("answer", SDP, 1))]

    def test_the_impolite_side_waits_for_its_answer(self) -> None:
        spare = offered()
        assert spare.said(StandbyDescription("offer", SDP, 1, TWO), relayed()) == []
        assert to_peers(spare.said(StandbyDescription("answer", SDP, 1), relayed())) == [
            commands.SetRemoteDescription(2, answer())
        ]


class TestThePathInUse:
    def test_that_comes_over_the_same_server_moves_the_standby(self) -> None:
        spare = opened()
        outputs = spare.review(relayed(TWO))
        assert outputs[:4] == [*closed(), *over("two.example", MOVED)]
        assert pause(outputs[4:]) == standby.OPEN_AFTER
        assert servers(spare.due(relayed(TWO), 1.0)) == [ONE]

    def test_that_comes_over_the_only_other_server_ends_it(self) -> None:
        spare = opened()
        assert spare.review(relayed(TWO, TWO))[2:] == over("two.example", MOVED)

    def test_that_comes_over_the_server_of_an_attempt_ends_it(self) -> None:
        spare = offered()
        assert spare.review(relayed(TWO))[:2] == closed()
        assert spare.said(StandbyDescription("answer", SDP, 1), relayed(TWO)) == []

    def test_that_comes_over_a_relay_of_the_side_that_answered_moves_it_too(self) -> None:
        # Where the offer said to it that no other server is left may be out of date.
        assert answered().review(relayed(TWO))[:2] == closed()

    def test_that_goes_over_both_relays_keeps_what_there_is(self) -> None:
        spare = Standby(PeerIds())
        spare.said(StandbyDescription("offer", SDP, 1, ONE), relayed(TWO, offers=False))
        assert spare.review(relayed(TWO, offers=False)) == []

    def test_that_ends_ends_it_without_blame(self) -> None:
        spare = opened()
        assert spare.close("why") == [*closed(), *over("two.example", "why")]
        assert spare.close("why") == []
        assert pause(spare.review(relayed())) == standby.OPEN_AFTER


class TestFailure:
    def test_makes_each_pause_longer_than_the_last(self) -> None:
        spare = Standby(PeerIds())
        pauses = []
        for number in range(1, 10):
            pauses.append(pause(spare.review(relayed())))
            spare.due(relayed(), 0.0)
            assert spare.receive(REFUSED, 0.0) == [*closed(number), *over("two.example", "refused")]
        assert pauses == [0.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 300.0, 300.0]

    def test_of_one_server_is_a_reason_to_try_the_next(self) -> None:
        spare = Standby(PeerIds())
        around = relayed(ONE, ONE, TWO, THREE)
        tried = []
        for _ in range(1, 5):
            tried += servers(spare.due(around, 0.0))
            spare.receive(REFUSED, 0.0)
        assert tried == [TWO, THREE, TWO, THREE]

    def test_to_get_a_candidate_is_not_told_to_the_other_side(self) -> None:
        spare = Standby(PeerIds())
        spare.due(relayed(), 0.0)
        why = "no-candidate"
        assert spare.receive(GATHERED(offer("v=0\r\n")), 1.0) == [
            *closed(),
            *over("two.example", why),
        ]

    @pytest.mark.parametrize(("lived", "after"), [(standby.STEADY_AFTER + 1, standby.OPEN_AFTER), (1.0, 5.0)])
    def test_of_one_that_worked_for_long_is_forgiven(self, lived: float, after: float) -> None:
        spare = opened(now=10.0)
        spare.receive(CONNECTION_FAILED, 10.0 + lived)
        assert pause(spare.review(relayed())) == after

    def test_is_noticed_once(self) -> None:
        spare = opened()
        assert spare.receive(CHANNEL_CLOSED, 1.0)
        assert spare.receive(CONNECTION_FAILED, 1.0) == []

    def test_after_the_deadline_is_that_of_the_attempt(self) -> None:
        spare = offered()
        assert spare.due(relayed(), 15.0) == [*closed(), *over("two.example", "late")]

    def test_leaves_the_end_of_an_older_channel_aside(self) -> None:
        assert offered().receive(CHANNEL_CLOSED, 0.1) == []

    def test_leaves_a_channel_that_opens_late_aside(self) -> None:
        spare = offered()
        spare.receive(REFUSED, 0.0)
        assert spare.receive(OPENED, 0.1) == []


@pytest.mark.parametrize("url", ["", "turn:", "http://one.example", "turn:one.example:99999"])
def test_a_relay_that_cannot_be_named_is_no_relay_to_avoid(url: str) -> None:
    spare = Standby(PeerIds())
    assert servers(spare.due(Around(configuration(ONE, TWO), url, offers=True), 0.0)) == [ONE]
