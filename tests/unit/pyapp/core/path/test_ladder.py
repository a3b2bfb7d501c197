"""What each attempt of an outage tries, and how long it has."""

import itertools

import pytest

from pyapp.core.path.ladder import FIRST_DEADLINE, LADDER, LAST_DEADLINE, POLITE_EXTRA
from tests.unit.pyapp.beating import duo


class TestTheLadder:
    def climbed(self, *, polite: bool, seconds: float = 60.0) -> list[tuple[float, str]]:
        both = duo()
        both.cut()
        both.run(seconds)
        return (both.b if polite else both.a).attempts()

    def test_has_three_restarts_then_relays_then_tcp_then_a_new_connection(self) -> None:
        rungs = [rung for _, rung in self.climbed(polite=False)]
        assert tuple(rungs[: len(LADDER)]) == LADDER
        assert rungs[len(LADDER)] == "restart"

    def test_has_a_new_connection_of_one_side_at_a_time(self) -> None:
        assert "new-connection" not in [rung for _, rung in self.climbed(polite=True)][: len(LADDER)]

    @pytest.mark.parametrize(("polite", "first"), [(False, FIRST_DEADLINE), (True, FIRST_DEADLINE + POLITE_EXTRA)])
    def test_gives_the_polite_side_more_time_and_each_attempt_more_than_the_last(
        self, polite: bool, first: float
    ) -> None:
        times = [at for at, _ in self.climbed(polite=polite)][:5]
        pauses = [after - before for before, after in itertools.pairwise(times)]
        assert pauses[0] == pytest.approx(first, abs=0.01)
        assert pauses == sorted(pauses)
        assert pauses[3] > 2 * pauses[0]

    def test_has_pauses_that_grow_to_a_limit(self) -> None:
        times = [at for at, _ in self.climbed(polite=False, seconds=120.0)]
        pauses = [after - before for before, after in itertools.pairwise(times)]
        assert max(pauses) <= LAST_DEADLINE + 0.01
        assert pauses[-1] == pytest.approx(LAST_DEADLINE, abs=0.01)

    def test_has_no_new_connection_without_the_other_side(self) -> None:
        both = duo()
        both.a.peer_is_there = False
        both.cut()
        both.run(60.0)
        assert "new-connection" not in [rung for _, rung in both.a.attempts()]

    def test_is_short_when_the_channel_is_gone(self) -> None:
        both = duo()
        both.did(both.a, both.a.health.channel_closed(both.now))
        both.cut()
        both.run(2.0)
        assert [rung for _, rung in both.a.attempts()][:2] == ["restart", "new-connection"]
