"""The standby and the probe of a connection, beside the one in use."""

from pyapp.core import events
from pyapp.core.commands import ClosePeer, CreatePeer, OfPeer, RestartIce, StartTimer
from pyapp.core.path import probe, standby
from pyapp.core.path.aside import Aside
from pyapp.core.path.facts import Output
from pyapp.core.path.probe import Probe
from pyapp.core.path.silence import Healthy
from pyapp.core.path.standby import Standby
from pyapp.core.peers import PeerIds
from pyapp.protocol.channel import Beat
from pyapp.protocol.entries import Entry
from pyapp.protocol.peer import Candidate
from tests.unit.pyapp.parts import TLS, Parts, report

OVER_TCP = report("relay", url=TLS, over="tls")
REFLEXIVE = events.LocalCandidate(
    Candidate("candidate:2 1 udp 2 203.0.113.1 9 typ srflx raddr 0.0.0.0 rport 0", "0", 0, "x"), ""
)


def aside(parts: Parts) -> Aside:
    names = PeerIds()
    return Aside(parts.in_use, parts.relaying.candidates, parts.relaying, Standby(names), Probe(names))


def of_peer(outputs: list[Output]) -> list[object]:
    return [output.command for output in outputs if isinstance(output, OfPeer)]


def words(outputs: list[Output]) -> list[str]:
    return [output.text() for output in outputs if isinstance(output, Entry)]


def probing(parts: Parts) -> Aside:
    one = aside(parts)
    one.review_probe(OVER_TCP)
    assert any(isinstance(command, CreatePeer) for command in of_peer(one.due(probe.TIMER, 10.0)))
    return one


def with_standby(parts: Parts) -> Aside:
    one = aside(parts)
    one.standby.state, one.standby.host, one.standby.peer = "open", "two.example", one.standby.names.next()
    return one


def test_a_relayed_path_gets_a_standby() -> None:
    path = report("relay")
    one = aside(Parts(path))
    (timer,) = one.review_standby(path)
    assert isinstance(timer, StartTimer)
    assert timer.timer == standby.TIMER
    one.due(standby.TIMER, 1.0)
    assert one.owns(one.standby.peer)


def test_a_direct_path_needs_none() -> None:
    one = with_standby(Parts(report()))
    assert ClosePeer() in of_peer(one.review_standby(report()))


def test_it_is_said_that_a_standby_is_used_if_there_is_one() -> None:
    assert aside(Parts()).suspected() == []
    assert words(with_standby(Parts()).suspected()) == ["messages went over the second path, through two.example"]


def test_the_other_side_is_heard_over_a_standby_by_what_it_says_there() -> None:
    parts = Parts(report("relay"))
    one = with_standby(parts)
    frame = events.ChannelReceived("standby", "a frame")
    parts.health.pulse.heard(Beat(1, 0, 0, 100, 0), 1.0)
    assert one.receive(one.standby.peer, events.StateChanged("connection", "connected"), 1.3) == []
    assert isinstance(parts.health.state, Healthy)
    assert parts.health.state.listening.awake_at is None
    one.receive(one.standby.peer, frame, 1.3)
    assert parts.health.state.listening.awake_at == 1.3


def test_a_standby_that_was_silent_in_the_outage_is_replaced() -> None:
    parts = Parts(report("relay"))
    parts.outside.standby_heard = 9.5
    assert with_standby(parts).recovered(1.0, 10.0) == []
    assert ClosePeer() in of_peer(with_standby(parts).recovered(0.2, 10.0))


def test_udp_that_gets_out_again_is_news_for_a_relay_over_tcp() -> None:
    one = probing(Parts(OVER_TCP))
    query = one.probe.peer
    outputs = one.receive(query, REFLEXIVE, 11.0)
    assert words(outputs)[0] == "UDP gets out again, from 203.0.113.1"
    assert one.relaying.restarts._wanted or RestartIce() in outputs
    assert not one.owns(query)


def test_it_is_none_for_a_path_that_is_better_meanwhile() -> None:
    parts = Parts(OVER_TCP)
    one = probing(parts)
    parts.observation.report = report()
    outputs = one.receive(one.probe.peer, REFLEXIVE, 11.0)
    assert of_peer(outputs) == [ClosePeer()]
    assert words(outputs) == []


def test_all_end_with_the_connection() -> None:
    one = probing(Parts(OVER_TCP))
    one.standby.state, one.standby.host, one.standby.peer = "open", "two.example", one.standby.names.next()
    assert of_peer(one.close()) == [ClosePeer(), ClosePeer()]
