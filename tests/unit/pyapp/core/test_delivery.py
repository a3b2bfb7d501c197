"""Delivery above any channel: whatever the wire does, each message once and in order."""

import itertools
import random
from collections.abc import Iterable
from dataclasses import dataclass, field

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pyapp.core.congestion import INITIAL, LEAST, OVERHEAD, PACKET, Window
from pyapp.core.delivery import (
    KEPT_COST,
    MAX_EARLY,
    MAX_EARLY_BYTES,
    PROBED_EVERY,
    Delivery,
    DeliveryFullError,
    RoundTrip,
)
from pyapp.protocol.channel import MAX_HELD, Frame, Piece, decode_frame, encode_frame
from tests.unit.examples import examples


@dataclass
class End:
    delivery: Delivery[str] = field(default_factory=lambda: Delivery(window=Window(5000)))
    submitted: list[str] = field(default_factory=list)
    received: list[str] = field(default_factory=list)
    inbound: list[tuple[float, Frame]] = field(default_factory=list)

    def submit(self, size: int) -> None:
        body = f"{len(self.submitted)}"
        self.delivery.submit(body, size=size)
        self.submitted.append(body)


@dataclass
class Wire:
    """Two ends and a simulated clock. While `bad`, frames are lost, doubled and delayed at random."""

    choose: random.Random
    loss: float
    a: End = field(default_factory=End)
    b: End = field(default_factory=End)
    now: float = 0.0
    bad: bool = True

    def send(self, to: End, frame: Frame) -> None:
        copies = self.choose.choice([1, 1, 1, 2]) if self.bad else 1
        for _ in range(copies):
            if not self.bad or self.choose.random() >= self.loss:
                delay = self.choose.uniform(0.01, 0.6) if self.bad else 0.02
                to.inbound.append((self.now + delay, frame))

    def tick(self, seconds: float = 0.05) -> None:
        self.now += seconds
        for end, other in ((self.a, self.b), (self.b, self.a)):
            ready = [entry for entry in end.inbound if entry[0] <= self.now]
            end.inbound = [entry for entry in end.inbound if entry[0] > self.now]
            for _, frame in sorted(ready, key=lambda entry: entry[0]):
                end.delivery.acknowledged(frame.ack, frame.held, now=self.now)
                if isinstance(frame.body, Piece):
                    end.received += end.delivery.accept(frame.number, frame.body.text)
                    self.send(other, Frame(0, None, end.delivery.ack, end.delivery.held))
            for number, body in end.delivery.due(self.now):
                self.send(other, Frame(number, Piece(body), end.delivery.ack, end.delivery.held))


@given(
    st.integers(0, 2**32),
    st.floats(0.0, 0.9),
    st.lists(st.tuples(st.booleans(), st.integers(0, 300), st.booleans()), max_size=40),
)
@example(1, 0.9, [(True, 100, False)] * 40)
@examples(60)
def test_exactly_once_and_in_order_over_any_wire(
    seed: int, loss: float, submissions: list[tuple[bool, int, bool]]
) -> None:
    wire = Wire(random.Random(seed), loss)
    for from_a, size, path_changes in submissions:
        end = wire.a if from_a else wire.b
        end.submit(size)
        if path_changes:
            end.delivery.path_changed()
        wire.tick(wire.choose.uniform(0.0, 0.2))
        for one, other in ((wire.a, wire.b), (wire.b, wire.a)):
            assert other.received == one.submitted[: len(other.received)]
    wire.bad = False
    for _ in range(600):
        wire.tick()
    for one, other in ((wire.a, wire.b), (wire.b, wire.a)):
        assert other.received == one.submitted
        assert one.delivery.waiting == ()
        assert one.delivery.waiting_bytes == 0
        assert one.delivery.next_due is None
        assert one.delivery.held == ()


def delivery(*sizes: int, most: int = 1000, window: Window | None = None) -> Delivery[str]:
    result: Delivery[str] = Delivery(most=most, window=window or Window())
    for number, size in enumerate(sizes, start=1):
        assert result.submit(f"m{number}", size=size) == number
    return result


def numbers(due: Iterable[tuple[int, str]]) -> list[int]:
    return [number for number, _ in due]


def packets(count: int) -> list[int]:
    """Return the sizes of so many messages, of which each costs a packet."""
    return [PACKET - OVERHEAD] * count


class TestWhatIsDue:
    def test_is_everything_new_at_first_and_then_nothing(self) -> None:
        one = delivery(10, 10)
        assert one.due(0.0) == [(1, "m1"), (2, "m2")]
        assert one.due(0.4) == []

    def test_is_what_the_window_takes(self) -> None:
        one = delivery(*packets(15), most=10**6)
        assert len(one.due(0.0)) == INITIAL // PACKET
        assert one.due(0.1) == []
        one.acknowledged(1, now=0.1)
        # It came while the window was full: the window has grown by it.
        assert numbers(one.due(0.1)) == [11, 12]

    def test_is_one_message_longer_than_the_window_by_itself(self) -> None:
        one = delivery(5000, 1, most=10**6, window=Window(size=PACKET))
        assert numbers(one.due(0.0)) == [1]
        one.acknowledged(1)
        assert numbers(one.due(0.0)) == [2]

    def test_is_no_more_than_is_asked_for_or_one_message(self) -> None:
        one = delivery(10, 10, 1000, 10, most=10**6)
        assert numbers(one.due(0.0, most=2 * (10 + OVERHEAD))) == [1, 2]
        one.acknowledged(2)
        assert numbers(one.due(0.0, most=100)) == [3]

    def test_is_all_that_waits_when_the_path_changed(self) -> None:
        one = delivery(10, 10)
        for at in (0.0, 0.5, 1.5):
            assert numbers(one.due(at)) == [1, 2]
        one.path_changed()
        assert one.next_due is None
        assert numbers(one.due(1.51)) == [1, 2]
        # Patience starts anew: the new path is not to blame.
        assert one.next_due == pytest.approx(2.01)

    def test_begins_with_a_new_window_when_the_path_changed(self) -> None:
        one = delivery(*packets(15), most=10**6, window=Window(size=LEAST))
        one.due(0.0)
        one.path_changed()
        assert len(one.due(0.0)) == INITIAL // PACKET

    def test_is_everything_once_on_a_wire_that_loses_nothing(self) -> None:
        one: Delivery[str] = Delivery()
        for number in range(100):
            one.submit(f"{number}", size=1000)
        assert len(one.due(0.0)) == 100
        assert one.next_due is None
        one.acknowledged(0, [(2, 50)])
        assert one.due(1e9) == []


class TestAProbe:
    """Nothing comes: one or two are sent again, and their acknowledgement tells of the others."""

    def test_is_sent_less_and_less_often(self) -> None:
        one = delivery(10)
        at = [0.0]
        one.due(0.0)
        while len(at) < 6:
            following = one.next_due
            assert following is not None
            assert one.due(following - 0.001) == []
            assert numbers(one.due(following)) == [1]
            at.append(following)
        assert [after - before for before, after in itertools.pairwise(at)] == pytest.approx([0.5, *[PROBED_EVERY] * 4])

    def test_is_the_two_that_were_sent_first(self) -> None:
        one = delivery(10, 10, 10, 10)
        one.due(0.0)
        assert numbers(one.due(0.5)) == [1, 2]
        assert numbers(one.due(1.5)) == [3, 4]

    def test_that_is_acknowledged_tells_that_the_others_are_lost(self) -> None:
        one = delivery(*[10] * 5)
        one.round_trip.measured(0.1)
        one.due(0.0)
        assert numbers(one.due(0.31)) == [1, 2]
        one.acknowledged(1, now=0.42)
        assert numbers(one.due(0.42)) == [3, 4, 5]

    def test_that_is_overtaken_by_the_first_transmissions_tells_nothing(self) -> None:
        one = delivery(*[10] * 5)
        one.round_trip.measured(0.1)
        one.due(0.0)
        one.due(0.3)
        one.acknowledged(1, now=0.31)
        assert one.due(0.31) == []

    def test_in_vain_again_and_again_leaves_the_least_window(self) -> None:
        one = delivery(*packets(20), most=10**6)
        one.due(0.0)
        for at in (0.5, 1.5, 2.5):
            assert len(one.due(at)) == 2
        one.acknowledged(4, now=2.6)
        assert one.window is not None
        assert one.window.size == LEAST

    def test_waits_for_what_the_browser_had_kept(self) -> None:
        one = delivery(10)
        one.due(0.0)
        one.released(3.0)
        assert one.due(3.0) == []
        assert one.next_due == 3.5


class TestWhatWasOvertaken:
    """A later message came, so an earlier one that did not is lost: no timer is waited for."""

    def sent(self, *times: float) -> Delivery[str]:
        """Return one that sent a message at each of these times, with a round trip of 0.1 s."""
        delivery: Delivery[str] = Delivery(window=Window())
        for _ in range(30):
            delivery.round_trip.measured(0.1)
        for number, now in enumerate(times, 1):
            delivery.submit(f"{number}", size=1)
            assert delivery.due(now) == [(number, f"{number}")]
        return delivery

    def test_is_sent_again_at_once(self) -> None:
        delivery = self.sent(0.0, 0.05, 0.1)
        assert delivery.acknowledged(0, [(2, 2)], now=0.15) == [2]
        assert delivery.due(0.15) == [(1, "1")]
        assert delivery.due(0.15) == []

    def test_is_sent_again_at_once_when_it_was_lost_again(self) -> None:
        delivery = self.sent(0.0, 0.05)
        delivery.acknowledged(0, [(2, 2)], now=0.15)
        delivery.due(0.15)
        delivery.submit("3", size=1)
        delivery.due(0.2)
        delivery.acknowledged(0, [(2, 3)], now=0.3)
        assert delivery.due(0.3) == [(1, "1")]

    def test_is_given_a_moment_if_it_was_sent_almost_together_with_the_other(self) -> None:
        delivery = self.sent(0.0, 0.02)
        delivery.acknowledged(0, [(2, 2)], now=0.12)
        assert delivery.due(0.12) == []
        assert delivery.next_due == pytest.approx(0.125)
        assert delivery.due(0.13) == [(1, "1")]

    def test_is_known_among_those_that_were_sent_at_the_same_moment(self) -> None:
        delivery = self.sent(0.0, 0.0, 0.0)
        delivery.acknowledged(0, [(3, 3)], now=0.1)
        assert numbers(delivery.due(0.13)) == [1, 2]

    def test_is_not_lost_by_what_may_have_come_at_an_earlier_attempt(self) -> None:
        delivery = self.sent(0.0, 0.05)
        assert numbers(delivery.due(0.4)) == [1, 2]
        delivery.acknowledged(0, [(2, 2)], now=0.41)
        assert delivery.due(0.41) == []

    def test_is_forgotten_when_it_comes_after_all(self) -> None:
        delivery = self.sent(0.0, 0.05)
        delivery.acknowledged(0, [(2, 2)], now=0.15)
        assert delivery.acknowledged(2, now=0.16) == [1]
        assert delivery.due(0.16) == []
        assert delivery.next_due is None


class TestWhatIsKept:
    def test_is_bounded_and_an_error_takes_nothing(self) -> None:
        one = delivery(600, 400)
        with pytest.raises(DeliveryFullError, match="1000 bytes"):
            one.submit("more", size=1)
        assert one.waiting == ("m1", "m2")
        assert one.waiting_bytes == 1000
        one.acknowledged(1)
        assert one.submit("m3", size=600) == 3
        assert one.waiting == ("m2", "m3")


class TestAcknowledgements:
    def test_confirm_all_up_to_a_number_once(self) -> None:
        one = delivery(1, 1, 1)
        assert one.acknowledged(2) == [1, 2]
        assert one.acknowledged(2) == []
        assert one.waiting == ("m3",)

    def test_confirm_what_is_held_at_the_other_side(self) -> None:
        one = delivery(1, 1, 1, 1)
        assert one.acknowledged(1, ((3, 4),)) == [1, 3, 4]
        assert numbers(one.due(0.0)) == [2]
        assert one.acknowledged(4) == [2]

    def test_that_name_a_number_twice_confirm_it_once(self) -> None:
        one = delivery(1, 1)
        assert one.acknowledged(0, ((2, 2), (2, 2))) == [2]
        assert one.waiting == ("m1",)

    def test_of_what_was_never_sent_confirm_nothing_more(self) -> None:
        one = delivery(1)
        assert one.acknowledged(99, ((1, 1), (7, 10**15), (-3, -3))) == [1]
        assert one.submit("m2", size=1) == 2
        assert one.waiting == ("m2",)

    def test_of_what_no_honest_sender_has_on_the_way_are_not_kept(self) -> None:
        one = delivery()
        assert one.accept(MAX_EARLY + 1, "far") == []
        assert one.held == ()

    @pytest.mark.parametrize("size", [0, 1000, 60_000])
    def test_that_come_early_are_kept_up_to_so_many_bytes(self, size: int) -> None:
        one = delivery()
        most = MAX_EARLY_BYTES // (size + KEPT_COST)
        for number in range(2, most + 10):
            one.accept(number, "x", size=size)
        assert len(one._early) == most
        assert one.accept(1, "first", size=size)[0] == "first", "what is awaited is never too much"
        assert one.ack == most + 1
        one.accept(most + 3, "x", size=size)
        assert one.held == ((most + 3, most + 3),)

    def test_list_what_came_early(self) -> None:
        one = delivery()
        assert one.accept(3, "c") == []
        assert one.accept(2, "b") == []
        assert one.accept(3, "again") == []
        assert (one.ack, one.held) == (0, ((2, 3),))
        assert one.accept(1, "a") == ["a", "b", "c"]
        assert (one.ack, one.held) == (3, ())
        assert one.accept(2, "b") == []

    def test_list_no_more_than_the_other_side_takes(self) -> None:
        one = delivery()
        for number in range(2, 2 * MAX_HELD + 10, 2):
            one.accept(number, "x")
        assert one.held == tuple((number, number) for number in range(2, 2 * MAX_HELD + 1, 2))
        assert decode_frame(encode_frame(Frame(0, None, one.ack, one.held))).held == one.held


class TestRoundTrip:
    def test_of_what_was_sent_once_is_measured(self) -> None:
        one = delivery(10)
        one.due(1.0)
        one.acknowledged(1, now=1.25)
        assert one.round_trip.smoothed == 0.25

    def test_of_what_was_sent_twice_is_not(self) -> None:
        one = delivery(10)
        one.due(0.0)
        one.due(1.0)
        one.acknowledged(1, now=1.1)
        assert one.round_trip.smoothed is None

    def test_of_what_came_long_before_it_could_be_acknowledged_is_not(self) -> None:
        one = delivery(10)
        one.due(0.0)
        one.submit("m2", size=10)
        one.due(5.0)
        one.acknowledged(2, now=5.1)
        assert one.round_trip.smoothed == pytest.approx(0.1)

    def test_of_what_was_never_sent_is_not(self) -> None:
        one = delivery(10)
        one.acknowledged(1, now=1.1)
        assert one.round_trip.smoothed is None

    def test_of_what_was_sent_again_on_a_new_path_is_not(self) -> None:
        one = delivery(10)
        one.due(0.0)
        one.path_changed()
        one.due(0.5)
        one.acknowledged(1, now=0.501)
        assert one.round_trip.smoothed is None

    def test_without_a_measurement_has_the_first_timeout(self) -> None:
        assert RoundTrip().timeout() == 0.5
        assert RoundTrip().timeout(first=3.0) == 3.0

    def test_is_smoothed_as_rfc_6298_says(self) -> None:
        trip = RoundTrip()
        trip.measured(0.4)
        assert (trip.smoothed, trip.variation) == (0.4, 0.2)
        assert trip.timeout() == pytest.approx(0.4 + 4 * 0.2)
        trip.measured(0.8)
        assert trip.variation == pytest.approx(0.75 * 0.2 + 0.25 * 0.4)
        assert trip.smoothed == pytest.approx(0.875 * 0.4 + 0.125 * 0.8)

    def test_gives_a_timeout_between_its_bounds(self) -> None:
        near, far = RoundTrip(), RoundTrip()
        for _ in range(50):
            near.measured(0.001)
            far.measured(9.0)
        assert near.timeout() == 0.15
        assert far.timeout() == 2.0
        assert far.timeout(most=30.0) == pytest.approx(9.0, abs=0.1)
