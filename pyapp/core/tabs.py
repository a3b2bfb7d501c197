"""The other tabs of this browser: a session is used in one of them at a time, so that nobody connects to themselves.

A session that another tab is in can be taken over: that tab gives its place, or does not answer because it has crashed.
A tab that is in one leaves it when the person wants it in another tab, or when another tab has been in it for longer.
"""

from dataclasses import dataclass, field

from pyapp.core import commands
from pyapp.core.commands import Command
from pyapp.core.timers import SessionTimer

TAKE_OVER = SessionTimer.TAKE_OVER

ANSWERED_WITHIN = 0.5
"""Seconds in which a tab that lives gives its place."""


@dataclass(slots=True)
class Tabs:
    """What the other tabs have said."""

    elsewhere: set[str] = field(default_factory=set)
    """The sessions that other tabs are in."""
    taken: str = ""
    """The session whose place another tab is asked for, or empty."""

    def take(self, session: str) -> list[Command]:
        """Ask the other tab for its place in `session`."""
        self.taken = session
        return [commands.TakePlace(session), commands.StartTimer(TAKE_OVER, ANSWERED_WITHIN)]

    def gives(self, session: str) -> bool:
        """Return whether a place in `session` that is given now is still awaited: a frozen tab answers much later."""
        return bool(session) and session == self.taken

    def ours(self) -> str:
        """Return the session that is ours to join now, or an empty text if we have not asked for one."""
        session, self.taken = self.taken, ""
        self.elsewhere.discard(session)
        return session
