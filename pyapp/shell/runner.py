"""The runner: the only clocks and the only timers. One inbox, one consumer; it alone calls the core.

A callback of the browser emits an event and is done. If the consumer is idle it runs at once, on the same turn of the
browser's loop, so an event costs no trip through a scheduler; if it is busy the event waits its turn. Nothing else
touches the session.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from typing import Protocol, TypeVar, assert_never

from pyapp.core import commands, events
from pyapp.core.commands import Command, MediaCommand, OfPeer, ServerCommand
from pyapp.core.events import Event, Fault, Slept, TimerFired
from pyapp.core.session import Session
from pyapp.core.timers import Timer
from pyapp.view.console import Presenter, View

REHEARSED_AFTER = 0.3
"""Seconds after the start, in which the browser paints the first screen and the person may press Connect at once."""

SLEPT = 2.0
"""Seconds by which the wall's clock must run ahead of the other one between two events for the machine to have slept:
NTP, which slews by half a millisecond a second (RFC 5905, section 11.3), never comes to so much between two."""

C_contra = TypeVar("C_contra", contravariant=True)


class Performer(Protocol[C_contra]):
    """A shell that performs commands of one kind, and answers with events later."""

    def perform(self, command: C_contra) -> None:
        """Begin what `command` says; never wait for it."""


class Screen(Protocol):
    """The shell that shows a view, each time that it is another one."""

    def render(self, view: View) -> None:
        """Put `view` on the screen."""


class Runner:
    """Connects a session to its shells.

    `clock` gives seconds, and may stand still while the machine sleeps, as `performance.now()` does on macOS and Linux.
    `wall` gives Unix time in seconds: it does not, but is set now and then, and may be wrong, so that only what it
    gains on the other is used. `random` gives numbers from 0 up to 1, and `report` shows a developer an exception that
    nothing handled; the journal has it as well.
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
        """By how much the wall's clock was ahead of the other at the last event."""
        self._random = random
        self._inbox: deque[Event] = deque()
        self._busy = False
        self._presenter = Presenter()
        self._shown: View | None = None
        self._timers: dict[Timer, asyncio.TimerHandle] = {}

    def attach(
        self,
        *,
        server: Performer[ServerCommand],
        peers: Performer[OfPeer],
        media: Performer[MediaCommand],
        screen: Screen,
    ) -> None:
        """Attach the shells, which need `emit` to be built, and show the first view."""
        self._server = server
        self._peers = peers
        self._media = media
        self._screen = screen
        self._show()

    def emit(self, event: Event) -> None:
        """Put an event into the inbox; shells call it, from any callback."""
        self._inbox.append(event)
        if not self._busy:
            self._busy = True
            try:
                while self._inbox:
                    while self._inbox:
                        self._consume(self._inbox.popleft())
                    self._show()
            finally:
                self._busy = False

    def rehearse(self, steps: Iterator[object]) -> None:
        """Take one of `steps` at each turn of the loop from soon on, between events, until there is somebody else.

        Whoever pressed Connect at once, and waits, has time for it, too.
        """
        asyncio.get_running_loop().call_later(REHEARSED_AFTER, self._rehearse, steps)

    def fault(self, where: str, error: BaseException) -> None:
        """Take an exception that nothing handled: report it, and journal it."""
        self.emit(self._fault(where, error))

    def _rehearse(self, steps: Iterator[object]) -> None:
        state = self._shown.status.state if self._shown else ""
        if state == "connecting":  # perhaps to nobody
            self.rehearse(steps)
        elif state in ("ready", "waiting") and next(steps, None) is not None:
            asyncio.get_running_loop().call_soon(self._rehearse, steps)

    def _consume(self, event: Event) -> None:
        before, self._ahead = self._ahead, self._wall() - self._clock()
        if (seconds := self._ahead - before) >= SLEPT:
            self._answer(Slept(seconds))
        self._answer(event)

    def _answer(self, event: Event) -> None:
        for command in self._receive(event):
            try:
                self._perform(command)
            except Exception as error:  # noqa: BLE001 - one command that failed must not take the others with it
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
                | commands.AskAccess()
                | commands.IssueInvitation()
                | commands.ListInvitations()
                | commands.RevokeInvitation()
            ):
                self._server.perform(command)
            case OfPeer():
                self._peers.perform(command)
            case commands.StartMedia() | commands.StopMedia() | commands.LimitVideo():
                self._media.perform(command)
            case _:
                assert_never(command)

    def _start_timer(self, timer: Timer, after: float) -> None:
        if timer in self._timers:
            self._timers.pop(timer).cancel()
        self._timers[timer] = asyncio.get_running_loop().call_later(after, self._timer_fired, timer)

    def _timer_fired(self, timer: Timer) -> None:
        del self._timers[timer]
        self.emit(TimerFired(timer))

    def _show(self) -> None:
        view = self._presenter.present(self._session)
        if view is not self._shown:
            self._screen.render(view)
            self._shown = view  # not if that failed: then it is tried again with the next event


def _name_of(what: Command | Event) -> str:
    match what:
        case commands.OfPeer(_, content) | events.OfPeer(_, content):
            return type(content).__name__
    return type(what).__name__
