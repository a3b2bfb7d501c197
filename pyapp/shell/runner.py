"""The runner: the only clocks and the only timers. One inbox, one consumer; it alone calls the core.

A callback of the browser only emits an event. If the consumer is idle it runs at once, in the same turn of the
browser's event loop, so that an event needs no scheduler; if it is busy, the event is queued. Nothing else touches the
session.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from typing import Protocol, TypeVar, assert_never

from pyapp.core import commands, events
from pyapp.core.commands import Command, MediaCommand, OfPeer, ServerCommand, TabCommand
from pyapp.core.events import Event, Fault, LinkWanted, MessageSubmitted, Slept, TimerFired
from pyapp.core.session import Session
from pyapp.core.timers import Timer
from pyapp.view.console import Presenter, View
from pyapp.view.status import may_be_late, page_state

REHEARSED_AFTER = 0.3
"""Seconds after the start before the rehearsal: the browser paints the first screen, and the person may press
Connect."""

DEFERRED_FOR = 0.3
"""Seconds by which a pressed Connect puts off what the page does once it is ready: a path on a LAN is open before
that."""

DRAWN_AFTER = 0.1
"""Seconds by which a view may be late while connecting, and while nothing arrives in an outage. Laying the page out
takes longer than making an answer, and would come before it; a person takes up to 0.1 s for at once."""

SLEPT = 2.0
"""Seconds that the wall clock must gain on the runner's between two events for the machine to have slept: NTP slews by
half a millisecond a second (RFC 5905, section 11.3), which never adds up to so much."""

C_contra = TypeVar("C_contra", contravariant=True)


class Performer(Protocol[C_contra]):
    """A shell that performs commands of one kind, and answers with events later."""

    def perform(self, command: C_contra) -> None:
        """Start `command`; never wait for it."""


class Screen(Protocol):
    """The shell that shows each new view."""

    def render(self, view: View) -> None:
        """Put `view` on the screen."""


class Runner:
    """Connects a session to its shells.

    `clock` gives seconds, and may stand still while the machine sleeps, as `performance.now()` does on macOS and Linux.
    `wall` gives Unix time in seconds: it does not stand still, but may be wrong or be set, so that only its gain on
    `clock` is used. `random` gives numbers from 0 up to 1. `report` shows a developer an unhandled exception, which the
    journal has as well.
    """

    def __init__(
        self,
        session: Session,
        *,
        clock: Callable[[], float],
        wall: Callable[[], float],
        random: Callable[[], float],
        report: Callable[[BaseException], None],
    ) -> None:
        self._session = session
        self._report = report
        self._clock = clock
        self._wall = wall
        self._ahead = wall() - clock()
        """How far the wall clock was ahead of the runner's at the last event."""
        self._random = random
        self._inbox: deque[Event] = deque()
        self._busy = False
        self._presenter = Presenter()
        self._shown: View | None = None
        self._drawing: asyncio.TimerHandle | None = None
        """Of a view that is late."""
        self._timers: dict[Timer, asyncio.TimerHandle] = {}

    def attach(
        self,
        *,
        server: Performer[ServerCommand],
        peers: Performer[OfPeer],
        media: Performer[MediaCommand],
        tabs: Performer[TabCommand],
        screen: Screen,
    ) -> None:
        """Attach the shells, which need `emit` to be built, and show the first view."""
        self._server = server
        self._peers = peers
        self._media = media
        self._tabs = tabs
        self._screen = screen
        self._draw()

    def emit(self, event: Event) -> None:
        """Put an event into the inbox; shells may call it from any callback."""
        self._inbox.append(event)
        if not self._busy:
            # The panel reads the answer back when this returns: whether the text was refused, or what the link is.
            is_read_back = isinstance(event, MessageSubmitted | LinkWanted)
            self._work(self._draw if is_read_back else self._show)

    def rehearse(self, steps: Iterator[object]) -> None:
        """Soon, run one of `steps` per turn of the event loop, between events, until a peer arrives.

        There is also time for it while the person has connected and is waiting.
        """
        asyncio.get_running_loop().call_later(REHEARSED_AFTER, self._rehearse, steps)

    def defer(self, work: Callable[[], None]) -> None:
        """Do `work` in the next turn of the event loop, or after `DEFERRED_FOR` if Connect has been pressed by then."""
        asyncio.get_running_loop().call_soon(self._deferred, work)

    def fault(self, where: str, error: BaseException) -> None:
        """Report and journal an unhandled exception."""
        self.emit(self._fault(where, error))

    def _rehearse(self, steps: Iterator[object]) -> None:
        state = page_state(self._session)
        if state == "connecting":  # perhaps to nobody
            self.rehearse(steps)
        elif state in ("ready", "waiting") and next(steps, None) is not None:
            asyncio.get_running_loop().call_soon(self._rehearse, steps)

    def _deferred(self, work: Callable[[], None]) -> None:
        if page_state(self._session) == "connecting":
            asyncio.get_running_loop().call_later(DEFERRED_FOR, work)
        else:
            work()

    def _consume(self, event: Event) -> None:
        before, self._ahead = self._ahead, self._wall() - self._clock()
        if (seconds := self._ahead - before) >= SLEPT:
            self._answer(Slept(seconds))
        self._answer(event)

    def _answer(self, event: Event) -> None:
        for command in self._receive(event):
            try:
                self._perform(command)
            except Exception as error:  # noqa: BLE001 - one failed command must not prevent the others
                self._inbox.append(self._fault(_name_of(command), error))

    def _receive(self, event: Event) -> list[Command]:
        try:
            return self._session.receive(event, self._clock())
        except Exception as error:
            if isinstance(event, Fault):
                raise
            self._inbox.append(self._fault(_name_of(event), error))
            return []

    def _fault(self, where: str, error: BaseException) -> Fault:
        self._report(error)
        return Fault(where, f"{type(error).__name__}: {error}")

    def _perform(self, command: Command) -> None:
        match command:
            case commands.StartTimer(timer, after, spread, only_if_idle):
                if not (only_if_idle and timer in self._timers):
                    self._start_timer(timer, after + spread * self._random())
            case commands.CancelTimer(timer):
                if timer in self._timers:
                    self._timers.pop(timer).cancel()
            case commands.ReportFault(where, error):
                self._inbox.append(self._fault(where, error))
            case (
                commands.FetchIceConfiguration()
                | commands.OpenSignaling()
                | commands.CloseSignaling()
                | commands.SendSignaling()
                | commands.AskHealth()
                | commands.GiveUpPlace()
                | commands.AskAccess()
                | commands.IssueInvitation()
                | commands.ListInvitations()
                | commands.RevokeInvitation()
                | commands.AskCheckServers()
                | commands.TryWebSocket()
                | commands.GiveUpWebSocket()
                | commands.KeepCheckReport()
            ):
                self._server.perform(command)
            case OfPeer():
                self._peers.perform(command)
            case commands.StartMedia() | commands.StopMedia() | commands.LimitVideo():
                self._media.perform(command)
            case commands.TabIsIn() | commands.TabIsOut() | commands.TakePlace() | commands.GivePlace():
                self._tabs.perform(command)
            case _:
                assert_never(command)

    def _start_timer(self, timer: Timer, after: float) -> None:
        if timer in self._timers:
            self._timers.pop(timer).cancel()
        self._timers[timer] = asyncio.get_running_loop().call_later(after, self._timer_fired, timer)

    def _timer_fired(self, timer: Timer) -> None:
        del self._timers[timer]
        self.emit(TimerFired(timer))

    def _work(self, show: Callable[[], None]) -> None:
        """Handle what is in the inbox, and show what came of it."""
        self._busy = True
        try:
            while True:
                while self._inbox:
                    self._consume(self._inbox.popleft())
                show()
                if not self._inbox:
                    return
        finally:
            self._busy = False

    def _show(self) -> None:
        """Draw what has changed, a little later if that may be."""
        if not may_be_late(self._session):
            self._draw()
        elif self._drawing is None:
            self._drawing = asyncio.get_running_loop().call_later(DRAWN_AFTER, self._work, self._draw)

    def _draw(self) -> None:
        if self._drawing is not None:
            self._drawing.cancel()
            self._drawing = None
        view = self._presenter.present(self._session)
        if view is not self._shown:
            self._screen.render(view)
            self._shown = view  # not if rendering failed: then the next event tries again


def _name_of(what: Command | Event) -> str:
    match what:
        case commands.OfPeer(_, content) | events.OfPeer(_, content):
            return type(content).__name__
    return type(what).__name__
