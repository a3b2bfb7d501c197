"""A session in which nothing happens beats slowly, and still notices; whatever happens wakes both ends."""

import random

import pytest

from pyapp.core import commands, events
from pyapp.core.path.heartbeat import INTERVAL, QUIET_INTERVAL, Pulse
from pyapp.core.path.observation import STATS, STATS_EVERY, STATS_QUIET_EVERY
from pyapp.core.path.recovery import BEAT, SILENCE, Recovery
from pyapp.core.path.silence import QUIET_AFTER
from pyapp.protocol.channel import Beat
from tests.unit.examples import lasting, seeds
from tests.unit.pyapp.sessions import SAMPLED, Core, Said, beats, connected
from tests.unit.pyapp.world.world import World

NETWORK = events.NetworkChanged("change", certain=False)


def beating() -> Core:
    core = connected()
    core.do(events.ChannelOpened("heartbeat"))
    return core


def heard(core: Core, *, due: int) -> list[Said]:
    """Take the next beat of the other side, which echoes our last and says when its next is `due`, in ms."""
    assert core.session.connection
    pulse = core.session.connection.recovery.pulse
    return core.do(events.ChannelReceived("heartbeat", Beat(pulse._heard + 1, pulse.number, 0, due, 0).encode()))


def beat_for(core: Core, seconds: float, *, due: int = 100) -> None:
    """Let nothing happen but beats, each of which is answered."""
    end = core.now + seconds
    while core.now < end:
        core.now += core.timers[BEAT]
        core.do(events.TimerFired(BEAT))
        heard(core, due=due)


def quiet() -> Core:
    """Return a session in which nothing has happened for so long that its beats are slow, as the other side's are."""
    core = beating()
    beat_for(core, QUIET_AFTER)
    beat_for(core, 5.0, due=600)
    assert core.timers[BEAT] == QUIET_INTERVAL
    return core


class TestASessionThatIsQuiet:
    def test_says_when_its_next_beat_is_due(self) -> None:
        core = quiet()
        core.now += QUIET_INTERVAL
        (beat,) = beats(core.do(events.TimerFired(BEAT)))
        assert beat.due == QUIET_INTERVAL * 1000

    def test_looks_at_the_path_less_often(self) -> None:
        core = quiet()
        core.do(SAMPLED)
        assert core.timers[STATS] == STATS_QUIET_EVERY
        core.do(events.PersonActive(), SAMPLED)
        assert core.timers[STATS] == STATS_EVERY

    @pytest.mark.parametrize(
        "event",
        [
            events.PersonActive(),
            events.MessageSubmitted("hello"),
            events.MediaToggled("camera"),
            events.ChannelReceived("messages", '{"a":0}'),
            events.VisibilityChanged(hidden=False),
            events.PairChanged(),
            NETWORK,
        ],
        ids=lambda event: type(event).__name__,
    )
    def test_is_at_full_speed_once_anything_happens_at_either_end(self, event: events.Event | events.PeerEvent) -> None:
        core = quiet()
        said = beats(core.do(event))
        assert len(said) >= 2
        assert said[-1].due == INTERVAL * 1000
        assert core.timers[BEAT] == INTERVAL

    def test_is_woken_by_the_other_sides_quick_beat_and_only_by_the_first(self) -> None:
        core = quiet()
        assert [beat.due for beat in beats(heard(core, due=100))] == [100, 100]
        core.now += 0.1
        assert beats(heard(core, due=100)) == []

    def test_is_not_woken_by_the_answer_to_having_woken_the_other_side(self) -> None:
        core = quiet()
        core.do(events.PersonActive())
        core.now += 0.1
        assert beats(heard(core, due=100)) == []

    def test_asks_the_other_side_at_full_speed_when_a_beat_is_late(self) -> None:
        core = quiet()
        core.now += core.timers[SILENCE]
        said = beats(core.do(events.TimerFired(SILENCE)))
        assert [beat.due for beat in said] == [100, 100]
        assert said[0].wants_echo

    def test_has_been_so_for_two_minutes(self) -> None:
        core = beating()
        for _ in range(3):
            beat_for(core, QUIET_AFTER - 1.0)
            assert core.timers[BEAT] == INTERVAL
            core.do(events.PersonActive())

    @pytest.mark.parametrize("there", [False, True])
    def test_shows_and_plays_nothing(self, *, there: bool) -> None:
        core = beating()
        if there:
            core.do(events.ChannelReceived("messages", '{"a":0,"n":1,"m":[true,false]}'))
        else:
            (start,) = (
                each for each in core.do(events.MediaToggled("camera")) if isinstance(each, commands.StartMedia)
            )
            core.do(events.MediaStarted(start.number, "camera"))
        beat_for(core, QUIET_AFTER + 5.0)
        assert core.timers[BEAT] == INTERVAL


def test_where_packets_are_lost_beats_slow_down_less() -> None:
    good, bad = Pulse(), Pulse()
    for number in range(1, 3000):
        good.heard(Beat(number, 0, 0, 100, 0), number / 10)
        if number % 5:
            bad.heard(Beat(number, 0, 0, 100, 0), number / 10)
    assert good.quiet_interval == QUIET_INTERVAL
    assert INTERVAL < bad.quiet_interval < QUIET_INTERVAL


def test_a_recovery_that_has_not_begun_has_nothing_to_say() -> None:
    assert Recovery().active(1.0) == []


@pytest.mark.parametrize("delay", [0.001, 0.1])
@pytest.mark.parametrize("seed", seeds(3))
def test_two_quiet_sides_still_notice_within_two_seconds(seed: int, delay: float) -> None:
    world = World(random.Random(seed), delay=delay, jitter=0.02).connected()
    world.run(QUIET_AFTER + 10.0)
    assert world.a.health.is_quiet
    assert world.b.health.is_quiet
    assert not world.a.notes("suspect")
    world.reroute("a")
    taken = world.run_until(lambda: world.a.health.is_suspect or world.b.health.is_suspect)
    assert taken < 2.0
    world.run_until(lambda: world.a.health.is_healthy and world.b.health.is_healthy)


@pytest.mark.parametrize("loss", [0.0, 0.02, 0.1])
def test_quiet_raises_no_alarm(loss: float) -> None:
    world = World(random.Random(1), delay=0.02, jitter=0.03).connected()
    world.loss = loss
    world.run(QUIET_AFTER + lasting(800.0))
    assert not world.a.notes("suspect")
    assert not world.b.notes("suspect")


def test_one_side_that_wakes_wakes_the_other() -> None:
    world = World(random.Random(0), delay=0.02).connected()
    world.run(QUIET_AFTER + 10.0)
    world.receive(world.a, events.PersonActive())
    world.run(0.5)
    assert not world.a.health.is_quiet
    assert not world.b.health.is_quiet
