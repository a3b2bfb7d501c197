"""An outage: its attempts one after the other, and the proof that it is over."""

import pytest

from pyapp.core import commands
from pyapp.core.path import recovery
from pyapp.core.path.ladder import FIRST_DEADLINE
from pyapp.core.path.outage import CONCEDED, LOST_AFTER
from pyapp.core.path.outcomes import Attempt, Output, Recovered, Resumed
from pyapp.core.path.recovery import ATTEMPT, LOST, SETTLE_AFTER, SILENCE, Recovery
from pyapp.core.path.silence import DOUBT_AFTER
from pyapp.protocol.channel import Beat
from tests.unit.pyapp.beating import duo, kinds, suspecting


class TestTheProof:
    def beat(self, health: Recovery, number: int, *, echo: int, generation: int, now: float) -> list[str]:
        return kinds(health.heard(Beat(number, echo, 0, 100, generation).encode(), now))

    def test_is_both_generations_and_an_echo_over_the_new_pair(self) -> None:
        health = suspecting()
        assert self.beat(health, 2, echo=1, generation=0, now=1.2) == []
        assert kinds(health.proven(1, 1.21)) == []
        health.beat(1.25)
        last = health.pulse.number
        assert self.beat(health, 3, echo=last - 1, generation=1, now=1.3) == ["Resumed"]
        assert self.beat(health, 4, echo=last, generation=0, now=1.35) == []
        outputs = health.heard(Beat(5, last, 0, 100, 1).encode(), 1.4)
        assert kinds(outputs) == ["Recovered"]
        assert all(commands.CancelTimer(name) in outputs for name in (ATTEMPT, LOST))
        assert health.is_healthy
        assert health.last_outage == pytest.approx(1.3)

    def test_asks_for_the_pair_while_it_waits(self) -> None:
        health = suspecting()
        outputs = health.heard(Beat(2, 1, 0, 100, 0).encode(), 1.2)
        assert commands.SampleStats() in outputs

    def test_cancels_what_was_armed(self) -> None:
        both = duo(mends_after=0.05)
        both.cut()
        both.run(2.0)
        for end in (both.a, both.b):
            assert end.health.is_healthy
            assert end.timers.keys() == {recovery.BEAT, SILENCE}
            assert end.outcomes(Recovered)

    def test_is_not_needed_when_the_old_path_comes_back(self) -> None:
        both = duo()
        both.cut()
        both.run(0.6)
        both.mend()
        both.run(2.0)
        for end in (both.a, both.b):
            assert end.health.is_healthy
            assert [rung for _, rung in end.attempts()] == ["restart"]
            assert kinds([outcome for _, outcome in end.said]) == [
                "Suspected",
                "Attempt",
                "Resumed",
                "Recovered",
            ]

    def test_is_none_while_one_side_is_deaf_however_well_the_other_hears(self) -> None:
        both = duo(0.025)
        both.deaf = {"b"}
        both.run(5.0)
        for end in (both.a, both.b):
            assert end.outcomes(Recovered) == []
            assert len(end.attempts()) > 2

    def test_lets_messages_go_before_it_is_complete(self) -> None:
        both = duo()
        both.cut()
        both.run(0.6)
        both.mend()
        both.run(0.21)
        assert both.a.outcomes(Resumed)
        assert both.a.outcomes(Recovered) == []


class TestThePicture:
    @pytest.mark.parametrize(("seconds", "key_frames"), [(0.6, 0), (2.0, 1)])
    def test_begins_anew_after_an_outage_too_long_for_packets_to_be_sent_again(
        self, seconds: float, key_frames: int
    ) -> None:
        both = duo()
        both.cut()
        both.run(seconds)
        both.mend()
        both.run(8.0)
        for end in (both.a, both.b):
            assert end.health.is_healthy
            assert end.key_frames == key_frames


class TestTheLadder:
    def test_is_spread_more_and_more(self) -> None:
        health = suspecting()
        spreads = []
        for number in range(3):
            outputs = health.attempt_over(2.0 + number, server_heard=9.0, peer_heard=9.0)
            spreads += [output.spread for output in outputs if isinstance(output, commands.StartTimer)]
        assert spreads == sorted(spreads)
        assert spreads[0] > 0

    def test_is_not_climbed_while_the_server_is_away(self) -> None:
        both = duo()
        for end in (both.a, both.b):
            end.server_is_there = False
        both.cut()
        both.run(30.0)
        for end in (both.a, both.b):
            assert len(end.attempts()) == 1
            assert ATTEMPT in end.timers

    def test_goes_on_at_once_when_the_server_is_back(self) -> None:
        both = duo()
        both.a.server_is_there = False
        both.cut()
        both.run(30.0)
        both.did(both.a, both.a.health.server_is_back(both.now))
        assert both.a.attempts()[-1][0] == both.now

    def test_does_not_go_on_when_the_server_is_back_before_the_deadline(self) -> None:
        health = suspecting()
        assert health.server_is_back(1.3) == []

    def test_is_begun_by_the_impolite_side_if_both_have_heard_nothing(self) -> None:
        both = duo()
        both.cut()
        both.run(2.0)
        (silent_at, evidence), *_ = both.b.suspicions()
        assert evidence == "silence"
        assert both.a.attempts()[0][0] == pytest.approx(both.a.suspicions()[0][0])
        assert both.b.attempts()[0][0] == pytest.approx(silent_at + CONCEDED, abs=0.01)

    def test_is_not_begun_by_the_polite_side_if_the_other_has_begun(self) -> None:
        both = duo()
        both.cut()
        both.run(0.35)
        assert both.b.suspicions()
        both.did(both.b, both.b.health.negotiated(1, both.now))
        both.run(FIRST_DEADLINE)
        assert both.b.attempts() == []

    def test_is_begun_by_the_polite_side_at_once_if_its_own_network_changed(self) -> None:
        both = duo()
        both.did(both.b, both.b.health.network_changed(both.now, certain=True))
        both.run(2 * SETTLE_AFTER)
        assert len(both.b.attempts()) == 1

    def test_waits_for_a_restart_that_was_just_answered(self) -> None:
        both = duo()
        both.a.health.negotiated(1, both.now)
        both.cut()
        both.run(0.5)
        assert both.a.suspicions()
        assert both.a.attempts() == []
        both.run(2 * FIRST_DEADLINE)
        assert both.a.attempts()


class TestThePerson:
    def test_is_told_after_a_second_and_told_when_it_is_over(self) -> None:
        both = duo()
        both.cut()
        both.run(1.2)
        assert not both.a.health.is_lost
        both.run(0.5)
        assert both.a.health.is_lost
        both.mend()
        both.run(0.3)
        assert not both.a.health.is_lost

    def test_is_told_also_when_one_beat_came_through_in_between(self) -> None:
        both = duo()
        both.cut()
        both.run(1.2)
        both.mend()
        both.run(0.12)
        both.cut()
        both.run(6.0)
        assert both.a.health.is_lost


class TestANewPairThatFallsSilent:
    def silent_again(self, *, polite: bool) -> tuple[Recovery, list[Output], float]:
        """Return what a third attempt does about a silence, after a beat had come over its pair; and when that is."""
        health = Recovery(polite=polite)
        health.channel_opened(0.0)
        health.heard(Beat(1, 1, 0, 100, 0).encode(), 0.1)
        health.suspect("silence", 1.0)
        for now in (2.0, 4.0):
            health.attempt_over(now, server_heard=now, peer_heard=now)
        health.proven(1, 4.1)
        health.beat(4.15)  # late: what came meanwhile is read first
        health.beat(4.18)
        health.heard(Beat(2, health.pulse.number, 0, 100, 0).encode(), 4.2)
        patience = health.pulse.patience()
        [timer] = health.silent(4.2 + DOUBT_AFTER * patience)
        assert isinstance(timer, commands.StartTimer)
        assert timer.timer == SILENCE
        assert timer.after == pytest.approx((1 - DOUBT_AFTER) * patience)
        now = 4.201 + patience
        return health, health.silent(now), now

    @pytest.mark.parametrize("polite", [True, False])
    def test_begins_from_the_first_rung_if_the_new_pair_had_worked(self, polite: bool) -> None:
        health, outputs, now = self.silent_again(polite=polite)
        assert kinds(outputs) == ["Suspected"]
        assert commands.StartTimer(LOST, LOST_AFTER) in outputs
        (concession,) = (output for output in outputs if getattr(output, "timer", "") == ATTEMPT)
        assert isinstance(concession, commands.StartTimer)
        assert concession.after >= CONCEDED if polite else concession.after == 0.0
        attempted = health.attempt_over(now, server_heard=now, peer_heard=now)
        assert Attempt("restart", 1) in attempted
        assert health.silent(now + 9.0) == []

    def test_waits_for_its_deadline_if_the_new_pair_brought_nothing(self) -> None:
        health = Recovery(polite=False)
        health.channel_opened(0.0)
        health.suspect("silence", 1.0)
        health.heard(Beat(2, 1, 0, 100, 0).encode(), 1.1)
        health.proven(1, 1.2)
        assert health.silent(9.0) == []
