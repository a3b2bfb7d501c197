"""Our presence at the server: one place after the other, and what is known of the peer there."""

from pyapp.core import commands, events
from pyapp.core.path.relays import Relays
from pyapp.core.preparation import Preparation
from pyapp.core.provisioning import Provisioning
from pyapp.core.signaling.presence import Output, Presence
from pyapp.core.signaling.rendezvous import Joined, PeerArrived
from pyapp.protocol import entries
from pyapp.protocol.entries import Entry
from pyapp.protocol.journal import Journaled
from pyapp.protocol.peer import RestartWanted
from pyapp.protocol.signaling import HeldPlace, Welcome

A, B = "a" * 32, "b" * 32


def presence() -> Presence:
    return Presence(A, A, "", Preparation(Provisioning(Relays())))


def present(peer: str = "") -> Presence:
    there = presence()
    there.begin("demo", "", 0.0)
    there.receive(events.SignalingOpened(1), 1.0)
    there.receive(events.SignalingReceived(1, Welcome(polite=False, peer=peer)), 2.0)
    return there


def opened(outputs: list[Output]) -> list[int]:
    return [output.socket for output in outputs if isinstance(output, commands.OpenSignaling)]


def words(outputs: list[Output]) -> list[str]:
    return [output.text() for output in outputs if isinstance(output, Entry)]


def test_nobody_is_there_before_the_beginning() -> None:
    there = presence()
    assert (there.is_there, there.peer_is_there, there.peer_is_away, there.held) == (False, False, False, None)
    assert (there.server_heard, there.peer_heard) == (-1.0, -1.0)
    assert there.send(RestartWanted(), 0.0) == there.reach(0.0, is_certain=True) == there.end() == []


def test_a_socket_that_was_prepared_is_used() -> None:
    there = presence()
    assert there.preparation.prepare("demo")[0] == commands.OpenSignaling(1)
    there.receive(events.SignalingOpened(1), 0.0)
    outputs = there.begin("demo", "Anna", 0.5)
    assert opened(outputs) == []
    assert "name='Anna'" in str(outputs)


def test_one_that_closed_meanwhile_is_not() -> None:
    there = presence()
    there.preparation.prepare("demo")
    there.receive(events.SignalingClosed(1, 1006, ""), 0.0)
    assert opened(there.begin("demo", "", 0.5)) == [2]


def test_a_fact_follows_its_note() -> None:
    there = presence()
    there.begin("demo", "", 0.0)
    there.receive(events.SignalingOpened(1), 1.0)
    outputs = there.receive(events.SignalingReceived(1, Welcome(polite=True, peer=B)), 2.0)
    facts = [output for output in outputs if isinstance(output, Entry | Joined | PeerArrived)]
    assert [type(fact) for fact in facts] == [entries.Joined, Joined, entries.Peer, PeerArrived]
    assert words(outputs) == ["joined the session", "the other side is here"]
    assert there.peer_is_there
    assert there.held == HeldPlace("demo", A, A)


def test_what_another_socket_brings_is_nothing() -> None:
    there = present()
    assert there.receive(events.SignalingReceived(9, Journaled(1)), 3.0) == []
    assert there.receive(events.SignalingGarbled(9, "why"), 3.0) == []
    assert words(there.receive(events.SignalingGarbled(1, "why"), 3.0)) == ["the server sent what is no message: why"]
    assert there.receive(events.SignalingReceived(1, Journaled(1)), 3.0) == [Journaled(1)]


def test_the_next_place_has_a_higher_epoch_and_another_socket() -> None:
    there = present()
    assert there.place
    epoch = there.place.exchange.epoch
    assert commands.CloseSignaling() in there.end()
    assert not there.is_there
    assert opened(there.begin("demo", "", 9.0)) == [2]
    assert there.place.exchange.epoch > epoch


def test_the_server_is_reached_anew_if_it_must_be_or_does_not_answer() -> None:
    there = present()
    assert opened(there.reach(3.0, is_certain=False)) == [2]
    assert there.reach(3.0, is_certain=False) == [], "one is being opened"
    assert opened(there.reach(3.0, is_certain=True)) == [3]
