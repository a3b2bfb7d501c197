"""What Connect will need, asked for before it is pressed: a socket that is open by then, and an ICE configuration.

The socket is good for any session, the configuration for the one that it was asked for. What is refused is asked for
again by Connect, and told to the person then.
"""

from dataclasses import dataclass, field
from typing import Literal

from pyapp.core import commands
from pyapp.core.commands import Command
from pyapp.core.provisioning import Output, Provisioning
from pyapp.core.timers import SessionTimer
from pyapp.protocol.names import check_session_name
from pyapp.protocol.wire import MessageError

TIMER = SessionTimer.PREPARE

PREPARE_AFTER = 0.3
"""Seconds after a keystroke in the field for the session's name: no other is likely to follow."""


@dataclass(slots=True)
class Prepared:
    """The socket that was opened in advance, if any."""

    socket: int = 0
    signaling: Literal["opening", "open", "closed"] = "closed"


@dataclass(slots=True)
class Preparation:
    """What is there by now, for `session`; `provisioning` has the ICE configuration."""

    provisioning: Provisioning
    sockets: int = 0
    """The number of the socket that was opened last, before Connect or after it."""
    session: str = ""
    """What was prepared for, or nothing."""
    _prepared: Prepared | None = field(init=False, default=None)
    _edited: str = field(init=False, default="")
    """The session for which Connect may be pressed next."""

    @property
    def is_there(self) -> bool:
        """Whether anything was asked for."""
        return self._prepared is not None

    def prepare(self, session: str) -> list[Output]:
        """Ask for what Connect will need for `session`, with a socket of its own."""
        try:
            check_session_name(session)
        except MessageError:
            return []
        self.sockets += 1
        self.session, self._prepared = session, Prepared(self.sockets, "opening")
        return [commands.OpenSignaling(self.sockets), *self.provisioning.prepare(session)]

    def edited(self, session: str) -> None:
        """Take another name, which may not be all of it yet."""
        self._edited = session

    def wait(self) -> list[Command]:
        """Begin to wait for the rest of the name."""
        return [commands.StartTimer(TIMER, PREPARE_AFTER)]

    def due(self) -> list[Output]:
        """Prepare for the name that was typed (timer `TIMER`), with the socket that is there."""
        before, is_new = self._prepared, self.session != self._edited
        if before and not is_new and self.provisioning.is_ahead_for(self._edited):
            return []
        result = self.prepare(self._edited)
        if result and before and before.signaling != "closed":
            self._prepared = before
            return [output for output in result if not isinstance(output, commands.OpenSignaling)]
        return result

    def again(self) -> list[Output]:
        """Ask for all of it anew: the network is another one."""
        return self.prepare(self.session)

    def opened(self, socket: int) -> None:
        """Take it that `socket` is open."""
        if self._prepared and socket == self._prepared.socket:
            self._prepared.signaling = "open"

    def closed(self, socket: int) -> None:
        """Take it that `socket` closed."""
        if self._prepared and socket == self._prepared.socket:
            self._prepared.signaling = "closed"

    def take(self) -> Prepared:
        """Hand over the socket: Connect was pressed."""
        prepared, self._prepared = self._prepared, None
        return prepared or Prepared()
