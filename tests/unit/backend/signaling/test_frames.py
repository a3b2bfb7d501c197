"""The fast writing of frames."""

import json

import pytest

from backend.signaling.frames import RelayedFrame, Sent, carried, together, write
from pyapp.protocol.journal import Journaled
from pyapp.protocol.peer import RestartWanted
from pyapp.protocol.signaling import MOST_TOGETHER, Error, PeerJoined, PeerLeft, Pong, Relay, Welcome, decode_server
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


def relayed(number: int, *, more: int = 0, epoch: int = 1) -> RelayedFrame:
    body = RestartWanted() if number else None
    return carried(Relay("", number, 0, body, epoch, more=(RestartWanted(),) * more)).passed_on(A)


def test_frames_that_continue_each_other_are_one() -> None:
    assert together([relayed(1), relayed(2, more=1), relayed(4)]) == [relayed(1, more=3)]


@pytest.mark.parametrize(
    "frames",
    [
        [relayed(1), relayed(3)],  # one was lost
        [relayed(1), relayed(2, epoch=2)],
        [relayed(0), relayed(1), relayed(0)],  # an acknowledgement has no body
        [relayed(1, more=MOST_TOGETHER), relayed(2 + MOST_TOGETHER)],
    ],
)
def test_other_frames_stay_as_they_are(frames: list[RelayedFrame]) -> None:
    assert together(frames) == frames
