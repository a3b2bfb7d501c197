"""Simulated time: what is to happen, in order."""

import heapq
import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field


@dataclass
class Clock(ABC):
    """Time passes only in `run` and `run_until`. `now` is in seconds."""

    now: float = field(default=0.0, init=False)
    _agenda: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list, init=False)
    _numbers: Iterator[int] = field(default_factory=itertools.count, init=False)

    def after(self, seconds: float, do: Callable[[], None]) -> float:
        """Do something in so many seconds; return when that is."""
        at = self.now + max(seconds, 1e-6)
        heapq.heappush(self._agenda, (at, next(self._numbers), do))
        return at

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while self._agenda and self._agenda[0][0] <= end:
            self._next()
        self.now = end

    def run_until(self, done: Callable[[], bool], *, most: float = 90.0) -> float:
        """Run until `done`; return the seconds that it took."""
        start = self.now
        while not done():
            assert self.now - start < most, f"not within {most} seconds: {self.words()}"
            self._next()
        return self.now - start

    def _next(self) -> None:
        self.now, _, do = heapq.heappop(self._agenda)
        do()

    @abstractmethod
    def words(self) -> str:
        """Return what a person would want to know of a world that went wrong."""
