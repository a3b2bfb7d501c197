"""Requests made before Connect is pressed: a socket that is open by then, and an ICE configuration.

The socket serves any session, the configuration only the one it was requested for. Connect repeats a refused request,
and only then is the person told.
"""

from dataclasses import dataclass, field
from typing import Literal

from pyapp.core import commands
from pyapp.core.commands import Command
from pyapp.core.provisioning import Provisioning
from pyapp.core.timers import SessionTimer
from pyapp.protocol.names import check_session_name
from pyapp.protocol.wire import MessageError

TIMER = SessionTimer.PREPARE

PREPARE_AFTER = 0.3
"""Seconds after a keystroke in the session name field after which another one is unlikely."""


@dataclass(slots=True)
class Prepared:
    """The socket that was opened in advance, if any."""

    socket: int = 0
    signaling: Literal["opening", "open", "closed"] = "closed"


@dataclass(slots=True)
class Preparation:
    """What is prepared for `session`; `provisioning` has the ICE configuration."""

    provisioning: Provisioning
    sockets: int = 0
    """The number of the last socket opened, before or after Connect."""
    session: str = ""
    """The session prepared for, or empty."""
    _prepared: Prepared | None = field(init=False, default=None)
    _edited: str = field(init=False, default="")
    """The session for which Connect may be pressed next."""

    @property
    def is_there(self) -> bool:
        """Whether anything was requested."""
        return self._prepared is not None

    def prepare(self, session: str) -> list[Command]:
        """Request what Connect will need for `session`, including a new socket."""
        try:
            check_session_name(session)
        except MessageError:
            return []
        self.sockets += 1
        self.session, self._prepared = session, Prepared(self.sockets, "opening")
        return [commands.OpenSignaling(self.sockets), *self.provisioning.prepare(session)]

    def edited(self, session: str) -> None:
        """Take another session name, which may be incomplete."""
        self._edited = session

    def wait(self) -> list[Command]:
        """Wait for the rest of the name."""
        return [commands.StartTimer(TIMER, PREPARE_AFTER)]

    def due(self) -> list[Command]:
        """Prepare for the name that was typed (timer `TIMER`), reusing the socket."""
        before, is_new = self._prepared, self.session != self._edited
        if before and not is_new and self.provisioning.is_ahead_for(self._edited):
            return []
        result = self.prepare(self._edited)
        if result and before and before.signaling != "closed":
            self._prepared = before
            return [output for output in result if not isinstance(output, commands.OpenSignaling)]
        return result

    def again(self) -> list[Command]:
        """Request everything again: the network has changed."""
        return self.prepare(self.session)

    def opened(self, socket: int) -> None:
        """Record that `socket` is open."""
        if self._prepared and socket == self._prepared.socket:
            self._prepared.signaling = "open"

    def closed(self, socket: int) -> None:
        """Record that `socket` has closed."""
        if self._prepared and socket == self._prepared.socket:
            self._prepared.signaling = "closed"

    def take(self) -> Prepared:
        """Hand over the socket: Connect was pressed."""
        prepared, self._prepared = self._prepared, None
        return prepared or Prepared()
