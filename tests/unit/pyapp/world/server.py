"""The server of the simulated world, and the sockets to it."""

from dataclasses import dataclass, field
from functools import partial

from backend.ice.choosing import ice_configuration
from backend.ice.ice_servers import ConfiguredServer
from pyapp.core import events
from pyapp.protocol.signaling import ClientMessage
from tests.unit.pyapp.fakes import FakeServer, Line
from tests.unit.pyapp.world.ground import Ground
from tests.unit.pyapp.world.page import Page

NOTICES_AFTER = 6.0
"""Seconds after which the server takes a socket for dead."""


@dataclass
class Signaling:
    """What is sent over sockets takes a trip; what dies with the network, the server notices later."""

    world: Ground
    relays: tuple[ConfiguredServer, ...]
    standby: bool
    server: FakeServer = field(default_factory=FakeServer)
    is_up: bool = True
    asked: list[tuple[str, ...]] = field(default_factory=list)
    """Relays that `GET /ice` was asked to avoid."""
    _scheduled: dict[int, int] = field(default_factory=dict)

    # What the page does.

    def open(self, page: Page, socket: int) -> None:
        line = page.sockets.open(socket)
        if not page.is_online:
            line.cut, line.is_told = True, False
            self.world.after(NOTICES_AFTER, partial(self.notice, line))
        elif not self.is_up:
            line.cut = True
            self.world.after(2 * self.world.trip(), partial(self.gone, page, line))
        else:
            self.world.after(4 * self.world.trip(), partial(self._opened, page, line))
        self.pump()

    def _opened(self, page: Page, line: Line) -> None:
        if page.sockets.opening is not line or line.cut:
            return
        if old := page.sockets.line:
            self.world.after(self.world.trip(), partial(self.notice, old))
        page.sockets.opened()
        self.world.receive(page, events.SignalingOpened(line.socket))

    def gone(self, page: Page, line: Line) -> None:
        """Let a page hear of the end of a socket."""
        if line in (page.sockets.line, page.sockets.opening):
            page.sockets.closed(line)
            self.world.receive(page, events.SignalingClosed(line.socket, 1006, ""))

    def notice(self, line: Line) -> None:
        if line.number in self.server.lines:
            self.server.now = self.world.now
            while line.up and line.hung_up and not line.cut:
                self.server.take(line)  # the end of a connection comes after what was sent on it
            self.server.notice(line)
            self.pump()

    def _take(self, line: Line) -> None:
        if line.up and line.number in self.server.lines:
            self.server.take(line)
            self.pump()

    def pump(self) -> None:
        """Send on what the server said."""
        for line in list(self.server.lines.values()):
            while self._scheduled.get(line.number, 0) < len(line.down):
                self._scheduled[line.number] = self._scheduled.get(line.number, 0) + 1
                self.world.after(self.world.trip(), partial(self._deliver, line))
            if line.closing and not line.cut:
                for page in self.world.pages.values():
                    self.world.after(2 * self.world.trip(), partial(self.gone, page, line))
                self.world.after(2 * self.world.trip(), partial(self.notice, line))

    def _deliver(self, line: Line) -> None:
        self._scheduled[line.number] -= 1
        if not line.down:
            return
        message = line.receive()
        for page in list(self.world.pages.values()):
            if page.sockets.line is line and page.is_online:
                self.world.receive(page, events.SignalingReceived(line.socket, message))

    def fetch(self, page: Page, number: int, avoid: tuple[str, ...]) -> None:
        self.asked.append(avoid)
        if page.is_online and self.is_up:
            answer = ice_configuration(self.relays, name="demo", now=self.world.now, avoid=avoid, standby=self.standby)
            event: events.Event = events.IceConfigurationReceived(number, answer)
            self.world.after(2 * self.world.trip() + 0.005, lambda: self.world.receive(page, event))
        else:
            event = events.IceConfigurationFailed(number, "", "Failed to fetch")
            self.world.after(2.0, lambda: self.world.receive(page, event))

    def send(self, page: Page, message: ClientMessage) -> None:
        line = page.sockets.line
        page.sockets.send(message)
        if line is not None and line in page.is_mute_to_server:
            line.up.clear()
        elif line is not None and page.is_online:
            self.world.after(self.world.trip(), partial(self._take, line))

    def close(self, page: Page) -> None:
        for line in page.sockets.all:
            self.world.after(2 * self.world.trip(), partial(self.notice, line))
        page.sockets.close()

    # What becomes of the sockets.

    def lose(self, page: Page) -> None:
        """Let a page's sockets die with its network."""
        for line in page.sockets.all:
            if not line.cut:
                line.cut, line.is_told = True, False
                line.up.clear()
                line.down.clear()
                self.world.after(NOTICES_AFTER, partial(self.notice, line))

    def cut(self, page: Page) -> None:
        """Cut a page's sockets, so that both ends are told."""
        for line in page.sockets.all:
            line.cut = True
            line.up.clear()
            self.world.after(self.world.trip(), partial(self.gone, page, line))
            self.world.after(self.world.trip(), partial(self.notice, line))

    def restart(self, down: float) -> None:
        for page in self.world.pages.values():
            for line in page.sockets.all:
                self.world.after(self.world.trip(), partial(self.gone, page, line))
        self.server.restart()
        self.is_up = False

        def up() -> None:
            self.is_up = True

        self.world.after(down, up)

    def watch(self) -> None:
        """Let the server notice that time has passed."""
        self.server.now = self.world.now
        self.server.pass_time(0.0)
        self.pump()
