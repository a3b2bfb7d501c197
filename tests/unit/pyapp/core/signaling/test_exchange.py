"""What two sides say to each other: numbers, acknowledgements, epochs, and frames that hold several messages."""

import pytest

from pyapp.core.delivery import DeliveryFullError
from pyapp.core.signaling.exchange import TOGETHER_BYTES, Exchange, Heard
from pyapp.protocol.peer import Candidate, Description, PeerMessage
from pyapp.protocol.signaling import MOST_TOGETHER, Relay, Relayed

A, B = "a" * 32, "b" * 32


def candidate(number: int) -> Candidate:
    return Candidate(f"candidate:{number} 1 udp 1 192.0.2.1 9 typ host", "0", 0, "u")


def said(exchange: Exchange, *messages: PeerMessage) -> list[Relay]:
    """Return the frames for what is said now."""
    for message in messages:
        exchange.submit(message)
    return exchange.due(B, 0.0)


def only(frames: list[Relay]) -> Relay:
    (frame,) = frames
    return frame


def carry(frame: Relay, to: Exchange) -> Heard:
    """Bring a frame to the other side."""
    relayed = Relayed(A, frame.number, frame.ack, frame.body, frame.epoch, frame.peer_epoch, frame.more)
    return to.received(relayed, 1.0)


def talking() -> tuple[Exchange, Exchange]:
    """Return two sides each of which knows the other's epoch."""
    one, other = Exchange(), Exchange()
    for here, there in ((one, other), (other, one), (one, other)):
        (frame,) = said(here, candidate(0))
        carry(frame, there)
    return one, other


class TestFrames:
    def test_hold_what_is_said_at_one_moment(self) -> None:
        exchange = Exchange()
        messages: list[PeerMessage] = [candidate(number) for number in range(1, 101)]
        together = said(exchange, *messages, Description("offer", "v=0" + "x" * TOGETHER_BYTES, 1))
        assert [(frame.number, len(frame.more)) for frame in together] == [(1, MOST_TOGETHER), (66, 34), (101, 0)]

    def test_are_heard_in_order_and_once(self) -> None:
        one, other = Exchange(), Exchange()
        first, second = said(one, candidate(1), candidate(2)), said(one, candidate(3), candidate(4))
        assert carry(only(second), other).messages == ()
        assert carry(only(first), other).messages == tuple(candidate(number) for number in (1, 2, 3, 4))
        assert carry(only(first), other).messages == ()

    def test_are_sent_again_only_on_another_path_and_until_they_are_acknowledged(self) -> None:
        one, other = Exchange(), Exchange()
        (frame,) = said(one, candidate(1))
        assert one.due(B, 60.0) == []
        one.path_changed()
        (again,) = one.due(B, 61.0)
        assert (again.number, again.body) == (frame.number, frame.body)
        carry(again, other)
        assert one.is_waiting
        carry(other.acknowledgement(A), one)
        assert not one.is_waiting
        one.path_changed()
        assert one.due(B, 62.0) == []

    def test_that_only_acknowledge_are_not_acknowledged(self) -> None:
        one, other = Exchange(), Exchange()
        assert carry(only(said(one, candidate(1))), other).owes_acknowledgement
        assert not carry(other.acknowledgement(A), one).owes_acknowledgement

    def test_are_kept_up_to_a_limit(self) -> None:
        exchange = Exchange()
        big = Description("offer", "v=0" + "x" * 60_000, 1)
        for _ in range(17):
            exchange.submit(big)
        with pytest.raises(DeliveryFullError):
            exchange.submit(big)

    def test_tell_when_the_other_side_was_heard(self) -> None:
        one, other = Exchange(), Exchange()
        assert other.heard_at < 0.0
        carry(one.acknowledgement(B), other)
        assert other.heard_at == 1.0


class TestAnEpoch:
    def test_that_is_newer_begins_anew(self) -> None:
        one, other = talking()
        other.submit(candidate(7))
        one.begin_anew()
        heard = carry(only(said(one, candidate(1))), other)
        assert heard.has_begun_anew
        assert heard.messages == (candidate(1),)
        assert not other.is_waiting, "what was for the older one is forgotten"

    def test_that_is_older_is_stale(self) -> None:
        one, other = talking()
        (late,) = said(one, candidate(1))
        one.begin_anew()
        carry(only(said(one, candidate(2))), other)
        assert carry(late, other) == Heard(is_stale=True)

    def test_of_ours_that_is_over_makes_stale_what_was_said_to_it(self) -> None:
        one, other = talking()
        (late,) = said(one, candidate(1))
        other.begin_anew()
        assert carry(late, other) == Heard(is_stale=True)

    def test_that_the_other_side_has_forgotten_begins_anew(self) -> None:
        _, other = talking()
        reloaded = Exchange()
        assert carry(only(said(reloaded, candidate(1))), other).has_begun_anew

    def test_begins_once(self) -> None:
        one, other = talking()
        one.begin_anew()
        carry(only(said(one, candidate(1))), other)
        carry(other.acknowledgement(A), one)
        assert not carry(only(said(one, candidate(2))), other).has_begun_anew
