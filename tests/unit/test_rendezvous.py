"""A place in a session: two of them joined by the server's own rooms, with sockets that drop at any moment."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyapp import commands
from pyapp.delivery import DeliveryFullError
from pyapp.messages import (
    FATAL_CODES,
    Candidate,
    Description,
    Error,
    Join,
    Leave,
    PeerJoined,
    PeerLeft,
    PeerMessage,
    Pong,
    Relay,
    Relayed,
    Welcome,
)
from pyapp.rendezvous import (
    ACKNOWLEDGE,
    ACKNOWLEDGE_AFTER,
    FIRST_RETRY,
    LAST_RETRY,
    RETRY,
    SEND_AGAIN,
    SEND_AGAIN_AFTER,
    Joined,
    Output,
    PeerArrived,
    PeerGone,
    PeerSaid,
    Refused,
    Rendezvous,
)
from tests.unit.fakes import FakeServer, Line

A, B, C = "a" * 32, "b" * 32, "c" * 32


def candidate(number: int) -> Candidate:
    return Candidate(f"candidate:{number} 1 udp 1 192.0.2.1 9 typ host", "0", 0, "u")


def rendezvous(participant: str = A, *, epoch: int = 1) -> Rendezvous:
    return Rendezvous("demo", participant, participant, "token", epoch)


def present(*, peer: str = "", polite: bool = False) -> Rendezvous:
    place = rendezvous()
    place.open()
    place.opened()
    place.received(Welcome(polite, peer), 0.0)
    return place


def relays(outputs: Sequence[Output]) -> list[Relay]:
    return [
        output.message
        for output in outputs
        if isinstance(output, commands.SendSignaling) and isinstance(output.message, Relay)
    ]


def heard(outputs: Sequence[Output]) -> list[PeerMessage]:
    return [output.message for output in outputs if isinstance(output, PeerSaid)]


class TestJoining:
    def test_opens_a_socket_and_then_says_who_we_are(self) -> None:
        place = rendezvous()
        assert place.open() == [commands.CancelTimer(RETRY), commands.OpenSignaling()]
        assert place.opened() == [commands.SendSignaling(Join("demo", A, A, "token"))]
        assert place.state == "joining"

    def test_alone_makes_the_first_offer_ours(self) -> None:
        place = rendezvous()
        assert place.received(Welcome(polite=False, peer=""), 0.0) == [Joined(polite=False, alone=True)]
        assert (place.state, place.polite, place.peer) == ("present", False, "")

    def test_second_finds_the_other_side_there(self) -> None:
        place = rendezvous()
        assert place.received(Welcome(polite=True, peer=B), 0.0) == [Joined(polite=True, alone=False), PeerArrived()]
        assert (place.polite, place.peer) == (True, B)

    def test_sends_nothing_before_the_server_says_welcome(self) -> None:
        place = rendezvous()
        for step in (place.open, place.opened, list):
            step()
            assert place.send(candidate(1), 0.0) == []
        outputs = place.received(Welcome(polite=False, peer=""), 0.0)
        assert [relay.number for relay in relays(outputs)] == [1, 2, 3]

    def test_does_not_show_secrets_in_its_repr(self) -> None:
        place = Rendezvous("demo", A, "the-key", "the-token")
        assert "the-key" not in repr(place)
        assert "the-token" not in repr(place)


class TestTheOtherSide:
    def test_that_comes_later_is_announced_once(self) -> None:
        place = present()
        assert place.received(PeerJoined(B), 0.0) == [PeerArrived()]
        assert place.received(PeerJoined(B), 0.0) == []

    def test_hears_by_name_what_was_said_after_it_came(self) -> None:
        place = present()
        assert relays(place.send(candidate(1), 0.0)) == [Relay("", 1, 0, candidate(1))]
        assert relays(place.received(PeerJoined(B), 0.0)) == []
        assert relays(place.send(candidate(2), 0.0)) == [Relay(B, 2, 0, candidate(2))]

    def test_that_has_a_new_socket_gets_again_what_it_did_not_acknowledge(self) -> None:
        place = present(peer=B)
        for number in (1, 2, 3):
            place.send(candidate(number), 0.0)
        place.received(Relayed(B, 0, 1, None), 0.0)
        assert [relay.number for relay in relays(place.received(PeerJoined(B), 0.0))] == [2, 3]

    def test_that_left_is_forgotten_with_all_that_was_for_it(self) -> None:
        place = present(peer=B)
        place.send(candidate(1), 0.0)
        assert place.received(PeerLeft(B), 0.0) == [commands.CancelTimer(ACKNOWLEDGE), PeerGone()]
        assert place.peer == ""
        assert place.received(PeerJoined(C), 0.0) == [PeerArrived()]
        assert relays(place.send(candidate(2), 0.0)) == [Relay(C, 1, 0, candidate(2), epoch=2)]

    def test_that_is_somebody_new_means_that_the_old_one_is_gone(self) -> None:
        place = present(peer=B)
        place.send(candidate(1), 0.0)
        place.received(Relayed(B, 1, 0, candidate(7)), 0.0)
        outputs = place.received(PeerJoined(C), 0.0)
        assert outputs == [commands.CancelTimer(ACKNOWLEDGE), PeerGone(), PeerArrived()]
        assert heard(place.received(Relayed(C, 1, 0, candidate(8)), 0.0)) == [candidate(8)]

    def test_that_is_somebody_new_after_our_socket_came_back_too(self) -> None:
        place = present(peer=B)
        place.send(candidate(1), 0.0)
        place.closed(1006, "")
        outputs = place.received(Welcome(polite=True, peer=C), 0.0)
        assert outputs == [
            Joined(polite=True, alone=False),
            commands.CancelTimer(ACKNOWLEDGE),
            PeerGone(),
            PeerArrived(),
        ]

    @pytest.mark.parametrize("message", [PeerLeft(C), Relayed(C, 1, 0, candidate(1)), Pong(1)])
    def test_is_not_somebody_else(self, message: PeerLeft | Relayed | Pong) -> None:
        place = present(peer=B)
        assert place.received(message, 0.0) == []
        assert place.peer == B


class TestWhatItSays:
    def test_is_heard_in_order_and_once_and_acknowledged_later(self) -> None:
        place = present(peer=B)
        timer = commands.StartTimer(ACKNOWLEDGE, ACKNOWLEDGE_AFTER)
        assert place.received(Relayed(B, 2, 0, candidate(2)), 0.0) == [timer]
        assert place.received(Relayed(B, 1, 0, candidate(1)), 0.0) == [
            timer,
            PeerSaid(candidate(1)),
            PeerSaid(candidate(2)),
        ]
        assert place.received(Relayed(B, 1, 0, candidate(1)), 0.0) == [timer]
        assert place.acknowledge() == [commands.SendSignaling(Relay(B, 0, 2, None, peer_epoch=1))]

    def test_is_acknowledged_by_what_we_say(self) -> None:
        place = present(peer=B)
        place.received(Relayed(B, 1, 0, candidate(1)), 0.0)
        assert relays(place.send(candidate(2), 0.0)) == [Relay(B, 1, 1, candidate(2), peer_epoch=1)]

    def test_is_not_acknowledged_to_nobody(self) -> None:
        assert present().acknowledge() == []
        place = present(peer=B)
        place.closed(1006, "")
        assert place.acknowledge() == []

    def test_is_a_bare_acknowledgement_that_nobody_acknowledges(self) -> None:
        place = present(peer=B)
        place.send(candidate(1), 0.0)
        assert place.received(Relayed(B, 0, 1, None), 0.0) == []
        assert relays(place.received(PeerJoined(B), 0.0)) == []


class TestASocketThatClosed:
    def test_is_tried_again_after_a_pause_that_doubles_up_to_a_limit(self) -> None:
        place = present(peer=B)
        pauses = []
        for _ in range(8):
            (output,) = place.closed(1006, "")
            assert isinstance(output, commands.StartTimer)
            assert (output.name, output.spread) == (RETRY, output.after / 2)
            pauses.append(output.after)
            place.open()
        assert pauses == [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0]
        assert (pauses[0], pauses[-1]) == (FIRST_RETRY, LAST_RETRY)

    def test_is_tried_soon_once_the_server_has_answered(self) -> None:
        place = present(peer=B)
        for _ in range(5):
            place.closed(1006, "")
        place.opened()
        assert place.closed(1006, "")[0] == commands.StartTimer(RETRY, 8.0, spread=4.0)
        place.received(Welcome(polite=False, peer=B), 0.0)
        assert place.closed(1006, "")[0] == commands.StartTimer(RETRY, 0.25, spread=0.125)

    def test_says_why_until_it_is_back(self) -> None:
        place = present()
        place.closed(1012, "restart")
        assert (place.state, place.problem) == ("away", "WebSocket closed with 1012: restart")
        place.closed(1006, "")
        assert place.problem == "WebSocket closed with 1006"
        place.received(Welcome(polite=False, peer=""), 0.0)
        assert place.problem == ""

    def test_forgets_neither_the_other_side_nor_what_is_for_it(self) -> None:
        place = present(peer=B)
        place.send(candidate(1), 0.0)
        place.closed(1006, "")
        assert place.peer == B
        assert place.send(candidate(2), 0.0) == []
        outputs = place.received(Welcome(polite=False, peer=B), 0.0)
        assert outputs[0] == Joined(polite=False, alone=False)
        assert PeerArrived() not in outputs
        assert [relay.number for relay in relays(outputs)] == [1, 2]

    def test_because_the_server_restarted_does_not_make_us_alone(self) -> None:
        place = present(peer=B)
        place.closed(1012, "")
        assert Joined(polite=False, alone=False) in place.received(Welcome(polite=False, peer=""), 0.0)
        assert place.received(PeerJoined(B), 0.0) == []

    def test_while_we_were_alone_costs_the_one_who_came_meanwhile_nothing(self) -> None:
        place = present()
        place.send(candidate(1), 0.0)
        place.closed(1012, "")
        outputs = place.received(Welcome(polite=True, peer=B), 0.0)
        assert PeerArrived() in outputs
        assert relays(outputs) == [Relay(B, 1, 0, candidate(1))]


class TestRefusals:
    @pytest.mark.parametrize("code", sorted(FATAL_CODES))
    def test_that_are_final(self, code: str) -> None:
        assert rendezvous().received(Error(code, "no"), 0.0) == [Refused(code, "no", fatal=True)]

    @pytest.mark.parametrize("code", ["limit", "malformed", "unavailable", "new-in-2030"])
    def test_that_are_not(self, code: str) -> None:
        assert rendezvous().received(Error(code, "no"), 0.0) == [
            commands.StartTimer(SEND_AGAIN, SEND_AGAIN_AFTER),
            Refused(code, "no", fatal=False),
        ]

    def test_of_more_than_can_be_kept(self) -> None:
        place = rendezvous()
        big = Description("offer", "v=0" + "x" * 60_000, 1)
        for _ in range(17):
            place.send(big, 0.0)
        with pytest.raises(DeliveryFullError):
            place.send(big, 0.0)
        assert len(relays(place.received(Welcome(polite=False, peer=""), 0.0))) == 17

    def test_of_a_frame_over_a_limit_are_not_the_end_of_the_numbers(self) -> None:
        place = present(peer=B)
        place.send(candidate(1), 0.0)
        outputs = place.received(Error("limit", "At most 50 messages a second.", "messages-per-second"), 0.0)
        assert commands.StartTimer(SEND_AGAIN, SEND_AGAIN_AFTER) in outputs
        assert relays(place.send_again(1.0)) == [Relay(B, 1, 0, candidate(1))]


class TestLeaving:
    def test_says_goodbye_and_stops_every_timer(self) -> None:
        assert present().leave() == [
            commands.CancelTimer(RETRY),
            commands.CancelTimer(ACKNOWLEDGE),
            commands.CancelTimer(SEND_AGAIN),
            commands.SendSignaling(Leave()),
            commands.CloseSignaling(),
        ]

    def test_says_nothing_on_a_socket_that_is_not_there(self) -> None:
        place = present()
        place.closed(1006, "")
        assert commands.SendSignaling(Leave()) not in place.leave()


@dataclass
class Page:
    """A page that only joins: a rendezvous, its line to the server, its timers as data."""

    place: Rendezvous
    line: Line | None = None
    timers: set[str] = field(default_factory=set)
    sent: list[PeerMessage] = field(default_factory=list)
    heard: list[PeerMessage] = field(default_factory=list)
    occurred: list[object] = field(default_factory=list)


@dataclass
class World:
    server: FakeServer = field(default_factory=FakeServer)
    pages: dict[str, Page] = field(
        default_factory=lambda: {"a": Page(rendezvous(A)), "b": Page(rendezvous(B))},
    )

    def actions(self) -> list[tuple[str, str]]:
        """Name what can happen next; what a line still carries and what a page notices are in no order."""
        result = []
        for name, page in self.pages.items():
            result += [(f"timer {timer}", name) for timer in page.timers]
            if (line := page.line) is not None:
                result += [("open", name)] if not line.is_open and not line.cut else []
                result += [("hear", name)] if line.down else []
                result += [("closed", name)] if line.is_over else []
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
            case "cut" if page.line is not None:
                page.line.cut = True
                if timer:
                    page.line.up.clear()
                    page.line.down.clear()
            case "restart":
                self.server.restart()
            case "timer":
                page.timers.remove(timer)
                self.did(page, page.place.open() if timer == RETRY else page.place.acknowledge())
            case "open" if page.line is not None:
                page.line.is_open = True
                self.did(page, page.place.opened())
            case "hear" if page.line is not None:
                self.did(page, page.place.received(page.line.receive(), 0.0))
            case "closed" if page.line is not None:
                page.line.up.clear()  # what the network lost does not come after the next socket's first frame
                page.line = None
                self.did(page, page.place.closed(1006, ""))

    def did(self, page: Page, outputs: Sequence[Output]) -> None:
        for output in outputs:
            match output:
                case commands.StartTimer(name):
                    page.timers.add(name)
                case commands.CancelTimer(name):
                    page.timers.discard(name)
                case commands.OpenSignaling():
                    page.line = self.server.connect()
                case commands.CloseSignaling():
                    if page.line is not None:
                        page.line.hung_up = True
                        page.line = None
                case commands.SendSignaling(message):
                    assert page.line is not None
                    page.line.send(message)
                case PeerSaid(message):
                    page.heard.append(message)
                case _:
                    page.occurred.append(output)

    def run(self, choose: random.Random, steps: int = 5000) -> None:
        for _ in range(steps):
            if not (actions := self.actions()):
                return
            self.act(*choose.choice(actions))
        assert not self.actions() or steps < 5000, "the two never come to rest"

    def check(self) -> None:
        a, b = self.pages["a"], self.pages["b"]
        assert (a.heard, b.heard) == (b.sent, a.sent)
        for page in (a, b):
            assert [entry for entry in page.occurred if not isinstance(entry, Joined)] == [PeerArrived()]
        assert (a.place.state, b.place.state) == ("present", "present")
        # All of it is acknowledged too: a new socket has nothing to carry.
        for page in (a, b):
            assert relays(page.place.received(Welcome(polite=False, peer=page.place.peer), 0.0)) == []


EVENTS = ["say", "say", "say", "cut", "cut both-ways", "restart"]


@given(
    st.integers(0, 2**32),
    st.lists(st.tuples(st.sampled_from(EVENTS), st.sampled_from("ab"), st.integers(0, 12)), max_size=25),
)
@settings(max_examples=200, deadline=None)
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
    world.run(choose)
    world.check()


def joined() -> World:
    world = World()
    for name in ("a", "b"):
        world.act("join", name)
        world.run(random.Random(0))
    for name in ("a", "b"):
        world.act("say", name)
    world.run(random.Random(0))
    world.check()
    return world


def say_and_hear(world: World) -> None:
    """Assert that each side hears what the other says from now on."""
    before = [len(page.heard) for page in world.pages.values()]
    for name in ("a", "b"):
        world.act("say", name)
    world.run(random.Random(0))
    after = [len(page.heard) for page in world.pages.values()]
    assert [count - start for count, start in zip(after, before, strict=True)] == [1, 1]


def test_a_side_that_left_and_came_back_is_a_new_one() -> None:
    world = joined()
    world.act("leave", "b")
    world.run(random.Random(0))
    assert PeerGone() in world.pages["a"].occurred
    world.pages["b"] = Page(rendezvous(B, epoch=2))
    world.act("join", "b")
    world.run(random.Random(0))
    assert world.pages["a"].occurred.count(PeerArrived()) == 2
    say_and_hear(world)


def test_a_side_that_was_away_too_long_is_heard_when_it_is_back() -> None:
    world = joined()
    world.act("cut", "b")
    assert world.pages["b"].line is not None
    world.act("notice", str(world.pages["b"].line.number))
    world.server.pass_time(31.0)
    world.run(random.Random(0))
    say_and_hear(world)


def test_a_side_that_hung_up_unheard_is_heard_when_it_connects_again() -> None:
    world = joined()
    world.act("cut", "b")
    world.act("closed", "b")
    world.act("leave", "b")
    world.pages["b"] = Page(rendezvous(B, epoch=2))
    world.act("join", "b")
    world.run(random.Random(0))
    # What is said to the one who hung up is lost with it; the first word of either side clears it up.
    world.act("say", "a")
    world.run(random.Random(0))
    assert PeerGone() in world.pages["a"].occurred
    say_and_hear(world)
