"""What a silence means while the path is healthy."""

from collections.abc import Sequence

import pytest

from pyapp.core import commands
from pyapp.core.path.heartbeat import LEAST_PATIENCE
from pyapp.core.path.outcomes import Doubted
from pyapp.core.path.silence import (
    LOOK_AGAIN,
    MOST_STALLS,
    QUIET_AFTER,
    SILENCE,
    UNSEEN_AFTER,
    Alarm,
    Healthy,
    Listening,
    Output,
    echo_patience,
    grace,
)
from pyapp.core.path.vitals import CATCH_UP, STALL, Vitals
from pyapp.protocol.channel import Beat
from pyapp.protocol.entries import Entry
from tests.unit.pyapp.beating import duo, kinds


class TestTheEvidence:
    def test_of_a_change_that_may_be_none_only_asks(self) -> None:
        both = duo(0.02)
        both.did(both.a, both.a.health.network_changed(both.now, certain=False))
        both.run(2.0)
        assert both.a.suspicions() == []

    def test_of_a_change_that_nobody_answers_to_is_believed_sooner_than_a_silence(self) -> None:
        both = duo()
        both.cut()
        both.did(both.a, both.a.health.network_changed(both.now, certain=False))
        both.run(2.0)
        (at, evidence), *_ = both.a.suspicions()
        assert evidence == "no-echo"
        assert at - 5.05 < LEAST_PATIENCE - 0.1

    def test_of_our_own_stall_is_not_the_other_sides_silence(self) -> None:
        both = duo()
        health = both.a.health
        both.now += 1.0  # a second in which this page did nothing; what came is still in its inbox
        outputs = health.silent(both.now)
        assert [output.data()["cause"] for output in outputs if isinstance(output, Entry)] == ["stalled"]
        assert kinds(outputs) == []
        assert commands.StartTimer(SILENCE, STALL) in outputs
        health.heard(Beat(60, 50, 0, 100, 0).encode(), both.now + 0.001)
        assert "Suspected" not in kinds(health.silent(both.now + STALL))

    @pytest.mark.parametrize("fired", [["silent"], ["beat", "silent"]], ids=" before ".join)
    def test_of_our_own_stall_is_not_that_they_no_longer_hear_us(self, fired: list[str]) -> None:
        both = duo()
        health = both.a.health
        both.now += 2.5
        for timer in fired:
            # What we say of our silence is said when what arrived meanwhile was read.
            assert beats(getattr(health, timer)(both.now)) == 0
        held = Beat(60, 50, 2500, 100, 0)
        assert "Suspected" not in kinds(health.heard(held.encode(), both.now + 0.001))
        assert beats(health.beat(both.now + CATCH_UP)) == 1

    @pytest.mark.parametrize(("is_hidden", "times"), [(False, MOST_STALLS), (True, 1)])
    def test_of_a_stall_is_given_the_benefit_of_the_doubt_so_often(self, is_hidden: bool, times: int) -> None:
        both = duo()
        health = both.a.health
        health.hidden(both.now, is_hidden=is_hidden)
        for number in range(1, times + 1):
            assert "Suspected" not in kinds(health.silent(both.now + 10.0 * number))
        assert "Suspected" in kinds(health.silent(both.now + 10.0 * (times + 1)))

    def test_of_a_stall_counts_for_a_page_that_is_hidden_after_several(self) -> None:
        both = duo()
        health = both.a.health
        for number in (1, 2, 3):
            assert "Suspected" not in kinds(health.silent(both.now + 10.0 * number))
        health.hidden(both.now + 30.0, is_hidden=True)
        assert "Suspected" in kinds(health.silent(both.now + 40.0))


def healthy() -> Healthy:
    """Return the state of one side that heard a beat at 0.0 s, and sent one."""
    vitals = Vitals(polite=False, is_hidden=False, may_collide=lambda: True)
    vitals.is_open = True
    vitals.pulse.listen(0.0)
    vitals.heard(Beat(1, 0, 0, 100, 0), 0.0, is_telling=True)
    state = Healthy(vitals, 0.0, Listening(0.0))
    state.beat(0.0)
    return state


def judged(state: Healthy, now: float) -> list[Output]:
    """Judge in time: this page does not stand still."""
    state.listening.judged_at = now
    return state.judge(now)


def alarms(outputs: Sequence[Output]) -> list[str]:
    return [output.evidence for output in outputs if isinstance(output, Alarm)]


def beats(outputs: Sequence[object]) -> int:
    return sum(isinstance(output, commands.SendOnChannel) for output in outputs)


class TestASilence:
    @pytest.fixture
    def state(self) -> Healthy:
        """Return one that has doubts, and whose transport had received ten packets when that began."""
        state = healthy()
        doubted = judged(state, 0.2)
        assert Doubted() in doubted
        assert beats(doubted) == 2
        state.sampled(10, 0.2)
        return state

    def test_in_which_nothing_at_all_was_received_is_an_alarm(self, state: Healthy) -> None:
        over = state.vitals.pulse.patience()
        state.sampled(10, over)
        assert alarms(judged(state, over + 0.01)) == ["silence"]

    def test_in_which_packets_come_is_that_of_a_page_that_stands_still(self, state: Healthy) -> None:
        packets, now = 10, 0.2
        said: list[Output] = []
        while now < 3.0:
            now += 0.2
            packets += 1
            state.sampled(packets, now)
            said += judged(state, now)
        assert alarms(said) == []
        assert [output.event for output in said if isinstance(output, Entry)] == ["no-alarm"], "it is noted once"
        assert state.listening.peer_is_busy
        assert state.peer_stood_still

    def test_counts_from_the_last_packet_once_no_more_come(self, state: Healthy) -> None:
        patience = state.vitals.pulse.patience()
        state.sampled(11, 0.4)
        state.sampled(11, patience)
        assert alarms(judged(state, patience + 0.01)) == []
        state.sampled(11, 0.4 + patience)
        assert alarms(judged(state, 0.41 + patience)) == ["silence"]

    def test_is_no_alarm_before_two_looks_can_be_compared(self, state: Healthy) -> None:
        """Chromium answers from a cache: the same number at once may be the same answer."""
        over = state.vitals.pulse.patience() + 0.01
        state.listening.packets_at = over - LOOK_AGAIN / 2
        state.sampled(10, over)
        outputs = judged(state, over)
        assert alarms(outputs) == []
        assert commands.SampleStats() in outputs
        state.sampled(10, over + LOOK_AGAIN)
        assert alarms(judged(state, over + LOOK_AGAIN)) == ["silence"]

    def test_is_believed_in_the_end_if_the_browser_says_nothing(self, state: Healthy) -> None:
        over = state.vitals.pulse.patience()
        assert alarms(judged(state, over + UNSEEN_AFTER - 0.01)) == []
        assert alarms(judged(state, over + UNSEEN_AFTER + 0.01)) == ["silence"]

    def test_is_judged_sooner_if_the_other_page_is_heard_over_the_standby(self, state: Healthy) -> None:
        looked = state.heard_aside(0.21)
        assert beats(looked) == 2, "what was acknowledged before is in the first sample"
        assert state.heard_aside(0.22) == []
        state.sampled(10, 0.27)
        soon = max(state.vitals.pulse.awake_patience(), 0.21 + LOOK_AGAIN)
        assert soon < state.vitals.pulse.patience() - 0.1
        assert alarms(judged(state, soon - 0.01)) == []
        state.sampled(10, soon)
        assert alarms(judged(state, soon + 0.01)) == ["silence"]

    def test_is_judged_no_sooner_if_that_page_stands_still_and_its_browser_answers(self, state: Healthy) -> None:
        state.heard_aside(0.21)
        state.sampled(11, 0.27)
        state.sampled(11, 0.4)
        assert alarms(judged(state, 0.4)) == []

    def test_is_judged_no_sooner_for_what_was_heard_before_its_beat_was_due(self, state: Healthy) -> None:
        state.listening.is_doubtful = True
        state.vitals.heard(Beat(2, 0, 0, 100, 0), 0.2, is_telling=True)
        state.heard_aside(0.25)
        assert state.listening.awake_at is None

    def test_is_doubted_once(self, state: Healthy) -> None:
        again = judged(state, 0.25)
        assert Doubted() not in again
        assert beats(again) == 0


class TestAQuestion:
    def test_that_packets_answer_is_no_alarm(self) -> None:
        state = healthy()
        state.ask(0.1)
        for packets, now in ((10, 0.1), (11, 0.15)):
            state.sampled(packets, now)
        outputs = judged(state, 0.3)
        assert alarms(outputs) == []
        assert [output.data()["cause"] for output in outputs if isinstance(output, Entry)] == ["answered"]

    def test_is_not_answered_by_what_was_received_before_it(self) -> None:
        state = healthy()
        judged(state, 0.2)
        state.sampled(10, 0.2)
        state.ask(0.25)
        state.sampled(12, 0.25)
        due = 0.25 + echo_patience(state.vitals)
        state.sampled(12, due)
        assert alarms(judged(state, due)) == ["no-echo"]

    def test_waits_as_long_as_a_round_trip_takes(self) -> None:
        near, far = healthy(), healthy()
        far.vitals.pulse.round_trip.measured(0.8)
        assert echo_patience(far.vitals) > echo_patience(near.vitals)
        far.ask(0.1)
        assert alarms(judged(far, 0.1 + 0.7)) == []


class TestAQuietPath:
    def test_is_one_on_which_nothing_happened_for_two_minutes(self) -> None:
        state = healthy()
        state.beat(QUIET_AFTER - 0.1)
        assert not state.is_quiet
        state.beat(QUIET_AFTER)
        assert state.is_quiet

    def test_says_twice_that_it_is_woken(self) -> None:
        state = healthy()
        state.beat(QUIET_AFTER)
        assert beats(state.active(QUIET_AFTER + 1.0)) == 2
        assert not state.is_quiet

    def test_that_is_not_quiet_has_nothing_to_say(self) -> None:
        assert healthy().active(1.0) == []

    def test_is_not_quiet_while_a_beat_is_late(self) -> None:
        state = healthy()
        state.vitals.heard(Beat(2, 0, 0, 600, 0), QUIET_AFTER, is_telling=True)
        state.beat(QUIET_AFTER)
        judged(state, QUIET_AFTER + 0.8)
        assert not state.is_quiet
        state.beat(QUIET_AFTER + 0.9)
        assert not state.is_quiet


class TestAStall:
    def test_gives_the_other_side_a_round_trip_to_answer(self) -> None:
        vitals = healthy().vitals
        assert grace(vitals) == STALL
        vitals.pulse.round_trip.measured(1.0)
        assert grace(vitals) > 1.0

    def test_is_none_if_the_timer_is_only_a_little_late(self) -> None:
        state = healthy()
        assert state.listening.grace(state.vitals, STALL - 0.01) == []
        assert state.listening.grace(state.vitals, STALL + 0.01)
