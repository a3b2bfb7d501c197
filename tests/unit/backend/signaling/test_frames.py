"""The fast writing of frames."""

import json

import pytest

from backend.signaling.frames import Sent, write
from pyapp.protocol.journal import Journaled
from pyapp.protocol.signaling import Error, PeerJoined, PeerLeft, Pong, Welcome, decode_server
from pyapp.protocol.wire import to_json

A, B = "a" * 32, "b" * 32


@pytest.mark.parametrize(
    "message",
    [
        Welcome(polite=True, peer=A, server=B, hold=30.0, peer_tab=A, peer_name='Zoë "😀"'),
        Welcome(polite=False, peer=""),
        PeerJoined(A, B, "Ann"),
        PeerLeft(A, lost=True),
        Journaled(7),
        Pong(2**53 - 1),
        Error("place-held", "One of the two\nplaces", "limit", 12.5),
    ],
)
def test_a_message_of_the_servers_is_written_as_the_protocol_says(message: Sent) -> None:
    text = write(message).decode()
    assert json.loads(text) == to_json(message)  # type: ignore[arg-type]  # none is a relayed frame
    assert decode_server(text) == message
