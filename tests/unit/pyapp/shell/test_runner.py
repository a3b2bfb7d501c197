"""The runner with shells that only remember: order, turns, timers, faults."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from pyapp.core import commands
from pyapp.core.commands import Command, MediaCommand, OfPeer, ServerCommand, TabCommand
from pyapp.core.events import (
    ConnectRequested,
    Event,
    Fault,
    HangUpRequested,
    LinkWanted,
    MessageSubmitted,
    PageClosing,
    RestartRequested,
    Slept,
    TimerFired,
)
from pyapp.core.peers import PeerId
from pyapp.core.session import Session
from pyapp.core.signaling.rendezvous import Rendezvous
from pyapp.core.timers import RecoveryTimer, Timer
from pyapp.protocol.channel import MAX_TEXT_BYTES
from pyapp.protocol.ice import IceConfiguration
from pyapp.shell import runner
from pyapp.shell.runner import Runner
from pyapp.view.console import View
from tests.unit.pyapp.sessions import lost

FETCH = commands.FetchIceConfiguration(1, "demo")
PEER = PeerId(1)
SAMPLE, CLOSE = OfPeer(PEER, commands.SampleStats()), OfPeer(PEER, commands.ClosePeer())


class Script(Session):
    """A session that answers each event with what the test says, and remembers what it received."""

    def prepare(self, answers: dict[Event, list[Command]]) -> None:
        self.answers = answers
        self.received: list[tuple[Event, float]] = []

    def receive(self, event: Event, now: float) -> list[Command]:
        self.received.append((event, now))
        self.name_problem = f"received {len(self.received)}"  # so that there is something new to show
        if event == PageClosing():
            raise ZeroDivisionError("in the core")
        return [] if isinstance(event, Fault) else self.answers.get(event, [])

    @property
    def order(self) -> list[Event]:
        return [event for event, _ in self.received]


@dataclass
class Shell:
    """Every shell in one: it remembers, and does what a test hooks in."""

    did: list[Command] = field(default_factory=list)
    views: list[View] = field(default_factory=list)
    on_perform: Callable[[Command], None] = lambda _: None
    on_render: Callable[[View], None] = lambda _: None

    def perform(self, command: ServerCommand | OfPeer | MediaCommand | TabCommand) -> None:
        self.did.append(command)
        self.on_perform(command)

    def render(self, view: View) -> None:
        self.views.append(view)
        self.on_render(view)


@dataclass
class Bench:
    """A runner with a session by the script; `clock` and `chance` are what the test sets."""

    session: Script
    shell: Shell = field(default_factory=Shell)
    reported: list[BaseException] = field(default_factory=list)
    clock: float = 0.0
    wall: float = 1_700_000_000.0
    chance: float = 0.0

    def __post_init__(self) -> None:
        self.runner = Runner(
            self.session,
            clock=lambda: self.clock,
            wall=lambda: self.wall,
            random=lambda: self.chance,
            report=self.reported.append,
        )
        self.runner.attach(server=self.shell, peers=self.shell, media=self.shell, tabs=self.shell, screen=self.shell)

    def timers(self) -> dict[Timer, float]:
        """Return the seconds until each timer fires."""
        loop = asyncio.get_running_loop()
        return {name: round(handle.when() - loop.time(), 1) for name, handle in self.runner._timers.items()}


@pytest.fixture
def build() -> Iterator[Callable[[dict[Event, list[Command]]], Bench]]:
    benches = []

    def built(answers: dict[Event, list[Command]]) -> Bench:
        session = Script("a" * 32, "b" * 32, 0.0)
        session.prepare(answers)
        benches.append(bench := Bench(session))
        return bench

    yield built
    for bench in benches:
        for handle in bench.runner._timers.values():
            handle.cancel()


Build = Callable[[dict[Event, list[Command]]], Bench]


class TestCommands:
    EVERY: tuple[Command, ...] = (
        FETCH,
        commands.OpenSignaling(1),
        OfPeer(PEER, commands.CreatePeer(IceConfiguration(), ())),
        OfPeer(PEER, commands.SendOnChannel("messages", "x")),
        SAMPLE,
        commands.StartMedia(1, "camera"),
        commands.StopMedia("camera"),
        CLOSE,
        commands.CloseSignaling(),
    )

    def test_are_performed_in_order_on_the_same_turn(self, build: Build) -> None:
        bench = build({RestartRequested(): list(self.EVERY)})
        bench.runner.emit(RestartRequested())
        assert bench.shell.did == list(self.EVERY)
        assert bench.reported == []

    def test_go_to_the_shell_that_can_perform_them(self, build: Build) -> None:
        stop = commands.StopMedia("camera")
        bench = build({RestartRequested(): [FETCH, SAMPLE, stop]})
        server, peers, media = Shell(), Shell(), Shell()
        bench.runner.attach(server=server, peers=peers, media=media, tabs=bench.shell, screen=bench.shell)
        bench.runner.emit(RestartRequested())
        assert (server.did, peers.did, media.did) == ([FETCH], [SAMPLE], [stop])

    def test_that_fail_become_a_fault_and_the_others_are_performed(self, build: Build) -> None:
        bench = build({RestartRequested(): [FETCH, SAMPLE]})

        def fail(command: Command) -> None:
            if command == FETCH:
                raise KeyError("socket")

        bench.shell.on_perform = fail
        bench.runner.emit(RestartRequested())
        assert bench.shell.did == [FETCH, SAMPLE]
        assert bench.session.order == [RestartRequested(), Fault("FetchIceConfiguration", "KeyError: 'socket'")]
        (error,) = bench.reported
        assert isinstance(error, KeyError)


class TestEvents:
    def test_come_with_the_time(self, build: Build) -> None:
        bench = build({})
        bench.clock = 12.5
        bench.runner.emit(RestartRequested())
        assert bench.session.received == [(RestartRequested(), 12.5)]

    def test_emitted_while_a_command_is_performed_wait_their_turn(self, build: Build) -> None:
        bench = build({RestartRequested(): [FETCH, SAMPLE], HangUpRequested(): [CLOSE]})

        def answer_at_once(command: Command) -> None:
            if command == FETCH:
                bench.runner.emit(HangUpRequested())
                assert bench.session.order == [RestartRequested()]

        bench.shell.on_perform = answer_at_once
        bench.runner.emit(RestartRequested())
        assert bench.session.order == [RestartRequested(), HangUpRequested()]
        assert bench.shell.did == [FETCH, SAMPLE, CLOSE]
        assert bench.reported == []

    def test_are_shown_once_for_all_that_came_of_them(self, build: Build) -> None:
        bench = build({RestartRequested(): [FETCH]})
        bench.shell.on_perform = lambda _: bench.runner.emit(HangUpRequested())
        assert len(bench.shell.views) == 1
        bench.runner.emit(RestartRequested())
        assert len(bench.shell.views) == 2

    def test_that_the_core_cannot_take_become_a_fault(self, build: Build) -> None:
        bench = build({})
        bench.runner.emit(PageClosing())
        assert bench.session.order == [PageClosing(), Fault("PageClosing", "ZeroDivisionError: in the core")]
        assert len(bench.reported) == 1
        bench.runner.emit(RestartRequested())
        assert bench.session.order[-1] == RestartRequested()

    def test_of_what_the_core_kept_to_itself_are_reported_and_received(self, build: Build) -> None:
        bench = build({RestartRequested(): [commands.ReportFault("a candidate", KeyError("x")), SAMPLE]})
        bench.runner.emit(RestartRequested())
        assert bench.shell.did == [SAMPLE]
        assert bench.session.order == [RestartRequested(), Fault("a candidate", "KeyError: 'x'")]
        assert len(bench.reported) == 1

    def test_of_a_fault_elsewhere_are_reported_and_received(self, build: Build) -> None:
        bench = build({})
        bench.runner.fault("window", RuntimeError("x"))
        assert bench.session.order == [Fault("window", "RuntimeError: x")]
        assert str(bench.reported[0]) == "x"

    def test_are_still_taken_after_the_screen_failed(self, build: Build) -> None:
        bench = build({})

        def fail(_: View) -> None:
            bench.shell.on_render = lambda _: None
            raise ZeroDivisionError

        bench.shell.on_render = fail
        with pytest.raises(ZeroDivisionError):
            bench.runner.emit(RestartRequested())
        bench.runner.emit(HangUpRequested())
        assert bench.session.order == [RestartRequested(), HangUpRequested()]

    def test_that_change_nothing_are_not_shown(self, build: Build) -> None:
        bench = build({})
        bench.runner.emit(RestartRequested())
        shown = len(bench.shell.views)
        bench.session.received.clear()  # the next one counts as the first again
        bench.runner.emit(RestartRequested())
        assert len(bench.shell.views) == shown

    def test_are_shown_with_the_next_one_after_the_screen_failed(self, build: Build) -> None:
        bench = build({})

        def fail(_: View) -> None:
            bench.shell.on_render = lambda _: None
            raise ZeroDivisionError

        bench.shell.on_render = fail
        with pytest.raises(ZeroDivisionError):
            bench.runner.emit(RestartRequested())
        failed = bench.shell.views[-1]
        bench.session.received.clear()
        bench.runner.emit(RestartRequested())
        assert bench.shell.views[-1] is failed

    def test_emitted_while_the_view_is_shown_are_not_forgotten(self, build: Build) -> None:
        bench = build({})

        def emit_once(_: View) -> None:
            bench.shell.on_render = lambda _: None
            bench.runner.emit(HangUpRequested())

        bench.shell.on_render = emit_once
        bench.runner.emit(RestartRequested())
        assert bench.session.order == [RestartRequested(), HangUpRequested()]


async def turns() -> None:
    """Give the loop the turns that timers which are due need."""
    for _ in range(5):
        await asyncio.sleep(0)


ONE, TWO, THREE = RecoveryTimer.BEAT, RecoveryTimer.SILENCE, RecoveryTimer.LOST

START: dict[Event, list[Command]] = {
    RestartRequested(): [commands.StartTimer(ONE, 0.0)],
    HangUpRequested(): [commands.CancelTimer(ONE), commands.CancelTimer(THREE)],
}


class TestTimers:
    async def test_emit_their_name_once(self, build: Build) -> None:
        bench = build({RestartRequested(): [commands.StartTimer(ONE, 0.0)]})
        bench.runner.emit(RestartRequested())
        await turns()
        assert bench.session.order == [RestartRequested(), TimerFired(ONE)]
        assert bench.timers() == {}

    async def test_are_cancelled(self, build: Build) -> None:
        bench = build(START)
        bench.runner.emit(RestartRequested())
        bench.runner.emit(HangUpRequested())
        await turns()
        assert TimerFired(ONE) not in bench.session.order
        assert bench.reported == []

    async def test_replace_one_of_the_same_name(self, build: Build) -> None:
        bench = build(
            {
                RestartRequested(): [commands.StartTimer(ONE, 0.0)],
                HangUpRequested(): [commands.StartTimer(ONE, 50.0), commands.StartTimer(TWO, 7.0)],
            }
        )
        bench.runner.emit(RestartRequested())
        bench.runner.emit(HangUpRequested())
        assert bench.timers() == {ONE: 50.0, TWO: 7.0}
        await turns()
        assert TimerFired(ONE) not in bench.session.order

    async def test_only_if_idle_leave_it_as_it_is(self, build: Build) -> None:
        bench = build(
            {
                RestartRequested(): [commands.StartTimer(ONE, 9.0, only_if_idle=True)],
                HangUpRequested(): [commands.StartTimer(ONE, 50.0, only_if_idle=True)],
            }
        )
        bench.runner.emit(RestartRequested())
        bench.runner.emit(HangUpRequested())
        assert bench.timers() == {ONE: 9.0}

    async def test_are_spread_at_random(self, build: Build) -> None:
        bench = build({RestartRequested(): [commands.StartTimer(ONE, 8.0, spread=4.0)]})
        bench.chance = 0.5
        bench.runner.emit(RestartRequested())
        assert bench.timers() == {ONE: 10.0}

    async def test_can_be_set_again_by_what_they_cause(self, build: Build) -> None:
        bench = build(
            {
                RestartRequested(): [commands.StartTimer(ONE, 0.0)],
                TimerFired(ONE): [commands.StartTimer(ONE, 5.0, only_if_idle=True)],
            }
        )
        bench.runner.emit(RestartRequested())
        await turns()
        assert bench.timers() == {ONE: 5.0}


class TestTheRehearsal:
    @staticmethod
    async def turns(count: int) -> None:
        for _ in range(count):
            await asyncio.sleep(0)

    @pytest.fixture(autouse=True)
    def at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(runner, "REHEARSED_AFTER", 0.0)

    async def test_goes_on_between_events_and_shows_nothing(self, build: Build) -> None:
        bench = build({})
        taken: list[str] = []

        def steps() -> Iterator[str]:
            for name in ("a", "b", "c"):
                taken.append(name)
                yield name

        bench.runner.rehearse(steps())
        await self.turns(3)
        bench.runner.emit(RestartRequested())
        await self.turns(3)
        assert taken == ["a", "b", "c"]
        assert bench.session.order == [RestartRequested()]
        assert len(bench.shell.views) == 2

    async def test_pauses_while_it_connects_and_goes_on_while_nobody_else_is_there(self, build: Build) -> None:
        bench = build({})
        steps = iter(range(1, 100))
        bench.runner.rehearse(steps)
        await self.turns(3)
        bench.session.phase = "active"
        bench.runner.emit(RestartRequested())
        taken = next(steps) - 1
        assert 0 < taken < 10
        await self.turns(20)
        assert next(steps) == taken + 2
        place = bench.session.presence.place = Rendezvous("demo", "", "", "", 1, 1)
        place.link.state = "present"
        bench.runner.emit(RestartRequested())
        await self.turns(20)
        assert next(steps) > taken + 4

    async def test_is_over_once_somebody_else_is_there(self, build: Build) -> None:
        bench = build({})
        steps = iter(range(1, 100))
        bench.runner.rehearse(steps)
        bench.session.phase = "failed"
        bench.runner.emit(RestartRequested())
        await self.turns(20)
        assert next(steps) == 1


class TestWhatThePageDoesOnceItIsReady:
    async def test_is_done_in_the_next_turn(self, build: Build) -> None:
        done: list[str] = []
        build({}).runner.defer(lambda: done.append("panels"))
        assert not done
        await asyncio.sleep(0)
        assert done == ["panels"]

    async def test_waits_for_a_moment_if_connect_was_pressed_first(
        self, build: Build, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("pyapp.shell.runner.DEFERRED_FOR", 0.01)
        bench = build({})
        done = asyncio.Event()
        bench.runner.defer(done.set)
        bench.session.phase = "active"
        bench.runner.emit(RestartRequested())
        await asyncio.sleep(0)
        assert not done.is_set()
        await asyncio.wait_for(done.wait(), 10)


class TestTwoClocks:
    """What one gains on the other between two events is told before the second event."""

    def test_tell_that_the_machine_slept(self, build: Build) -> None:
        bench = build({Slept(3600.0): [SAMPLE]})
        bench.runner.emit(RestartRequested())
        bench.clock += 1.0
        bench.wall += 3601.0
        for _ in range(2):
            bench.runner.emit(RestartRequested())
        assert bench.session.order == [RestartRequested(), Slept(3600.0), RestartRequested(), RestartRequested()]
        assert bench.shell.did == [SAMPLE]

    def test_tell_it_of_the_time_before_the_first_event_too(self, build: Build) -> None:
        bench = build({})
        bench.wall += 60.0
        bench.runner.emit(RestartRequested())
        assert bench.session.order == [Slept(60.0), RestartRequested()]

    @pytest.mark.parametrize("gain", [-7200.0, -1.0, 0.0, 1.5])
    def test_tell_nothing_of_a_wall_clock_that_is_set_back_or_a_little_forward(self, build: Build, gain: float) -> None:
        bench = build({})
        for _ in range(3):
            bench.clock += 100.0
            bench.wall += 100.0 + gain
            bench.runner.emit(RestartRequested())
        assert bench.session.order == [RestartRequested()] * 3

    def test_are_compared_anew_after_the_wall_clock_was_set_back(self, build: Build) -> None:
        bench = build({})
        bench.wall -= 86_400.0
        bench.runner.emit(RestartRequested())
        bench.wall += 10.0
        bench.runner.emit(RestartRequested())
        assert bench.session.order == [RestartRequested(), Slept(10.0), RestartRequested()]


class TestViews:
    """While it connects they are late, for the sake of the browser's other work."""

    @pytest.fixture(autouse=True)
    def soon(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(runner, "DRAWN_AFTER", 0.0)

    async def test_are_late_while_it_connects_and_the_last_is_drawn(self, build: Build) -> None:
        bench = build({})
        bench.session.phase = "active"
        for _ in range(3):
            bench.runner.emit(RestartRequested())
        assert len(bench.shell.views) == 1
        await turns()
        assert [view.status.state for view in bench.shell.views] == ["ready", "connecting"]
        assert bench.shell.views[-1].lobby.problem == "A session name has received 3."

    async def test_are_drawn_at_once_when_it_is_over(self, build: Build) -> None:
        bench = build({})
        bench.session.phase = "active"
        bench.runner.emit(RestartRequested())
        bench.session.phase = "failed"
        bench.runner.emit(RestartRequested())
        assert [view.status.state for view in bench.shell.views] == ["ready", "failed"]
        await turns()
        assert len(bench.shell.views) == 2

    async def test_that_are_late_take_what_is_emitted_while_they_are_drawn(self, build: Build) -> None:
        bench = build({})
        bench.session.phase = "active"

        def emit_once(_: View) -> None:
            bench.shell.on_render = lambda _: None
            bench.runner.emit(HangUpRequested())
            assert bench.session.order == [RestartRequested()]

        bench.runner.emit(RestartRequested())
        bench.shell.on_render = emit_once
        await turns()
        assert bench.session.order == [RestartRequested(), HangUpRequested()]

    @pytest.mark.parametrize("event", [MessageSubmitted("Hello"), LinkWanted()])
    async def test_of_what_the_panel_reads_back_are_drawn_at_once(self, build: Build, event: Event) -> None:
        bench = build({})
        bench.session.phase = "active"
        bench.runner.emit(event)
        assert [view.status.state for view in bench.shell.views] == ["ready", "connecting"]


@pytest.mark.parametrize("text", ["Hello", "x" * (MAX_TEXT_BYTES + 1)])
async def test_a_message_in_an_outage_is_shown_as_refused_or_not_before_its_field_is_cleared(text: str) -> None:
    core, shell = lost(), Shell()
    runner = Runner(
        core.session,
        clock=lambda: core.now,
        wall=lambda: 1_700_000_000.0,
        random=lambda: 0.0,
        report=lambda error: pytest.fail(str(error)),
    )
    runner.attach(server=shell, peers=shell, media=shell, tabs=shell, screen=shell)
    assert not shell.views[-1].thread.problem
    runner.emit(MessageSubmitted(text))
    assert bool(shell.views[-1].thread.problem) is (text != "Hello")
    assert len(shell.views) == 2


async def test_a_real_session_is_shown_from_the_first_view_on() -> None:
    shell = Shell()
    runner = Runner(
        Session("a" * 32, "b" * 32, 0.0),
        clock=lambda: 1.0,
        wall=lambda: 1_700_000_000.0,
        random=lambda: 0.0,
        report=lambda error: pytest.fail(str(error)),
    )
    runner.attach(server=shell, peers=shell, media=shell, tabs=shell, screen=shell)
    assert [view.status.state for view in shell.views] == ["ready"]
    runner.emit(ConnectRequested("demo"))
    assert [view.status.state for view in shell.views] == ["ready"]
    assert shell.did == [commands.OpenSignaling(1), FETCH, commands.TabIsIn("demo")]
