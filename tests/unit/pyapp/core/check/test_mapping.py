"""The kind of NAT, from what two servers see of one socket."""

import pytest

from pyapp.core import commands, events
from pyapp.core.check.findings import UrlFinding
from pyapp.core.check.mapping import ASK_FOR, MappingTrial
from pyapp.core.peers import NO_PEER, PeerId, PeerIds
from pyapp.protocol.ice import parse_ice_url
from pyapp.protocol.peer import Candidate

ONE, TWO = "stun:one.example:3478", "turn:two.example:3479?transport=udp"


def answered(*urls: str) -> list[UrlFinding]:
    return [UrlFinding(url, parse_ice_url(url), answered=0.1) for url in urls]


def seen(address: str, port: int, base: int = 0) -> events.LocalCandidate:
    related = "192.168.0.2" if base else "0.0.0.0"
    line = f"candidate:1 1 udp 1 {address} {port} typ srflx raddr {related} rport {base}"
    return events.LocalCandidate(Candidate(line, "0", 0, "p"), "")


def asking() -> MappingTrial:
    trial = MappingTrial(PeerIds())
    create, _ = trial.review(answered(ONE, TWO), 1.0)
    assert isinstance(create, commands.OfPeer)
    assert isinstance(create.command, commands.CreatePeer)
    (server,) = create.command.configuration.servers
    assert server.urls == (ONE, "stun:two.example:3479")
    return trial


def test_it_takes_two_hosts_that_answer_over_udp() -> None:
    trial = MappingTrial(PeerIds())
    assert trial.review(answered(ONE, "turns:two.example:443"), 1.0) == []
    assert trial.review(answered(ONE, "turn:one.example:3478?transport=udp"), 1.0) == []
    assert trial.is_settled


@pytest.mark.parametrize(
    ("reached", "mapping"),
    [
        ([seen("203.0.113.1", 5000)], "independent"),
        ([seen("203.0.113.1", 5000), seen("203.0.113.1", 5001)], "dependent"),
        ([seen("203.0.113.1", 5000), seen("203.0.113.2", 5000)], "dependent"),
        ([seen("203.0.113.1", 5000), seen("2001:db8::1", 5001)], "independent"),
        ([seen("203.0.113.1", 5000, 4000), seen("203.0.113.1", 5001, 4001)], "independent"),
        ([], None),
    ],
)
def test_one_port_for_both_or_another_for_each(reached: list[events.LocalCandidate], mapping: str | None) -> None:
    trial = asking()
    for event in reached:
        trial.receive(event)
    assert trial.receive(events.LocalCandidatesEnded(None)) == [commands.OfPeer(PeerId(1), commands.ClosePeer())]
    assert trial.mapping == mapping


def test_one_answer_alone_says_nothing() -> None:
    trial = asking()
    trial.receive(seen("203.0.113.1", 5000))
    assert trial.review([], 1.0 + ASK_FOR) == [commands.OfPeer(PeerId(1), commands.ClosePeer())]
    assert (trial.mapping, trial.peer) == (None, NO_PEER)
