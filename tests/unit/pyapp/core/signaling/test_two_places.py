"""Two places in a session, joined by the server's own rooms, with sockets that drop at any moment."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from pyapp.core import commands
from pyapp.core.signaling.link import OPENING, PING
from pyapp.core.signaling.rendezvous import (
    AWAITED,
    TIMERS,
    Joined,
    Output,
    PeerArrived,
    PeerGone,
    PeerSaid,
    Refused,
    Rendezvous,
)
from pyapp.protocol.peer import PeerMessage
from pyapp.protocol.signaling import Welcome
from tests.unit.examples import examples
from tests.unit.pyapp.core.signaling.test_rendezvous import A, B, C, candidate, opened, relays, rendezvous
from tests.unit.pyapp.fakes import FakeServer, Sockets


@dataclass
class Page:
    """A page that only joins: a rendezvous, its line to the server, its timers as data."""

    place: Rendezvous
    sockets: Sockets
    timers: set[str] = field(default_factory=set)
    sent: list[PeerMessage] = field(default_factory=list)
    heard: list[PeerMessage] = field(default_factory=list)
    occurred: list[object] = field(default_factory=list)


@dataclass
class World:
    server: FakeServer = field(default_factory=FakeServer)
    pages: dict[str, Page] = field(init=False)

    def __post_init__(self) -> None:
        self.pages = {name: self.page(participant) for name, participant in (("a", A), ("b", B))}

    def page(self, participant: str, *, epoch: int = 1) -> Page:
        return Page(rendezvous(participant, epoch=epoch), Sockets(self.server))

    def actions(self, *, with_pings: bool = True) -> list[tuple[str, str]]:
        """Name what can happen next; what a line still carries and what a page notices are in no order."""
        result = []
        for name, page in self.pages.items():
            result += [(f"timer {timer}", name) for timer in page.timers if timer != PING or with_pings]
            result += [(what, name) for what in page.sockets.actions()]
        for number, line in self.server.lines.items():
            if line.up:
                result.append(("take", str(number)))
            elif line.cut or line.closing or line.hung_up:
                result.append(("notice", str(number)))
        return sorted(result)

    def act(self, what: str, name: str) -> None:
        if what in ("take", "notice"):
            line = self.server.lines[int(name)]
            self.server.take(line) if what == "take" else self.server.notice(line)
            return
        page = self.pages[name]
        sockets = page.sockets
        verb, _, timer = what.partition(" ")
        match verb:
            case "join":
                self.did(page, page.place.open())
            case "leave":
                self.did(page, page.place.leave())
            case "say":
                message = candidate(len(page.sent))
                page.sent.append(message)
                self.did(page, page.place.send(message, 0.0))
            case "cut" if sockets.line is not None:
                sockets.line.cut = True
                sockets.line.is_told = timer != "silently"
                if timer:
                    sockets.line.up.clear()
                    sockets.line.down.clear()
            case "reopen":
                self.did(page, page.place.link.reopen())
            case "restart":
                self.server.restart()
            case "timer":
                page.timers.remove(timer)
                self.did(page, self.fired(page.place, timer))
            case "open" if sockets.opening is not None:
                sockets.opened()
                assert sockets.line is not None
                self.did(page, page.place.opened(sockets.line.socket, 0.0))
            case "hear" if sockets.line is not None:
                self.did(page, page.place.received(sockets.line.receive(), 0.0))
            case "closed" | "refused":
                gone = sockets.line if what == "closed" else sockets.opening
                if gone is not None:
                    sockets.closed(gone)
                    self.did(page, page.place.link.closed(gone.socket, 1006, ""))

    @staticmethod
    def fired(place: Rendezvous, name: str) -> list[Output]:
        timer = next(timer for timer in TIMERS if timer == name)
        return place.due(timer, 0.0) if timer != AWAITED else []  # nobody stays away here

    def did(self, page: Page, outputs: Sequence[Output]) -> None:
        for output in outputs:
            match output:
                case commands.StartTimer(name):
                    page.timers.add(name)
                case commands.CancelTimer(name):
                    page.timers.discard(name)
                case commands.AskHealth() | commands.GiveUpPlace():
                    pass  # HTTP is for the person, and for a goodbye that the server would notice later
                case commands.OpenSignaling(socket):
                    page.sockets.open(socket)
                case commands.CloseSignaling():
                    page.sockets.close()
                case commands.SendSignaling(message):
                    page.sockets.send(message)
                case PeerSaid(message):
                    page.heard.append(message)
                case _:
                    page.occurred.append(output)

    def run(self, choose: random.Random, steps: int) -> None:
        for _ in range(steps):
            if actions := self.actions():
                self.act(*choose.choice(actions))

    def rest(self, choose: random.Random) -> None:
        """Let everything happen that is still to happen; deadlines are met from now on, and pings go on for ever."""
        for number in range(5000):
            actions = self.actions(with_pings=False)
            pings = [action for action in self.actions() if action not in actions]
            patient = [action for action in actions if not action[0].startswith(f"timer {OPENING}")]
            if patient or actions:
                self.act(*choose.choice(patient or actions))
            elif any(page.sockets.line is None or page.sockets.line.cut for page in self.joined()) and pings:
                self.act(*choose.choice(pings))
            else:
                return
            assert number < 4999, "the two never come to rest"

    def joined(self) -> list[Page]:
        return [page for page in self.pages.values() if page.timers]

    def check(self) -> None:
        a, b = self.pages["a"], self.pages["b"]
        assert (a.heard, b.heard) == (b.sent, a.sent)
        for page in (a, b):
            # A join that was delayed on an older socket may win for a moment: then the newer one is superseded.
            assert {entry.code for entry in page.occurred if isinstance(entry, Refused)} <= {"superseded"}
            assert [entry for entry in page.occurred if not isinstance(entry, Joined | Refused)] == [PeerArrived()]
        assert (a.place.state, b.place.state) == ("present", "present")
        # All of it is acknowledged too: a new socket has nothing to carry.
        for page in (a, b):
            assert opened(page.place, 0.0)[2:] == []
            assert relays(page.place.received(Welcome(polite=False, peer=page.place.peer), 0.0)) == []


EVENTS = ["say", "say", "say", "cut", "cut both-ways", "cut silently", "reopen", "restart"]


@given(
    st.integers(0, 2**32),
    st.lists(st.tuples(st.sampled_from(EVENTS), st.sampled_from("ab"), st.integers(0, 12)), max_size=25),
)
@examples(200)
def test_nothing_is_lost_or_heard_twice_whatever_happens_to_the_sockets(
    seed: int, story: list[tuple[str, str, int]]
) -> None:
    choose = random.Random(seed)
    world = World()
    world.act("join", "a")
    world.run(choose, choose.randrange(6))
    world.act("join", "b")
    for what, name, steps in story:
        world.act(what, name)
        world.run(choose, steps)
    world.rest(choose)
    world.check()


def joined() -> World:
    world = World()
    for name in ("a", "b"):
        world.act("join", name)
        world.rest(random.Random(0))
    for name in ("a", "b"):
        world.act("say", name)
    world.rest(random.Random(0))
    world.check()
    return world


def say_and_hear(world: World) -> None:
    """Assert that each side hears what the other says from now on."""
    before = [len(page.heard) for page in world.pages.values()]
    for name in ("a", "b"):
        world.act("say", name)
    world.rest(random.Random(0))
    after = [len(page.heard) for page in world.pages.values()]
    assert [count - start for count, start in zip(after, before, strict=True)] == [1, 1]


def test_a_side_that_left_and_came_back_is_a_new_one() -> None:
    world = joined()
    world.act("leave", "b")
    world.rest(random.Random(0))
    assert PeerGone() in world.pages["a"].occurred
    world.pages["b"] = world.page(B, epoch=2)
    world.act("join", "b")
    world.rest(random.Random(0))
    assert world.pages["a"].occurred.count(PeerArrived()) == 2
    say_and_hear(world)


def test_a_duplicated_tab_takes_the_place_once_and_for_good() -> None:
    world = joined()
    world.pages["duplicate"] = Page(Rendezvous("demo", C, A, "token"), Sockets(world.server))
    world.act("join", "duplicate")
    world.rest(random.Random(0))
    states = {name: page.place.state for name, page in world.pages.items()}
    assert states == {"a": "refused", "b": "present", "duplicate": "present"}
    assert world.pages["a"].timers == set()
    assert [entry.code for entry in world.pages["a"].occurred if isinstance(entry, Refused)] == ["replaced"]


def test_a_side_that_was_away_too_long_is_heard_when_it_is_back() -> None:
    world = joined()
    world.act("cut", "b")
    assert world.pages["b"].sockets.line is not None
    world.act("notice", str(world.pages["b"].sockets.line.number))
    world.server.pass_time(31.0)
    world.rest(random.Random(0))
    say_and_hear(world)


def test_a_side_that_hung_up_unheard_is_heard_when_it_connects_again() -> None:
    world = joined()
    world.act("cut", "b")
    world.act("closed", "b")
    world.act("leave", "b")
    world.pages["b"] = world.page(B, epoch=2)
    world.act("join", "b")
    world.rest(random.Random(0))
    # What is said to the one who hung up is lost with it; the first word of either side clears it up.
    world.act("say", "a")
    world.rest(random.Random(0))
    assert PeerGone() in world.pages["a"].occurred
    say_and_hear(world)
