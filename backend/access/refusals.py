"""Which refusals stand in the audit log: the first of each caller, and how many more there were. Pure.

Whoever can reach the server can be refused as often as they like. A line for each would rotate everything else away.
The same holds for whoever comes and goes where nobody needs an invitation (`backend/signaling/stays.py`).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

WITHIN = 1800.0
"""Seconds, from a caller's first refusal, that are summed up together."""
SPELLED_OUT = 10
"""Refusals of a caller within that time that have a line each."""
MOST_CALLERS = 256
"""Callers within that time that are told apart; all others are `OTHERS`."""
OTHERS = "others"


class Rest(NamedTuple):
    """`more` refusals of `caller` (`callers.site`, or `OTHERS`) had no line of their own."""

    caller: str
    more: int


@dataclass(slots=True)
class _Caller:
    since: float
    count: int = 0


@dataclass(slots=True)
class Refusals:
    """By caller: how often it was refused. Times are seconds of any steady clock."""

    _callers: dict[str, _Caller] = field(default_factory=dict, init=False)
    """In the order of their first refusals, which is that in which they are summed up."""

    def has_line(self, caller: str, *, now: float) -> bool:
        """Count a refusal of `caller`; return whether it is to have a line of its own."""
        if caller not in self._callers and len(self._callers) >= MOST_CALLERS:
            caller = OTHERS
        known = self._callers.setdefault(caller, _Caller(now))
        known.count += 1
        return known.count <= SPELLED_OUT

    def rest(self, *, now: float) -> Iterator[Rest]:
        """Forget the callers whose time is over at `now`; yield those of whom there is more to say."""
        while self._callers:
            caller, known = next(iter(self._callers.items()))
            if now < known.since + WITHIN:
                return
            del self._callers[caller]
            if known.count > SPELLED_OUT:
                yield Rest(caller, known.count - SPELLED_OUT)
