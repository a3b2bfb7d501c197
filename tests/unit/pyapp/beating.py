"""Two `Recovery` objects joined by a wire that delays, loses and can be cut, with a simulated clock and timers."""

import heapq
import itertools
import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from pyapp.core import commands
from pyapp.core.commands import PartCommand
from pyapp.core.path import recovery
from pyapp.core.path.outcomes import (
    Attempt,
    Doubted,
    Outcome,
    Output,
    Reassured,
    Recovered,
    Resumed,
    Suspected,
)
from pyapp.core.path.recovery import Recovery
from pyapp.protocol.channel import Beat
from pyapp.protocol.entries import Entry
from pyapp.protocol.wire import Scalar

Timing = Callable[[float], float]
"""When a timer that is due at a time does fire."""


def punctual(at: float) -> float:
    return at


def once_a_second(at: float) -> float:
    """Return when a timer of a hidden tab fires: with the first tick after it is due."""
    return float(math.ceil(at))


@dataclass(eq=False)
class End:
    """One side: its recovery, its timers by deadline, and what it said. `works` is the generation of its path."""

    health: Recovery
    timing: Timing = punctual
    timers: dict[str, float] = field(default_factory=dict)
    said: list[tuple[float, Outcome]] = field(default_factory=list)
    works: int = 0
    server_is_there: bool = True
    peer_is_there: bool = True
    """Whether the other side is heard through the server."""
    packets: int = 0
    """What the transport has received: beats, and acknowledgements of them, whatever the page does."""
    unacknowledged: bool = False
    key_frames: int = 0
    """How often the picture was begun anew."""
    stats_after: float = 0.001
    """Seconds until the browser says what was received."""
    busy_until: float = 0.0
    """When the page's script goes on; until then it runs no timers and reads nothing."""
    reads_after: float = 0.0
    """Seconds from then until it reads what arrived meanwhile: on a busy machine its timers come first."""

    def outcomes(self, *kinds: type[Outcome]) -> list[Outcome]:
        return [outcome for _, outcome in self.said if isinstance(outcome, kinds)]

    def alarms_not_given(self) -> list[Scalar]:
        notes = (outcome for _, outcome in self.said if isinstance(outcome, Entry))
        return [note.data()["cause"] for note in notes if note.event == "no-alarm"]

    def suspicions(self) -> list[tuple[float, str]]:
        return [(at, outcome.evidence) for at, outcome in self.said if isinstance(outcome, Suspected)]

    def attempts(self) -> list[tuple[float, str]]:
        return [(at, outcome.rung) for at, outcome in self.said if isinstance(outcome, Attempt)]


@dataclass
class Duo:
    """`delay` is one way, `jitter` is added to it at random, `loss` is a probability. Everything is in seconds.

    An attempt at either side mends the path after `mends_after`, if that is given.
    """

    delay: float = 0.0
    jitter: float = 0.0
    loss: float = 0.0
    seed: int = 0
    mends_after: float | None = None
    now: float = 0.0
    a: End = field(default_factory=lambda: End(Recovery(polite=False)))
    b: End = field(default_factory=lambda: End(Recovery(polite=True)))
    doubts: int = 0
    reassured: int = 0
    deaf: set[str] = field(default_factory=set)
    """Ends that hear nothing: `a`, `b`."""
    has_standby: bool = False
    """Whether the page that doubts says so over a second path, which always works, and the other one answers there."""
    _agenda: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _choose: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._choose = random.Random(self.seed)

    def start(self) -> "Duo":
        for end in (self.a, self.b):
            self.did(end, end.health.channel_opened(self.now))
        return self

    def cut(self) -> None:
        self.deaf = {"a", "b"}

    def mend(self, generation: int | None = None) -> None:
        """Let the path work again; with `generation` it is a new one, which both browsers see."""
        self.deaf = set()
        if generation is not None:
            for end in (self.a, self.b):
                end.works = generation
                self.did(end, end.health.proven(generation, self.now))

    def after(self, seconds: float, do: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (self.now + seconds, next(self._numbers), do))

    def run(self, seconds: float) -> None:
        """Let so much time pass."""
        end = self.now + seconds
        while self._agenda and self._agenda[0][0] <= end:
            self.now, _, do = heapq.heappop(self._agenda)
            do()
        self.now = end

    def did(self, end: End, outputs: list[Output]) -> None:
        for output in outputs:
            match output:
                case commands.StartTimer(name, after, _, only_if_idle):
                    if not (only_if_idle and name in end.timers):
                        # Real clocks move on between two events, however little.
                        self._start(end, name, end.timing(self.now + max(after, 1e-6)))
                case commands.CancelTimer(name):
                    end.timers.pop(name, None)
                case commands.SendOnChannel("heartbeat", text):
                    self._send(end, text)
                case commands.SampleStats():
                    self.after(end.stats_after, lambda: self._sampled(end))
                case commands.SendKeyFrame():
                    end.key_frames += 1
                case Doubted():
                    self.doubts += 1
                    if self.has_standby:
                        self._say_aside(end, answers=1)
                case Reassured():
                    self.reassured += 1
                case Suspected() | Attempt() | Resumed() | Recovered() | Entry():
                    end.said.append((self.now, output))
                    if isinstance(output, Attempt) and self.mends_after is not None:
                        self.after(self.mends_after, partial(self.mend, max(self.a.works, self.b.works) + 1))
                case _:
                    raise AssertionError(output)

    def stall(self, end: End, seconds: float) -> None:
        """Let the script of a page stand still: the network below it goes on."""
        end.busy_until = self.now + seconds

    def _sampled(self, end: End) -> None:
        end.health.sampled(end.packets, self.now)
        self.did(end, end.health.proven(end.works, self.now))

    def _start(self, end: End, name: str, at: float) -> None:
        end.timers[name] = at
        heapq.heappush(self._agenda, (at, next(self._numbers), lambda: self._fire(end, name, at)))

    def _fire(self, end: End, name: str, at: float) -> None:
        if end.timers.get(name) != at:
            return
        if self.now < end.busy_until:
            self.after(end.busy_until - self.now, lambda: self._fire(end, name, at))
            return
        del end.timers[name]
        self.did(end, self.fired(end.health, name, end))

    def fired(self, health: Recovery, name: str, end: End) -> list[Output]:
        match name:
            case recovery.BEAT:
                return health.beat(self.now)
            case recovery.SILENCE:
                return health.silent(self.now)
            case recovery.ATTEMPT:
                server, peer = (self.now if is_there else -1.0 for is_there in (end.server_is_there, end.peer_is_there))
                return health.attempt_over(self.now, server_heard=server, peer_heard=peer, is_exchanging=False)
            case recovery.LOST:
                return health.lost()
            case recovery.SETTLE:
                return health.network_settled(self.now)
        raise AssertionError(name)

    def _send(self, end: End, text: str) -> None:
        if not self._is_lost():
            other = self.b if end is self.a else self.a
            self.after(self._travel(), lambda: self._arrived(end, other, text))

    def _arrived(self, sender: End, other: End, text: str) -> None:
        if self._is_deaf(other):
            return
        other.packets += 1
        # SCTP acknowledges every second packet at once, and a single one after 0.2 s (RFC 9260, section 6.2).
        other.unacknowledged = not other.unacknowledged
        if not other.unacknowledged:
            self.after(self._travel(), lambda: self._acknowledged(sender))
        else:
            self.after(0.2, lambda: self._acknowledge_alone(sender, other))
        self._read(other, text)

    def _read(self, end: End, text: str) -> None:
        if self.now < end.busy_until:
            self.after(end.busy_until + end.reads_after - self.now, lambda: self._read(end, text))
        else:
            self.did(end, end.health.heard(text, self.now))

    def _acknowledge_alone(self, sender: End, other: End) -> None:
        if other.unacknowledged:
            other.unacknowledged = False
            self.after(self._travel(), lambda: self._acknowledged(sender))

    def _acknowledged(self, end: End) -> None:
        if not self._is_deaf(end):
            end.packets += 1

    def _say_aside(self, sender: End, *, answers: int) -> None:
        other = self.b if sender is self.a else self.a
        self.after(self._travel(), lambda: self._read_aside(other, answers))

    def _read_aside(self, end: End, answers: int) -> None:
        if self.now < end.busy_until:
            self.after(end.busy_until - self.now, lambda: self._read_aside(end, answers))
            return
        self.did(end, [*end.health.heard_aside(self.now)])
        if answers:
            self._say_aside(end, answers=answers - 1)

    def _is_lost(self) -> bool:
        return self._choose.random() < self.loss

    def _travel(self) -> float:
        return self.delay + self.jitter * self._choose.random()

    def _is_deaf(self, end: End) -> bool:
        return ("a" if end is self.a else "b") in self.deaf

    def hide(self, end: End, *, is_hidden: bool) -> None:
        end.timing = once_a_second if is_hidden else punctual
        self.did(end, end.health.hidden(self.now, is_hidden=is_hidden))


def duo(delay: float = 0.0, **changes: Any) -> Duo:
    """Return two that have beaten for five seconds."""
    result = Duo(delay=delay, **changes).start()
    result.run(5.05)
    return result


def suspecting() -> Recovery:
    """Return the impolite one, alone, which heard one beat, and suspects the path at 1.0 s."""
    health = Recovery(polite=False)
    health.channel_opened(0.0)
    health.heard(Beat(1, 1, 0, 100, 0).encode(), 0.1)
    health.suspect("silence", 1.0)
    return health


def kinds(outputs: Sequence[object]) -> list[str]:
    """Return what is said beside commands and notes."""
    return [type(output).__name__ for output in outputs if not isinstance(output, PartCommand | Entry)]
