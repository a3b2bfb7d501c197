"""What all parts of the simulated world stand on: time, chance, the two pages, and the network between them."""

import random
from abc import abstractmethod
from dataclasses import dataclass, field

from pyapp.core.events import Event
from pyapp.protocol.ice import parse_ice_url
from tests.unit.pyapp.world.clock import Clock
from tests.unit.pyapp.world.page import Page


@dataclass
class Ground(Clock):
    """`delay` is seconds one way, between the pages and to the server; `jitter` is added at random."""

    choose: random.Random = field(default_factory=lambda: random.Random(0))
    delay: float = 0.001
    jitter: float = 0.0
    loss: float = 0.0
    is_direct: bool = True
    """Whether the two can reach each other without a relay."""
    dead_relays: set[str] = field(default_factory=set)
    """Their hosts."""
    pages: dict[str, Page] = field(init=False)

    @abstractmethod
    def receive(self, page: Page, event: Event) -> None:
        """Let a page's session receive an event, and its browser do what it answers."""

    @property
    def a(self) -> Page:
        return self.pages["a"]

    @property
    def b(self) -> Page:
        return self.pages["b"]

    def other(self, page: Page) -> Page:
        return self.b if page is self.a else self.a

    def trip(self) -> float:
        return self.delay + self.jitter * self.choose.random()

    def moment(self) -> float:
        """Return the seconds that a step inside a browser takes."""
        return self.choose.uniform(0.0002, 0.003)

    def opening(self) -> float:
        """Return the seconds until a data channel is open on a path that works."""
        return self.choose.choice([1, 2]) * self.trip() + 0.002

    def is_lost(self) -> bool:
        """Return whether a packet that is sent now gets lost, as `loss` of them do."""
        return self.choose.random() < self.loss

    def is_dead(self, relay: str) -> bool:
        """Return whether the relay of a URL is dead."""
        return parse_ice_url(relay).host in self.dead_relays

    def words(self) -> str:
        result = []
        for page in self.pages.values():
            lines = [f"{line.at / 1000:.3f} {line.mark} {line.text}" for line in page.session.journal.lines]
            shown = [line for line in lines if "candidate" not in line and "path=" not in line][:60]
            result += [f"\n{page.name}: {page.state} {sorted(page.timers)}", *reversed(shown)]
        return "\n".join(result)
