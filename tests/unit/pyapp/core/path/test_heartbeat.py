"""Heartbeats: what they carry, what is learnt from them, and that nothing but an outage is taken for one."""

import random

import pytest

from pyapp.core.path.heartbeat import FIRST_PATIENCE, HIDDEN_INTERVAL, INTERVAL, LEAST_PATIENCE, Pulse
from pyapp.protocol.channel import Beat
from tests.unit.examples import lasting, seeds
from tests.unit.pyapp.beating import Duo


def heard(pulse: Pulse, numbers: range, *, every: float = INTERVAL, echo: int = 0, held: int = 0) -> float:
    """Let the beats `numbers` come on time; return when the last one came."""
    now = 0.0
    for number in numbers:
        now = number * every
        pulse.heard(Beat(number, echo, held, round(every * 1000), 0), now)
    return now


class TestPatience:
    def test_is_the_least_on_a_good_path(self) -> None:
        pulse = Pulse()
        heard(pulse, range(1, 1000))
        assert pulse.patience() == pytest.approx(LEAST_PATIENCE, abs=0.01)

    def test_has_a_limit_also_after_days_without_a_lost_beat(self) -> None:
        pulse = Pulse()
        pulse._lost = 0.0  # by being halved, again and again
        heard(pulse, range(1, 1000))
        assert 0 < pulse.patience() <= LEAST_PATIENCE + 0.01

    def test_before_and_after_the_first_beat(self) -> None:
        pulse = Pulse()
        pulse.listen(0.0)
        assert pulse.patience() == FIRST_PATIENCE
        pulse.heard(Beat(1, 0, 0, 100, 0), 1.0)
        assert LEAST_PATIENCE <= pulse.patience() <= 0.55

    def test_is_that_of_the_page_that_beats_slowly(self) -> None:
        pulse = Pulse()
        heard(pulse, range(1, 20))
        pulse.heard(Beat(20, 0, 0, round(HIDDEN_INTERVAL * 1000), 0), 2.0)
        assert pulse.patience() >= 2 * HIDDEN_INTERVAL
        pulse.heard(Beat(21, 0, 0, 100, 0), 3.2)
        assert pulse.patience() < 1.0

    def test_grows_with_the_round_trip(self) -> None:
        pulse = Pulse()
        for number in range(1, 200):
            at = number * INTERVAL
            sent = pulse.next_beat(at, due=INTERVAL, generation=0)
            pulse.heard(Beat(number, sent.number, 0, 100, 0), at + 0.4)
        assert pulse.round_trip.smoothed == pytest.approx(0.4, abs=0.01)
        assert pulse.patience() >= 1.2

    def test_grows_with_the_jitter_and_forgets_it(self) -> None:
        pulse, choose = Pulse(), random.Random(1)
        for number in range(1, 300):
            pulse.heard(Beat(number, 0, 0, 100, 0), number * INTERVAL + 0.05 * choose.random())
        shaken = pulse.patience()
        assert shaken > LEAST_PATIENCE + 0.03
        for number in range(300, 900):
            pulse.heard(Beat(number, 0, 0, 100, 0), number * INTERVAL)
        assert pulse.patience() < shaken - 0.03

    @pytest.mark.parametrize(("loss", "beats"), [(0.05, 5), (0.2, 9)])
    def test_grows_with_the_loss(self, loss: float, beats: int) -> None:
        pulse, choose = Pulse(), random.Random(1)
        for number in range(1, 3000):
            if choose.random() > loss:
                pulse.heard(Beat(number, 0, 0, 100, 0), number * INTERVAL)
        assert pulse.loss == pytest.approx(loss, rel=0.25)
        assert pulse.patience() >= beats * INTERVAL * 0.9

    def test_does_not_grow_with_what_was_lost_in_an_outage(self) -> None:
        pulse = Pulse()
        now = heard(pulse, range(1, 500))
        before = pulse.loss
        pulse.heard(Beat(550, 0, 0, 100, 0), now + 5.0, in_outage=True)
        assert pulse.loss <= before

    def test_stays_finite_when_nearly_everything_is_lost(self) -> None:
        pulse = Pulse()
        for number in range(1, 20_000, 50):
            pulse.heard(Beat(number, 0, 0, 100, 0), number * INTERVAL)
        assert pulse.patience() < 60.0


class TestTheRoundTrip:
    def test_is_that_of_the_beat_which_is_echoed_without_the_time_it_was_held(self) -> None:
        pulse = Pulse()
        sent = pulse.next_beat(1.0, due=INTERVAL, generation=0)
        pulse.heard(Beat(1, sent.number, 70, 100, 0), 1.12)
        assert pulse.round_trip.smoothed == pytest.approx(0.05)

    def test_is_never_negative(self) -> None:
        pulse = Pulse()
        sent = pulse.next_beat(1.0, due=INTERVAL, generation=0)
        pulse.heard(Beat(1, sent.number, 5000, 100, 0), 1.1)
        assert pulse.round_trip.smoothed == 0.0

    def test_is_not_measured_by_an_echo_of_what_was_never_sent(self) -> None:
        pulse = Pulse()
        pulse.heard(Beat(1, 77, 0, 100, 0), 1.0)
        assert pulse.round_trip.smoothed is None


class TestOrder:
    def test_of_a_beat_that_was_overtaken_does_not_matter(self) -> None:
        pulse = Pulse()
        heard(pulse, range(1, 10))
        pulse.heard(Beat(12, 0, 0, 100, 0), 1.2)
        pulse.heard(Beat(11, 0, 0, 5000, 0), 1.21)
        assert pulse.heard_at == 1.2
        assert pulse.next_beat(1.3, due=INTERVAL, generation=0).echo == 12

    def test_of_our_own_beats_is_counted_from_one(self) -> None:
        pulse = Pulse()
        beats = [pulse.next_beat(at, due=0.1, generation=2, wants_echo=at > 1) for at in (0.0, 2.0)]
        assert [(beat.number, beat.due, beat.generation, beat.wants_echo) for beat in beats] == [
            (1, 100, 2, False),
            (2, 100, 2, True),
        ]

    def test_says_how_long_the_other_side_was_not_heard(self) -> None:
        pulse = Pulse()
        pulse.heard(Beat(5, 0, 0, 100, 0), 1.0)
        beat = pulse.next_beat(1.75, due=INTERVAL, generation=0)
        assert (beat.echo, beat.held) == (5, 750)


TEN_MINUTES = lasting(600.0)


def assert_no_alarm(duo: Duo) -> None:
    for end in (duo.a, duo.b):
        assert end.suspicions() == []
        assert end.health.is_healthy


class TestTenMinutesWithoutAnAlarm:
    @pytest.mark.parametrize("delay", [0.0, 0.025, 0.15, 0.6])
    def test_on_a_healthy_path(self, delay: float) -> None:
        duo = Duo(delay=delay).start()
        duo.run(TEN_MINUTES)
        assert_no_alarm(duo)

    @pytest.mark.parametrize("seed", seeds(5))
    @pytest.mark.parametrize("delay", [0.0, 0.05])
    def test_with_five_percent_loss_and_jitter(self, seed: int, delay: float) -> None:
        duo = Duo(delay=delay, jitter=0.03, loss=0.05, seed=seed).start()
        duo.run(TEN_MINUTES)
        assert_no_alarm(duo)

    @pytest.mark.parametrize("seed", seeds(2))
    def test_with_the_same_and_a_standby(self, seed: int) -> None:
        duo = Duo(delay=0.01, jitter=0.03, loss=0.05, seed=seed, has_standby=True).start()
        duo.run(TEN_MINUTES)
        assert duo.doubts
        assert_no_alarm(duo)

    @pytest.mark.parametrize("seed", seeds(4))
    @pytest.mark.parametrize("loss", [0.0, 0.02])
    def test_with_each_page_hidden_in_turn(self, loss: float, seed: int) -> None:
        duo = Duo(delay=0.01, jitter=0.01, loss=loss, seed=seed).start()
        while duo.now < TEN_MINUTES:
            for end in (duo.a, duo.b):
                duo.run(20.37)
                duo.hide(end, is_hidden=True)
                duo.run(40.11)
                duo.hide(end, is_hidden=False)
        assert_no_alarm(duo)

    def test_with_both_pages_hidden(self) -> None:
        duo = Duo(delay=0.01).start()
        duo.run(5.3)
        for end in (duo.a, duo.b):
            duo.hide(end, is_hidden=True)
        duo.run(TEN_MINUTES)
        assert_no_alarm(duo)

    @pytest.mark.parametrize("has_standby", [False, True])
    def test_with_a_radio_that_pauses_now_and_then(self, has_standby: bool) -> None:
        duo = Duo(delay=0.005, has_standby=has_standby).start()
        while duo.now < TEN_MINUTES:
            duo.run(3.0)
            duo.cut()
            duo.has_standby = False  # it is over the same radio
            duo.run(0.2)
            duo.mend()
            duo.has_standby = has_standby
        assert_no_alarm(duo)
        assert duo.a.alarms_not_given(), "the journal has what was nearly an alarm"


class TestASilence:
    @pytest.mark.parametrize(("delay", "most"), [(0.0, 0.52), (0.025, 0.56), (0.1, 0.9)])
    def test_is_noticed_at_both_ends(self, delay: float, most: float) -> None:
        duo = Duo(delay=delay).start()
        duo.run(10.05)
        duo.cut()
        duo.run(2.0)
        for end in (duo.a, duo.b):
            (at, evidence), *_ = end.suspicions()
            assert evidence == "silence"
            assert 0.2 < at - 10.05 < most

    @pytest.mark.parametrize(("lived", "sooner"), [(5.05, 0.1), (10.05, 0.09), (60.05, 0.09)])
    def test_is_noticed_sooner_if_the_other_side_is_heard_over_the_standby(self, lived: float, sooner: float) -> None:
        """Then its page is not what pauses, nor a radio link that both paths share."""
        noticed = []
        for has_standby in (False, True):
            duo = Duo(delay=0.001, jitter=0.002, has_standby=has_standby).start()
            duo.run(lived)
            duo.cut()
            duo.run(2.0)
            noticed.append([end.suspicions()[0] for end in (duo.a, duo.b)])
        for (without, _), (at, evidence) in zip(*noticed, strict=True):
            assert evidence == "silence"
            assert at < without - sooner

    @pytest.mark.parametrize("seed", seeds(3))
    def test_is_noticed_within_a_second_on_a_bad_path(self, seed: int) -> None:
        duo = Duo(delay=0.025, jitter=0.03, loss=0.05, seed=seed).start()
        duo.run(60.0)
        duo.cut()
        duo.run(3.0)
        for end in (duo.a, duo.b):
            assert end.suspicions()[0][0] - 60.0 < 1.0

    def test_of_a_hidden_page_is_noticed_by_the_other_within_some_of_its_slow_beats(self) -> None:
        duo = Duo(delay=0.01).start()
        duo.run(5.0)
        duo.hide(duo.a, is_hidden=True)
        duo.run(10.0)
        duo.cut()
        duo.run(10.0)
        assert 1.0 < duo.b.suspicions()[0][0] - 15.0 < 6.0

    def test_is_noticed_by_a_hidden_page_though_its_timers_are_late(self) -> None:
        duo = Duo(delay=0.01).start()
        duo.run(5.0)
        duo.hide(duo.a, is_hidden=True)
        duo.run(10.3)
        duo.cut()
        duo.run(10.0)
        assert 0.2 < duo.a.suspicions()[0][0] - 15.3 < 4.0


class TestAPageThatStandsStill:
    """Its beats are missing; its browser acknowledges ours."""

    @pytest.mark.parametrize("seconds", [0.7, 1.2, 2.5, 5.0])
    @pytest.mark.parametrize("delay", [0.0005, 0.05])
    @pytest.mark.parametrize("busy", ["a", "b", "ab"])
    @pytest.mark.parametrize("has_standby", [False, True])
    def test_is_no_outage(self, seconds: float, delay: float, busy: str, has_standby: bool) -> None:
        duo = Duo(delay=delay, jitter=0.002, has_standby=has_standby).start()
        for _ in range(6):
            duo.run(5.03)
            for name in busy:
                duo.stall(getattr(duo, name), seconds)
            duo.run(seconds)
        duo.run(5)
        assert_no_alarm(duo)

    @pytest.mark.parametrize("seconds", [0.7, 2.5, 5.0])
    @pytest.mark.parametrize("late", [0.05, 0.3, 0.7])
    @pytest.mark.parametrize("busy", ["a", "b", "ab"])
    @pytest.mark.parametrize("has_standby", [False, True])
    def test_is_no_outage_though_our_browser_says_late_what_came(
        self, seconds: float, late: float, busy: str, has_standby: bool
    ) -> None:
        duo = Duo(delay=0.0005, jitter=0.002, has_standby=has_standby).start()
        duo.a.stats_after = duo.b.stats_after = late
        for _ in range(6):
            duo.run(5.03)
            for name in busy:
                duo.stall(getattr(duo, name), seconds)
            duo.run(seconds)
        duo.run(5)
        assert_no_alarm(duo)

    @pytest.mark.parametrize("seconds", [0.4, 1.2, 2.5])
    @pytest.mark.parametrize("between", [0.005, 0.02])
    @pytest.mark.parametrize("busy", ["a", "b", "ab"])
    def test_is_no_outage_though_it_hardly_runs_before_it_stands_still_again(
        self, seconds: float, between: float, busy: str
    ) -> None:
        duo = Duo(delay=0.0005, jitter=0.002).start()
        for _ in range(4):
            duo.run(5.03)
            for _ in range(3):
                for name in busy:
                    duo.stall(getattr(duo, name), seconds)
                duo.run(seconds + between)
        duo.run(5)
        assert_no_alarm(duo)

    @pytest.mark.parametrize("late", [0.02, 0.05, 0.3])
    @pytest.mark.parametrize("busy", ["a", "b", "ab"])
    @pytest.mark.parametrize("has_standby", [False, True])
    def test_is_no_outage_though_its_timers_come_before_what_arrived(
        self, late: float, busy: str, has_standby: bool
    ) -> None:
        duo = Duo(delay=0.0005, jitter=0.002, has_standby=has_standby).start()
        duo.a.reads_after = duo.b.reads_after = late
        for _ in range(4):
            duo.run(5.03)
            for name in busy:
                duo.stall(getattr(duo, name), 1.2)
            duo.run(1.2)
        duo.run(5)
        assert_no_alarm(duo)

    def test_and_whose_path_is_dead_when_it_goes_on_is_an_outage(self) -> None:
        duo = Duo(delay=0.01, jitter=0.002).start()
        duo.run(5)
        for _ in range(3):
            duo.stall(duo.a, 1.2)
            duo.cut()
            duo.run(1.22)
        duo.run(1)
        assert duo.a.suspicions()

    @pytest.mark.parametrize("seconds", [0.12, 0.16, 0.25, 0.4])
    @pytest.mark.parametrize("seed", seeds(3))
    def test_is_no_outage_though_it_is_heard_over_the_standby_now_and_then(self, seconds: float, seed: int) -> None:
        """It says something there when it goes on, or before it stands still again: its browser answers here, too."""
        duo = Duo(delay=0.005, jitter=0.01, seed=seed, has_standby=True).start()
        duo.run(10.03)
        while duo.now < 60.0:
            duo.stall(duo.b, seconds)
            duo.run(seconds + 0.02)
        duo.run(5)
        assert duo.doubts
        assert_no_alarm(duo)

    def test_is_said_to_be_busy_after_a_second(self) -> None:
        duo = Duo(delay=0.01).start()
        duo.run(5)
        duo.stall(duo.b, 2.5)
        duo.run(0.9)
        assert not duo.a.health.peer_is_busy
        duo.run(0.9)
        assert duo.a.health.peer_is_busy
        duo.run(1.5)
        assert not duo.a.health.peer_is_busy
        assert not duo.b.health.peer_is_busy

    def test_does_not_teach_us_to_wait_longer(self) -> None:
        duo = Duo(delay=0.01, jitter=0.002).start()
        duo.run(20)
        before = duo.a.health.pulse.patience()
        duo.stall(duo.b, 2.5)
        duo.run(3)
        assert duo.a.health.pulse.patience() == pytest.approx(before, abs=0.03)

    def test_and_whose_path_dies_meanwhile_is_an_outage(self) -> None:
        duo = Duo(delay=0.01, jitter=0.002).start()
        duo.run(5)
        duo.stall(duo.b, 5)
        duo.run(1)
        duo.cut()
        died = duo.now
        duo.run(1)
        ((at, evidence),) = duo.a.suspicions()
        assert evidence == "silence"
        assert at - died < 0.7

    @pytest.mark.parametrize("late", [0.05, 0.7, 1e9])
    def test_an_outage_is_noticed_though_our_browser_says_late_what_came_or_never(self, late: float) -> None:
        duo = Duo(delay=0.01, jitter=0.002).start()
        duo.run(20)
        duo.a.stats_after = late
        duo.cut()
        duo.run(1.5 + min(late, 1.0))
        assert duo.a.suspicions()

    def test_an_outage_is_noticed_as_soon_as_ever(self) -> None:
        duo = Duo(delay=0.01, jitter=0.002).start()
        duo.run(20)
        patience, heard = duo.a.health.pulse.patience(), duo.a.health.pulse.silence(duo.now)
        duo.cut()
        died = duo.now
        duo.run(2)
        at, _ = duo.a.suspicions()[0]
        assert at - died <= patience - heard + 0.05
