"""Who waits for the invitation of another tab."""

from collections.abc import Callable
from typing import Protocol

LENT_WITHIN = 0.5
"""Seconds in which a tab that lives lends its invitation."""


class Timer(Protocol):
    """What `call_later` returns."""

    def cancel(self) -> None:
        """Have it never call."""


class Borrowing:
    """By session, who waits for the invitation of the tab that is in it. `call_later` is the event loop's."""

    def __init__(self, call_later: Callable[[float, Callable[[], None]], Timer]) -> None:
        self._call_later = call_later
        self._waiting: dict[str, list[tuple[Callable[[str], None], Timer]]] = {}

    def wait(self, session: str, then: Callable[[str], None]) -> None:
        """Call `then` with what is lent for `session`, or with an empty text if nothing is within `LENT_WITHIN`."""
        timer = self._call_later(LENT_WITHIN, lambda: self.lent(session, ""))
        self._waiting.setdefault(session, []).append((then, timer))

    def lent(self, session: str, invitation: str) -> None:
        """End the wait of everybody who waits for that of `session`."""
        for then, timer in self._waiting.pop(session, ()):
            timer.cancel()  # or it would end the wait of whoever borrows next
            then(invitation)
