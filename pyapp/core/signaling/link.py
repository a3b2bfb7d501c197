"""The link to the server: the socket in use, and a second one that is opened beside it when the first may be dead.

    away     --a socket opens, and the join goes out-->      joining
    joining  --the server's welcome-->                       present
    any      --the socket in use closes-->                   away: another one after a pause
    any      --the server refuses for good-->                refused

A socket can die silently with its network. So the server is asked for signs of life, and another socket is opened
beside one that gives none. Sockets are identified by their numbers. If a new socket is refused or lost while it is
being opened, that does not discredit the one in use, which is only asked for a sign of life.
"""

import math
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, assert_never

from pyapp.core import commands
from pyapp.core.commands import Command
from pyapp.core.events import Obstacle
from pyapp.core.timers import LinkTimer
from pyapp.protocol.signaling import Ping

RETRY, OPENING, PING = LinkTimer.RETRY, LinkTimer.OPENING, LinkTimer.PING
TIMERS = tuple(LinkTimer)

PING_EVERY = 5.0
"""Seconds between two signs of life of the server: a dead socket is replaced after at most two intervals."""

FIRST_PATIENCE, LAST_PATIENCE = 0.25, 4.0
"""Seconds that a new socket may take, plus some round trips: we do not wait for TCP's retransmissions."""

ADOPTED_PATIENCE = 1.0
"""The same for a socket that was opened in advance."""

DOUBT_FOR = 0.05
"""Seconds that the server has for an answer while the path is in doubt, plus the round trip of the join, which is a
long one."""

DISPELLED_FOR = 2.0
"""Seconds for which an answer of the server's proves that the socket works."""

NETWORK_CLOSED = 1006
"""The close code without a close frame (RFC 6455, section 7.1.5): more often caused by our network than by the
server."""

AT_ONCE = 0.02
"""Seconds before replacing a socket that the network closed."""

FIRST_RETRY, LAST_RETRY = 0.15, 8.0
"""Seconds before the next socket is tried, doubling from the first to the last."""

CLUES_AFTER = 3
"""Sockets in a row that do not open before HTTP is tried; one is enough if there was never a welcome."""

State: TypeAlias = Literal["away", "joining", "present", "refused"]


@dataclass(slots=True)
class Link:
    """Our sockets at the server. Times are seconds."""

    sockets: int = 0
    """The number of the last socket opened."""
    state: State = "away"
    """The state of the socket in use."""
    socket: int = 0
    """The number of the socket in use, 0 for none."""
    opening: int = 0
    """The number of the socket that is being opened, 0 for none."""
    heard_at: float = -1.0
    """When the server was last heard."""
    problem: str = ""
    """Why the last socket closed, or empty."""
    obstacle: Obstacle | None = None
    """What keeps sockets from opening, once HTTP has given a clue."""
    _unopened: int = field(init=False, default=0)
    """Sockets in a row that did not open."""
    was_welcome: bool = field(init=False, default=False)
    """Whether the server has ever let us in."""
    round_trip: float = 0.0
    """The last time from our join to the server's welcome."""
    _patience: float = field(init=False, default=LAST_PATIENCE)
    _joined_at: float = field(init=False, default=0.0)
    _is_unanswered: bool = field(init=False, default=False)
    _asked_at: float = field(init=False, default=-math.inf)
    """When the server was last asked for a sign of life because of a doubt."""
    _retry_after: float = field(init=False, default=FIRST_RETRY)

    @property
    def is_out_of_reach(self) -> bool:
        """Whether the server gives no sign of life, neither on the socket in use nor on a new one."""
        is_doubtful = self.state == "present" and self._is_unanswered and bool(self.problem)
        return is_doubtful or (self.state == "away" and not self.opening)

    @property
    def is_heard(self) -> bool:
        """Whether the server reads what is sent now, as far as we know: it handles a join in flight first."""
        return self.state in ("joining", "present")

    @property
    def is_doubtful(self) -> bool:
        """Whether the socket in use, if there is one, may be dead: it owes an answer, or is being replaced."""
        return self.state in ("away", "joining") or (
            self.state == "present" and (bool(self.opening) or self._is_unanswered)
        )

    def due(self, timer: LinkTimer) -> list[Command]:
        """Do what the timer was set for."""
        match timer:
            case LinkTimer.RETRY:
                return self.open()
            case LinkTimer.OPENING:
                # Only what was late gets more time: what fails at once, as without a network, says nothing of it.
                self._patience = min(self._patience * 1.5, LAST_PATIENCE)
                return self.open()
            case LinkTimer.PING:
                return self.check()
            case _:
                assert_never(timer)

    def open(self) -> list[Command]:
        """Open a socket beside the one in use, which may have died silently."""
        if self.state == "refused":
            return []
        clue = self._did_not_open() if self.opening else []
        self.sockets += 1
        return [commands.CancelTimer(RETRY), commands.OpenSignaling(self.sockets), *self.begun(self.sockets), *clue]

    def begun(self, socket: int) -> list[Command]:
        """Start the deadline of `socket`, which is being opened."""
        self.opening = socket
        return [commands.StartTimer(OPENING, self._patience)]

    def adopt(self) -> None:
        """Set the deadline of a socket that was opened in advance, and may have died since."""
        self._patience = ADOPTED_PATIENCE

    def reopen(self) -> list[Command]:
        """Open a socket because something has changed, and reset the pauses."""
        self._retry_after = FIRST_RETRY
        return self.open()

    def check(self) -> list[Command]:
        """Ask the server for a sign of life (timer `PING`), or replace the socket that gave none."""
        if self.state != "present":
            return []
        if self._is_unanswered and not self.opening:  # the one that is being opened has a deadline of its own
            self._is_unanswered = False
            return [*self.open(), commands.StartTimer(PING, PING_EVERY)]
        return self._ask(PING_EVERY)

    def doubt(self, now: float) -> list[Command]:
        """Check whether our socket still works, before it is needed."""
        if self.state != "present" or self.opening:
            return []
        self._asked_at = now
        return self._ask(DOUBT_FOR + self.round_trip)

    def suspect(self) -> list[Command]:
        """Check whether our socket still sends: after a change of the route it may only receive."""
        if self.state != "present" or self.opening:
            return []
        return self._ask(FIRST_PATIENCE + 4 * self.round_trip)

    def reassured(self) -> list[Command]:
        """Give the server its usual time to answer again: the doubt is over."""
        if self.state != "present" or self.opening or not self._is_unanswered:
            return []
        return [commands.StartTimer(PING, PING_EVERY)]

    def is_answering(self, now: float) -> bool:
        """Return whether the server has just dispelled a doubt."""
        is_recent = now - self._asked_at < DISPELLED_FOR
        return self.state == "present" and not self._is_unanswered and is_recent and self.heard_at > self._asked_at

    def opened(self, socket: int, now: float) -> list[Command] | None:
        """Use `socket`, on which we now join, instead of the old one; None if it must not be used.

        The browser has closed the old one.
        """
        if self.state == "refused":
            return None
        self.state = "joining"
        self.socket, self.opening = socket, 0
        self._joined_at = now
        self._unopened = 0
        # The opening deadline goes on; a socket that was opened in advance has none yet.
        return [commands.StartTimer(OPENING, self._patience, only_if_idle=True)]

    def closed(self, socket: int, code: int, reason: str) -> list[Command]:
        """Go on without `socket`, which has closed, or never opened."""
        if self.state == "refused" or socket not in (self.socket, self.opening):
            return []
        self.problem = f"WebSocket closed with {code}{f': {reason}' if reason else ''}"
        if socket != self.opening:
            was_present, self.state, self.socket = self.state == "present", "away", 0
            self._is_unanswered = False
            stopped = [commands.CancelTimer(PING)]
            if self.opening:
                return [*stopped]  # the one that is being opened has a deadline of its own
            pause = AT_ONCE if was_present and code == NETWORK_CLOSED else self._next_pause()
            return [commands.CancelTimer(OPENING), *stopped, commands.StartTimer(RETRY, pause, spread=pause / 2)]
        self.opening = 0
        pause = self._next_pause()
        deadline = commands.CancelTimer(OPENING)
        match self.state:
            case "present":
                return [deadline, *self._ask(pause + self.round_trip)]
            case "joining":
                return [commands.StartTimer(OPENING, self._patience)]  # its welcome is still awaited
        return [deadline, *self._did_not_open(), commands.StartTimer(RETRY, pause, spread=pause / 2)]

    def _did_not_open(self) -> list[Command]:
        """Ask HTTP for a clue when no socket opens: the server may be down, or something may be in the way."""
        self._unopened += 1
        is_due = self.state == "away" and self._unopened >= (CLUES_AFTER if self.was_welcome else 1)
        return [commands.AskHealth()] if is_due else []

    def heard(self, now: float) -> None:
        """Count any message as a sign of life."""
        self.heard_at = now

    def answered(self) -> list[Command]:
        """Handle the requested sign of life."""
        if not self._is_unanswered:
            return []
        self._is_unanswered = False
        self.problem = ""
        return [commands.StartTimer(PING, PING_EVERY)]

    def welcomed(self, now: float) -> list[Command]:
        """Handle the server's welcome."""
        self.state = "present"
        self._is_unanswered = False
        self.round_trip = now - self._joined_at
        self._patience = FIRST_PATIENCE + 4 * self.round_trip
        self.problem = ""
        self.obstacle, self._unopened, self.was_welcome = None, 0, True
        self._retry_after = FIRST_RETRY
        # A newer socket keeps its deadline.
        deadline: list[Command] = [] if self.opening else [commands.CancelTimer(OPENING)]
        return [*deadline, commands.StartTimer(PING, PING_EVERY)]

    def end(self, *, refused: bool = False) -> list[Command]:
        """Close everything; if `refused`, for good."""
        self.state = "refused" if refused else "away"
        self.socket = self.opening = 0
        return [*(commands.CancelTimer(name) for name in TIMERS), commands.CloseSignaling()]

    def _ask(self, patience: float) -> list[Command]:
        self._is_unanswered = True
        return [commands.SendSignaling(Ping(0)), commands.StartTimer(PING, patience)]

    def _next_pause(self) -> float:
        pause, self._retry_after = self._retry_after, min(self._retry_after * 2, LAST_RETRY)
        return pause
