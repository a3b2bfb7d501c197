"""What happens to the network of the simulated world, and to the server."""

from dataclasses import dataclass, field
from functools import partial
from typing import Literal

from backend.ice.ice_servers import ConfiguredServer
from pyapp.core import events
from tests.unit.pyapp.world.ground import Ground
from tests.unit.pyapp.world.server import Signaling


@dataclass
class Network(Ground):
    """`relays` and `standby` are what the server is configured with."""

    relays: tuple[ConfiguredServer, ...] = ()
    standby: bool = False
    signaling: Signaling = field(init=False)

    def __post_init__(self) -> None:
        self.signaling = Signaling(self, self.relays, self.standby)

    def move(self, name: str, *, tells: bool = True) -> None:
        """Give a page another address: its sockets are dead, and its browser `tells` of it, twice."""
        page = self.pages[name]
        self.signaling.lose(page)
        page.moved_at = self.now
        if tells:
            kinds: list[Literal["offline", "online"]] = ["offline", "online"]
            for kind in kinds:
                self.after(0.005, partial(self.receive, page, events.NetworkChanged(kind, certain=True)))
            self.after(0.009, partial(self.receive, page, events.NetworkChanged("change", certain=True)))

    def reroute(self, name: str) -> None:
        """Change the route to a page: nobody tells, and its sockets still receive, but no longer send."""
        page = self.pages[name]
        page.moved_at = self.now
        page.is_mute_to_server |= set(page.sockets.all)

    def mute(self, name: str) -> None:
        """Let nothing arrive of what a page sends over the paths that there are."""
        self.pages[name].muted_at = self.now

    def unplug(self, name: str) -> None:
        """Take a page's uplink away; nobody tells."""
        page = self.pages[name]
        page.is_online = False
        self.signaling.lose(page)

    def plug(self, name: str, *, tells: bool = False, moved: bool = False) -> None:
        """Give it back, with another address if it `moved`."""
        page = self.pages[name]
        page.is_online = True
        if moved:
            page.moved_at = self.now
        if tells:
            self.receive(page, events.NetworkChanged("online", certain=True))

    def kill_socket(self, name: str) -> None:
        self.signaling.lose(self.pages[name])

    def close_socket(self, name: str) -> None:
        """Cut a page's socket, so that both ends are told."""
        self.signaling.cut(self.pages[name])

    def restart_server(self, down: float = 0.5) -> None:
        self.signaling.restart(down)
