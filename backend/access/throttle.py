"""Slows down callers who try wrong invitations. Pure: the time is an argument."""

from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

WITHIN = 1800.0
"""Seconds for which a wrong invitation is remembered."""
MOST = 10
"""Wrong invitations within that time before a caller is told so."""
_MOST_CALLERS = 4096
_FIRST_DELAY, _LAST_DELAY = 0.1, 5.0


class Pause(NamedTuple):
    """What a wrong invitation costs, in seconds: its answer waits for `delay`, or says to come back in `retry_after`.

    At least one of them is 0. Only one answer to a caller waits at a time: others would hold a socket each.
    """

    delay: float = 0.0
    retry_after: float = 0.0


NO_PAUSE = Pause()


@dataclass(slots=True)
class _Caller:
    tries: deque[float] = field(default_factory=lambda: deque(maxlen=MOST + 1))
    until: float = 0.0
    """When its last answer is over."""


@dataclass(slots=True)
class Throttle:
    """By caller (`callers.site`): when it tried a wrong invitation. Times are seconds of any steady clock."""

    _callers: dict[str, _Caller] = field(default_factory=dict, init=False)

    def wrong(self, caller: str, *, now: float) -> Pause:
        """Count a wrong invitation; return the pause that it costs: longer each time."""
        known = self._callers.pop(caller, None) or _Caller()
        while known.tries and known.tries[0] <= now - WITHIN:
            known.tries.popleft()
        known.tries.append(now)
        self._callers[caller] = known  # to the end: the longest silent caller is forgotten first
        if len(self._callers) > _MOST_CALLERS:
            del self._callers[next(iter(self._callers))]
        pause = float(min(_FIRST_DELAY * 2 ** (len(known.tries) - 1), _LAST_DELAY))
        is_waiting = now < known.until
        known.until = max(known.until, now + pause)
        return Pause(retry_after=known.until - now) if is_waiting else Pause(delay=pause)

    def has_tried_enough(self, caller: str, *, now: float) -> bool:
        """Whether `caller` tried more wrong invitations than anybody does by mistake."""
        known = self._callers.get(caller)
        return known is not None and sum(at > now - WITHIN for at in known.tries) > MOST
