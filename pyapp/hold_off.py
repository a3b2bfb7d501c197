"""When the other side's candidates are tried in its ICE restart: not before it can try ours. Pure.

A NAT lets a check in once its own side has sent one out. Chromium checks a new pair three times within 0.15 s and then,
while the old pair still looks well to it, once in 0.5 to 0.9 s: so it is at the side whose network did not change. That
side hears of the other's candidates while its own are still being gathered. Checks sent at once all come too early, and
the path waits for the fourth.
"""

from dataclasses import dataclass, field
from typing import Literal

from pyapp.messages import Candidate

TIMER = "hold-off"

MOST = 0.4
"""Seconds to wait for a candidate of our own that leads through our NAT: there may be none."""


@dataclass(slots=True)
class HoldOff:
    """The candidates of the other side that wait, in the order in which they came."""

    waiting: list[Candidate] = field(default_factory=list)
    _state: Literal["off", "awaiting ours", "ours is told"] = "off"
    _old: frozenset[str] = frozenset()

    def begin(self, old: frozenset[str]) -> None:
        """Hold off from an offer of a new ICE generation on. `old` are the `ice-ufrag` values of ours before it."""
        self._state, self._old = "awaiting ours", old
        self.waiting.clear()

    def holds(self, candidate: Candidate, kind: str) -> bool:
        """Take a candidate of the other side if it leads through a NAT. What is on our own network never waits."""
        is_held = self._state != "off" and kind != "host"
        if is_held:
            self.waiting.append(candidate)
        return is_held

    def ends_with(self, candidate: Candidate, kind: str) -> bool:
        """Return whether `candidate` of ours, which goes to the other side now, is the one that was waited for."""
        is_ours = kind != "host" and candidate.username_fragment not in self._old
        is_first = self._state == "awaiting ours" and is_ours
        if is_first:
            self._state = "ours is told"
        return is_first

    def over(self) -> list[Candidate]:
        """Return what waited, and hold nothing any more."""
        self._state = "off"
        waiting, self.waiting = self.waiting, []
        return waiting
