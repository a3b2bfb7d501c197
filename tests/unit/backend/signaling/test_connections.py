"""Open sockets, counted against the limits."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from backend.access.invitations import Grant
from backend.access.limits import Limits, TokenBucket
from backend.signaling.connections import Connection, Connections
from pyapp.protocol.signaling import Error, Join

LIMITS = Limits(sockets=2, sockets_per_address=3, unjoined_sockets=4, unjoined_per_address=2)

Make = Callable[..., Connection]


@pytest.fixture
def make() -> Make:
    numbers = itertools.count(1)

    def made(site: str) -> Connection:
        bucket = TokenBucket.full(rate=1, burst=1, now=0.0)
        socket: Any = object()
        return Connection(next(numbers), site, site, socket, bucket, lambda _: Grant(role="guest", session="demo"))

    return made


def added(connections: Connections, *several: Connection) -> list[Connection | None]:
    return [connections.add(one) for one in several]


def limit(refusal: Error | None) -> str:
    return refusal.limit if refusal else ""


def test_one_address_has_so_many_and_fewer_that_have_not_joined(make: Make) -> None:
    connections = Connections(LIMITS)
    mine = [make("a"), make("a"), make("a")]
    added(connections, *mine[:2])
    assert limit(connections.refusal("a")) == "unjoined-per-address"
    assert connections.refusal("b") is None
    for one in mine[:2]:
        connections.has_joined(one)
    assert connections.refusal("a") is None
    added(connections, mine[2])
    connections.has_joined(mine[2])
    assert limit(connections.refusal("a")) == "sockets-per-address"
    connections.remove(mine[0])
    assert connections.refusal("a") is None


def test_the_oldest_of_whoever_has_most_makes_room(make: Make) -> None:
    connections = Connections(LIMITS)
    first, *crowd = make("a"), make("b"), make("b"), make("c")
    assert added(connections, first, *crowd) == [None] * 4
    assert connections.add(make("d")) is crowd[0]


def test_who_is_told_to_go_already_is_not_told_again(make: Make) -> None:
    connections = Connections(LIMITS)
    first, *crowd = make("a"), make("b"), make("b"), make("c")
    added(connections, first, *crowd)
    assert connections.add(make("d")) is crowd[0]
    crowd[0].is_closing = True  # its closing handshake may last a second
    assert connections.add(make("e")) is first
    first.is_closing = True
    connections.remove(crowd[1])
    connections.remove(crowd[2])
    assert connections.add(make("f")) is None


def test_only_those_that_have_joined_fill_it(make: Make) -> None:
    connections = Connections(LIMITS)
    several = [make(site) for site in "abc"]
    added(connections, *several)
    assert not connections.are_full
    for one in several[:2]:
        connections.has_joined(one)
    assert connections.are_full
    connections.remove(several[0])
    assert not connections.are_full
    assert connections.get(several[0].number) is None
    assert list(connections) == several[1:]


def test_a_log_names_the_session_or_else_the_address(make: Make) -> None:
    one = make("192.0.2.1")
    assert str(one) == "192.0.2.1"
    one.join = Join("demo", "a" * 32, "b" * 32)
    assert str(one) == "demo: aaaaaaaa"
