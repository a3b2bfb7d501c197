"""What is made of a frame before it means anything."""

from typing import Any

import pytest
from aiohttp import WSMessage, WSMsgType

from backend.access.invitations import Grant
from backend.access.limits import Limits, TokenBucket
from backend.signaling.connections import Connection
from backend.signaling.reading import received
from pyapp.protocol.signaling import MAX_FRAME_BYTES, Error, Ping

LIMITS = Limits(messages_per_second=2)
PING = '{"kind":"ping","number":1}'


@pytest.fixture
def connection() -> Connection:
    bucket = TokenBucket.full(rate=2, burst=2, now=0.0)
    grant = Grant(role="guest", session="demo")
    socket: Any = object()
    return Connection(1, "a", "a", socket, bucket, lambda _: grant)


def frame(text: str, kind: WSMsgType = WSMsgType.TEXT) -> WSMessage:
    return WSMessage(kind, text, None)


def test_a_message_is_read(connection: Connection) -> None:
    assert received(connection, frame(PING), size=26, limits=LIMITS, now=0.0) == Ping(1)


@pytest.mark.parametrize(
    ("given", "size", "problem"),
    [
        (frame(PING, WSMsgType.BINARY), 26, Error("malformed", "frame: must be text")),
        (frame("{"), 1, None),
        (frame(PING), MAX_FRAME_BYTES + 1, Error("limit", f"frame: at most {MAX_FRAME_BYTES} bytes", "frame-bytes")),
    ],
)
def test_what_is_wrong_is_said(connection: Connection, given: WSMessage, size: int, problem: Error | None) -> None:
    found = received(connection, given, size=size, limits=LIMITS, now=0.0)
    assert isinstance(found, Error)
    assert found == (problem or Error("malformed", found.message))


def test_a_flood_is_told_of_once_each_time(connection: Connection) -> None:
    def told(now: float) -> object:
        found = received(connection, frame(PING), size=26, limits=LIMITS, now=now)
        return found.limit if isinstance(found, Error) else found

    assert [told(0.0) for _ in range(4)] == [Ping(1), Ping(1), "messages-per-second", None]
    assert [told(0.5), told(0.5), told(0.5)] == [Ping(1), "messages-per-second", None]


def test_a_long_frame_costs_as_much_as_several_short_ones(connection: Connection) -> None:
    found = received(connection, frame(PING), size=3 * MAX_FRAME_BYTES, limits=LIMITS, now=0.0)
    assert isinstance(found, Error)
    assert found.limit == "messages-per-second"
