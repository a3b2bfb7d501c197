"""What is gathered during one turn of the event loop, and done once at its end."""

import asyncio
from collections.abc import Callable


class EndOfTurn:
    """Calls `act` once at the end of a turn in which it was asked for, and at once where no event loop runs."""

    def __init__(self, act: Callable[[], object]) -> None:
        self._act = act
        self._loop: asyncio.AbstractEventLoop | None = None
        """The one that is going to act."""

    def ask(self) -> None:
        """Have it done."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._now()
            return
        if loop is not self._loop:  # one that was stopped before its turn was over never acts
            self._loop = loop
            loop.call_soon(self._now)

    def _now(self) -> None:
        self._loop = None
        self._act()
