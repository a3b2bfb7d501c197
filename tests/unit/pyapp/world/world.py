"""Two sessions, their browsers, a server and the networks between them, in simulated time.

Everything takes a little while, drawn at random, so that each run is another order of events; nothing sleeps.
"""

from dataclasses import dataclass, field

from pyapp.core import commands, events, provisioning
from pyapp.core.commands import Command
from pyapp.core.diagnostics import journal
from pyapp.core.events import Event
from pyapp.core.path import recovery, standby
from pyapp.core.path.observation import STATS
from pyapp.core.path.relays import DIRECT, RELEASE
from pyapp.core.path.replacement import RENEW
from pyapp.core.session import Session
from pyapp.core.signaling import link
from pyapp.core.timers import Timer
from pyapp.protocol.ice import username_fragments
from tests.unit.pyapp.fakes import Sockets
from tests.unit.pyapp.world.network import Network
from tests.unit.pyapp.world.page import Page
from tests.unit.pyapp.world.paths import Paths
from tests.unit.pyapp.world.spares import Spares

A, B, C = "a" * 32, "b" * 32, "c" * 32

CONSTANT_TIMERS = {
    *(STATS, journal.TIMER, provisioning.RENEW, DIRECT, RELEASE, RENEW),
    *(recovery.BEAT, recovery.SILENCE, link.PING, standby.TIMER),
}
"""Timers that are armed although nothing is amiss."""


@dataclass
class World(Network):
    """The two pages, and what their people do."""

    paths: Paths = field(init=False)
    spares: Spares = field(init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.paths, self.spares = Paths(self), Spares(self)
        self.pages = {name: self._page(name, participant) for name, participant in (("a", A), ("b", B))}
        self._watch()

    def _page(self, name: str, participant: str) -> Page:
        return Page(name, Session(participant, key=name * 32, time_origin=0.0), Sockets(self.signaling.server))

    def _watch(self) -> None:
        """Let browsers and server notice what became of the network."""
        for page in self.pages.values():
            self.paths.watch(page)
            self.spares.watch(page)
        self.signaling.watch()
        self.after(0.5, self._watch)

    # The person.

    def connect(self, *names: str) -> None:
        for name in names:
            self.receive(self.pages[name], events.ConnectRequested("demo"))

    def connected(self) -> "World":
        self.connect("a", "b")
        self.rest()
        return self

    def say(self, name: str) -> None:
        page = self.pages[name]
        page.said.append(f"{name} {len(page.said)}")
        self.receive(page, events.MessageSubmitted(page.said[-1]))

    def reload(self, name: str, participant: str = C) -> Page:
        """Replace a page by a fresh one, as the person's reload does."""
        page = self.pages[name]
        self.receive(page, events.PageClosing())
        assert page.timers == {}
        other = self.other(page)
        other.heard_before += len(other.heard)
        self.pages[name] = self._page(name, participant)
        self.pages[name].connections = 100
        return self.pages[name]

    # The browsers.

    def receive(self, page: Page, event: Event) -> None:
        before = len(page.heard)
        for command in page.session.receive(event, self.now):
            self._perform(page, command)
        page.heard_at += [self.now] * (len(page.heard) - before)
        assert page.pc is None or page.pc.failures == [], self.words()
        self.paths.drive(page)

    def _perform(self, page: Page, command: Command) -> None:
        match command:
            case commands.StartTimer(name, after, spread, only_if_idle):
                if not (only_if_idle and name in page.timers):
                    self._start_timer(page, name, after + spread * self.choose.random())
            case commands.CancelTimer(name):
                page.timers.pop(name, None)
            case commands.FetchIceConfiguration(number, _, avoid):
                self.signaling.fetch(page, number, avoid)
            case commands.OpenSignaling(socket):
                self.signaling.open(page, socket)
            case commands.CloseSignaling():
                self.signaling.close(page)
            case commands.SendSignaling(message):
                self.signaling.send(page, message)
            case commands.LimitVideo():
                pass  # there is no video here
            case commands.TabIsIn() | commands.TabIsOut() | commands.AskHealth() | commands.GiveUpPlace():
                pass  # each page has a browser to itself, and what HTTP says is only for the person
            case commands.OfPeer(peer, commands.CreatePeer(_, standby.CHANNELS) as create):
                self.spares.make(page, peer, create)
            case commands.OfPeer(peer, commands.CreatePeer() as create):
                self.paths.make(page, peer, create)
            case commands.OfPeer(peer, to_spare) if page.spare and page.spare.id == peer:
                self.spares.perform(page, page.spare, to_spare)
            case commands.OfPeer(peer, to_peer):
                assert page.pc is not None, command
                assert page.pc.peer == peer, command
                self.paths.perform(page, page.pc, to_peer)
            case commands.ReportFault(_, error):
                raise error
            case (
                commands.StartMedia()
                | commands.StopMedia()
                | commands.AskAccess()
                | commands.IssueInvitation()
                | commands.ListInvitations()
                | commands.RevokeInvitation()
                | commands.TakePlace()
                | commands.GivePlace()
            ):
                raise AssertionError(command)

    def _start_timer(self, page: Page, name: Timer, after: float) -> None:
        def fire() -> None:
            if page.timers.get(name) == at:
                del page.timers[name]
                self.receive(page, events.TimerFired(name))

        at = page.timers[name] = self.after(after, fire)

    # The end.

    def is_calm(self) -> bool:
        """Return whether nothing is left to be done."""
        return all(
            page.state == "connected"
            and page.session.connection is not None
            and page.health.is_healthy
            and page.session.connection.negotiation.state == "stable"
            and page.heard == self.other(page).said
            and all(message.delivered for message in page.session.conversation.messages if message.mine)
            and page.pc is not None
            and page.pc.path == page.pc.own_path()
            and page.timers.keys() <= CONSTANT_TIMERS
            for page in self.pages.values()
        )

    def rest(self, *, most: float = 90.0) -> float:
        """Run until everything is well and stays so for a while; return when it was, in seconds from now."""
        start = self.now
        while True:
            calm_at = self.now
            while self.is_calm():
                if self.now - calm_at >= 1.5:
                    return calm_at - start
                self.run(0.25)
            self.run(0.25)
            assert self.now - start < most, f"no rest: {self.words()}"

    def check(self, *, connections: int = 1) -> None:
        """Assert that nothing was lost or came twice, and that the two agree on one ICE generation."""
        for page in self.pages.values():
            other = self.other(page)
            assert page.state == "connected", self.words()
            assert page.heard == other.said, self.words()
            assert page.session.faults == 0
            assert page.pc is not None
            assert other.pc is not None
            assert username_fragments(page.pc.current_local) == username_fragments(other.pc.current_remote)
            assert not page.pc.restart_wanted
            assert page.timers.keys() <= CONSTANT_TIMERS
            assert page.connections <= connections, self.words()
        generations = {
            page.session.connection.negotiation.ice_generation
            for page in self.pages.values()
            if page.session.connection
        }
        assert len(generations) == 1, self.words()
