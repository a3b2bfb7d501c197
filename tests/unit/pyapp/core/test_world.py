"""Two whole sessions through outages of every kind: every row of the recovery's table, and whatever else may happen."""

import itertools
import random
from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from backend.ice.ice_servers import ConfiguredServer
from pyapp.core import events
from pyapp.core.path.recovery import ATTEMPT, SETTLE
from pyapp.core.path.relays import DIRECT, FIRST_DIRECT_AFTER, RELEASE_AFTER
from pyapp.core.path.replacement import RENEW
from pyapp.core.path.standby import LAST_PAUSE
from pyapp.core.signaling.link import OPENING
from pyapp.view.console import present
from tests.unit.examples import examples, seeds
from tests.unit.pyapp.world.page import Page
from tests.unit.pyapp.world.paths import FAILED_AFTER
from tests.unit.pyapp.world.world import World

LAN, WAN = 0.001, 0.05
"""Seconds one way between the pages: 0 and 25 ms at each site."""

RELAYS = tuple(
    ConfiguredServer(name=name, urls=(f"turn:{name}.example:3478",), username="user", credential="secret")
    for name in ("one", "two", "three")
)


def world(seed: int = 0, delay: float = LAN, *, relayed: bool = False) -> World:
    return World(random.Random(seed), delay=delay, relays=RELAYS if relayed else (), is_direct=not relayed).connected()


def with_standby(
    seed: int = 0, delay: float = LAN, *, relays: tuple[ConfiguredServer, ...] = RELAYS, loss: float = 0.0
) -> World:
    current = World(random.Random(seed), delay=delay, relays=relays, is_direct=False, standby=True, loss=loss)
    current.connected()
    current.run_until(partial(has_standby, current))
    return current


def has_standby(current: World) -> bool:
    return all(page.standby.state == "open" for page in current.pages.values())


def talk(current: World, seconds: float) -> None:
    """Let both say something twenty times a second, for so long."""
    until = current.now + seconds

    def say() -> None:
        if current.now < until:
            current.say("a")
            current.say("b")
            current.after(0.05, say)

    current.after(0.05, say)


def longest_gap(page: Page) -> float:
    return max(after - before for before, after in itertools.pairwise(page.heard_at))


def outage(current: World, happens: Callable[[World], None], *, lasts: float = 6.0, connections: int = 1) -> float:
    """Let something happen while both talk; return the longest silence at either end, once all is well."""
    talk(current, lasts + 1.5)
    current.run(1.0 + 0.1 * current.choose.random())
    happens(current)
    current.run(lasts + 1.5)
    current.rest()
    current.check(connections=connections)
    return max(longest_gap(page) for page in current.pages.values())


def kill_relay(name: str, current: World) -> None:
    current.dead_relays.add(f"{name}.example")


def both_move(current: World) -> None:
    current.move("a")
    current.move("b")


def both_reroute(current: World) -> None:
    current.reroute("a")
    current.reroute("b")


def one_is_told(current: World) -> None:
    current.move("a")
    current.reroute("b")


def one_after_the_other(current: World) -> None:
    current.move("a")
    current.after(0.2, partial(current.move, "b"))


ROWS: dict[str, tuple[Callable[[World], None], float, float]] = {
    # The longest silence at 0 and at 25 ms each way at each site.
    "new-address": (lambda w: w.move("a"), 0.45, 1.2),
    "new-address-of-the-polite-side": (lambda w: w.move("b"), 0.45, 1.2),
    "route": (lambda w: w.reroute("a"), 0.7, 1.2),
    "route-of-the-polite-side": (lambda w: w.reroute("b"), 0.7, 1.2),
    "deaf-one-way": (lambda w: w.mute("a"), 0.7, 1.2),
    "deaf-the-other-way": (lambda w: w.mute("b"), 0.7, 1.2),
    "both-at-once": (both_move, 0.5, 1.0),
    "both-routes-at-once": (both_reroute, 0.7, 1.2),
    "one-told-the-other-not": (one_is_told, 0.7, 1.2),
    "one-after-the-other": (one_after_the_other, 0.9, 1.5),
    "server-restarted": (lambda w: w.restart_server(), 0.1, 0.1),
    "socket-dead": (lambda w: w.kill_socket("a"), 0.1, 0.1),
    "socket-closed": (lambda w: w.close_socket("a"), 0.1, 0.1),
}


class TestEveryRow:
    @pytest.mark.parametrize("seed", seeds(2))
    @pytest.mark.parametrize("row", ROWS)
    @pytest.mark.parametrize("delay", [LAN, WAN])
    def test_is_over_soon_with_nothing_lost(self, row: str, delay: float, seed: int) -> None:
        happens, *limits = ROWS[row]
        assert outage(world(seed, delay), happens) < limits[delay == WAN]

    @pytest.mark.parametrize("seed", seeds(2))
    @pytest.mark.parametrize("delay", [LAN, WAN])
    @pytest.mark.parametrize("tells", [False, True])
    @pytest.mark.parametrize("moved", [False, True])
    def test_uplink_gone_for_a_while(self, delay: float, seed: int, tells: bool, moved: bool) -> None:
        current = world(seed, delay)
        current.unplug("a")
        talk(current, 25.0)
        current.run(20.0)
        current.plug("a", tells=tells, moved=moved)
        back_at = current.now
        current.run(8.0)
        current.rest()
        current.check()
        for page in current.pages.values():
            first = next(at for at in page.heard_at if at > back_at)
            # Told or not, at most a pause of a socket that is being tried passes.
            assert first - back_at < (1.5 if tells else 6.0)

    @pytest.mark.parametrize("seed", seeds(3))
    def test_relay_in_use_dies(self, seed: int) -> None:
        current = world(seed, relayed=True)
        report = current.a.session.connection and current.a.session.connection.report
        assert report
        assert report.local.url == "turn:one.example:3478"
        gap = outage(current, partial(kill_relay, "one"), lasts=10.0)
        assert gap < 1.2
        assert ("one.example",) in current.signaling.asked
        assert current.b.notes("the relay one.example did not answer")
        assert current.a.session.connection
        report = current.a.session.connection.report
        assert report
        assert report.local.url == "turn:two.example:3478"

    @pytest.mark.parametrize("seed", seeds(3))
    def test_two_relays_die_one_after_the_other(self, seed: int) -> None:
        current = world(seed, relayed=True)
        for name in ("one", "two"):
            outage(current, partial(kill_relay, name), lasts=10.0)
        assert current.a.pc
        assert current.a.pc.relay == "turn:three.example:3478"

    def test_relay_is_left_for_a_direct_path_that_appears(self) -> None:
        current = world(relayed=True)
        current.run(5.0)  # it has been looked for at once, and there was none
        assert DIRECT in current.a.timers
        current.is_direct = True
        current.run(FIRST_DIRECT_AFTER + 5.0)
        current.rest()
        assert present(current.a.session).path.kind == present(current.b.session).path.kind == "direct"
        assert current.a.session.connection
        assert current.a.session.connection.negotiation.ice_generation == 2

    def test_relays_beside_a_direct_path_are_given_up_until_it_is_lost(self) -> None:
        current = World(random.Random(0), delay=LAN, relays=RELAYS).connected()
        current.run(RELEASE_AFTER + 5.0)
        current.rest()
        agreed = [page.session.connection.negotiation for page in (current.a, current.b) if page.session.connection]
        assert [(side.gathers_relays, side.ice_generation) for side in agreed] == [(False, 1)] * 2
        current.unplug("b")
        current.after(3.0, partial(current.plug, "b"))
        current.run(8.0)
        current.rest()
        assert [side.gathers_relays for side in agreed] == [True] * 2


class TestDtlsThatFails:
    """Firefox loses it in some ICE restarts. No restart mends it, and often the other side is not told."""

    @pytest.mark.parametrize("seed", seeds(3))
    @pytest.mark.parametrize(("delay", "most"), [(LAN, 0.6), (WAN, 1.1)])
    @pytest.mark.parametrize("names", ["a", "b", "ab"])
    def test_is_replaced_at_once_by_whoever_knows(self, seed: int, delay: float, most: float, names: str) -> None:
        def fails(current: World) -> None:
            for name in names:
                current.paths.lose_dtls(current.pages[name])

        current = world(seed, delay)
        assert outage(current, fails, connections=3) < most

    def test_in_an_outage_is_replaced_too(self) -> None:
        current = world().connected()
        current.move("b")
        current.run(0.7)
        current.paths.lose_dtls(current.pages["b"])
        current.rest()
        current.check(connections=3)


class TestTheStandby:
    @pytest.mark.parametrize("seed", seeds(3))
    @pytest.mark.parametrize(("delay", "most"), [(LAN, 0.4), (WAN, 0.6)])
    def test_carries_on_when_the_relay_in_use_dies_and_moves_out_of_the_way(
        self, seed: int, delay: float, most: float
    ) -> None:
        current = with_standby(seed, delay)
        assert {page.standby.host for page in current.pages.values()} == {"two.example"}
        assert outage(current, partial(kill_relay, "one")) < most
        current.run_until(partial(has_standby, current))
        assert {page.standby.host for page in current.pages.values()} == {"three.example"}

    def test_carries_on_again_when_the_next_relay_dies_too(self) -> None:
        current = with_standby()
        outage(current, partial(kill_relay, "one"))
        current.run_until(partial(has_standby, current))
        for page in current.pages.values():
            page.heard_at.clear()
        assert outage(current, partial(kill_relay, "two")) < 0.4

    def test_is_there_again_when_the_dead_relay_is(self) -> None:
        current = with_standby(relays=RELAYS[:2])
        outage(current, partial(kill_relay, "one"))
        current.run(60.0)
        assert [page.standby.state for page in current.pages.values()] == ["closed", "closed"]
        current.dead_relays.clear()
        current.run_until(partial(has_standby, current), most=120.0)

    def test_does_not_make_an_outage_longer_that_it_cannot_help(self) -> None:
        assert outage(with_standby(), lambda w: w.reroute("a")) < 0.8

    @pytest.mark.parametrize("name", ["a", "b"])
    def test_that_the_network_broke_is_made_anew(self, name: str) -> None:
        current = with_standby()
        before = [page.spare for page in current.pages.values()]
        outage(current, lambda w: w.reroute(name))
        current.run_until(partial(has_standby, current))
        assert not {page.spare for page in current.pages.values()} & set(before)

    def test_ends_with_the_relayed_path(self) -> None:
        current = with_standby()
        current.is_direct = True
        current.run(FIRST_DIRECT_AFTER + 5.0)
        current.rest()
        assert [page.spare for page in current.pages.values()] == [None, None]

    @pytest.mark.parametrize("name", ["a", "b"])
    def test_ends_with_the_session(self, name: str) -> None:
        current = with_standby()
        current.receive(current.pages[name], events.HangUpRequested())
        assert current.pages[name].spare is None
        assert current.pages[name].timers == {}
        current.run(1.0)
        assert [page.spare for page in current.pages.values()] == [None, None]

    def test_is_none_on_a_direct_path_and_with_one_relay(self) -> None:
        for relays, is_direct in ((RELAYS, True), (RELAYS[:1], False)):
            current = World(relays=relays, is_direct=is_direct, standby=True).connected()
            current.run(60.0)
            assert [page.spare for page in current.pages.values()] == [None, None]

    def test_writes_nothing_alarming_for_a_doubt(self) -> None:
        current = with_standby(loss=0.1)
        talk(current, 20.0)
        current.run(20.0)
        for page in current.pages.values():
            assert [line.text for line in page.session.journal.lines if line.mark == "!"] == []


class TestOldPathsThatComeBack:
    @pytest.mark.parametrize("seconds", [0.2, 0.5, 0.8, 2.0, 4.0])
    def test_end_the_alarm(self, seconds: float) -> None:
        current = world()
        current.unplug("a")
        current.after(seconds, partial(current.plug, "a"))
        current.run(seconds + 10.0)
        current.rest()
        current.check()


class TestTheOtherSide:
    @pytest.mark.parametrize("seed", seeds(3))
    @pytest.mark.parametrize("after", [0.0, 0.3, 1.0, 5.0])
    def test_that_is_reloaded_in_the_middle_is_connected_again(self, seed: int, after: float) -> None:
        current = world(seed)
        current.mute("b")
        current.run(after)
        current.reload("b")
        current.connect("b")
        current.rest()
        for name in "ab":
            current.say(name)
        current.rest()
        current.check(connections=101)

    @pytest.mark.parametrize("seed", seeds(3))
    def test_that_hangs_up_in_the_middle_leaves_nobody_stuck(self, seed: int) -> None:
        current = world(seed)
        current.move("a")
        current.run(0.01 * seed + 0.005)
        current.receive(current.a, events.HangUpRequested())
        assert current.a.timers == {}
        assert current.a.pc is None
        current.run(60.0)
        assert current.a.timers == {}
        assert (current.a.state, current.b.state) == ("closed", "waiting")

    def test_that_hangs_up_while_we_are_away_is_known_to_be_gone(self) -> None:
        current = world()
        current.unplug("b")
        current.run(3.0)
        current.receive(current.a, events.HangUpRequested())
        current.run(3.0)
        current.plug("b", tells=True)
        current.run(10.0)
        assert current.b.state == "waiting"

    def test_that_is_reloaded_after_its_socket_died_is_connected_again(self) -> None:
        current = world()
        current.kill_socket("b")
        current.reload("b")
        current.connect("b")
        current.rest()
        current.check(connections=101)

    @pytest.mark.parametrize("away", [31.0, 45.0, 120.0])
    def test_that_was_away_longer_than_its_place_was_held_comes_back(self, away: float) -> None:
        current = world()
        current.unplug("b")
        current.say("a")
        current.say("b")
        current.run(away)
        current.plug("b", tells=True)
        current.rest()
        current.check(connections=3)


class TestAWholeServer:
    @pytest.mark.parametrize("seed", seeds(3))
    def test_that_is_away_while_the_path_goes_does_not_make_the_ladder_climb(self, seed: int) -> None:
        current = world(seed)
        current.restart_server(down=15.0)
        current.reroute("a")
        current.run(14.0)
        for page in current.pages.values():
            assert page.connections == 1
            assert len(page.notes("attempt 2")) == 0
        current.run(15.0)
        current.rest()
        current.check()


@given(st.integers(0, 2**32), st.booleans(), st.sampled_from([0.001, 0.05, 0.5]))
@examples(25)
def test_two_sessions_connect_in_any_order_of_events(seed: int, b_first: bool, jitter: float) -> None:
    current = World(random.Random(seed), jitter=jitter)
    names = "ba" if b_first else "ab"
    current.connect(names[0])
    current.run(current.choose.choice([0.0, 0.01, 0.1, 5.0]))
    current.connect(names[1])
    current.rest()
    for name in "abab":
        current.say(name)
    current.rest()
    current.check()


@given(
    st.integers(0, 2**32),
    st.lists(
        st.tuples(
            st.sampled_from(["socket-closed", "socket-dead", "server"]), st.sampled_from("ab"), st.floats(0, 0.3)
        ),
        max_size=5,
    ),
)
@examples(25)
def test_two_sessions_connect_although_sockets_drop_meanwhile(seed: int, story: list[tuple[str, str, float]]) -> None:
    current = World(random.Random(seed), delay=0.02, jitter=0.02)
    current.connect("a", "b")
    for what, name, seconds in story:
        current.run(seconds)
        act(current, what, name)
    current.rest()
    current.check(connections=3)


@given(st.integers(0, 2**32), st.floats(0, 3.0))
@examples(25)
def test_hanging_up_at_any_moment_leaves_nothing_armed(seed: int, seconds: float) -> None:
    current = World(random.Random(seed), delay=0.02, jitter=0.02)
    current.connect("a", "b")
    current.run(seconds)
    current.receive(current.a, events.HangUpRequested())
    assert current.a.timers == {}
    assert current.a.pc is None
    assert current.a.sockets.line is None
    current.run(5.0)
    assert current.a.timers == {}
    assert current.a.state == "closed"
    assert current.b.state in ("waiting", "connecting")


STORY = [
    "say",
    "say",
    "restart",
    "move",
    "move-silently",
    "reroute",
    "mute",
    "blink",
    "unplug",
    "socket-dead",
    "socket-closed",
    "server",
    "server-and-path",
]


def act(current: World, what: str, name: str) -> None:
    match what:
        case "say":
            current.say(name)
        case "restart":
            current.receive(current.pages[name], events.RestartRequested())
        case "move":
            current.move(name)
        case "move-silently":
            current.move(name, tells=False)
        case "reroute":
            current.reroute(name)
        case "mute":
            current.mute(name)
        case "blink" | "unplug":
            current.unplug(name)
            current.after(0.6 if what == "blink" else 3.0, partial(current.plug, name))
        case "socket-dead":
            current.kill_socket(name)
        case "socket-closed":
            current.close_socket(name)
        case "server" | "server-and-path":
            current.restart_server(down=current.choose.choice([0.1, 2.0]))
            if what == "server-and-path":
                current.reroute(name)


@given(
    st.integers(0, 2**32),
    st.sampled_from([LAN, WAN]),
    st.lists(
        st.tuples(
            st.sampled_from([*STORY, "relay-dies", "relay-comes"]),
            st.sampled_from("ab"),
            st.sampled_from([0.0, 0.1, 0.4, 3.0, 8.0]),
        ),
        max_size=8,
    ),
)
# The server has just answered a doubt when the network under its socket goes without a word.
@example(2, LAN, [("relay-dies", "a", 0.0), ("move", "a", 0.4), ("move-silently", "b", 0.4)])
# The relay that was suspected in vain is the one that is left.
@example(
    1364,
    LAN,
    [
        ("reroute", "a", 0.0),
        ("say", "a", 0.4),
        ("relay-dies", "a", 3.0),
        ("say", "a", 3.0),
        ("move-silently", "a", 3.0),
        ("move-silently", "a", 0.0),
    ],
)
# A socket dies in the middle of an outage, and the peer's answer with it.
@example(1390, LAN, [("reroute", "b", 0.4), ("move-silently", "b", 0.0), ("unplug", "b", 3.0), ("blink", "a", 3.0)])
@examples(40)
def test_two_sessions_with_a_standby_lose_nothing_and_never_keep_half_of_it(
    seed: int, delay: float, story: list[tuple[str, str, float]]
) -> None:
    current = with_standby(seed, delay)
    for what, name, seconds in story:
        if what == "relay-dies":
            assert current.a.pc
            kill_relay(current.a.pc.relay.removeprefix("turn:").partition(".")[0] or "one", current)
            current.dead_relays = set(sorted(current.dead_relays)[:2])
        elif what == "relay-comes":
            current.dead_relays.clear()
        else:
            act(current, what, name)
        talk(current, seconds)
        current.run(seconds)
    current.say("a")
    current.say("b")
    current.rest()
    current.check(connections=1)
    current.run(FAILED_AFTER + 2.0)
    assert len({page.standby.state == "open" for page in current.pages.values()}) == 1, current.words()
    current.dead_relays.clear()
    current.run_until(partial(has_standby, current), most=2 * LAST_PAUSE)


class Sessions(RuleBasedStateMachine):
    """Two sessions, to which anything may happen at any moment; in the end they are connected, with nothing lost."""

    current: World

    @initialize(seed=st.integers(0, 2**32), delay=st.sampled_from([LAN, 0.02, WAN]), loss=st.sampled_from([0.0, 0.03]))
    def connect(self, seed: int, delay: float, loss: float) -> None:
        self.current = World(random.Random(seed), delay=delay, jitter=0.3 * delay, loss=loss).connected()

    @rule(what=st.sampled_from(STORY), name=st.sampled_from("ab"))
    def happens(self, what: str, name: str) -> None:
        act(self.current, what, name)

    @rule(seconds=st.sampled_from([0.01, 0.1, 0.4, 1.0, 3.0]))
    def passes(self, seconds: float) -> None:
        self.current.run(seconds)

    @invariant()
    def nothing_is_out_of_order(self) -> None:
        for page in self.current.pages.values():
            assert page.heard == self.current.other(page).said[: len(page.heard)]

    @invariant()
    def nothing_is_waited_for_without_end(self) -> None:
        for page in self.current.pages.values():
            assert page.session.place
            assert not page.session.place.link.opening or OPENING in page.timers
            assert not page.health.is_suspect or page.timers.keys() & {ATTEMPT, SETTLE, RENEW}

    def teardown(self) -> None:
        for name in "ab":
            self.current.say(name)
        self.current.rest()
        self.current.check(connections=1)


TestSessions = Sessions.TestCase
TestSessions.settings = settings(examples(60), stateful_step_count=16)


@pytest.mark.parametrize(
    ("seed", "delay", "story"),
    [
        # A newer socket is sent what the last one lost, and the new pair dies again before it is proven.
        (
            122,
            0.05,
            [
                ("move-silently", "a", 1.0),
                *[("reroute", "b", 3.0)] * 2,
                ("move-silently", "b", 1.0),
                ("say", "a", 3.0),
                ("move-silently", "a", 0.0),
            ],
        ),
        # The uplink goes while a socket is opened beside one that is just welcomed.
        (
            18096299,
            0.02,
            [
                ("reroute", "a", 0.01),
                ("socket-dead", "a", 3.0),
                ("reroute", "a", 0.4),
                ("say", "b", 0.01),
                *[("blink", "a", 3.0)] * 2,
                ("reroute", "b", 0.4),
                ("reroute", "a", 0.01),
            ],
        ),
    ],
)
def test_what_broke_two_sessions_once(seed: int, delay: float, story: list[tuple[str, str, float]]) -> None:
    machine = Sessions()
    machine.connect(seed, delay, 0.0)
    for what, name, seconds in story:
        machine.happens(what, name)
        machine.passes(seconds)
    machine.teardown()
