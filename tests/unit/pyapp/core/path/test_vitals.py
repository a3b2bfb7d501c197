"""What is known of a connection's health, and the beats it sends, whatever its state is."""

import pytest

from pyapp.core import commands
from pyapp.core.commands import PartCommand
from pyapp.core.path.heartbeat import HIDDEN_INTERVAL, HIDDEN_TICK, INTERVAL, LEAST_PATIENCE
from pyapp.core.path.vitals import BEAT, CATCH_UP, READ_WITHIN, STALL, Vitals
from pyapp.protocol.channel import Beat, decode_beat


def vitals(*, is_hidden: bool = False) -> Vitals:
    """Return those of an open channel over which one beat came, at 0.0 s."""
    result = Vitals(polite=False, is_hidden=is_hidden, may_collide=lambda: True)
    result.is_open = True
    result.pulse.listen(0.0)
    result.heard(Beat(1, 0, 0, 100, 0), 0.0, is_telling=True)
    return result


def sent(outputs: list[PartCommand]) -> Beat:
    (beat,) = (decode_beat(output.text) for output in outputs if isinstance(output, commands.SendOnChannel))
    return beat


class TestABeat:
    def test_is_not_sent_before_the_channel_is_open_or_after_it_closed(self) -> None:
        ours = Vitals(polite=False, is_hidden=False, may_collide=lambda: True)
        assert ours.beat(1.0) == []
        assert ours.pulse.number == 0, "none is counted that was not sent"

    @pytest.mark.parametrize(
        ("is_hidden", "at_least", "interval"),
        [
            (False, 0.0, INTERVAL),
            (False, 0.6, 0.6),
            (True, 0.0, HIDDEN_INTERVAL),
            (True, 0.6, HIDDEN_INTERVAL),
            (True, 1.8, 1.8),
        ],
    )
    def test_says_when_the_next_one_comes_and_that_is_when(
        self, *, is_hidden: bool, at_least: float, interval: float
    ) -> None:
        outputs = vitals(is_hidden=is_hidden).beat(1.0, at_least=at_least)
        assert sent(outputs).due == round(interval * 1000)
        assert commands.StartTimer(BEAT, interval) in outputs


class TestAPageThatStoodStill:
    def test_is_one_whose_beat_is_late_by_more_than_a_timer_ever_is(self) -> None:
        ours = vitals()
        ours.beat(1.0)
        assert not ours.stood_still(1.0 + INTERVAL + STALL - 0.01)
        assert ours.stood_still(1.0 + INTERVAL + STALL + 0.01)

    def test_is_none_any_more_once_it_reads_what_came(self) -> None:
        ours = vitals()
        ours.beat(1.0)
        assert ours.catch_up(5.0) == commands.StartTimer(BEAT, CATCH_UP)
        assert not ours.stood_still(5.0 + CATCH_UP)

    def test_says_nothing_of_what_it_heard_until_it_has_read_that(self) -> None:
        ours = vitals()
        ours.heard(Beat(7, 0, 0, 100, 0), 1.0, is_telling=True)
        assert sent(ours.beat(1.0)).echo == 7
        ours.catch_up(5.0)
        assert sent(ours.beat(5.0 + CATCH_UP)).echo == 0
        ours.heard(Beat(8, 0, 0, 100, 0), 5.1, is_telling=True)
        assert sent(ours.beat(5.1)).echo == 8

    def test_says_it_in_the_end_if_there_was_nothing_to_read(self) -> None:
        ours = vitals()
        ours.heard(Beat(7, 0, 0, 100, 0), 1.0, is_telling=True)
        ours.catch_up(5.0)
        assert sent(ours.beat(5.0 + READ_WITHIN)).echo == 7

    def test_is_no_hidden_one(self) -> None:
        ours = vitals(is_hidden=True)
        ours.beat(1.0)
        assert not ours.stood_still(60.0)


class TestTheOtherSideThatDoesNotHearUs:
    def said(self, ours: Vitals, held: float, *, since: float = 0.0, echo: int = 1, is_deaf: bool = False) -> bool:
        """Return whether it is believed at 60 s when it says that it has heard nothing for `held` seconds."""
        return ours.is_unheard(Beat(2, echo, round(held * 1000), 100, 0, is_deaf=is_deaf), since, 60.0)

    def test_is_believed_once_that_is_longer_than_normal(self) -> None:
        ours = vitals()
        assert not self.said(ours, ours.pulse.patience() - 0.05)
        assert self.said(ours, ours.pulse.patience() + 0.05)

    def test_is_believed_sooner_if_that_is_longer_than_normal_to_it(self) -> None:
        ours = vitals()
        assert self.said(ours, ours.pulse.patience() - 0.05, is_deaf=True)
        assert not self.said(ours, LEAST_PATIENCE, is_deaf=True), "so long is always normal"

    def test_says_nothing_new_of_a_time_before(self) -> None:
        """Before the last outage was over, for one, or before our tab was shown again."""
        ours = vitals()
        assert not self.said(ours, 10.0, since=50.5)
        assert self.said(ours, 10.0, since=49.5)

    def test_that_never_heard_us_only_began_later(self) -> None:
        assert not self.said(vitals(), 10.0, echo=0)

    def test_has_more_patience_with_our_hidden_tab(self) -> None:
        ours = vitals(is_hidden=True)
        normal = (ours.pulse.chance + 1) * HIDDEN_TICK
        assert not self.said(ours, normal - 0.1)
        assert self.said(ours, normal + 0.1)


class TestANewPair:
    def proven(self, *, theirs: int, echo: int) -> bool:
        """Return whether generation 1 is proven if they use `theirs`, and echo the `echo`-th beat since we use it."""
        ours = vitals()
        for now in (0.1, 0.2):
            ours.beat(now)
        ours.proven(1)
        for now in (0.3, 0.4):
            ours.beat(now)
        ours.heard(Beat(2, 2 + echo, 0, 100, theirs), 0.5, is_telling=False)
        return ours.is_newer_than(0)

    def test_is_proven_by_a_beat_that_went_over_it_and_came_back(self) -> None:
        assert self.proven(theirs=1, echo=1)
        assert self.proven(theirs=2, echo=2)

    def test_is_not_proven_by_one_that_was_sent_over_the_old_one(self) -> None:
        assert not self.proven(theirs=1, echo=0)

    def test_is_not_proven_while_the_other_side_uses_the_old_one(self) -> None:
        assert not self.proven(theirs=0, echo=2)

    def test_is_not_taken_back_by_what_is_seen_late(self) -> None:
        ours = vitals()
        ours.beat(0.1)
        ours.proven(2)
        ours.beat(0.2)
        ours.heard(Beat(2, 2, 0, 100, 2), 0.3, is_telling=False)
        ours.proven(1)
        ours.proven(2)
        assert ours.generation == 2
        assert ours.is_newer_than(1), "nor is what came back over it asked for once more"

    def test_is_not_proven_any_less_by_a_beat_that_arrives_out_of_order(self) -> None:
        ours = vitals()
        for now in (0.1, 0.2, 0.3):
            ours.beat(now)
        for number, echo in ((3, 3), (2, 1)):
            ours.heard(Beat(number, echo, 0, 100, 0), 0.4, is_telling=True)
        assert ours.echoed == 3
