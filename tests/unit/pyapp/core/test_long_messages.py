"""A long text and a short one behind it over bad links, in simulated time: many runs, each with its own losses."""

import heapq
import itertools
import random
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

import pytest

from pyapp.core import commands
from pyapp.core.commands import Command, SendOnChannel
from pyapp.core.congestion import INITIAL, OVERHEAD
from pyapp.core.conversation import Conversation
from pyapp.core.peers import PeerId
from pyapp.protocol.channel import MAX_PIECE_BYTES, MediaShared

LONG = "a line of a pasted log, 50 bytes with its newline\n" * 600
"""30 kB."""


@dataclass
class Link:
    """One direction: packets are lost, wait in a queue of `queue` seconds for a line of `rate` bytes/s, take `delay`.

    They stay in order, as in a router, unless `reorders`. Times are seconds.
    """

    choose: random.Random
    loss: float = 0.0
    delay: float = 0.005
    jitter: float = 0.0
    rate: float = 1e9
    queue: float = 10.0
    reorders: bool = False
    carried: int = 0
    """Bytes that were sent."""
    sent: int = 0
    """Packets."""
    _free_at: float = 0.0
    _last: float = 0.0

    def arrives(self, size: int, now: float) -> float | None:
        """Return when a packet comes out, or None."""
        self.carried += size
        self.sent += 1
        if self._free_at - now > self.queue:
            return None
        self._free_at = max(self._free_at, now) + size / self.rate
        if self.choose.random() < self.loss:
            return None
        at = self._free_at + self.delay + self.choose.random() * self.jitter
        if not self.reorders:
            at = self._last = max(at, self._last)
        return at


@dataclass(eq=False)
class End:
    link: Link
    """Where its frames go."""
    conversation: Conversation = field(default_factory=Conversation)
    timer: int = 0
    """The number of the timer that is set."""
    came: dict[str, float] = field(default_factory=dict)
    """When each message of the other side was shown, and `media` when it was told of media."""


@dataclass
class Pair:
    """Two pages, their links and a clock."""

    seed: int
    there: Callable[[random.Random], Link]
    back: Callable[[random.Random], Link] | None = None
    now: float = 0.0
    ends: tuple[End, End] = field(init=False)
    _agenda: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        choose = random.Random(self.seed)
        self.ends = (End(self.there(choose)), End((self.back or self.there)(choose)))
        for end in self.ends:
            end.conversation.channel_is(PeerId(1))

    def did(self, end: End, outputs: list[Command]) -> None:
        other = self.ends[end is self.ends[0]]
        for output in outputs:
            match output:
                case commands.OfPeer(_, SendOnChannel(_, text)):
                    at = end.link.arrives(len(text.encode()) + OVERHEAD, self.now)
                    if at is not None:
                        self._at(at, partial(self._receive, other, text))
                case commands.StartTimer(_, after):
                    end.timer = number = next(self._numbers)
                    self._at(self.now + after, partial(self._fired, end, number))
                case commands.CancelTimer():
                    end.timer = 0

    def say(self, text: str) -> None:
        self.did(self.ends[0], self.ends[0].conversation.submit(text, self.now))

    def run(self, until: Callable[[], bool], most: float = 60.0) -> None:
        while not until():
            self.now, _, do = heapq.heappop(self._agenda)
            assert self.now < most, "it never comes"
            do()

    def _at(self, at: float, do: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (at, next(self._numbers), do))

    def _receive(self, end: End, text: str) -> None:
        before = len(end.conversation.messages)
        self.did(end, end.conversation.received(text, self.now))
        for message in end.conversation.messages[before:]:
            if not message.mine:
                end.came.setdefault(message.text, self.now)
        if end.conversation.shared.video:
            end.came.setdefault("media", self.now)

    def _fired(self, end: End, number: int) -> None:
        if end.timer == number:
            end.timer = 0
            self.did(end, end.conversation.transmit(self.now))


def all_delivered(pair: Pair) -> bool:
    return all(message.delivered for message in pair.ends[0].conversation.messages)


def paste(pair: Pair) -> float:
    """Send a long text and "hello" behind it; return the seconds until both are there."""
    pair.say(LONG)
    pair.say("hello")
    pair.run(lambda: all_delivered(pair))
    assert [message.text for message in pair.ends[1].conversation.messages] == [LONG, "hello"]
    return pair.ends[1].came["hello"]


def times(loss: float, delay: float, *, reorders: bool = False, runs: int = 60) -> list[float]:
    pairs = (Pair(seed, partial(Link, loss=loss, delay=delay, jitter=0.03, reorders=reorders)) for seed in range(runs))
    return sorted(paste(pair) for pair in pairs)


@pytest.mark.parametrize("reorders", [False, True])
@pytest.mark.parametrize("delay", [0.001, 0.05])
@pytest.mark.parametrize(("loss", "median", "most"), [(0.0, 0.4, 0.5), (0.1, 0.8, 3.0), (0.2, 1.3, 5.0)])
def test_30_kb_and_a_message_behind_them_come_through(
    loss: float, median: float, most: float, delay: float, *, reorders: bool
) -> None:
    taken = times(loss, delay, reorders=reorders)
    assert statistics.median(taken) < median
    assert taken[-1] < most


def test_they_come_through_in_the_end_though_every_other_packet_is_lost() -> None:
    assert times(0.5, 0.01, runs=10)[-1] < 60.0


def test_what_is_shared_is_told_without_waiting_for_them() -> None:
    told = []
    for seed in range(60):
        pair = Pair(seed, partial(Link, loss=0.1, delay=0.05, jitter=0.03))
        pair.say(LONG)
        pair.did(pair.ends[0], pair.ends[0].conversation.share(MediaShared(audio=False, video=True), pair.now))
        pair.run(partial(all_delivered, pair))
        told.append(pair.ends[1].came["media"])
    assert statistics.median(told) < 0.1
    assert max(told) < 1.5


@pytest.mark.parametrize(("rate", "most"), [(12_500, 2.0), (125_000, 1.3), (1_250_000, 1.2)])
def test_a_slow_line_with_a_short_queue_is_not_flooded(rate: int, most: float) -> None:
    pair = Pair(0, partial(Link, delay=0.025, rate=rate, queue=0.3))
    seconds = paste(pair)
    assert pair.ends[0].link.carried < most * len(LONG)
    assert seconds < 0.3 + 1.5 * len(LONG) / rate


def test_on_a_good_line_no_piece_goes_twice_and_the_first_flight_is_bounded() -> None:
    pair = Pair(0, Link)
    first = pair.ends[0].conversation.submit(LONG, 0.0)
    assert len(first) == 1 + INITIAL // (MAX_PIECE_BYTES + OVERHEAD)
    pair.did(pair.ends[0], first)
    pair.run(lambda: all_delivered(pair))
    sent = pair.ends[0].link.sent
    assert sent == -(-len(LONG) // MAX_PIECE_BYTES)


def test_hundreds_of_short_messages_after_an_outage_come_through() -> None:
    pair = Pair(0, partial(Link, loss=0.1, delay=0.02, jitter=0.03))
    pair.ends[0].conversation.hold(0.0)
    texts = [f"message {number}" for number in range(300)]
    for text in texts:
        pair.say(text)
    assert pair.ends[0].link.sent == 0
    pair.did(pair.ends[0], pair.ends[0].conversation.path_changed(0.0))
    pair.run(lambda: all_delivered(pair), most=8.0)
    assert [message.text for message in pair.ends[1].conversation.messages] == texts
