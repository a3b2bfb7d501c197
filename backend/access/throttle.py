"""Slows down callers who try wrong invitations. Pure: the time is an argument."""

from collections import deque
from dataclasses import dataclass, field

WITHIN = 1800.0
"""Seconds for which a wrong invitation is remembered."""
MOST = 10
"""Wrong invitations within that time before a caller is told so."""
_MOST_CALLERS = 4096
_FIRST_DELAY, _LAST_DELAY = 0.1, 5.0


@dataclass(slots=True)
class Throttle:
    """By caller (`callers.site`): when it tried a wrong invitation. Times are seconds of any steady clock."""

    _tries: dict[str, deque[float]] = field(default_factory=dict, init=False)

    def wrong(self, caller: str, *, now: float) -> float:
        """Count a wrong invitation; return how many seconds the answer should wait: longer each time."""
        tries = self._tries.pop(caller, None) or deque(maxlen=MOST + 1)
        while tries and tries[0] <= now - WITHIN:
            tries.popleft()
        tries.append(now)
        self._tries[caller] = tries  # to the end: the longest silent caller is forgotten first
        if len(self._tries) > _MOST_CALLERS:
            del self._tries[next(iter(self._tries))]
        return float(min(_FIRST_DELAY * 2 ** (len(tries) - 1), _LAST_DELAY))

    def has_tried_enough(self, caller: str, *, now: float) -> bool:
        """Whether `caller` tried more wrong invitations than anybody does by mistake."""
        tries = self._tries.get(caller, ())
        return sum(at > now - WITHIN for at in tries) > MOST
