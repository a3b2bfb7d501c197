"""What each attempt of an outage tries, and how long it has."""

import itertools

import pytest

from pyapp.core.path.ladder import CLOSED_LADDER, FIRST_DEADLINE, LADDER, LAST_DEADLINE, POLITE_EXTRA, Ladder, Rung
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


def climbed(
    ladder: Ladder, times: int, *, closed: bool = False, polite: bool = False, there: bool = True
) -> list[Rung]:
    return [
        ladder.climb(0, float(number), rungs=CLOSED_LADDER if closed else LADDER, polite=polite, peer_is_there=there)
        for number in range(times)
    ]


class TestAnAttempt:
    def test_by_the_polite_side_is_a_new_connection_once_the_other_has_had_its_turn(self) -> None:
        rungs = climbed(Ladder(0), 2 * len(LADDER), polite=True)
        assert [number for number, rung in enumerate(rungs) if rung == "new-connection"] == [2 * len(LADDER) - 1]

    @pytest.mark.parametrize("polite", [False, True])
    def test_on_a_closed_channel_is_soon_a_new_connection_of_either_side(self, *, polite: bool) -> None:
        """The other one may not know of it: it hears nothing, as in any outage."""
        assert climbed(Ladder(0), 2, closed=True, polite=polite) == ["restart", "new-connection"]

    @pytest.mark.parametrize("polite", [False, True])
    def test_is_no_new_connection_without_the_other_side_however_often(self, *, polite: bool) -> None:
        for closed in (False, True):
            assert "new-connection" not in climbed(Ladder(0), 30, closed=closed, polite=polite, there=False)

    def test_goes_on_from_a_restart_of_the_other_sides(self) -> None:
        """That one was the first attempt, and the generation before it is what it replaces."""
        ladder = Ladder(0)
        ladder.joined(4, 7.5)
        assert (ladder.restarted_from, ladder.begun_at) == (3, 7.5)
        assert climbed(ladder, len(LADDER) - 1) == list(LADDER[1:])

    def test_on_another_network_is_the_first_again_and_as_short(self) -> None:
        ladder = Ladder(0)
        fresh = Ladder(0)
        climbed(ladder, len(LADDER) - 1)
        ladder.from_the_first_rung()
        assert ladder.begun_at is None, "nothing was tried on it yet"
        assert climbed(ladder, 3) == climbed(fresh, 3) == ["restart"] * 3
        assert ladder.deadline(0.0, polite=False) == fresh.deadline(0.0, polite=False)

    def test_has_two_round_trips_more_where_they_are_long(self) -> None:
        ladder = Ladder(0)
        climbed(ladder, 1)
        assert ladder.deadline(0.5, polite=False) == pytest.approx(ladder.deadline(0.0, polite=False) + 1.0)

    @pytest.mark.parametrize("trip", [0.0, 60.0])
    def test_never_has_more_than_the_last_whatever_the_path_and_however_many(self, trip: float) -> None:
        ladder = Ladder(0, attempts=10_000)
        assert ladder.deadline(trip, polite=True) == LAST_DEADLINE
