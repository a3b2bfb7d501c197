"""One timer for many that wait, each as long as the others: setting one costs no timer of the event loop."""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

from backend.each import each

_T = TypeVar("_T")


class Timeouts(Generic[_T]):
    """Calls `expired` with each that was not taken back within so many seconds."""

    def __init__(self, expired: Callable[[_T], object]) -> None:
        self._expired = expired
        self._due: dict[_T, float] = {}
        """In the order in which they were started, on the loop's clock."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None

    def start(self, one: _T, seconds: float) -> None:
        """Have it expire after `seconds`; if those become fewer, after those that were started before."""
        if self._loop is None:  # asking each time would be a system call (`getpid`)
            self._loop = asyncio.get_running_loop()
        at = self._due[one] = self._loop.time() + seconds
        if self._timer is None:
            self._timer = self._loop.call_at(at, self._look)

    def cancel(self, one: _T) -> None:
        """Take it back, if it waits."""
        self._due.pop(one, None)

    def stop(self) -> list[_T]:
        """Take back all that wait, and return them."""
        waiting = list(self._due)
        self._due.clear()
        if self._timer:
            self._timer.cancel()
            self._timer = None
        return waiting

    def _look(self) -> None:
        self._timer = None
        if self._loop is None:
            return
        now = self._loop.time()
        expired = []
        for one, at in self._due.items():
            if at > now:
                self._timer = self._loop.call_at(at, self._look)
                break
            expired.append(one)
        each(expired, self._expire)

    def _expire(self, one: _T) -> None:
        if self._due.pop(one, None) is not None:  # another that expired may have taken it back
            self._expired(one)
