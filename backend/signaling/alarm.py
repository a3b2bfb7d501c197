"""One timer of the event loop that is set anew as often as needed."""

import asyncio
from collections.abc import Callable


class Alarm:
    """Calls `ring` when the time comes for which it was set last."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_set(self) -> bool:
        """Whether it is going to ring."""
        return self._timer is not None

    def set(self, at: float | None) -> None:
        """Ring at `at` (seconds of the loop's clock) instead of earlier or later; not at all if that is None."""
        if self._timer:
            if self._timer.when() == at:
                return  # beginning anew for each frame of a flood would postpone it forever
            self._timer.cancel()
            self._timer = None
        if at is not None:
            self._timer = asyncio.get_running_loop().call_at(at, self._rings)

    def _rings(self) -> None:
        self._timer = None
        self._ring()
